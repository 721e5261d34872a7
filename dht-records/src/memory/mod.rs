//! The store in memory: bounded, with everything gone when the process ends.
//!
//! One lock around plain indexes, never held across an await. The judge is called under it, which is what makes
//! save-if-better atomic; it does so before anything is changed, and a lock without poison goes on after its panic.

mod calendar;
mod crowd;
mod row;
mod shelf;
mod totals;

use std::{future, task::Poll, time::Duration};

use async_trait::async_trait;
use dht_core::{InvalidConfig, Now, Overlay};
use parking_lot::{Mutex, MutexGuard};

use crate::{Lease, Saved, Statistics, Store, StoreError, Stored, Validator};
use shelf::Shelf;

/// Queries that one hold of the lock sweeps, so that no caller waits much longer than for another save.
const SWEEP_BATCH: usize = 256;

/// Bounds of a [`MemoryStore`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryConfig {
    /// Records in total, own ones included. Default 100 000.
    pub max_records: usize,
    /// Bytes in total by [`Overlay::weight`] and [`Overlay::query_weight`]; the store's own fields, about 110 bytes a record,
    /// come on top. Default 64 MiB.
    pub max_bytes: usize,
    /// Bytes of one item with its query. Default 64 KiB.
    pub max_item_bytes: usize,
    /// Strangers' items beside one another under one query. Default 64.
    pub max_items_per_query: usize,
    /// Of these, items of one [`Overlay::item_group`]; items of no group do not count. Default 20.
    pub max_items_per_group: usize,
    /// Records that one stranger brought. Default 10 000.
    pub max_records_per_peer: usize,
    /// How long after its first announcement an item must still be announced to count as proven. Default 12 h.
    pub proven_after: Duration,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            max_records: 100_000,
            max_bytes: 64 << 20,
            max_item_bytes: 64 << 10,
            max_items_per_query: 64,
            max_items_per_group: 20,
            max_records_per_peer: 10_000,
            proven_after: Duration::from_secs(12 * 3600),
        }
    }
}

impl MemoryConfig {
    /// Whether every bound is usable.
    ///
    /// # Errors
    /// Names the first field that is not.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        macro_rules! need {
            ($field:ident, $ok:expr, $rule:literal) => {
                InvalidConfig::require($ok, stringify!($field), self.$field, $rule)?
            };
        }
        let most = u32::MAX as usize / 2;
        need!(max_records, (1..=most).contains(&self.max_records), "from 1 to 2^31 - 1");
        need!(max_item_bytes, self.max_item_bytes >= 1, "at least 1");
        need!(max_bytes, self.max_bytes >= self.max_item_bytes, "at least max_item_bytes");
        need!(max_items_per_query, self.max_items_per_query >= 1, "at least 1");
        need!(max_items_per_group, self.max_items_per_group >= 1, "at least 1");
        need!(max_records_per_peer, self.max_records_per_peer >= 1, "at least 1");
        need!(proven_after, self.proven_after >= Duration::from_secs(1), "at least 1 s");
        Ok(())
    }
}

/// A bounded [`Store`] in memory.
///
/// When a total is reached, the record farthest from the local key leaves first and a newcomer farther than everything
/// kept is refused; own items are never evicted. Under one query whose places are all taken, a newcomer gets one only
/// from a network group that holds at least two places more than its own, and three quarters of the places are safe for
/// items that have been announced for long ([`MemoryConfig::proven_after`]): no flood, however fresh, displaces those.
/// What is held already renews its lease whatever is full.
pub struct MemoryStore<O: Overlay> {
    shelf: Mutex<Shelf<O>>,
}

impl<O: Overlay> MemoryStore<O> {
    /// An empty store of the node `local`. The seed keys the hashes of its indexes; strangers must not know it.
    ///
    /// # Errors
    /// When a bound of `config` is not usable.
    pub fn new(local: &O::PeerId, config: MemoryConfig, seed: u64) -> Result<Self, InvalidConfig> {
        config.validate()?;
        Ok(Self { shelf: Mutex::new(Shelf::new(O::peer_key(local), config, seed)) })
    }

    /// What a load would find, without its being asked for: neither the clock of the store nor what it holds changes. For those
    /// who look on, such as tests and simulations.
    pub fn peek(&self, query: &O::Query, now: Now) -> Vec<Stored<O>> {
        let mut found = Vec::new();
        self.shelf.lock().peek(query, now.wall, &mut found);
        found
    }

    /// One batch under the lock; says how many records went and whether nothing is left to do.
    fn sweep_batch(&self, now: Now) -> (usize, bool) {
        let mut shelf = self.shelf.lock();
        let swept = shelf.sweep(now.wall, SWEEP_BATCH);
        // Whoever waits gets the lock, rather than the next batch.
        MutexGuard::unlock_fair(shelf);
        swept
    }
}

#[async_trait]
impl<O: Overlay> Store<O> for MemoryStore<O> {
    async fn load(&self, query: &O::Query, now: Now) -> Result<Vec<Stored<O>>, StoreError> {
        let mut found = Vec::new();
        self.load_now(query, now, &mut found);
        Ok(found)
    }

    fn load_now(&self, query: &O::Query, now: Now, found: &mut Vec<Stored<O>>) -> bool {
        self.shelf.lock().load(query, now.wall, found);
        true
    }

    async fn save(
        &self,
        query: &O::Query,
        item: O::Item,
        lease: Lease<O>,
        judge: &dyn Validator<O>,
        now: Now,
    ) -> Result<Saved, StoreError> {
        self.shelf.lock().save(query, item, &lease, judge, now)
    }

    async fn remove(&self, query: &O::Query) -> Result<usize, StoreError> {
        Ok(self.shelf.lock().remove(query))
    }

    async fn remove_slot(&self, query: &O::Query, slot: &O::Slot) -> Result<bool, StoreError> {
        Ok(self.shelf.lock().remove_slot(query, slot))
    }

    async fn sweep(&self, now: Now) -> Result<usize, StoreError> {
        let mut swept = 0;
        loop {
            let (records, done) = self.sweep_batch(now);
            swept += records;
            if done {
                return Ok(swept);
            }
            give_way().await;
        }
    }

    async fn scan(
        &self,
        own_only: bool,
        from: Option<(O::Query, O::Slot)>,
        limit: usize,
    ) -> Result<Vec<(O::Query, Stored<O>)>, StoreError> {
        Ok(self.shelf.lock().scan(own_only, from.as_ref(), limit))
    }

    async fn statistics(&self) -> Result<Statistics, StoreError> {
        Ok(self.shelf.lock().statistics())
    }

    async fn clear(&self) -> Result<(), StoreError> {
        drop(self.shelf.lock().clear());
        Ok(())
    }
}

/// Lets other tasks of the same thread run.
async fn give_way() {
    let mut waited = false;
    future::poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests;
