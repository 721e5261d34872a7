//! Own items on their way to the network again and again: the republisher, and how many announcements run at once.

use std::{collections::BTreeMap, time::Duration};

use dht_core::{InvalidConfig, Mono, Now, Overlay};
use dht_query::{Finished, QueryId};
use dht_records::{Republish, RepublishConfig, Republisher, Stored};

/// Announcements under way at once: the lookups of one leave room for those of the node's users.
const PARALLEL: usize = 16;

/// An announcement that is under way.
struct Running<O: Overlay> {
    query: O::Query,
    item: O::Item,
}

pub(crate) struct Announcer<O: Overlay> {
    republisher: Republisher<O>,
    interval: Duration,
    running: BTreeMap<QueryId, Running<O>>,
    wake: Option<Mono>,
}

impl<O: Overlay> Announcer<O> {
    pub(crate) fn new(config: RepublishConfig, interval: Duration, seed: u64) -> Result<Self, InvalidConfig> {
        let republisher = Republisher::new(config, seed)?;
        Ok(Self { republisher, interval, running: BTreeMap::new(), wake: None })
    }

    /// Announces the item one interval from now, and again.
    pub(crate) fn keep(
        &mut self,
        now: Now,
        query: O::Query,
        item: O::Item,
    ) -> Result<(), dht_records::TooMany> {
        self.wake = Some(now.mono);
        self.republisher.track(now, query, item, now.wall, self.interval)
    }

    pub(crate) fn drop_item(&mut self, query: &O::Query, slot: &O::Slot) {
        self.republisher.remove(query, slot);
    }

    /// Nobody took an item: it is announced again after the retry time, if it is one that is.
    pub(crate) fn retry(&mut self, now: Now, query: &O::Query, slot: &O::Slot) {
        self.wake = Some(now.mono);
        self.republisher.retry(now, query, slot);
    }

    pub(crate) fn clear(&mut self) {
        self.republisher.clear();
    }

    /// Own items that a store kept through a restart.
    pub(crate) fn restore(
        &mut self,
        now: Now,
        page: Vec<(O::Query, Stored<O>)>,
    ) -> Result<(), dht_records::TooMany> {
        self.wake = Some(now.mono);
        // What was kept since the start is known better than what the store was read for.
        let unknown =
            |(query, stored): &(O::Query, Stored<O>)| !self.republisher.tracks(query, &O::slot(&stored.item));
        let missing: Vec<_> = page.into_iter().filter(unknown).collect();
        self.republisher.restore(now, missing, |_, _| Some(self.interval)).map(drop)
    }

    /// The next item to announce now. A node that knows nobody waits until it does: what is overdue when a process starts
    /// would find no taker, and be put off for the retry time.
    pub(crate) fn due(&mut self, now: Now, knows_somebody: bool) -> Option<(O::Query, O::Item)> {
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

    /// When to ask for [`Announcer::due`] again; `None`: when an announcement has ended, an item was added, or somebody
    /// became known.
    pub(crate) fn wake_at(&self) -> Option<Mono> {
        self.wake
    }

    pub(crate) fn started(&mut self, id: QueryId, query: O::Query, item: O::Item) {
        self.running.insert(id, Running { query, item });
    }

    /// It could not even be started.
    pub(crate) fn failed(&mut self, now: Now, query: &O::Query, item: &O::Item) {
        self.republisher.retry(now, query, &O::slot(item));
    }

    /// Whether the query was an announcement: the item that at least one peer took and that is still kept, to renew its
    /// lease.
    pub(crate) fn finished(
        &mut self,
        now: Now,
        id: QueryId,
        finished: &Finished<O>,
    ) -> Option<(O::Query, O::Item)> {
        let Running { query, item } = self.running.remove(&id)?;
        self.wake = Some(now.mono);
        if finished.receipt.stored.is_empty() {
            // Where everybody refuses, asking again soon changes nothing: others hold something better.
            let refused = finished.receipt.failed.is_empty() && !finished.receipt.refused.is_empty();
            if !refused {
                self.republisher.retry(now, &query, &O::slot(&item));
            }
            return None;
        }
        // One that was given up meanwhile must not come back into the store by having its lease renewed.
        self.republisher.tracks(&query, &O::slot(&item)).then_some((query, item))
    }
}
