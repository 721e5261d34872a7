//! A node's store, and what can happen to it: calls that fail, a medium that is full, writes that a power cut undoes.
//!
//! It is the shipped store in memory, with the image of a disc beside it where a scenario wants one: what was written
//! since the last sync is not in the image, and a crash leaves the image only.

use std::{collections::BTreeMap, time::Duration};

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
    image: Image<O>,
    /// Bounded by what is written between two syncs.
    written: Vec<Write<O>>,
}

impl<O: Overlay> Disc<O> {
    fn write(&mut self, at: u64, name: (O::Query, O::Slot), item: Option<(O::Item, Lease<O>)>) {
        // Removals are not told the time; they come after what was written last.
        let at = at.max(self.written.last().map_or(0, |write| write.at));
        self.sync(at);
        self.written.push(Write { at, name, item });
        if self.interval == 0 {
            self.sync(u64::MAX);
        }
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
        let disc = Disc { interval, image: Image::<O>::new(), written: Vec::new() };
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

    /// Takes what a power cut leaves of `old`: the image of its disc.
    pub(crate) fn recover(&self, old: &Self, judge: &dyn Validator<O>, now: Now) {
        let Some(disc) = &old.disc else { return };
        let mut disc = disc.lock();
        disc.sync(nanos(now.mono.0));
        for ((query, _), (item, lease)) in std::mem::take(&mut disc.image) {
            // What has expired meanwhile is refused, as it should be.
            let _ = now_or_never(self.save(&query, item, lease, judge, now));
        }
    }

    /// What is held, whatever faults there are.
    pub(crate) async fn peek(&self, query: &O::Query, now: Now) -> Vec<Stored<O>> {
        self.memory.load(query, now).await.unwrap_or_default()
    }

    fn fault(&self) -> Result<(), StoreError> {
        let mut faults = self.faults.lock();
        let share = faults.fails;
        if faults.dice.chance(share) { Err(StoreError::Backend("simulated".into())) } else { Ok(()) }
    }

    fn written(&self, now: Now, name: (O::Query, O::Slot), item: Option<(O::Item, Lease<O>)>) {
        if let Some(disc) = &self.disc {
            disc.lock().write(nanos(now.mono.0), name, item);
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
            self.written(now, (query.clone(), O::slot(&item)), Some((item, lease)));
        }
        Ok(saved)
    }

    async fn remove(&self, query: &O::Query) -> Result<usize, StoreError> {
        self.fault()?;
        if self.disc.is_some() {
            let far = Now { wall: dht_core::Wall(Duration::ZERO), ..Now::default() };
            for stored in self.memory.load(query, far).await? {
                self.written(far, (query.clone(), O::slot(&stored.item)), None);
            }
        }
        self.memory.remove(query).await
    }

    async fn remove_slot(&self, query: &O::Query, slot: &O::Slot) -> Result<bool, StoreError> {
        self.fault()?;
        self.written(Now::default(), (query.clone(), slot.clone()), None);
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

    fn put(store: &SimStore<Compact>, key: u32, at: u64) -> Result<Saved, StoreError> {
        let now = right(at);
        let lease =
            Lease { from: 2.into(), received: now.wall, lifetime: Duration::from_secs(100), own: false };
        let item = Entry { crowd: false, writer: 2, version: 1 };
        now_or_never(store.save(&Subject { crowd: false, key }, item, lease, &Versions, now)).unwrap()
    }

    fn held(store: &SimStore<Compact>, at: u64) -> Vec<u32> {
        let has = |key: &u32| {
            let mut found = Vec::new();
            store.load_now(&Subject { crowd: false, key: *key }, right(at), &mut found);
            !found.is_empty()
        };
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
            let new = store(stores);
            new.recover(&old, &Versions, right(15 * SECOND));
            assert_eq!(held(&new, 15 * SECOND), left, "{stores:?}");
            let late = store(stores);
            late.recover(&new, &Versions, right(105 * SECOND));
            assert_eq!(
                held(&late, 105 * SECOND),
                left[..].iter().copied().filter(|key| *key > 1).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn faults_are_told_and_lifted() {
        let store = store(Stores::default());
        store.set_full(true);
        assert!(matches!(put(&store, 1, 1), Err(StoreError::Full { .. })));
        store.set_full(false);
        store.set_failing(1.0);
        assert!(matches!(put(&store, 1, 1), Err(StoreError::Backend(_))));
        assert_eq!(held(&store, 1), []);
        store.set_failing(0.0);
        put(&store, 1, 1).unwrap();
        assert_eq!(held(&store, 2), [1]);
    }
}
