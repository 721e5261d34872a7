//! The one outlet: what routing and queries want, joined into what the node wants.

use std::time::Duration;

use dht_core::{Contact, Failure, Mono, Now, Observation, Overlay, Request, RequestId, Response};
use dht_query::{Finished, QueryId, QueryOptions, Reason};
use dht_routing::{Action, Checked, LookupId};

use crate::{Event, Node, Output};

/// Why a query runs that no caller asked for.
pub(crate) enum Errand<O: Overlay> {
    /// The table wants to know who is near this key.
    Upkeep(LookupId, O::Key),
    Correction,
}

/// What a caller's query aims at.
pub(crate) struct Asked<O: Overlay> {
    pub(crate) key: O::Key,
    /// Whether its nearest peers are waited for when others have answered; a fetch does not, and may leave some out.
    pub(crate) exact: bool,
    /// What holders of something worse are corrected under when the query ends.
    pub(crate) correct: Option<O::Query>,
}

impl<O: Overlay> Node<O> {
    /// The next thing the node wants done; call until it says [`Output::Wait`].
    pub fn poll_output(&mut self, now: Now) -> Output<O> {
        loop {
            if let Some(output) = self.out.pop_front() {
                return output;
            }
            let table = match self.routing.poll(now) {
                Action::Wait(until) => until,
                action => {
                    self.on_action(now, action);
                    continue;
                }
            };
            let queries = match self.queries.poll(now) {
                dht_query::Output::Wait(until) => until,
                output => match self.on_query_output(now, output) {
                    Some(output) => return output,
                    None => continue,
                },
            };
            return Output::Wait(earliest(table, queries));
        }
    }

    fn on_action(&mut self, now: Now, action: Action<O>) {
        match action {
            Action::Check { id, mut contact, timeout } => {
                if !contact.is_located()
                    && let Some(addr) = self.book.addr(&contact.peer)
                {
                    contact.addr = addr.clone();
                }
                let target = O::peer_target(&contact.peer);
                let request = self.queries.request(now, contact, Request::FindNode { target }, timeout);
                self.checks.insert(request, id);
            }
            Action::Lookup { id, target, through, timeout } => {
                let k = through.is_some().then_some(1);
                let options = QueryOptions { timeout: Some(timeout), k, ..QueryOptions::default() };
                let key = O::key_of(&target);
                let seeds = through.map_or_else(|| self.seeds(&key), |contact| vec![contact]);
                match self.queries.closest(now, target, seeds, options) {
                    Ok(query) => {
                        self.errands.insert(query, Errand::Upkeep(id, key));
                    }
                    Err(_) => self.routing.looked_up(now, id, 0),
                }
            }
            Action::Event(event) => self.on_table_event(event),
            Action::Wait(_) => {}
        }
    }

    fn on_table_event(&mut self, event: dht_routing::Event<O>) {
        let table = self.routing.len();
        let observed = match &event {
            dht_routing::Event::Added { .. } => Some(Observation::PeerAdded { table }),
            dht_routing::Event::Removed { .. } => Some(Observation::PeerRemoved { table }),
            dht_routing::Event::BucketRefreshed { .. } => Some(Observation::BucketRefreshed),
            _ => None,
        };
        self.out.extend(observed.map(Output::Observed));
        self.out.push_back(Output::Event(Event::Table(event)));
    }

    /// Most of it is the owner's and goes to him at once: the outlet is empty at that time.
    fn on_query_output(&mut self, now: Now, output: dht_query::Output<O>) -> Option<Output<O>> {
        use dht_query::Output as Q;
        match output {
            Q::Send { id, mut to, request } => {
                if !to.is_located()
                    && let Some(addr) = self.book.addr(&to.peer)
                {
                    to.addr = addr.clone();
                }
                return Some(Output::Send { id, to, request });
            }
            Q::Forget(id) => return Some(Output::Forget(id)),
            Q::Lone { id, to, result, attempts } => self.on_lone(now, id, to, result, attempts),
            Q::Answered { contact, rtt } => {
                if !self.is_elsewhere(&contact) {
                    self.routing.alive(now, &contact.peer, rtt);
                }
                self.routing.heard(now, contact);
            }
            Q::Failed { contact, why } => {
                if !self.is_elsewhere(&contact) {
                    self.routing.failed(now, &contact.peer, why);
                }
            }
            Q::Progress(id, progress) if !self.errands.contains_key(&id) => {
                return Some(Output::Event(Event::Progress(id, progress)));
            }
            Q::Progress(..) => {}
            Q::Finished(id, finished) => self.on_finished(now, id, finished),
            Q::Observed(observation) => return Some(Output::Observed(observation)),
            Q::Wait(_) => {}
        }
        None
    }

    /// Whether the table knows the peer at another place than this one. Anybody may have named it here, and may answer
    /// here or not: that says nothing about the peer.
    fn is_elsewhere(&self, contact: &Contact<O>) -> bool {
        let is_place = |addr: &O::Addr| O::same_place(addr, addr);
        // Of the address first: where none is a place the table need not be searched.
        is_place(&contact.addr)
            && self.routing.get(&contact.peer).is_some_and(|known| {
                let known = &known.contact.addr;
                is_place(known) && !O::same_place(known, &contact.addr)
            })
    }

    fn on_lone(
        &mut self,
        now: Now,
        id: RequestId,
        to: Contact<O>,
        result: Result<(Response<O>, Duration), Failure>,
        attempts: u32,
    ) {
        match self.checks.remove(&id) {
            Some(check) => {
                let checked = result.map(|(response, rtt)| Checked { rtt, closer: response.closer.len() });
                if checked.is_ok() {
                    self.book.note(to, None, Some(true));
                }
                self.routing.checked(now, check, checked);
            }
            None => {
                self.out.push_back(Output::Event(Event::Answered { id, result, attempts }));
            }
        }
    }

    fn on_finished(&mut self, now: Now, id: QueryId, finished: Finished<O>) {
        match self.errands.remove(&id) {
            Some(Errand::Upkeep(lookup, key)) => {
                // Peers that were only named may all be dead: a bucket is not refreshed by hearsay.
                self.routing.looked_up(now, lookup, finished.confirmed);
                // One's own neighbourhood would count again and again, and whoever wants to can settle there.
                if finished.reason == Reason::Complete && key != self.local.key() {
                    self.size.learn(&key, &finished.closest);
                }
                return;
            }
            Some(Errand::Correction) => return,
            None => {}
        }
        if let Some(asked) = self.asked.remove(&id) {
            if finished.reason == Reason::Complete {
                // A complete lookup is as good as a refresh of the bucket it ended in.
                self.routing.note_lookup(now, &asked.key);
                if asked.exact {
                    self.size.learn(&asked.key, &finished.closest);
                }
            }
            // Whoever cancels a query wants its traffic to end.
            if let Some(query) = asked.correct.filter(|_| finished.reason != Reason::Cancelled) {
                self.correct(now, query, &finished);
            }
        }
        self.out.push_back(Output::Event(Event::Finished(id, finished)));
    }

    /// Sends the best item to those of the closest that have a worse one or none.
    fn correct(&mut self, now: Now, query: O::Query, finished: &Finished<O>) {
        let [best] = &finished.items[..] else { return };
        if finished.outdated.is_empty() {
            return;
        }
        let peers = finished.outdated.clone();
        let options = QueryOptions::default();
        // When too many queries run the next fetch corrects.
        if let Ok(id) = self.queries.store_at(now, query, best.clone(), peers, options) {
            self.errands.insert(id, Errand::Correction);
        }
    }
}

fn earliest(a: Option<Mono>, b: Option<Mono>) -> Option<Mono> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
