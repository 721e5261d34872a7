//! Every option with its default, in the sections of the text form.
//!
//! The defaults of options that another crate owns are taken from that crate's `Config`, so that there is one place
//! for each number. Durations are written `500ms`, `10s`, `48h`; sizes are bytes.

mod host;
mod records;

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

pub use host::Host;
pub use records::{Records, Republish};

/// Every option. `Settings::default()` is a node of the public IPFS network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which network, and as what.
    pub network: Network,
    /// How to join it.
    pub bootstrap: Bootstrap,
    /// The routing table.
    pub routing: Routing,
    /// Lookups and requests.
    pub query: Query,
    /// What is stored, and for how long.
    pub records: Records,
    /// Announcing own records again.
    pub republish: Republish,
    /// Which addresses are used and shown.
    pub filter: Filter,
    /// Connections and streams.
    pub host: Host,
}

/// Whether the node serves others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Server while it can be reached from outside, client otherwise; starts as a client.
    #[default]
    Auto,
    /// Never serves.
    Client,
    /// Always serves.
    Server,
    /// Like `auto`, but starts as a server and stays one until it is known not to be reachable, which is never known of
    /// one that announces addresses.
    AutoServer,
}

impl Mode {
    /// Whether the node serves before anything is known about how it can be reached.
    pub fn serves_at_start(self) -> bool {
        matches!(self, Self::Server | Self::AutoServer)
    }
}

/// Which network, and as what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// `amino`, or the protocol prefix of a private network such as `/my-net`. Default `amino`.
    pub name: String,
    /// Comes between prefix and version, such as `/lan`. Default empty.
    pub extension: String,
    /// Complete protocol names instead of those made from name and extension, the preferred first. Default none.
    pub protocols: Vec<String>,
    /// Whether the node serves others. Default `auto`.
    pub mode: Mode,
    /// Addresses to listen on. Default `/ip4/0.0.0.0/tcp/0`.
    pub listen: Vec<String>,
    /// Addresses to tell others instead of those found out. Default none.
    pub announce: Vec<String>,
    /// File with the node's key. Default none: a new identity at every start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<PathBuf>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            name: Self::AMINO.to_owned(),
            extension: String::new(),
            protocols: Vec::new(),
            mode: Mode::Auto,
            listen: vec!["/ip4/0.0.0.0/tcp/0".to_owned()],
            announce: Vec::new(),
            identity: None,
        }
    }
}

impl Network {
    /// The name of the public network.
    pub const AMINO: &str = "amino";
}

/// How to join the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bootstrap {
    /// Addresses of peers to join through; `default` stands for those that the network publishes, which a private network
    /// has none of. Default `["default"]`.
    pub peers: Vec<String>,
    /// How long joining may take in all: the network timeout. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How long one bootstrap peer may take. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub seed_timeout: Duration,
    /// Bootstrap peers asked at a time. Default 8.
    pub parallel: usize,
    /// How long a peer of the table may take to show that it is alive. Default 3 s.
    #[serde(with = "humantime_serde")]
    pub verify_timeout: Duration,
    /// How long that verification may take in all. Default 15 s.
    #[serde(with = "humantime_serde")]
    pub verify_limit: Duration,
    /// Lookups of the discovery at most. Default 3.
    pub rounds: usize,
    /// How long the discovery may take. Default 15 s.
    #[serde(with = "humantime_serde")]
    pub discover_limit: Duration,
    /// After an answer, how long stragglers are waited for before the next phase. Default 1 s.
    #[serde(with = "humantime_serde")]
    pub settle: Duration,
}

impl Bootstrap {
    /// Stands among `peers` for those that the network publishes.
    pub const DEFAULT_PEERS: &str = "default";
}

impl Default for Bootstrap {
    fn default() -> Self {
        let options = dht_routing::BootstrapOptions::default();
        Self {
            peers: vec![Self::DEFAULT_PEERS.to_owned()],
            timeout: options.limit,
            seed_timeout: options.seed_timeout,
            parallel: options.parallel,
            verify_timeout: options.verify_timeout,
            verify_limit: options.verify_limit,
            rounds: options.rounds,
            discover_limit: options.discover_limit,
            settle: options.settle,
        }
    }
}

/// The routing table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Routing {
    /// k: peers per bucket, in a lookup's result, in an answer, and holders of a record. Default 20; Amino takes no
    /// other.
    pub bucket_size: usize,
    /// Peers in the whole table. Default 1000.
    pub max_size: usize,
    /// Candidates that a full bucket remembers. Default 20.
    pub replacements: usize,
    /// A peer that takes longer to answer is not kept. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub latency_tolerance: Duration,
    /// Lookup checks in flight, at most 16,384. Default 256.
    pub max_checks: usize,
    /// How long a checked peer may take. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub check_timeout: Duration,
    /// Whether the table refreshes and repairs itself. Default true.
    pub auto_refresh: bool,
    /// How often. Default 10 min.
    #[serde(with = "humantime_serde")]
    pub refresh_interval: Duration,
    /// The longest common prefix that is refreshed. Default 15.
    pub max_refresh_prefix: u32,
    /// How long one lookup of a refresh may take: the refresh query timeout. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub lookup_timeout: Duration,
    /// Peers silent for so long are checked at a refresh. Default: two intervals.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<Duration>,
    /// With fewer peers the table is repaired before its interval. Default 10.
    pub low_water: usize,
    /// First delay of that repair; it doubles with every attempt. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub repair_delay: Duration,
    /// Bootstrap peers and lost peers remembered for an empty table. Default 64.
    pub max_remembered: usize,
    /// Peers outside the table whose addresses are remembered, at least 1. Default 1024.
    pub max_known_peers: usize,
}

impl Default for Routing {
    fn default() -> Self {
        let config = dht_routing::Config::default();
        Self {
            bucket_size: config.k,
            max_size: config.max_size,
            replacements: config.replacements,
            latency_tolerance: config.latency_tolerance,
            max_checks: config.max_checks,
            check_timeout: config.check_timeout,
            auto_refresh: config.auto_refresh,
            refresh_interval: config.refresh_interval,
            max_refresh_prefix: config.max_refresh_prefix,
            lookup_timeout: config.lookup_timeout,
            stale_after: config.stale_after,
            low_water: config.low_water,
            repair_delay: config.repair_delay,
            max_remembered: config.max_remembered,
            max_known_peers: dht_protocol::Config::default().max_known_peers,
        }
    }
}

/// Lookups and requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// α: requests of one lookup in flight. Default 10.
    pub alpha: usize,
    /// Requests in flight while answers still lead closer; above α it counts as α. Default 2.
    pub approach: usize,
    /// β, the resiliency: how many of the nearest peers must have answered for all α requests to be in flight, how many peers
    /// for a lookup to end without asking the mute ones again, and how many a bootstrap wants at least. Default 3.
    pub beta: usize,
    /// After this a request has failed. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// Below this no request is overdue, however quick the network was so far. Default 100 ms.
    #[serde(with = "humantime_serde")]
    pub min_timeout: Duration,
    /// Whether overdue requests free their place so that another peer is asked. Default true.
    pub hedge: bool,
    /// After this a query ends with what it has. Default 60 s.
    #[serde(with = "humantime_serde")]
    pub query_timeout: Duration,
    /// How often a request is tried again. Default 3.
    pub retries: u32,
    /// Before the first retry. Default 500 ms.
    #[serde(with = "humantime_serde")]
    pub backoff_initial: Duration,
    /// Longest wait before a retry. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub backoff_max: Duration,
    /// Every retry waits this many times longer than the one before. Default 2.0.
    pub backoff_factor: f64,
    /// Random share by which a wait is made longer or shorter. Default 0.2.
    pub backoff_jitter: f64,
    /// Queries that may run at once. Default 1024.
    pub max_queries: usize,
    /// Lone requests (checks, pings) that may run at once. Default 1024.
    pub max_lone: usize,
    /// Entries of one answer that are looked at. Default 40.
    pub max_closer: usize,
    /// Peers that one query remembers. Default 400.
    pub max_candidates: usize,
    /// Items that one fetch keeps. Default 1024.
    pub max_items: usize,
    /// Bytes of items that one fetch keeps. Default 4 MiB.
    pub max_bytes: usize,
    /// Paths that share no peer; 1 is the plain lookup. Default 1.
    pub disjoint_paths: usize,
}

impl Default for Query {
    fn default() -> Self {
        let config = dht_query::Config::default();
        Self {
            alpha: config.alpha,
            approach: config.approach,
            beta: config.beta,
            request_timeout: config.request_timeout,
            min_timeout: config.min_timeout,
            hedge: config.hedge,
            query_timeout: config.query_timeout,
            retries: config.retries,
            backoff_initial: config.backoff_initial,
            backoff_max: config.backoff_max,
            backoff_factor: config.backoff_factor,
            backoff_jitter: config.backoff_jitter,
            max_queries: config.max_queries,
            max_lone: config.max_lone,
            max_closer: config.max_closer,
            max_candidates: config.max_candidates,
            max_items: config.max_items,
            max_bytes: config.max_bytes,
            disjoint_paths: config.disjoint_paths,
        }
    }
}

/// Which addresses are dialled, kept and shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Addresses {
    /// `public` on Amino, `any` in a private network.
    #[default]
    Auto,
    /// Globally routable ones only.
    Public,
    /// All of them.
    Any,
}

/// A switch whose default depends on the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// On where addresses are filtered at all.
    #[default]
    Auto,
    /// On.
    On,
    /// Off.
    Off,
}

/// Which addresses are used and shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Which addresses are dialled, kept and shown. Default `auto`.
    pub addresses: Addresses,
    /// Whether localhost is left out of answers to others. Default `auto`.
    pub localhost: Switch,
}
