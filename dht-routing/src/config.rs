//! The table's options, their defaults and their limits. Where the values come from is not known here.

use std::{fmt::Debug, ops::RangeInclusive, time::Duration};

use dht_core::InvalidConfig;

/// Well within what a bucket counts.
const MAX_CHECKS: usize = 1 << 14;

/// Options of [`Routing`](crate::Routing). The defaults suit a public network of servers that stay for hours.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Peers per bucket, `1..=256`. Default 20.
    pub k: usize,
    /// Peers in the whole table, at least `k`. Default 1000.
    pub max_size: usize,
    /// Candidates that a full bucket remembers for the day a peer of its leaves, `0..=256`. Default 20.
    pub replacements: usize,
    /// A peer that takes longer to answer is not kept; one that was taken in is not put out for it above two minutes, to
    /// which its round trip is counted. Default 10 s.
    pub latency_tolerance: Duration,
    /// Checks in flight; candidates beyond are dropped. `1..=16_384`. Default 256.
    pub max_checks: usize,
    /// Failures in a row after which a peer leaves, `1..=16`; at once if a candidate waits that answered before, or if
    /// somebody else answered in the peer's name. Default 1.
    pub max_failures: u32,
    /// Peers of one network group ([`Overlay::contact_group`](dht_core::Overlay::contact_group)) in a bucket, at
    /// least 1. Default `usize::MAX`: no limit.
    pub max_per_group_bucket: usize,
    /// Peers of one network group in the whole table, at least 1. Default `usize::MAX`: no limit.
    pub max_per_group: usize,
    /// How long a checked peer may take. Default 10 s.
    pub check_timeout: Duration,
    /// Whether the table refreshes and repairs itself. Default on.
    pub auto_refresh: bool,
    /// How often the table is refreshed, and how long a bucket with room may go without a lookup.
    /// Default 10 min.
    pub refresh_interval: Duration,
    /// The longest common prefix that is refreshed, at most 15 (targets of longer ones cannot be found). Default 15.
    pub max_refresh_prefix: u32,
    /// How long one lookup of a refresh or bootstrap may take. Default 10 s.
    pub lookup_timeout: Duration,
    /// Peers silent for so long are checked at the next refresh. Default `None`: two intervals, since nothing else asks the
    /// peers of a full bucket.
    pub stale_after: Option<Duration>,
    /// With fewer peers the table refreshes sooner than the interval says. Default 10.
    pub low_water: usize,
    /// First delay of that repair; it doubles with every attempt, up to the refresh interval, except while the table is
    /// empty. Default 5 s.
    pub repair_delay: Duration,
    /// Peers that a node wants at least: below, bootstrap turns to its fallback contacts. At least 1. Default 3.
    pub resiliency: usize,
    /// Bootstrap contacts (and as many lost peers) remembered for the recovery of an empty table. Default 64.
    pub max_remembered: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            k: 20,
            max_size: 1000,
            replacements: 20,
            latency_tolerance: Duration::from_secs(10),
            max_checks: 256,
            max_failures: 1,
            max_per_group_bucket: usize::MAX,
            max_per_group: usize::MAX,
            check_timeout: Duration::from_secs(10),
            auto_refresh: true,
            refresh_interval: Duration::from_secs(600),
            max_refresh_prefix: 15,
            lookup_timeout: Duration::from_secs(10),
            stale_after: None,
            low_water: 10,
            repair_delay: Duration::from_secs(5),
            resiliency: 3,
            max_remembered: 64,
        }
    }
}

impl Config {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        within("k", self.k, 1..=256, "must be 1 to 256")?;
        within("max_size", self.max_size, self.k..=usize::MAX, "must be at least k")?;
        within("replacements", self.replacements, 0..=256, "must be at most 256")?;
        positive("latency_tolerance", self.latency_tolerance)?;
        within("max_checks", self.max_checks, 1..=MAX_CHECKS, "must be 1 to 16384")?;
        within("max_failures", self.max_failures, 1..=16, "must be 1 to 16")?;
        within("max_per_group_bucket", self.max_per_group_bucket, 1..=usize::MAX, "must be at least 1")?;
        within("max_per_group", self.max_per_group, 1..=usize::MAX, "must be at least 1")?;
        positive("check_timeout", self.check_timeout)?;
        positive("refresh_interval", self.refresh_interval)?;
        within("max_refresh_prefix", self.max_refresh_prefix, 0..=15, "must be at most 15")?;
        positive("lookup_timeout", self.lookup_timeout)?;
        positive("stale_after", self.stale_after.unwrap_or(Duration::MAX))?;
        positive("repair_delay", self.repair_delay)?;
        within("resiliency", self.resiliency, 1..=usize::MAX, "must be at least 1")?;
        within("max_remembered", self.max_remembered, 0..=4096, "must be at most 4096")
    }

    /// How long a peer may be silent before a refresh checks it: [`Config::stale_after`], or two intervals.
    pub fn staleness(&self) -> Duration {
        self.stale_after.unwrap_or(self.refresh_interval.saturating_mul(2))
    }
}

fn within<T: PartialOrd + Debug>(
    field: &'static str,
    value: T,
    range: RangeInclusive<T>,
    rule: &'static str,
) -> Result<(), InvalidConfig> {
    InvalidConfig::require(range.contains(&value), field, value, rule)
}

fn positive(field: &'static str, value: Duration) -> Result<(), InvalidConfig> {
    InvalidConfig::require(!value.is_zero(), field, value, "must be longer than zero")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_a_wrong_field_is_named() {
        let config = Config::default();
        assert_eq!(config.validate(), Ok(()));
        let wrong = [
            (Config { k: 0, ..config.clone() }, "k"),
            (Config { k: 257, max_size: 300, ..config.clone() }, "k"),
            (Config { max_size: 19, ..config.clone() }, "max_size"),
            (Config { replacements: 257, ..config.clone() }, "replacements"),
            (Config { latency_tolerance: Duration::ZERO, ..config.clone() }, "latency_tolerance"),
            (Config { max_checks: 0, ..config.clone() }, "max_checks"),
            (Config { max_checks: 16_385, ..config.clone() }, "max_checks"),
            (Config { max_failures: 0, ..config.clone() }, "max_failures"),
            (Config { max_failures: 17, ..config.clone() }, "max_failures"),
            (Config { max_per_group_bucket: 0, ..config.clone() }, "max_per_group_bucket"),
            (Config { max_per_group: 0, ..config.clone() }, "max_per_group"),
            (Config { check_timeout: Duration::ZERO, ..config.clone() }, "check_timeout"),
            (Config { refresh_interval: Duration::ZERO, ..config.clone() }, "refresh_interval"),
            (Config { max_refresh_prefix: 16, ..config.clone() }, "max_refresh_prefix"),
            (Config { lookup_timeout: Duration::ZERO, ..config.clone() }, "lookup_timeout"),
            (Config { stale_after: Some(Duration::ZERO), ..config.clone() }, "stale_after"),
            (Config { repair_delay: Duration::ZERO, ..config.clone() }, "repair_delay"),
            (Config { resiliency: 0, ..config.clone() }, "resiliency"),
            (Config { max_remembered: 5000, ..config }, "max_remembered"),
        ];
        for (config, field) in wrong {
            assert_eq!(config.validate().expect_err(field).field, field);
        }
    }

    #[test]
    fn staleness_is_two_intervals_if_nothing_else_is_said() {
        let config = Config::default();
        assert_eq!(config.staleness(), config.refresh_interval * 2);
        assert_eq!(Config { refresh_interval: Duration::MAX, ..config.clone() }.staleness(), Duration::MAX);
        let set = Config { stale_after: Some(Duration::from_secs(7)), ..config };
        assert_eq!(set.staleness(), Duration::from_secs(7));
    }
}
