//! What is stored, for how long, and how own records are kept alive in the network.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is stored, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Records {
    /// Whether values are served and stored. Default true; Amino takes nothing else.
    pub values: bool,
    /// Whether provider records are served and stored. Default true; Amino takes nothing else.
    pub providers: bool,
    /// Namespaces beside `pk` and `ipns` whose values are taken as they are. Default none; Amino takes none.
    pub namespaces: Vec<String>,
    /// How long a stranger's value is kept. Default 48 h.
    #[serde(with = "humantime_serde")]
    pub value_age: Duration,
    /// How long a provider record is kept. Default 48 h.
    #[serde(with = "humantime_serde")]
    pub provider_age: Duration,
    /// How long the addresses of a provider are shown. Default 24 h.
    #[serde(with = "humantime_serde")]
    pub address_age: Duration,
    /// Records in total. Default 100 000.
    pub max_records: usize,
    /// Bytes in total. Default 64 MiB.
    pub max_bytes: usize,
    /// Bytes of one item with its key. Default 64 KiB.
    pub max_item_bytes: usize,
    /// Strangers' items under one key (providers). Default 64.
    pub max_items_per_query: usize,
    /// Of these, items from one network group. Default 20.
    pub max_items_per_group: usize,
    /// Records that one stranger brought. Default 10 000.
    pub max_records_per_peer: usize,
    /// How long after its first announcement a record must still be announced to be safe from newcomers. Default 12 h.
    #[serde(with = "humantime_serde")]
    pub proven_after: Duration,
    /// How often expired records are removed. Default 10 min.
    #[serde(with = "humantime_serde")]
    pub sweep_interval: Duration,
    /// Calls of the store under way at once; a stranger's request beyond is refused. Default 1024.
    pub max_store_jobs: usize,
}

impl Default for Records {
    fn default() -> Self {
        let config = dht_records::MemoryConfig::default();
        Self {
            values: true,
            providers: true,
            namespaces: Vec::new(),
            value_age: Duration::from_secs(48 * 3600),
            provider_age: Duration::from_secs(48 * 3600),
            address_age: Duration::from_secs(24 * 3600),
            max_records: config.max_records,
            max_bytes: config.max_bytes,
            max_item_bytes: config.max_item_bytes,
            max_items_per_query: config.max_items_per_query,
            max_items_per_group: config.max_items_per_group,
            max_records_per_peer: config.max_records_per_peer,
            proven_after: config.proven_after,
            sweep_interval: Duration::from_secs(600),
            max_store_jobs: 1024,
        }
    }
}

/// Announcing own records again, before their holders have left the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Republish {
    /// How often each is announced. Default 22 h.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// Up to this share of the interval one is early, so that what was published together spreads. Default 0.1.
    pub jitter: f64,
    /// How many times the steady rate is kept to while catching up. Default 2.0.
    pub catch_up: f64,
    /// Items handed out at once before the rate counts. Default 10.
    pub burst: u32,
    /// After how long one that could not be announced is due again. Default 10 min.
    #[serde(with = "humantime_serde")]
    pub retry: Duration,
    /// How long one announcement may take. Default 60 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Items that are kept track of. Default 1 000 000.
    pub max_items: usize,
}

impl Default for Republish {
    fn default() -> Self {
        let config = dht_records::RepublishConfig::default();
        Self {
            interval: Duration::from_secs(22 * 3600),
            jitter: config.jitter,
            catch_up: config.catch_up,
            burst: config.burst,
            retry: config.retry,
            timeout: Duration::from_secs(60),
            max_items: config.max_items,
        }
    }
}
