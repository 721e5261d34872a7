//! What stands under one query, and where the query has its place in the indexes.

use std::ops::{Deref, DerefMut};

use dht_core::Overlay;

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
    pub(super) entries: Entries<O>,
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

/// The records of a row. Most rows have one only, which then takes no allocation and, the tag hiding in a spare bit of the
/// record, no space beside it.
pub(super) enum Entries<O: Overlay> {
    One(Entry<O>),
    Many(Vec<Entry<O>>),
}

impl<O: Overlay> Entries<O> {
    pub(super) fn insert(&mut self, at: usize, entry: Entry<O>) {
        let mut entries = self.take();
        entries.insert(at, entry);
        *self = Self::Many(entries);
    }

    /// Drops the records that are not to stay.
    pub(super) fn retain(&mut self, stays: impl FnMut(&Entry<O>) -> bool) {
        let mut entries = self.take();
        entries.retain(stays);
        if entries.len() == 1
            && let Some(entry) = entries.pop()
        {
            *self = Self::One(entry);
            return;
        }
        if entries.len() <= entries.capacity() / 4 {
            entries.shrink_to_fit();
        }
        *self = Self::Many(entries);
    }

    /// All of them, leaving none.
    fn take(&mut self) -> Vec<Entry<O>> {
        match std::mem::replace(self, Self::Many(Vec::new())) {
            Self::One(entry) => vec![entry],
            Self::Many(entries) => entries,
        }
    }
}

impl<O: Overlay> Deref for Entries<O> {
    type Target = [Entry<O>];

    fn deref(&self) -> &[Entry<O>] {
        match self {
            Self::One(entry) => std::slice::from_ref(entry),
            Self::Many(entries) => entries,
        }
    }
}

impl<O: Overlay> DerefMut for Entries<O> {
    fn deref_mut(&mut self) -> &mut [Entry<O>] {
        match self {
            Self::One(entry) => std::slice::from_mut(entry),
            Self::Many(entries) => entries,
        }
    }
}
