//! What a memory store holds in all: counted as records come and go, so that asking costs nothing.

use std::collections::BTreeMap;

use dht_core::Overlay;

use super::row::Entry;
use crate::clock::{MINUTE, Moment};

/// Sums over all records.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) records: usize,
    pub(super) own: usize,
    pub(super) bytes: usize,
    /// Records of each stranger, by the keyed hash of its name. At most one entry per record.
    peers: BTreeMap<u32, u32>,
    /// Records received in each minute, for the oldest and the newest. At most one entry per record.
    dates: BTreeMap<u64, u32>,
}

impl Totals {
    /// A record came.
    pub(super) fn count<O: Overlay>(&mut self, entry: &Entry<O>) {
        self.records += 1;
        self.bytes += O::weight(&entry.item);
        *self.dates.entry(entry.received / MINUTE).or_default() += 1;
        if entry.own {
            self.own += 1;
        } else {
            *self.peers.entry(entry.from).or_default() += 1;
        }
    }

    /// A record went.
    pub(super) fn discount<O: Overlay>(&mut self, entry: &Entry<O>) {
        self.records -= 1;
        self.bytes -= O::weight(&entry.item);
        drop_one(&mut self.dates, entry.received / MINUTE);
        if entry.own {
            self.own -= 1;
        } else {
            drop_one(&mut self.peers, entry.from);
        }
    }

    /// How many records a stranger has here.
    pub(super) fn of_peer(&self, from: u32) -> usize {
        self.peers.get(&from).map_or(0, |count| *count as usize)
    }

    /// The first and the last moment at which a kept record was received, to the minute.
    pub(super) fn span(&self) -> Option<(Moment, Moment)> {
        let (oldest, newest) = (self.dates.keys().next()?, self.dates.keys().next_back()?);
        Some((oldest * MINUTE, newest * MINUTE))
    }
}

fn drop_one<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
