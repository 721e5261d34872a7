//! The driver's options.

use std::time::Duration;

use dht_core::InvalidConfig;

use crate::Mode;

/// Options of the driver.
#[derive(Clone, Debug, PartialEq)]
pub struct DriverConfig {
    /// Client, server, or decided by reachability.
    pub mode: Mode,
    /// Store calls under way at once; a request beyond, a stranger's or an own fetch, is refused. Default 1024.
    pub max_store_jobs: usize,
    /// How often expired items are removed. Default 10 min.
    pub sweep_interval: Duration,
    /// How long after an announcement own items are announced again. Default 22 h (Amino spec, A21).
    pub republish_interval: Duration,
    /// How announcements are spread and how fast overdue ones are caught up with.
    pub republish: dht_records::RepublishConfig,
    /// Deadline of one announcement. Default 60 s.
    pub announce_timeout: Duration,
}

impl Default for DriverConfig {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            max_store_jobs: 1024,
            sweep_interval: Duration::from_secs(600),
            republish_interval: Duration::from_secs(22 * 3600),
            republish: dht_records::RepublishConfig::default(),
            announce_timeout: Duration::from_secs(60),
        }
    }
}

impl DriverConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the field that is wrong and what would be right.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require(self.max_store_jobs > 0, "max_store_jobs", self.max_store_jobs, "at least 1")?;
        InvalidConfig::require(
            self.sweep_interval >= Duration::from_secs(1),
            "sweep_interval",
            self.sweep_interval,
            "at least 1 s",
        )?;
        InvalidConfig::require(
            self.republish_interval >= Duration::from_secs(1),
            "republish_interval",
            self.republish_interval,
            "at least 1 s",
        )?;
        self.republish.validate()?;
        InvalidConfig::require(
            !self.announce_timeout.is_zero(),
            "announce_timeout",
            self.announce_timeout,
            "more than zero",
        )
    }
}
