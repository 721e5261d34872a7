//! Requests that wait for their answer: their names, and the alarms that end the waiting.
//!
//! A request has up to three alarms, in this order: it is *overdue* when an answer would usually have come, *given up*
//! when it is so late that nothing waits for it any more, and at its *deadline* it has failed. A store and a lone request, in
//! whose place nobody else can answer, are never overdue; given up they are sent once more and still waited for. An answer
//! before the deadline counts, whatever alarm has rung. What follows from an alarm is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use dht_core::{Contact, Mono, Overlay, RequestId, RequestKind};

use crate::QueryId;

/// Who wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Query(QueryId),
    /// A lone request, by the name its caller knows (retries have names of their own).
    Lone(RequestId),
    /// The query is over; only whether the peer is alive is still of interest.
    Nobody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    Overdue,
    GivenUp,
    Deadline,
}

pub(crate) struct InFlight<O: Overlay> {
    pub(crate) owner: Owner,
    pub(crate) to: Contact<O>,
    pub(crate) kind: RequestKind,
    pub(crate) sent: Mono,
    /// Whether the first alarm has rung.
    pub(crate) overdue: bool,
    /// Whether the second has: nothing waits for it any more, or it was sent once more.
    pub(crate) given_up: bool,
    times: Times,
    next: (Mono, Alarm),
}

/// When the alarms of a request ring; those that are not before the deadline do not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) overdue: Option<Mono>,
    pub(crate) given_up: Option<Mono>,
    pub(crate) deadline: Mono,
}

impl<O: Overlay> InFlight<O> {
    /// Whether it is a lookup's: others can answer in the place of this peer.
    pub(crate) fn has_substitutes(&self) -> bool {
        self.times.overdue.is_some()
    }
}

impl Times {
    fn after(&self, last: Option<Alarm>) -> (Mono, Alarm) {
        [(self.overdue, Alarm::Overdue), (self.given_up, Alarm::GivenUp)]
            .into_iter()
            .filter(|(_, alarm)| last < Some(*alarm))
            .find_map(|(at, alarm)| at.filter(|at| *at < self.deadline).map(|at| (at, alarm)))
            .unwrap_or((self.deadline, Alarm::Deadline))
    }
}

pub(crate) struct Requests<O: Overlay> {
    last: u64,
    running: BTreeMap<RequestId, InFlight<O>>,
    alarms: BTreeSet<(Mono, RequestId)>,
    nobodys: usize,
    pub(crate) ignored: u64,
}

impl<O: Overlay> Requests<O> {
    pub(crate) fn new() -> Self {
        Self { last: 0, running: BTreeMap::new(), alarms: BTreeSet::new(), nobodys: 0, ignored: 0 }
    }

    pub(crate) fn name(&mut self) -> RequestId {
        self.last += 1;
        RequestId(self.last)
    }

    pub(crate) fn arm(
        &mut self,
        id: RequestId,
        owner: Owner,
        to: Contact<O>,
        kind: RequestKind,
        sent: Mono,
        times: Times,
    ) {
        let next = times.after(None);
        self.alarms.insert((next.0, id));
        self.running
            .insert(id, InFlight { owner, to, kind, sent, overdue: false, given_up: false, times, next });
    }

    /// The request is over: answered, failed or forgotten.
    pub(crate) fn take(&mut self, id: RequestId) -> Option<InFlight<O>> {
        let request = self.running.remove(&id)?;
        self.alarms.remove(&(request.next.0, id));
        self.nobodys -= usize::from(request.owner == Owner::Nobody);
        Some(request)
    }

    pub(crate) fn get(&self, id: RequestId) -> Option<&InFlight<O>> {
        self.running.get(&id)
    }

    /// Leaves an overdue request to its deadline after its query is over, so that a mute peer is found out although no
    /// lookup waits for it. At most `limit` at once; `false` when it is not overdue or there are too many.
    pub(crate) fn disown(&mut self, id: RequestId, limit: usize) -> bool {
        match self.running.get_mut(&id) {
            Some(request) if request.overdue && self.nobodys < limit => {
                request.owner = Owner::Nobody;
                self.nobodys += 1;
                true
            }
            _ => false,
        }
    }

    /// The next alarm that is due, moved on to the one after it. The deadline leaves the request in place: the caller
    /// takes it.
    pub(crate) fn ring(&mut self, now: Mono) -> Option<(RequestId, Alarm)> {
        let (at, id) = self.alarms.first().copied().filter(|(at, _)| *at <= now)?;
        self.alarms.remove(&(at, id));
        let request = self.running.get_mut(&id)?;
        let (_, alarm) = request.next;
        if alarm != Alarm::Deadline {
            request.overdue = true;
            request.given_up = alarm == Alarm::GivenUp;
            request.next = request.times.after(Some(alarm));
            self.alarms.insert((request.next.0, id));
        }
        Some((id, alarm))
    }

    pub(crate) fn next_alarm(&self) -> Option<Mono> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// Gives back the memory of what is over.
    pub(crate) fn rest(&mut self) {
        if self.running.is_empty() {
            self.running.clear();
            self.alarms.clear();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    /// Every request that belongs to nobody, taken.
    pub(crate) fn take_nobodys(&mut self) -> Vec<RequestId> {
        let ids: Vec<_> =
            self.running.iter().filter(|(_, r)| r.owner == Owner::Nobody).map(|(id, _)| *id).collect();
        for id in &ids {
            self.take(*id);
        }
        ids
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use dht_core::testing::Tiny;

    fn at(secs: u64) -> Mono {
        Mono(Duration::from_secs(secs))
    }

    fn armed(times: Times) -> (Requests<Tiny>, RequestId) {
        let mut requests = Requests::new();
        let id = requests.name();
        let to = Contact::new(1, 1);
        requests.arm(id, Owner::Query(QueryId(1)), to, RequestKind::Ping, at(0), times);
        (requests, id)
    }

    #[test]
    fn alarms_ring_in_order_and_none_before_its_time() {
        let (mut requests, id) =
            armed(Times { overdue: Some(at(1)), given_up: Some(at(2)), deadline: at(3) });
        assert_eq!(requests.ring(Mono::default()), None);
        assert_eq!(requests.ring(at(9)), Some((id, Alarm::Overdue)));
        assert_eq!(requests.next_alarm(), Some(at(2)));
        assert_eq!(requests.ring(at(9)), Some((id, Alarm::GivenUp)));
        assert_eq!(requests.ring(at(9)), Some((id, Alarm::Deadline)));
        assert_eq!(requests.ring(at(9)), None);
        assert!(requests.take(id).is_some_and(|request| request.overdue));
        assert_eq!((requests.next_alarm(), requests.len()), (None, 0));
    }

    #[test]
    fn alarms_after_the_deadline_do_not_ring() {
        let (mut requests, id) =
            armed(Times { overdue: Some(at(4)), given_up: Some(at(8)), deadline: at(3) });
        assert_eq!(requests.ring(at(9)), Some((id, Alarm::Deadline)));
    }

    #[test]
    fn only_overdue_requests_outlive_their_query_and_only_so_many() {
        let (mut requests, id) = armed(Times { overdue: Some(at(1)), given_up: None, deadline: at(3) });
        assert!(!requests.disown(id, 1));
        requests.ring(at(1));
        assert!(!requests.disown(id, 0));
        assert!(requests.disown(id, 1));
        assert_eq!(requests.take_nobodys(), [id]);
        assert_eq!(requests.nobodys, 0);
    }
}
