//! What a metadata session accepts.

use dht_core::InvalidConfig;

/// What a session accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes of the largest info dictionary that is fetched. Default 16 MiB.
    pub max_size: usize,
    /// Requests under way at once. Default 4.
    pub window: usize,
    /// Bytes that a peer may send beside the pieces. Default 1 MiB.
    pub max_overhead: usize,
    /// How often a peer may ask for every piece, on average. Default 4.
    pub max_rounds: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_size: 16 << 20, window: 4, max_overhead: 1 << 20, max_rounds: 4 }
    }
}

impl Config {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the field that is wrong and what would be right.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let sizes = 1..=1 << 30;
        InvalidConfig::require(
            sizes.contains(&self.max_size),
            "max_size",
            self.max_size,
            "between 1 and 2^30",
        )?;
        InvalidConfig::require((1..=256).contains(&self.window), "window", self.window, "between 1 and 256")?;
        InvalidConfig::require(self.max_overhead > 0, "max_overhead", self.max_overhead, "at least 1")?;
        InvalidConfig::require(self.max_rounds > 0, "max_rounds", self.max_rounds, "at least 1")
    }
}
