//! Joining the network: options of the four phases.

use std::time::Duration;

/// How a bootstrap goes about it. Its phases: connect to the seeds, verify who is in the table, discover by lookups,
/// recover through the fallback contacts when too few were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapOptions {
    /// Stop after the seeds were asked.
    pub quick_connect_only: bool,
    /// If set, the table's refresh interval from now on (at least one second).
    pub periodic_refresh_interval: Option<Duration>,
    /// How long one seed may take. Default 10 s.
    pub seed_timeout: Duration,
    /// Seeds asked at a time, at least 1. Default 8.
    pub parallel: usize,
    /// How long one table peer may take. Default 3 s.
    pub verify_timeout: Duration,
    /// How long the verification may take in all. Default 15 s.
    pub verify_limit: Duration,
    /// Lookups of the discovery at most. Default 3.
    pub rounds: usize,
    /// How long the discovery may take. Default 15 s.
    pub discover_limit: Duration,
    /// After an answer, how long stragglers are waited for before the next phase starts. Default 1 s.
    pub settle: Duration,
    /// How long it may take in all. Default 30 s.
    pub limit: Duration,
}

impl Default for BootstrapOptions {
    fn default() -> Self {
        Self {
            quick_connect_only: false,
            periodic_refresh_interval: None,
            seed_timeout: Duration::from_secs(10),
            parallel: 8,
            verify_timeout: Duration::from_secs(3),
            verify_limit: Duration::from_secs(15),
            rounds: 3,
            discover_limit: Duration::from_secs(15),
            settle: Duration::from_secs(1),
            limit: Duration::from_secs(30),
        }
    }
}
