//! What the table shows of itself: the closest peers, entries, counts and health. Nothing here changes the table.

use std::time::Duration;

use derive_where::derive_where;
use dht_core::{Contact, Mono, Overlay};

use crate::{Config, Rejected, Routing};

/// One peer of the table.
#[derive_where(Clone, Copy, Debug)]
pub struct EntryView<'a, O: Overlay> {
    /// Who and where.
    pub contact: &'a Contact<O>,
    /// Its bucket: the length of the prefix shared with the local key.
    pub bucket: u32,
    /// Smoothed round trip, to a part in 2,000; `None` before the first measurement.
    pub rtt: Option<Duration>,
    /// Its last answer, to whole seconds.
    pub last_seen: Mono,
    /// When it entered, to whole seconds.
    pub added: Mono,
    /// Failures since its last answer.
    pub failures: u32,
}

/// One bucket of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketView {
    /// Length of the common prefix.
    pub prefix: u32,
    /// Peers in it.
    pub peers: usize,
    /// Candidates that wait for a place.
    pub replacements: usize,
    /// The last lookup within it.
    pub refreshed: Option<Mono>,
}

/// Counts since construction, and the table as it is now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Peers in the table.
    pub peers: usize,
    /// Buckets from the shortest prefix to the deepest that ever held a peer, empty ones included.
    pub buckets: Vec<BucketView>,
    /// Mean of the smoothed round trips that are known.
    pub average_rtt: Option<Duration>,
    /// Checks in flight.
    pub checking: usize,
    /// Peers that entered.
    pub added: u64,
    /// Peers that left.
    pub removed: u64,
    /// Checks that were answered.
    pub checks_passed: u64,
    /// Checks that failed.
    pub checks_failed: u64,
    /// Candidates dropped because too many checks were in flight.
    pub dropped: u64,
    /// Contacts rejected for their latency.
    pub rejected_latency: u64,
    /// Verified contacts for whom there was no room.
    pub rejected_capacity: u64,
    /// Contacts whose network group had its share already.
    pub rejected_group: u64,
    /// Contacts at whose place another peer was.
    pub rejected_place: u64,
    /// Contacts that the filter did not admit.
    pub rejected_filtered: u64,
    /// Refreshes that ended.
    pub refreshes: u64,
}

impl Statistics {
    /// A contact was not taken.
    pub(crate) fn refused(&mut self, why: Rejected) {
        match why {
            Rejected::Latency { .. } => self.rejected_latency += 1,
            Rejected::Capacity { .. } => self.rejected_capacity += 1,
            Rejected::Group => self.rejected_group += 1,
            Rejected::Place => self.rejected_place += 1,
            Rejected::Filtered => self.rejected_filtered += 1,
            Rejected::Own => {}
        }
    }
}

/// How the table is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// The short answer.
    pub verdict: Verdict,
    /// Peers in the table.
    pub peers: usize,
    /// Buckets that hold somebody.
    pub buckets: usize,
    /// Whether a refresh runs.
    pub refreshing: bool,
    /// Whether a bootstrap (or the recovery of an empty table) runs.
    pub bootstrapping: bool,
    /// When the last refresh ended.
    pub last_refresh: Option<Mono>,
}

/// The table's state in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Nobody is known: lookups cannot start.
    Empty,
    /// Fewer peers than the resiliency asks for.
    Fragile,
    /// Fewer peers than the low-water mark; normal in a small network.
    Low,
    /// As it should be.
    Healthy,
}

impl<O: Overlay> Routing<O> {
    /// Appends the `n` peers closest to the target, nearest first; exact, and without allocating beyond `out`.
    pub fn closest(&self, target: &O::Key, n: usize, out: &mut Vec<Contact<O>>) {
        self.table.closest(target, n, |_| false, out);
    }

    /// The same without the peers that `skip` names, such as the one who asks; the next ones take their places.
    pub fn closest_except(
        &self,
        target: &O::Key,
        n: usize,
        skip: impl Fn(&O::PeerId) -> bool,
        out: &mut Vec<Contact<O>>,
    ) {
        self.table.closest(target, n, skip, out);
    }

    /// One peer of the table.
    pub fn get(&self, peer: &O::PeerId) -> Option<EntryView<'_, O>> {
        self.table.get(peer)
    }

    /// All peers of the table, farthest bucket first.
    pub fn iter(&self) -> impl Iterator<Item = EntryView<'_, O>> {
        self.table.iter()
    }

    /// Peers in the table.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The local peer.
    pub fn local(&self) -> &O::PeerId {
        self.table.local()
    }

    /// The options as they are now.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Counts since construction, and the buckets as they are.
    pub fn statistics(&self) -> Statistics {
        let buckets = self.table.buckets().iter().enumerate().map(|(i, bucket)| BucketView {
            prefix: i as u32,
            peers: bucket.len(),
            replacements: bucket.spares(),
            refreshed: bucket.refreshed(),
        });
        let (sum, measured) = self
            .iter()
            .filter_map(|entry| entry.rtt)
            .fold((Duration::ZERO, 0u32), |(sum, n), rtt| (sum + rtt, n + 1));
        Statistics {
            peers: self.len(),
            buckets: buckets.collect(),
            average_rtt: (measured > 0).then(|| sum / measured.max(1)),
            checking: self.checks.len(),
            ..self.counts.clone()
        }
    }

    /// How the table is doing.
    pub fn health(&self) -> Health {
        let peers = self.len();
        let verdict = match peers {
            0 => Verdict::Empty,
            _ if peers < self.config.resiliency => Verdict::Fragile,
            _ if peers < self.config.low_water => Verdict::Low,
            _ => Verdict::Healthy,
        };
        Health {
            verdict,
            peers,
            buckets: self.table.buckets().iter().filter(|bucket| !bucket.is_empty()).count(),
            refreshing: self.refresh.is_some(),
            bootstrapping: !self.bootstraps.is_empty(),
            last_refresh: self.last_refresh,
        }
    }
}
