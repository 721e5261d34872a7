//! What stands under one query, and where the query has its place in the indexes.

use dht_core::Overlay;
use smallvec::SmallVec;

use super::calendar::Link;
use crate::clock::{Moment, SECOND};

/// A place in an index, in the order of scans: by distance from the local key. Eviction starts at the far end.
///
/// Sixty-four bits of the distance are enough to order by. Strangers can make keys that agree in all of them, so a keyed
/// hash of the query comes next, and no lookup walks through many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) distance: u64,
    pub(super) hash: u32,
    pub(super) id: u32,
}

impl Place {
    /// Whether both belong to queries that the index does not tell apart.
    pub(super) fn ties(&self, other: &Self) -> bool {
        (self.distance, self.hash) == (other.distance, other.hash)
    }
}

/// One record.
pub(super) struct Entry<O: Overlay> {
    pub(super) item: O::Item,
    pub(super) own: bool,
    /// Keyed hash of who sent it: two senders in four billion share their quota, and nobody's name is kept.
    pub(super) from: u32,
    /// When its slot was first taken, in seconds of record time.
    pub(super) since: u32,
    /// When it was last renewed.
    pub(super) received: Moment,
    pub(super) expires: Moment,
}

impl<O: Overlay> Entry<O> {
    /// For how many seconds it has proven itself: from its first announcement to its latest. Waiting proves nothing.
    pub(super) fn standing(&self) -> u64 {
        (self.received / SECOND).saturating_sub(u64::from(self.since))
    }
}

/// Everything under one query: never empty, in the order of the slots.
pub(super) struct Row<O: Overlay> {
    pub(super) query: O::Query,
    /// Most queries have one record only, which then needs no allocation of its own.
    pub(super) entries: SmallVec<[Entry<O>; 1]>,
    pub(super) link: Link,
}

impl<O: Overlay> Row<O> {
    /// Where the item of a slot is, or belongs.
    pub(super) fn position(&self, slot: &O::Slot) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| O::slot(&entry.item).cmp(slot))
    }

    /// When the first of its records expires.
    pub(super) fn expires(&self) -> Moment {
        self.entries.iter().map(|entry| entry.expires).min().unwrap_or(Moment::MAX)
    }

    /// Strangers' records, by their index.
    pub(super) fn strangers(&self) -> impl Iterator<Item = (usize, &Entry<O>)> {
        self.entries.iter().enumerate().filter(|(_, entry)| !entry.own)
    }
}
