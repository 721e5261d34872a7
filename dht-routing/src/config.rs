//! The table's options, their defaults and their limits. Where the values come from is not known here.

use std::time::Duration;

use dht_core::InvalidConfig;

/// Options of [`Routing`](crate::Routing). The defaults are those of the public IPFS network.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Peers per bucket, `1..=256`. Default 20.
    pub k: usize,
    /// Peers in the whole table, at least `k`. Default 1000.
    pub max_size: usize,
    /// Candidates that a full bucket remembers for the day a peer of its leaves, `0..=256`. Default 20.
    pub replacements: usize,
    /// A peer that takes longer to answer is not kept. Default 10 s.
    pub latency_tolerance: Duration,
    /// Checks in flight; candidates beyond are dropped. At least 1. Default 256.
    pub max_checks: usize,
    /// How long a checked peer may take. Default 10 s.
    pub check_timeout: Duration,
    /// Whether the table refreshes and repairs itself. Default on.
    pub auto_refresh: bool,
    /// How often the table is refreshed, and how long a bucket may go without a lookup. Default 10 min.
    pub refresh_interval: Duration,
    /// The longest common prefix that is refreshed, at most 15 (targets of longer ones cannot be found). Default 15.
    pub max_refresh_prefix: u32,
    /// How long one lookup of a refresh or bootstrap may take. Default 10 s.
    pub lookup_timeout: Duration,
    /// Requests in flight of a lookup; only used to compute [`Config::stale_after`]. At least 1. Default 10.
    pub alpha: usize,
    /// Peers silent for so long are checked at the next refresh. `None` computes it, see [`Config::staleness`].
    pub stale_after: Option<Duration>,
    /// With fewer peers the table refreshes sooner than the interval says. Default 10.
    pub low_water: usize,
    /// First delay of that repair; it doubles with every attempt, up to the refresh interval. Default 5 s.
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
            check_timeout: Duration::from_secs(10),
            auto_refresh: true,
            refresh_interval: Duration::from_secs(600),
            max_refresh_prefix: 15,
            lookup_timeout: Duration::from_secs(10),
            alpha: 10,
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
        let require = InvalidConfig::require;
        let positive = "must be longer than zero";
        require((1..=256).contains(&self.k), "k", self.k, "must be 1 to 256")?;
        require(self.max_size >= self.k, "max_size", self.max_size, "must be at least k")?;
        require(self.replacements <= 256, "replacements", self.replacements, "must be at most 256")?;
        require(!self.latency_tolerance.is_zero(), "latency_tolerance", self.latency_tolerance, positive)?;
        require(self.max_checks >= 1, "max_checks", self.max_checks, "must be at least 1")?;
        require(!self.check_timeout.is_zero(), "check_timeout", self.check_timeout, positive)?;
        require(!self.refresh_interval.is_zero(), "refresh_interval", self.refresh_interval, positive)?;
        require(
            self.max_refresh_prefix <= 15,
            "max_refresh_prefix",
            self.max_refresh_prefix,
            "must be at most 15",
        )?;
        require(!self.lookup_timeout.is_zero(), "lookup_timeout", self.lookup_timeout, positive)?;
        require(self.alpha >= 1, "alpha", self.alpha, "must be at least 1")?;
        require(self.stale_after != Some(Duration::ZERO), "stale_after", self.stale_after, positive)?;
        require(!self.repair_delay.is_zero(), "repair_delay", self.repair_delay, positive)?;
        require(self.resiliency >= 1, "resiliency", self.resiliency, "must be at least 1")?;
        require(self.max_remembered <= 4096, "max_remembered", self.max_remembered, "must be at most 4096")
    }

    /// How long a peer may be silent before a refresh checks it: [`Config::stale_after`], or the time after which a
    /// live peer would have been asked by some refresh lookup with probability `1 - 1/k`, which is
    /// `ln(1/k) / ln(1 - alpha/k)` intervals (43 min by default), and never less than one interval.
    pub fn staleness(&self) -> Duration {
        self.stale_after.unwrap_or_else(|| {
            let k = self.k as f64;
            let missed = 1.0 - self.alpha as f64 / k;
            let intervals = if missed > 0.0 { (1.0 / k).ln() / missed.ln() } else { 1.0 };
            self.refresh_interval.saturating_mul_f64(intervals.max(1.0))
        })
    }
}

/// `Duration::mul_f64` panics when it overflows; an operator's huge interval must not.
trait SaturatingMul {
    fn saturating_mul_f64(self, by: f64) -> Duration;
}

impl SaturatingMul for Duration {
    fn saturating_mul_f64(self, by: f64) -> Duration {
        Duration::try_from_secs_f64(self.as_secs_f64() * by).unwrap_or(Duration::MAX)
    }
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
            (Config { check_timeout: Duration::ZERO, ..config.clone() }, "check_timeout"),
            (Config { refresh_interval: Duration::ZERO, ..config.clone() }, "refresh_interval"),
            (Config { max_refresh_prefix: 16, ..config.clone() }, "max_refresh_prefix"),
            (Config { lookup_timeout: Duration::ZERO, ..config.clone() }, "lookup_timeout"),
            (Config { alpha: 0, ..config.clone() }, "alpha"),
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
    fn staleness_is_43_minutes_by_default_and_never_below_the_interval() {
        let config = Config::default();
        assert_eq!(config.staleness().as_secs() / 60, 43);
        assert_eq!(Config { alpha: 20, ..config.clone() }.staleness(), config.refresh_interval);
        assert_eq!(Config { k: 1, alpha: 1, ..config.clone() }.staleness(), config.refresh_interval);
        assert_eq!(Config { refresh_interval: Duration::MAX, ..config.clone() }.staleness(), Duration::MAX);
        let set = Config { stale_after: Some(Duration::from_secs(7)), ..config };
        assert_eq!(set.staleness(), Duration::from_secs(7));
    }
}
