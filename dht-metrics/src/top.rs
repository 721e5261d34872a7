//! Who fails most, in bounded memory: the space-saving sketch (Metwally, Agrawal, El Abbadi 2005).
//!
//! Strangers can invent names without end. The sketch keeps a fixed number of them; a new one takes the place of the one
//! with the fewest failures and inherits its count as a possible error. Whoever fails more often than all failures
//! divided by the capacity is certainly among those kept.

use std::collections::{BTreeMap, BTreeSet};

use crate::ErrorPeer;

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    count: u64,
    inherited: u64,
}

/// A bounded count of names.
#[derive(Debug)]
pub(crate) struct Top<P> {
    capacity: usize,
    tallies: BTreeMap<P, Tally>,
    /// The same names by count. At most `capacity`.
    order: BTreeSet<(u64, P)>,
}

impl<P: Clone + Ord> Top<P> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, tallies: BTreeMap::new(), order: BTreeSet::new() }
    }

    pub(crate) fn add(&mut self, peer: &P) {
        let mut tally = if let Some(tally) = self.tallies.get(peer) {
            self.order.remove(&(tally.count, peer.clone()));
            *tally
        } else if self.tallies.len() < self.capacity {
            Tally::default()
        } else if let Some((count, fewest)) = self.order.pop_first() {
            self.tallies.remove(&fewest);
            Tally { count, inherited: count }
        } else {
            return;
        };
        tally.count += 1;
        self.order.insert((tally.count, peer.clone()));
        self.tallies.insert(peer.clone(), tally);
    }

    /// The `n` with the most, most first.
    pub(crate) fn most(&self, n: usize) -> Vec<ErrorPeer<P>> {
        let first = self.order.iter().rev().take(n);
        first
            .map(|(count, peer)| ErrorPeer {
                peer: peer.clone(),
                errors: *count,
                uncertain: self.tallies.get(peer).map_or(0, |tally| tally.inherited),
            })
            .collect()
    }

    pub(crate) fn clear(&mut self) {
        self.tallies.clear();
        self.order.clear();
    }
}
