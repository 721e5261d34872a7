//! The options of a Mainline node, each layer's in its own words.

use std::{net::SocketAddr, time::Duration};

use dht_core::InvalidConfig;
use dht_mainline::{BOOTSTRAP_HOSTS, PEER_REPUBLISH, Preset, SampleConfig, metadata};
use dht_net::{DriverConfig, resolve, tcp, udp};
use dht_records::MemoryConfig;
use dht_routing::BootstrapOptions;

/// The options of a Mainline node. The defaults are those of the public network.
#[derive(Clone, Debug)]
pub struct Options {
    /// One socket, and so one node, for each. Default `0.0.0.0:6881`.
    pub listen: Vec<SocketAddr>,
    /// `host:port` of nodes to join through. Default: those that everybody uses.
    pub bootstrap: Vec<String>,
    /// Loopback and private addresses are members too: closed networks and tests. Limits that count groups of addresses do
    /// not hold then, as there are few. Default: as soon as all of `listen` are such addresses.
    pub local: Option<bool>,
    /// Answers nothing and asks others to keep it out of their tables (BEP 43). Default false.
    pub read_only: bool,
    /// Nodes whose ids do not suit their addresses are neither asked nor kept (BEP 42). Default false: most of the network
    /// would be gone. They are worth less in any case.
    pub enforce_ids: bool,
    /// After this long with an empty table the node tries to join again. Default 5 s.
    pub rejoin: Duration,
    /// How the network is joined.
    pub join: BootstrapOptions,
    /// What names may cost.
    pub resolve: resolve::Limits,
    /// The sockets and their limits.
    pub udp: udp::Config,
    /// Connections for metadata.
    pub tcp: tcp::Config,
    /// What a metadata session accepts.
    pub metadata: metadata::Config,
    /// The node.
    pub node: dht_protocol::Config,
    /// The table.
    pub routing: dht_routing::Config,
    /// Lookups.
    pub queries: dht_query::Config,
    /// The store.
    pub records: MemoryConfig,
    /// Peers that one swarm may have here; a full one takes no more announcements. Default 512.
    pub peers_per_swarm: usize,
    /// Samples of what is stored, for those who ask (BEP 51).
    pub samples: SampleConfig,
    /// How often the store is swept and own items are announced.
    pub driver: DriverConfig,
}

impl Default for Options {
    fn default() -> Self {
        let Preset { routing, queries, node, store, .. } = Preset::default();
        Self {
            listen: vec![SocketAddr::from(([0, 0, 0, 0], 6881))],
            bootstrap: BOOTSTRAP_HOSTS.iter().map(|host| (*host).to_owned()).collect(),
            local: None,
            read_only: false,
            enforce_ids: false,
            rejoin: Duration::from_secs(5),
            join: BootstrapOptions { seed_timeout: Duration::from_secs(4), ..BootstrapOptions::default() },
            resolve: resolve::Limits::default(),
            udp: udp::Config::default(),
            tcp: tcp::Config::default(),
            metadata: metadata::Config::default(),
            node,
            routing,
            queries,
            peers_per_swarm: store.max_items_per_query,
            records: store,
            samples: SampleConfig::default(),
            driver: DriverConfig {
                republish_interval: PEER_REPUBLISH,
                mode: dht_net::Mode::Server,
                ..DriverConfig::default()
            },
        }
    }
}

impl Options {
    /// Whether the network is a closed one.
    pub fn is_local(&self) -> bool {
        let on_local = |addr: &SocketAddr| dht_mainline::address::is_local(addr.ip());
        self.local.unwrap_or_else(|| !self.listen.is_empty() && self.listen.iter().all(on_local))
    }

    /// Checks every field.
    ///
    /// # Errors
    /// Names the field that is wrong and what would be right.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require(
            (1..=16).contains(&self.listen.len()),
            "listen",
            self.listen.len(),
            "1 to 16 addresses",
        )?;
        InvalidConfig::require(self.rejoin >= Duration::from_secs(1), "rejoin", self.rejoin, "at least 1 s")?;
        InvalidConfig::require(
            (1..=100_000).contains(&self.peers_per_swarm),
            "peers_per_swarm",
            self.peers_per_swarm,
            "1 to 100,000",
        )?;
        self.resolve.validate()?;
        self.udp.validate()?;
        self.tcp.validate()?;
        self.metadata.validate()?;
        self.node.validate()?;
        self.routing.validate()?;
        self.queries.validate()?;
        self.records.validate()?;
        self.samples.validate()?;
        self.driver.validate()
    }
}
