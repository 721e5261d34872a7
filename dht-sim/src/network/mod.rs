//! What the simulator must know of a network besides what the engine knows: who its nodes are and where, by which rules
//! they live, what they publish, and how their transport behaves.

mod compact;
mod ipfs;
mod mainline;

use std::time::Duration;

use dht_core::{Contact, Now, Overlay};
use dht_protocol::Parts;
use dht_records::MemoryConfig;

pub use compact::{Compact, CompactId, CompactNetwork, Entry, Open, Place, Point, Subject, Versions};
pub use ipfs::IpfsNetwork;
pub use mainline::MainlineNetwork;

/// A network that can be simulated. Nodes are numbers; whatever a method returns is a function of its arguments, so that
/// runs repeat.
pub trait Network<O: Overlay>: Send + Sync {
    /// Who a node is, and where.
    fn contact(&self, node: u32) -> Contact<O>;
    /// Which node is to be found where this contact says; `None` for nowhere. The inverse of [`Network::contact`].
    fn locate(&self, contact: &Contact<O>) -> Option<u32>;
    /// What a node is built from: shipped options, validators and rules, changed by what `engine` says.
    fn parts(&self, node: u32, engine: &Engine, seed: u64) -> Parts<O>;
    /// The bounds of a node's store.
    fn memory(&self) -> MemoryConfig;
    /// How its transport behaves.
    fn manners(&self) -> Manners;
    /// A target for a lookup.
    fn target(&self, random: u64) -> O::Target;
    /// What is asked for under a number.
    fn query(&self, content: Content, key: u32) -> O::Query;
    /// What a writer publishes under it. Of one writer, a higher version is better. Versions begin with 1.
    fn item(&self, content: Content, key: u32, writer: u32, version: u32, now: Now) -> O::Item;
    /// Who wrote an item, and which version it is; `None` for what [`Network::item`] never made.
    fn mark(&self, item: &O::Item) -> Option<Mark>;
}

/// What is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Content {
    /// A value: one slot, the best version stays.
    Value,
    /// A membership: writers stand side by side (a provider, a peer of a swarm).
    Provider,
}

/// Where an item comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// Who wrote it.
    pub writer: u32,
    /// Which version; 0 where items carry none.
    pub version: u32,
}

/// How a transport behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Manners {
    /// Whether lost packets come late rather than never: a stream sends them again.
    pub streams: bool,
    /// Whether the first exchange introduces both sides, as identify does. Otherwise a server that asks becomes known by
    /// asking.
    pub introduces: bool,
    /// After this long a node gives up to connect to one that is gone.
    pub dial_timeout: Duration,
    /// Bytes of a message without contacts and items, packet headers included.
    pub header_bytes: usize,
    /// Bytes of one contact in an answer.
    pub contact_bytes: usize,
    /// Round trips before the first request to a peer that is not connected.
    pub handshake: u32,
    /// Connections that a node keeps, 0 or a power of two; the older of two that collide is trimmed. Only counts where peers
    /// are introduced.
    pub connections: usize,
    /// How often what the node publishes is announced again.
    pub republish: Duration,
    /// After this long without an answer a stream is given up and reset; datagrams have no such thing.
    pub patience: Duration,
}

impl Manners {
    /// QUIC or TCP with identify: two round trips before the first request, resent packets.
    pub fn streams() -> Self {
        Self {
            streams: true,
            introduces: true,
            dial_timeout: Duration::from_secs(10),
            header_bytes: 120,
            contact_bytes: 80,
            handshake: 2,
            connections: 256,
            republish: Duration::from_secs(22 * 3600),
            patience: Duration::from_secs(30),
        }
    }

    /// UDP: one packet for each message, no connections.
    pub fn datagrams() -> Self {
        Self {
            streams: false,
            introduces: false,
            contact_bytes: 26,
            handshake: 0,
            connections: 0,
            ..Self::streams()
        }
    }
}

/// What a scenario changes of the engine's shipped options; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Engine {
    /// Closest peers of a lookup, peers of a bucket and of an answer.
    pub k: Option<usize>,
    /// Requests of a lookup in flight, at most 1,000.
    pub alpha: Option<usize>,
    /// Peers that must have answered before a lookup trusts its neighbourhood, at most k.
    pub beta: Option<usize>,
    /// Paths that share no peer.
    pub disjoint_paths: Option<usize>,
    /// Whether overdue requests free their place.
    pub hedge: Option<bool>,
    /// Tries after the first.
    pub retries: Option<u32>,
    /// After this long a request has failed, in seconds, at least 0.001.
    pub request_timeout: Option<f64>,
    /// How often a table refreshes itself, in seconds, at least 1; 0 switches that off.
    pub refresh_interval: Option<f64>,
    /// Candidates in waiting per bucket.
    pub replacements: Option<usize>,
    /// Failures in a row after which a peer leaves the table.
    pub max_failures: Option<u32>,
    /// Peers in a table, at least k.
    pub max_table: Option<usize>,
    /// Addresses that a node remembers of peers outside its table.
    pub known_peers: Option<usize>,
    /// How often published items are announced again, in seconds, at least 1.
    pub republish_interval: Option<f64>,
    /// How often stores forget what has expired, in seconds, at least 1. Default 600.
    pub sweep_interval: Option<f64>,
}

impl Engine {
    /// The node's options under this.
    pub fn node(&self, mut config: dht_protocol::Config) -> dht_protocol::Config {
        set(&mut config.closer_per_answer, self.k);
        set(&mut config.max_known_peers, self.known_peers);
        config
    }

    /// The table's.
    pub fn routing(&self, mut config: dht_routing::Config) -> dht_routing::Config {
        set(&mut config.k, self.k);
        set(&mut config.replacements, self.replacements);
        set(&mut config.max_failures, self.max_failures);
        set(&mut config.max_size, self.max_table);
        config.max_size = config.max_size.max(config.k);
        if let Some(seconds) = self.refresh_interval {
            config.auto_refresh = seconds > 0.0;
            if config.auto_refresh {
                config.refresh_interval = seconds_of(seconds);
            }
        }
        config
    }

    /// The lookups'.
    pub fn queries(&self, mut config: dht_query::Config) -> dht_query::Config {
        set(&mut config.k, self.k);
        set(&mut config.alpha, self.alpha);
        set(&mut config.beta, self.beta);
        set(&mut config.disjoint_paths, self.disjoint_paths);
        set(&mut config.hedge, self.hedge);
        set(&mut config.retries, self.retries);
        set(&mut config.request_timeout, self.request_timeout.map(seconds_of));
        config.beta = config.beta.min(config.k);
        config.approach = config.approach.min(config.alpha);
        config.min_timeout = config.min_timeout.min(config.request_timeout);
        config
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// Seconds as data has them; what is no duration counts as none.
pub(crate) fn seconds_of(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(if seconds > 0.0 { Duration::MAX } else { Duration::ZERO })
}

/// Nodes that networks with addresses have room for: those of one /8.
const NODES: u32 = 1 << 24;
/// Odd, so that multiplying by it can be undone.
const SPREAD: u32 = 0x9e_3779;
/// Its inverse modulo 2^24.
const GATHER: u32 = 0xb3_82c9;

/// Spreads neighbouring numbers over the networks of a /8.
fn spread(node: u32) -> u32 {
    node.wrapping_mul(SPREAD) % NODES
}

/// Which number was spread to this one.
fn gathered(host: u32) -> u32 {
    host.wrapping_mul(GATHER) % NODES
}
