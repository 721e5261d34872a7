//! What a query does next: whom it asks, where it places, when it is over.

use std::time::Duration;

use dht_core::{Contact, Mono, Overlay, Request};

use super::{Driven, Goal, Line, Query, Task};
use crate::{
    Reason, StepOutcome,
    common::Common,
    gather::Gather,
    inflight::Owner,
    lookup::Wants,
    paths,
    place::{self, Place},
};

/// A line that is dark is tried no more often, however short the back-off: where sending fails at once, nothing else holds
/// the next try up.
const LINE_PAUSE: Duration = Duration::from_secs(1);

impl<O: Overlay> Query<O> {
    /// Sends what may be sent now.
    pub(crate) fn drive(&mut self, now: Mono, common: &mut Common<O>) -> Driven {
        if self.enough {
            return Driven::Over(Reason::Enough);
        }
        if now >= self.deadline {
            return Driven::Over(Reason::Timeout);
        }
        if self.place.is_some() { self.drive_place(now, common) } else { self.drive_lookup(now, common) }
    }

    fn drive_lookup(&mut self, now: Mono, common: &mut Common<O>) -> Driven {
        if self.paths.is_empty() {
            return Driven::Over(Reason::NoPeers);
        }
        let stores = matches!(self.goal, Goal::Store { .. });
        loop {
            let limit = match &self.goal {
                Goal::Fetch(gather) => gather.missing(),
                _ => usize::MAX,
            };
            let wants = Wants { limit, hasty: self.goal.is_hasty(), silence: common.rtt.silence() };
            let cut = stores && now >= self.lookup_until;
            let step = match cut {
                true => paths::Step::Done,
                false => self.paths.next(now, wants, |attempt| common.retry_at(now, attempt)),
            };
            match step {
                paths::Step::Ask { path, contact } => self.ask(now, path, contact, common),
                paths::Step::Wait(wake) => {
                    let end = if stores { self.lookup_until } else { self.deadline };
                    return Driven::Wake(wake.map_or(end, |wake| wake.min(end)));
                }
                paths::Step::Done => {
                    let answered = !self.paths.closest(1, false).is_empty();
                    if !answered && !cut && self.wait_for_own_line(now, common) {
                        continue;
                    }
                    return match (answered, stores) {
                        (false, _) if cut => Driven::Over(Reason::Timeout),
                        (false, _) => Driven::Over(Reason::Exhausted),
                        (true, false) => Driven::Over(Reason::Complete),
                        (true, true) => {
                            self.begin_place(common);
                            self.drive_place(now, common)
                        }
                    };
                }
            }
        }
    }

    /// Nobody answered, however often asked. When we have not heard of anybody else either since the query began, though
    /// we had before, our own line is the likelier reason: a few are asked now and then until it is back. When we have,
    /// it may have come back just now: once all are asked anew.
    fn wait_for_own_line(&mut self, now: Mono, common: &mut Common<O>) -> bool {
        match common.heard.filter(|_| common.config.retries > 0) {
            Some(heard) if heard <= self.started => {
                self.line = Line::Dark;
                let when = common.retry_at(now, common.config.retries).max(now + LINE_PAUSE);
                self.paths.probe(when)
            }
            Some(_) if self.line != Line::Back => {
                self.line = Line::Back;
                self.paths.forgive()
            }
            _ => false,
        }
    }

    fn ask(&mut self, now: Mono, path: usize, to: Contact<O>, common: &mut Common<O>) {
        let request = match &self.goal {
            Goal::Fetch(Gather { query, .. }) => Request::Get { query: query.clone() },
            Goal::Store { query, .. } if O::TICKETED => Request::Get { query: query.clone() },
            _ => Request::FindNode { target: self.target.clone() },
        };
        let (id, times) = (common.requests.name(), common.times_in_lookup(now, self.goal.is_hasty()));
        self.running.insert(id, Task::Ask { path });
        self.requests += 1;
        let peer = self.trace.then(|| to.peer.clone());
        common.send(now, id, Owner::Query(self.id), to, request, times);
        if let Some(peer) = peer {
            self.step(now, path, &peer, StepOutcome::Asked, common);
        }
    }

    /// The lookup of a store is over: what still runs of it is dropped, those that answered are stored to.
    fn begin_place(&mut self, common: &mut Common<O>) {
        for (id, _) in std::mem::take(&mut self.running) {
            common.disown(id);
        }
        // Where tickets are asked for, a peer that gave none takes no stores; the lookup went on to the next nearest.
        let peers =
            self.paths.closest(usize::MAX, false).into_iter().filter(|c| !O::TICKETED || c.ticket.is_some());
        let peers = peers.take(self.k).map(|c| (c.contact.clone(), c.ticket.clone()));
        self.place = Some(Place::new(peers, parallel(common), common.config.retries));
    }

    fn drive_place(&mut self, now: Mono, common: &mut Common<O>) -> Driven {
        let Goal::Store { query, item } = &self.goal else { return Driven::Over(Reason::Complete) };
        let Some(place) = &mut self.place else { return Driven::Over(Reason::Complete) };
        if place.is_empty() {
            return Driven::Over(Reason::NoPeers);
        }
        loop {
            match place.next(now) {
                place::Step::Send { holder, to, ticket, attempt } => {
                    let request = Request::Put { query: query.clone(), item: item.clone(), ticket };
                    let id = common.requests.name();
                    let times = common.times_alone(now, attempt, now + common.config.request_timeout);
                    self.running.insert(id, Task::Put { holder });
                    self.requests += 1;
                    common.send(now, id, Owner::Query(self.id), to, request, times);
                }
                place::Step::Wait(wake) => {
                    return Driven::Wake(wake.map_or(self.deadline, |wake| wake.min(self.deadline)));
                }
                place::Step::Done => return Driven::Over(Reason::Complete),
            }
        }
    }
}

/// Stores in flight at once: all of the k closest with the usual numbers.
pub(super) fn parallel<O: Overlay>(common: &Common<O>) -> usize {
    common.config.alpha.saturating_mul(2)
}
