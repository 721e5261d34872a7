//! Own items on their way to the network again and again, as the driver of real nodes does it: the shipped republisher
//! says what is due, a bounded number of announcements runs at once, and one that nobody took is tried again.

use std::{collections::BTreeMap, time::Duration};

use dht_core::{InvalidConfig, Mono, Now, Overlay};
use dht_protocol::Node;
use dht_query::{Finished, QueryId, QueryOptions};
use dht_records::{Lease, Republish, RepublishConfig, Republisher, Store, Stored};

use super::{Done, Ended, Op, World};
use crate::{dice::hash, network::seconds_of, now_or_never, outcome::OpKind};

/// Announcements under way at once.
const PARALLEL: usize = 16;
/// Deadline of one announcement.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);

/// The announcements of one node.
pub(crate) struct Announcer<O: Overlay> {
    republisher: Republisher<O>,
    interval: Duration,
    running: BTreeMap<QueryId, (O::Query, O::Item, Op)>,
    wake: Option<Mono>,
}

impl<O: Overlay> Announcer<O> {
    fn new(interval: Duration, seed: u64) -> Result<Self, InvalidConfig> {
        let republisher = Republisher::new(RepublishConfig::default(), seed)?;
        Ok(Self { republisher, interval, running: BTreeMap::new(), wake: None })
    }

    /// Announces the item one interval from now, and again.
    pub(super) fn keep(&mut self, now: Now, query: O::Query, item: O::Item) {
        self.wake = Some(now.mono);
        // No scenario publishes a million items by one node.
        let _ = self.republisher.track(now, query, item, now.wall, self.interval);
    }

    /// Nobody took it.
    pub(super) fn retry(&mut self, now: Now, query: &O::Query, slot: &O::Slot) {
        self.wake = Some(now.mono);
        self.republisher.retry(now, query, slot);
    }

    fn due(&mut self, now: Now, knows_somebody: bool) -> Option<(O::Query, O::Item)> {
        if self.running.len() >= PARALLEL || !knows_somebody {
            self.wake = None;
            return None;
        }
        match self.republisher.poll(now) {
            Republish::Due { query, item } => Some((query, item)),
            Republish::Wait(at) => {
                self.wake = at;
                None
            }
        }
    }

    /// Own items that a store kept through a restart.
    fn restore(&mut self, now: Now, page: Vec<(O::Query, Stored<O>)>) {
        self.wake = Some(now.mono);
        let interval = self.interval;
        let _ = self.republisher.restore(now, page, |_, _| Some(interval));
    }
}

impl<O: Overlay> World<O> {
    pub(super) fn announcer(&mut self, i: u32) -> &mut Announcer<O> {
        let member = &mut self.members[i as usize];
        let seed = hash(self.seed, i.into(), u64::from(member.life) << 8 | 8);
        let interval = self.engine.republish_interval.map_or(self.manners.republish, seconds_of);
        member.extra().announcer.get_or_insert_with(|| {
            Announcer::new(interval, seed).expect("the shipped options of the republisher are usable")
        })
    }

    /// Continues what was published before a restart.
    pub(super) fn restore_announcements(&mut self, i: u32, now: Now) {
        let Some(store) = self.members[i as usize].store.clone() else { return };
        let mut from = None;
        while let Some(Ok(page)) = now_or_never(store.scan(true, from.clone(), 1024)) {
            let Some((query, stored)) = page.last() else { break };
            from = Some((query.clone(), O::slot(&stored.item)));
            self.announcer(i).restore(now, page);
        }
    }

    /// Announcements that run, of one node.
    pub(super) fn announcing(&self, i: u32) -> impl Iterator<Item = Op> + '_ {
        let extra = self.members[i as usize].extra.as_ref();
        let announcer = extra.and_then(|extra| extra.announcer.as_ref());
        announcer.into_iter().flat_map(|announcer| announcer.running.values().map(|(.., op)| *op))
    }

    fn existing(&mut self, i: u32) -> Option<&mut Announcer<O>> {
        self.members[i as usize].extra.as_mut()?.announcer.as_mut()
    }

    /// Starts what is due.
    pub(super) fn announce(&mut self, i: u32, node: &mut Node<O>, now: Now) {
        loop {
            let somebody = !node.routing().is_empty();
            let due = self.existing(i).and_then(|announcer| announcer.due(now, somebody));
            let Some((query, item)) = due else { return };
            let item = node.rules().renew(item, node.local());
            let item = node.rules().receive(item, now);
            if node.validator().check(&query, &item, now).is_err() {
                // Its time is over: everybody would refuse it, at every retry for ever.
                if let Some(announcer) = self.existing(i) {
                    announcer.republisher.remove(&query, &O::slot(&item));
                }
                continue;
            }
            let options = QueryOptions { timeout: Some(TIMEOUT), ..QueryOptions::default() };
            let op = Op { kind: OpKind::Republish, key: 0, version: 0, started: self.now };
            let started = node.store(now, query.clone(), item.clone(), options);
            let Some(announcer) = self.existing(i) else { return };
            match started {
                Ok(id) => drop(announcer.running.insert(id, (query, item, op))),
                Err(_) => announcer.retry(now, &query, &O::slot(&item)),
            }
        }
    }

    /// When to look again.
    pub(super) fn announcer_wake(&mut self, i: u32) -> Option<Mono> {
        self.existing(i)?.wake
    }

    /// Takes the end of an announcement; `false` when it was none. What at least one peer took has its lease renewed.
    pub(super) fn announced(
        &mut self,
        i: u32,
        node: &mut Node<O>,
        id: QueryId,
        finished: &Finished<O>,
    ) -> bool {
        let now = self.clock(i);
        let Some(announcer) = self.existing(i) else { return false };
        let Some((query, item, op)) = announcer.running.remove(&id) else { return false };
        announcer.wake = Some(now.mono);
        let slot = O::slot(&item);
        let placed = !finished.receipt.stored.is_empty();
        // Where everybody refuses, asking again soon changes nothing: others hold something better.
        let refused = finished.receipt.failed.is_empty() && !finished.receipt.refused.is_empty();
        if !placed && !refused {
            announcer.retry(now, &query, &slot);
        }
        let tracked = announcer.republisher.tracks(&query, &slot);
        if placed && tracked {
            let from = node.local().peer.clone();
            let lease = Lease { from, received: now.wall, lifetime: Duration::MAX, own: true };
            let store = self.store(i);
            // A store that fails keeps the lease it had; the item is announced all the same.
            let _ = now_or_never(store.save(&query, item, lease, &**node.validator(), now));
        }
        self.done.push(Done { op, node: i, result: Some(Ended::Query(Box::new(finished.clone()))) });
        true
    }
}
