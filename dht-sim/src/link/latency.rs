//! How long a message takes between two nodes: the same pair always has the same latency, whatever the distribution.

use crate::dice::{Quantiles, hash, unit};

/// How one-way latencies are distributed over pairs of nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
pub enum Latency {
    /// All alike.
    Constant {
        /// Milliseconds.
        ms: f64,
    },
    /// A long tail to the right.
    Lognormal {
        /// Milliseconds that half of the pairs stay below.
        median_ms: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// Nodes sit in [`REGIONS`]; half the round trip between two regions, and an access line for each node.
    Regions,
}

/// A part of the world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// Its name.
    pub name: &'static str,
    /// Nodes that are there, of 100.
    pub share: u32,
    /// Round trips in milliseconds to the regions up to this one, in order.
    rtt: [f64; 8],
}

/// Round trips between cloud regions as public monitors show them, to 5 ms; nodes as crawls of the IPFS network find
/// them, to 5 %.
pub const REGIONS: [Region; 8] = [
    region("north america, east", 25, [10.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
    region("north america, west", 15, [65.0, 10.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
    region("europe", 35, [90.0, 145.0, 15.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
    region("asia, north east", 10, [150.0, 100.0, 225.0, 15.0, 0.0, 0.0, 0.0, 0.0]),
    region("asia, south east", 5, [220.0, 165.0, 160.0, 70.0, 20.0, 0.0, 0.0, 0.0]),
    region("south america", 4, [115.0, 175.0, 205.0, 255.0, 325.0, 20.0, 0.0, 0.0]),
    region("oceania", 3, [200.0, 140.0, 250.0, 105.0, 90.0, 310.0, 20.0, 0.0]),
    region("africa", 3, [225.0, 280.0, 155.0, 350.0, 265.0, 340.0, 410.0, 30.0]),
];

const fn region(name: &'static str, share: u32, rtt: [f64; 8]) -> Region {
    Region { name, share, rtt }
}

/// Median of the access lines, one way in milliseconds.
const ACCESS: f64 = 3.0;
/// Their spread.
const ACCESS_SIGMA: f64 = 0.8;
const NS_PER_MS: f64 = 1e6;
/// Nanoseconds of a day: no message is on its way for longer, however long the tail of a distribution is.
pub(super) const LONGEST: u64 = 86_400_000_000_000;

/// A latency distribution ready for use.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    latency: Latency,
    spread: Quantiles,
    seed: u64,
}

impl Latencies {
    pub(crate) fn new(latency: Latency, seed: u64) -> Self {
        let sigma = match latency {
            Latency::Constant { .. } => 0.0,
            Latency::Lognormal { sigma, .. } => sigma,
            Latency::Regions => ACCESS_SIGMA,
        };
        Self { latency, spread: Quantiles::lognormal(sigma), seed }
    }

    /// Nanoseconds from one node to the other, the same both ways.
    pub(crate) fn between(&self, a: u32, b: u32) -> u64 {
        let ms = match self.latency {
            Latency::Constant { ms } => ms,
            Latency::Lognormal { median_ms, .. } => {
                let pair = u64::from(a.min(b)) << 32 | u64::from(a.max(b));
                median_ms * self.spread.at(hash(self.seed, pair, 1))
            }
            Latency::Regions => {
                let (x, y) = (self.region(a), self.region(b));
                REGIONS[x.max(y)].rtt[x.min(y)] / 2.0 + self.access(a) + self.access(b)
            }
        };
        ((ms * NS_PER_MS) as u64).min(LONGEST)
    }

    fn region(&self, node: u32) -> usize {
        let mut point = unit(hash(self.seed, node.into(), 2)) * 100.0;
        REGIONS
            .iter()
            .position(|region| {
                point -= f64::from(region.share);
                point < 0.0
            })
            .unwrap_or(0)
    }

    fn access(&self, node: u32) -> f64 {
        ACCESS * self.spread.at(hash(self.seed, node.into(), 3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_regions_share_the_world_and_the_table_is_full() {
        assert_eq!(REGIONS.iter().map(|region| region.share).sum::<u32>(), 100);
        for (i, region) in REGIONS.iter().enumerate() {
            assert!(region.rtt.iter().enumerate().all(|(j, ms)| (*ms > 0.0) == (j <= i)), "{}", region.name);
        }
    }

    #[test]
    fn a_pair_has_one_latency_and_pairs_follow_the_distribution() {
        for latency in [Latency::Regions, Latency::Lognormal { median_ms: 40.0, sigma: 0.5 }] {
            let latencies = Latencies::new(latency, 7);
            assert_eq!(latencies.between(3, 9), latencies.between(9, 3));
        }
        let latencies = Latencies::new(Latency::Lognormal { median_ms: 40.0, sigma: 0.5 }, 7);
        let mut all: Vec<u64> = (0..10_001).map(|i| latencies.between(i, 1_000_000)).collect();
        all.sort_unstable();
        assert!((39_000_000..41_000_000).contains(&all[5000]), "{}", all[5000]);
        assert_eq!(Latencies::new(Latency::Constant { ms: 2.5 }, 1).between(1, 2), 2_500_000);
    }
}
