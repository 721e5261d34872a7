//! Placing an item on peers: whom to send it to, how often to try, and what became of each.
//!
//! Unlike the requests of a lookup a store has no substitute, since these peers are where the item will be looked for. So
//! timeouts, unreachable peers and overload are retried with back-off. An overdue store is repeated before it has failed
//! (a store twice is a store; the spacing is that of the back-off); whichever attempt is confirmed counts. After the last
//! repetition the peer counts as failed unless it confirms before the others are done.
//!
//! A reset or an error is a refusal, not a fault of the network: these peers answered the lookup moments ago, and ending
//! the exchange is the way in which a server of either network says no. Refusals are final.

use dht_core::{Contact, Failure, Mono, Overlay};

use crate::Receipt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be sent, not before that time.
    Due(Mono),
    /// Sent and not confirmed.
    Sent,
    /// Repeated as often as allowed; nobody waits for it.
    GivenUp,
    Stored,
    Refused(Failure),
    Failed(Failure),
}

struct Holder<O: Overlay> {
    contact: Contact<O>,
    ticket: Option<O::Ticket>,
    state: State,
    running: u32,
    attempts: u32,
}

pub(crate) struct Place<O: Overlay> {
    holders: Vec<Holder<O>>,
    /// Holders that may be waited for at once.
    parallel: usize,
    retries: u32,
}

pub(crate) enum Step<O: Overlay> {
    Send { holder: usize, to: Contact<O>, ticket: Option<O::Ticket>, attempt: u32 },
    Wait(Option<Mono>),
    Done,
}

impl<O: Overlay> Place<O> {
    pub(crate) fn new(
        peers: impl IntoIterator<Item = (Contact<O>, Option<O::Ticket>)>,
        parallel: usize,
        retries: u32,
    ) -> Self {
        let holders = peers
            .into_iter()
            .map(|(contact, ticket)| Holder {
                contact,
                ticket,
                state: State::Due(Mono::default()),
                running: 0,
                attempts: 0,
            })
            .collect();
        Self { holders, parallel, retries }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.holders.is_empty()
    }

    /// The next step; a holder to send to counts as sent.
    pub(crate) fn next(&mut self, now: Mono) -> Step<O> {
        let sent = self.holders.iter().filter(|holder| holder.state == State::Sent).count();
        let mut wake = None::<Mono>;
        let mut open = sent > 0;
        for (i, holder) in self.holders.iter_mut().enumerate() {
            let State::Due(when) = holder.state else { continue };
            open = true;
            if when > now {
                wake = Some(wake.map_or(when, |wake| wake.min(when)));
            } else if sent < self.parallel {
                holder.state = State::Sent;
                holder.running += 1;
                holder.attempts += 1;
                let (to, ticket) = (holder.contact.clone(), holder.ticket.clone());
                return Step::Send { holder: i, to, ticket, attempt: holder.attempts };
            }
        }
        if open { Step::Wait(wake) } else { Step::Done }
    }

    /// The holder confirmed; `false` when that was known.
    pub(crate) fn stored(&mut self, holder: usize) -> bool {
        let holder = &mut self.holders[holder];
        holder.running = 0;
        std::mem::replace(&mut holder.state, State::Stored) != State::Stored
    }

    /// An attempt failed; `retry` says when the next one may follow, given how many there were.
    pub(crate) fn failed(&mut self, holder: usize, why: Failure, retry: impl FnOnce(u32) -> Mono) {
        let holder = &mut self.holders[holder];
        holder.running = holder.running.saturating_sub(1);
        let last = holder.attempts > self.retries;
        holder.state = match (why, holder.state) {
            (_, State::Stored | State::Refused(_) | State::Failed(_)) => return,
            (Failure::Timeout | Failure::Unreachable | Failure::Overloaded, state) => match state {
                _ if holder.running > 0 => return,
                State::Due(_) => return,
                _ if last => State::Failed(why),
                _ => State::Due(retry(holder.attempts)),
            },
            (Failure::Closed, _) => State::Failed(why),
            _ => State::Refused(why),
        };
    }

    /// An attempt is overdue: the next one is due, if there may be one.
    pub(crate) fn overdue(&mut self, holder: usize, now: Mono) {
        let holder = &mut self.holders[holder];
        if holder.state == State::Sent {
            holder.state = if holder.attempts > self.retries { State::GivenUp } else { State::Due(now) };
        }
    }

    pub(crate) fn receipt(&self) -> Receipt<O> {
        let mut receipt = Receipt::default();
        for Holder { contact: Contact { peer, .. }, state, .. } in &self.holders {
            match state {
                State::Stored => receipt.stored.push(peer.clone()),
                State::Refused(why) => receipt.refused.push((peer.clone(), *why)),
                State::Failed(why) => receipt.failed.push((peer.clone(), *why)),
                State::Due(_) | State::Sent | State::GivenUp => {
                    receipt.failed.push((peer.clone(), Failure::Timeout));
                }
            }
        }
        receipt
    }
}
