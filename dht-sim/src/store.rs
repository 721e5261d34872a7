//! A node's store, and what can happen to it: calls that fail, a medium that is full, writes that a power cut undoes.
//!
//! It is the shipped store in memory, with the image of a disc beside it where a scenario wants one: what was written
//! since the last sync is not in the image, and a crash leaves the image only. Items age by their node's clock; discs sync
//! by true time, which whoever writes tells them, so that the history can say what a power cut leaves.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;
use dht_core::{InvalidConfig, Now, Overlay};
use dht_records::{
    Bound, Lease, MemoryConfig, MemoryStore, Saved, Statistics, Store, StoreError, Stored, Validator,
};
use parking_lot::Mutex;

use crate::{clock::nanos, dice::Dice, now_or_never};

/// How stores behave.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Stores {
    /// Whether a restart finds what was synced; otherwise every crash empties the store.
    pub durable: bool,
    /// Seconds between syncs; 0 syncs every write before it is acknowledged.
    pub sync_interval: f64,
    /// Records that a store takes; `None` for the shipped limit.
    pub max_records: Option<usize>,
}

type Image<O> = BTreeMap<(<O as Overlay>::Query, <O as Overlay>::Slot), (<O as Overlay>::Item, Lease<O>)>;

/// A write that the next sync makes durable.
struct Write<O: Overlay> {
    at: u64,
    name: (O::Query, O::Slot),
    /// `None`: it was removed.
    item: Option<(O::Item, Lease<O>)>,
}

struct Disc<O: Overlay> {
    interval: u64,
    /// True time of what is done next.
    now: u64,
    image: Image<O>,
    /// Bounded by what is written between two syncs.
    written: Vec<Write<O>>,
}

impl<O: Overlay> Disc<O> {
    fn write(&mut self, name: (O::Query, O::Slot), item: Option<(O::Item, Lease<O>)>) {
        let at = self.now;
        self.sync(at);
        self.written.push(Write { at, name, item });
        if self.interval == 0 {
            self.sync(u64::MAX);
        }
    }

    /// Removes what has such a name.
    fn erase(&mut self, which: impl Fn(&(O::Query, O::Slot)) -> bool) {
        let names = self.image.keys().chain(self.written.iter().map(|write| &write.name));
        let names: BTreeSet<_> = names.filter(|name| which(name)).cloned().collect();
        names.into_iter().for_each(|name| self.write(name, None));
    }

    /// Brings the image to the last sync before `at`.
    fn sync(&mut self, at: u64) {
        let last = at.checked_div(self.interval).map_or(u64::MAX, |ticks| ticks * self.interval);
        let durable = self.written.partition_point(|write| write.at < last);
        for write in self.written.drain(..durable) {
            match write.item {
                Some(item) => drop(self.image.insert(write.name, item)),
                None => drop(self.image.remove(&write.name)),
            }
        }
    }
}

/// Faults that a store has at the moment.
#[derive(Clone, Debug)]
struct Faults {
    /// Calls that fail.
    fails: f64,
    /// Nothing more is taken.
    full: bool,
    dice: Dice,
}

/// The store of one simulated node.
pub struct SimStore<O: Overlay> {
    memory: MemoryStore<O>,
    disc: Option<Mutex<Disc<O>>>,
    faults: Mutex<Faults>,
}

impl<O: Overlay> SimStore<O> {
    pub(crate) fn new(
        local: &O::PeerId,
        config: MemoryConfig,
        stores: &Stores,
        seed: u64,
    ) -> Result<Self, InvalidConfig> {
        let interval = nanos(crate::network::seconds_of(stores.sync_interval));
        let disc = Disc { interval, now: 0, image: Image::<O>::new(), written: Vec::new() };
        Ok(Self {
            memory: MemoryStore::new(local, config, seed)?,
            disc: stores.durable.then(|| Mutex::new(disc)),
            faults: Mutex::new(Faults { fails: 0.0, full: false, dice: Dice::new(seed, 2) }),
        })
    }

    /// The share of calls that fail from now on.
    pub(crate) fn set_failing(&self, share: f64) {
        self.faults.lock().fails = share;
    }

    /// Whether nothing more is taken.
    pub(crate) fn set_full(&self, full: bool) {
        self.faults.lock().full = full;
    }

    /// What is written from now on is written at this true time.
    pub(crate) fn at(&self, true_time: u64) {
        if let Some(disc) = &self.disc {
            disc.lock().now = true_time;
        }
    }

    /// The process ends now: what was not synced is gone from the disc.
    pub(crate) fn cut(&self, true_time: u64) {
        if let Some(disc) = &self.disc {
            let mut disc = disc.lock();
            disc.sync(true_time);
            disc.written.clear();
        }
    }

    /// Takes the image that [`SimStore::cut`] left of `old`. It is on the disc and stays there: no sync need come first, and
    /// a medium that takes nothing more, or fails, still has what it has.
    pub(crate) fn recover(&self, old: &Self, judge: &dyn Validator<O>, now: Now) {
        let (Some(disc), Some(old)) = (&self.disc, &old.disc) else { return };
        let mut image = std::mem::take(&mut old.lock().image);
        // What has expired meanwhile is refused, as it should be.
        image.retain(|(query, _), (item, lease)| {
            let saving = self.memory.save(query, item.clone(), lease.clone(), judge, now);
            matches!(now_or_never(saving), Some(Ok(_)))
        });
        disc.lock().image = image;
    }

    /// What would be found, whatever faults there are; looking changes nothing.
    pub(crate) fn peek(&self, query: &O::Query, now: Now) -> Vec<Stored<O>> {
        self.memory.peek(query, now)
    }

    fn fault(&self) -> Result<(), StoreError> {
        let mut faults = self.faults.lock();
        let share = faults.fails;
        if faults.dice.chance(share) { Err(StoreError::Backend("simulated".into())) } else { Ok(()) }
    }

    fn written(&self, name: (O::Query, O::Slot), item: Option<(O::Item, Lease<O>)>) {
        if let Some(disc) = &self.disc {
            disc.lock().write(name, item);
        }
    }
}

#[async_trait]
impl<O: Overlay> Store<O> for SimStore<O> {
    async fn load(&self, query: &O::Query, now: Now) -> Result<Vec<Stored<O>>, StoreError> {
        self.fault()?;
        self.memory.load(query, now).await
    }

    fn load_now(&self, query: &O::Query, now: Now, found: &mut Vec<Stored<O>>) -> bool {
        self.fault().is_ok() && self.memory.load_now(query, now, found)
    }

    async fn save(
        &self,
        query: &O::Query,
        item: O::Item,
        lease: Lease<O>,
        judge: &dyn Validator<O>,
        now: Now,
    ) -> Result<Saved, StoreError> {
        self.fault()?;
        if self.faults.lock().full {
            return Err(StoreError::Full { what: Bound::Bytes, limit: 0 });
        }
        let saved = self.memory.save(query, item.clone(), lease.clone(), judge, now).await?;
        if !matches!(saved, Saved::Worse(_)) {
            self.written((query.clone(), O::slot(&item)), Some((item, lease)));
        }
        Ok(saved)
    }

    async fn remove(&self, query: &O::Query) -> Result<usize, StoreError> {
        self.fault()?;
        if let Some(disc) = &self.disc {
            disc.lock().erase(|(of, _)| of == query);
        }
        self.memory.remove(query).await
    }

    async fn remove_slot(&self, query: &O::Query, slot: &O::Slot) -> Result<bool, StoreError> {
        self.fault()?;
        self.written((query.clone(), slot.clone()), None);
        self.memory.remove_slot(query, slot).await
    }

    async fn sweep(&self, now: Now) -> Result<usize, StoreError> {
        self.fault()?;
        if let Some(disc) = &self.disc {
            disc.lock().image.retain(|_, (_, lease)| {
                lease.lifetime == Duration::MAX || lease.received + lease.lifetime > now.wall
            });
        }
        self.memory.sweep(now).await
    }

    async fn scan(
        &self,
        own_only: bool,
        from: Option<(O::Query, O::Slot)>,
        limit: usize,
    ) -> Result<Vec<(O::Query, Stored<O>)>, StoreError> {
        self.fault()?;
        self.memory.scan(own_only, from, limit).await
    }

    async fn statistics(&self) -> Result<Statistics, StoreError> {
        self.memory.statistics().await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.fault()?;
        if let Some(disc) = &self.disc {
            let mut disc = disc.lock();
            disc.image.clear();
            disc.written.clear();
        }
        self.memory.clear().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::right,
        network::{Compact, Entry, Subject, Versions},
    };

    const SECOND: u64 = 1_000_000_000;

    fn store(stores: Stores) -> SimStore<Compact> {
        SimStore::new(&1.into(), MemoryConfig::default(), &stores, 1).unwrap()
    }

    /// Puts something at a true time into the store of a node whose monotonic clock is so far behind.
    fn put_late(store: &SimStore<Compact>, key: u32, at: u64, behind: u64) -> Result<Saved, StoreError> {
        let now = Now { mono: right(at - behind).mono, ..right(at) };
        let lease =
            Lease { from: 2.into(), received: now.wall, lifetime: Duration::from_secs(100), own: false };
        let item = Entry { crowd: false, writer: 2, version: 1 };
        store.at(at);
        now_or_never(store.save(&Subject { crowd: false, key }, item, lease, &Versions, now)).unwrap()
    }

    fn put(store: &SimStore<Compact>, key: u32, at: u64) -> Result<Saved, StoreError> {
        put_late(store, key, at, 0)
    }

    /// The store of the process that follows.
    fn restart(old: &SimStore<Compact>, stores: Stores, stopped: u64, back: u64) -> SimStore<Compact> {
        let new = store(stores);
        old.cut(stopped * SECOND);
        new.recover(old, &Versions, right(back * SECOND));
        new
    }

    fn held(store: &SimStore<Compact>, at: u64) -> Vec<u32> {
        let has = |key: &u32| !store.peek(&Subject { crowd: false, key: *key }, right(at)).is_empty();
        (0..10).filter(has).collect()
    }

    #[test]
    fn a_crash_leaves_what_was_synced() {
        for (durable, sync_interval, left) in
            [(false, 0.0, vec![]), (true, 0.0, vec![1, 2, 3]), (true, 10.0, vec![1, 2])]
        {
            let stores = Stores { durable, sync_interval, max_records: None };
            let old = store(stores);
            for (key, at) in [(1, 1), (2, 9), (3, 10)] {
                put(&old, key, at * SECOND).unwrap();
            }
            let new = restart(&old, stores, 15, 15);
            assert_eq!(held(&new, 15 * SECOND), left, "{stores:?}");
            let late = restart(&new, stores, 20, 105);
            assert_eq!(
                held(&late, 105 * SECOND),
                left[..].iter().copied().filter(|key| *key > 1).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn what_was_durable_once_survives_every_crash() {
        let stores = Stores { durable: true, sync_interval: 60.0, max_records: None };
        let old = store(stores);
        put(&old, 1, 50 * SECOND).unwrap();
        // The second process ends before its first sync.
        let second = restart(&old, stores, 70, 71);
        put(&second, 2, 72 * SECOND).unwrap();
        let third = restart(&second, stores, 76, 77);
        assert_eq!(held(&third, 77 * SECOND), [1]);
        assert_eq!(held(&restart(&third, stores, 78, 79), 79 * SECOND), [1]);
    }

    #[test]
    fn nothing_is_synced_while_the_process_is_down() {
        let stores = Stores { durable: true, sync_interval: 60.0, max_records: None };
        let old = store(stores);
        put(&old, 1, 50 * SECOND).unwrap();
        assert_eq!(held(&restart(&old, stores, 59, 61), 61 * SECOND), []);
    }

    #[test]
    fn discs_sync_by_true_time() {
        let stores = Stores { durable: true, sync_interval: 60.0, max_records: None };
        let old = store(stores);
        put_late(&old, 1, 90 * SECOND, 40 * SECOND).unwrap();
        assert_eq!(held(&restart(&old, stores, 100, 101), 101 * SECOND), [], "the last sync was at 60");
    }

    #[test]
    fn a_store_that_fails_or_is_full_keeps_its_disc() {
        let stores = Stores { durable: true, ..Stores::default() };
        for (share, full) in [(1.0, false), (0.0, true)] {
            let old = store(stores);
            put(&old, 1, SECOND).unwrap();
            let new = store(stores);
            new.set_failing(share);
            new.set_full(full);
            old.cut(2 * SECOND);
            new.recover(&old, &Versions, right(3 * SECOND));
            assert_eq!(held(&new, 3 * SECOND), [1]);
        }
    }

    #[test]
    fn what_is_removed_does_not_come_back() {
        let stores = Stores { durable: true, ..Stores::default() };
        let old = store(stores);
        for key in 1..4 {
            put(&old, key, SECOND).unwrap();
        }
        let subject = |key| Subject { crowd: false, key };
        assert_eq!(now_or_never(old.remove(&subject(1))), Some(Ok(1)));
        assert_eq!(now_or_never(old.remove_slot(&subject(2), &None)), Some(Ok(true)));
        assert_eq!(held(&old, 2 * SECOND), [3], "nothing else is touched");
        assert_eq!(held(&restart(&old, stores, 2, 3), 3 * SECOND), [3]);
    }

    #[test]
    fn faults_are_told_and_lifted() {
        let store = store(Stores::default());
        store.set_full(true);
        assert!(matches!(put(&store, 1, 1), Err(StoreError::Full { .. })));
        store.set_full(false);
        store.set_failing(1.0);
        assert!(matches!(put(&store, 1, 1), Err(StoreError::Backend(_))));
        let mut found = Vec::new();
        assert!(!store.load_now(&Subject { crowd: false, key: 1 }, right(1), &mut found));
        store.set_failing(0.0);
        put(&store, 1, 1).unwrap();
        assert_eq!(held(&store, 2), [1]);
    }
}
