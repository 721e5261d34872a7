//! The node's options that belong to neither routing nor queries.

use dht_core::InvalidConfig;

/// Options of [`Node`](crate::Node) itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Contacts in an answer, the named target not counted. Default 20, the k of the network.
    pub closer_per_answer: usize,
    /// Peers outside the table whose addresses are remembered, connected or lately seen; 0 for none, where addresses follow
    /// from names. Default 1024.
    pub max_known_peers: usize,
    /// Whether requests are served from the start. Default false: a client until told otherwise.
    pub serve: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { closer_per_answer: 20, max_known_peers: 1024, serve: false }
    }
}

impl Config {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the field that is wrong and what would be right.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require(
            (1..=1000).contains(&self.closer_per_answer),
            "closer_per_answer",
            self.closer_per_answer,
            "between 1 and 1000",
        )
    }
}
