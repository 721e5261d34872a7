//! The trait that every record store implements, and the words it is spoken in.
//!
//! A store keeps and forgets; it does not judge newcomers. Whoever calls [`Store::save`] has checked the item before: a
//! signature is verified once, not twice. What was stored long ago is checked again by whoever serves it.

use std::time::Duration;

use async_trait::async_trait;
use derive_where::derive_where;
use dht_core::{ErrorKind, Now, Overlay, Wall};
use thiserror::Error;

use crate::{Conflict, Validator};

/// An item as it is kept.
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub struct Stored<O: Overlay> {
    /// What is kept.
    pub item: O::Item,
    /// When it was received or last renewed.
    pub received: Wall,
    /// When it is forgotten unless it is renewed; `Wall(Duration::MAX)`, or centuries away, when never.
    pub expires: Wall,
}

/// On whose behalf and for how long an item is kept.
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub struct Lease<O: Overlay> {
    /// Who sent it; the local peer for own items.
    pub from: O::PeerId,
    /// When it was received; a time after `now` counts as `now`.
    pub received: Wall,
    /// How long after `received` it is kept. `Duration::MAX`: until it is removed. A lease that is over already, zero
    /// included, is refused with [`StoreError::Expired`].
    pub lifetime: Duration,
    /// Whether it is ours: own items are never evicted in favour of others, and are what is republished.
    pub own: bool,
}

/// What became of an item that was to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Saved {
    /// Its slot was empty.
    New,
    /// It replaced a worse or no longer valid one.
    Better,
    /// It was there already: its lease was renewed.
    Refreshed,
    /// Refused in favour of what is stored.
    Worse(Conflict),
}

/// Which bound of a store was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Bound {
    /// Records in total.
    Records,
    /// Bytes in total.
    Bytes,
    /// Items under one query.
    PerQuery,
    /// Items under one query from one network group.
    PerGroup,
    /// Records from one peer.
    PerPeer,
}

impl Bound {
    /// The bound's name in snake case, for labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Bytes => "bytes",
            Self::PerQuery => "per_query",
            Self::PerGroup => "per_group",
            Self::PerPeer => "per_peer",
        }
    }
}

/// Why a store did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A bound was reached and nothing kept has less right to its place than the newcomer.
    #[error("the store is full ({}, limit {limit})", what.name())]
    Full {
        /// Which bound.
        what: Bound,
        /// Its value.
        limit: usize,
    },
    /// The item with its query is larger than the store takes.
    #[error("{size} bytes are more than the limit of {limit}")]
    TooLarge {
        /// Bytes of item and query.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The lease was over before the item arrived.
    #[error("the lease is over already")]
    Expired,
    /// The medium failed.
    #[error("the store failed: {0}")]
    Backend(String),
}

impl StoreError {
    /// The shared kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Full { .. } => ErrorKind::Capacity,
            Self::TooLarge { .. } | Self::Expired => ErrorKind::Record,
            Self::Backend(_) => ErrorKind::Store,
        }
    }
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Records, expired ones that were not swept yet included.
    pub records: usize,
    /// Of these, own ones.
    pub own: usize,
    /// Queries that have at least one record.
    pub queries: usize,
    /// Bytes of all items and queries, by [`Overlay::weight`] and [`Overlay::query_weight`].
    pub bytes: usize,
    /// When the record that was not renewed for longest was received, to the minute.
    pub oldest: Option<Wall>,
    /// When the latest record was received, to the minute.
    pub newest: Option<Wall>,
}

/// Keeps items under queries, the best one per slot, until their lease ends.
///
/// Every method is atomic, and safe to call from several tasks at once.
#[async_trait]
pub trait Store<O: Overlay>: Send + Sync {
    /// The items under `query` whose lease lasts beyond `now`, in the order of their slots.
    ///
    /// # Errors
    /// [`StoreError::Backend`] when the medium fails.
    async fn load(&self, query: &O::Query, now: Now) -> Result<Vec<Stored<O>>, StoreError>;

    /// The same at once, for stores that need not wait: appends to `found` and says that it did. `false` when
    /// [`Store::load`] must be asked. The default.
    fn load_now(&self, query: &O::Query, now: Now, found: &mut Vec<Stored<O>>) -> bool {
        let _ = (query, now, found);
        false
    }

    /// Saves `item` if its slot is empty, or holds something that `judge` no longer accepts or finds worse. The same item
    /// again renews the lease. Comparing and saving are one step: of several callers the best item survives.
    ///
    /// # Errors
    /// When a bound is reached, the item is too large, the lease is over, or the medium fails.
    async fn save(
        &self,
        query: &O::Query,
        item: O::Item,
        lease: Lease<O>,
        judge: &dyn Validator<O>,
        now: Now,
    ) -> Result<Saved, StoreError>;

    /// Removes everything under `query`, own items included; says how many records.
    ///
    /// # Errors
    /// [`StoreError::Backend`] when the medium fails.
    async fn remove(&self, query: &O::Query) -> Result<usize, StoreError>;

    /// Removes the item in one slot of `query`; says whether there was one. What stops providing removes its own provider
    /// record and no other.
    ///
    /// # Errors
    /// [`StoreError::Backend`] when the medium fails.
    async fn remove_slot(&self, query: &O::Query, slot: &O::Slot) -> Result<bool, StoreError>;

    /// Removes what has expired by `now`; says how many records. A store may leave what expired within the last second.
    ///
    /// # Errors
    /// [`StoreError::Backend`] when the medium fails.
    async fn sweep(&self, now: Now) -> Result<usize, StoreError>;

    /// At most `limit` records after `from`, in an order that is the store's own and does not change while it lives: who
    /// continues with the last one's query and slot until a page comes back empty sees every record that stayed, once.
    /// `own_only` leaves out what strangers sent. Records whose lease has ended may be among them until they are swept.
    ///
    /// # Errors
    /// [`StoreError::Backend`] when the medium fails.
    async fn scan(
        &self,
        own_only: bool,
        from: Option<(O::Query, O::Slot)>,
        limit: usize,
    ) -> Result<Vec<(O::Query, Stored<O>)>, StoreError>;

    /// How much is kept.
    ///
    /// # Errors
    /// [`StoreError::Backend`] when the medium fails.
    async fn statistics(&self) -> Result<Statistics, StoreError>;

    /// Removes everything.
    ///
    /// # Errors
    /// [`StoreError::Backend`] when the medium fails.
    async fn clear(&self) -> Result<(), StoreError>;
}
