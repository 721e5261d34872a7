//! How large the network is, told from how near the closest peers of finished lookups are.
//!
//! In a network of n peers the i-th closest to any point is i/(n+1) of the key space away, on average. Each complete
//! lookup is one sample by least squares over its peers; the median of the latest withstands single lookups that a crowd
//! of made-up names has answered. Nothing that a peer says about the size is believed.

use std::collections::VecDeque;

use dht_core::{Contact, KadKey, Overlay};

/// Samples that are remembered.
const SAMPLES: usize = 64;
/// Samples without which nothing is said.
const ENOUGH: usize = 4;
/// Peers of a lookup without which it says nothing.
const MIN_PEERS: usize = 4;

/// An estimate of how many peers a network has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NetworkSize {
    /// Peers.
    pub peers: f64,
    /// Lookups that it was told from, at most 64.
    pub samples: usize,
}

#[derive(Debug, Default)]
pub(crate) struct SizeEstimate {
    /// The latest last, at most `SAMPLES`.
    samples: VecDeque<f64>,
}

impl SizeEstimate {
    /// A lookup of `key` ended with these peers, nearest first, all of whom answered.
    pub(crate) fn learn<O: Overlay>(&mut self, key: &O::Key, closest: &[Contact<O>]) {
        if closest.len() < MIN_PEERS {
            return;
        }
        self.add(closest.iter().map(|contact| key.prefix64() ^ contact.key().prefix64()));
    }

    /// Adds the sample of a lookup, given the first 64 bits of each distance.
    fn add(&mut self, distances: impl Iterator<Item = u64>) {
        let whole = 2f64.powi(64);
        let (mut squares, mut products, mut peers) = (0.0, 0.0, 0.0);
        for distance in distances {
            peers += 1.0;
            squares += peers * peers;
            products += peers * (distance as f64 / whole);
        }
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        // Nobody is nearer than the width of a number: the sample stays finite.
        self.samples.push_back((squares / products.max(1.0 / whole) - 1.0).max(peers));
    }

    pub(crate) fn estimate(&self) -> Option<NetworkSize> {
        if self.samples.len() < ENOUGH {
            return None;
        }
        let mut sorted: Vec<f64> = self.samples.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        Some(NetworkSize { peers: sorted[sorted.len() / 2], samples: sorted.len() })
    }
}

#[cfg(test)]
mod tests {
    use dht_core::{
        Key, Rng,
        rand_core::{Rng as _, SeedableRng},
    };

    use super::*;

    #[test]
    fn the_median_is_near_the_truth() {
        let mut rng = Rng::seed_from_u64(1);
        for n in [100u32, 2000] {
            let keys: Vec<u64> = (0..n).map(|_| rng.next_u64()).collect();
            let mut estimate = SizeEstimate::default();
            for _ in 0..SAMPLES {
                let target = rng.next_u64();
                let mut distances: Vec<u64> = keys.iter().map(|key| key ^ target).collect();
                distances.sort_unstable();
                estimate.add(distances.into_iter().take(8));
            }
            let told = estimate.estimate().map(|size| size.peers / f64::from(n)).unwrap_or_default();
            assert!((0.75..1.4).contains(&told), "{n}: {told}");
        }
    }

    #[test]
    fn few_lookups_say_nothing_and_old_ones_are_forgotten() {
        use dht_core::testing::Tiny;
        let mut estimate = SizeEstimate::default();
        let closest: Vec<Contact<Tiny>> = (1..=8).map(|peer| Contact::new(peer, 1)).collect();
        for samples in 1..200 {
            estimate.learn::<Tiny>(&Key([0]), &closest);
            assert_eq!(estimate.estimate().is_some(), samples >= ENOUGH);
            assert!(estimate.samples.len() <= SAMPLES);
        }
        estimate.learn::<Tiny>(&Key([0]), &closest[..2]);
        let told = estimate.estimate().map(|size| size.peers);
        assert!(told.is_some_and(|peers| (200.0..300.0).contains(&peers)), "{told:?}");
    }
}
