//! Puts a node of the IPFS network together: host, stores, validators, options. What is wrong is named by its field.

use std::sync::Arc;

use dht_config::{InvalidOption, Settings, settings};
use dht_core::{Contact, ErrorKind, InvalidConfig, Sink};
use dht_ipfs::{
    AddrList, AddressFilter, AddressPolicy, AnyValue, InvalidNamespace, Ipfs, Multiaddr, NamespaceValidator,
    Namespaces, PeerId, RequestHook, Scope, ServerRules, bootstrap_peers,
};
use dht_metrics::Metrics;
use dht_net::{Clock, DriverConfig, Mode, SystemClock, Transport};
use dht_protocol::{Node, Parts};
use dht_records::{MemoryStore, Store};
use dht_routing::Admit;
use libp2p_identity::Keypair;
use thiserror::Error;

use crate::{CallOptions, Dht, ipfs::State, node::Shared};

/// Why a node was not built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// An option has a value it must not have.
    #[error(transparent)]
    Option(#[from] InvalidOption),
    /// The same, of a layer that has its own options.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// An address is not a multiaddr, or lacks the peer it leads to.
    #[error("`{option}`: `{value}` is not {wanted}")]
    Address {
        /// The option.
        option: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        wanted: &'static str,
    },
    /// A namespace's name is not one.
    #[error(transparent)]
    Namespace(#[from] InvalidNamespace),
    /// The Amino network takes exactly its own validators.
    #[error(
        "the Amino network takes exactly the validators `pk` and `ipns`; use a private network for others"
    )]
    Validators,
    /// The host did not start.
    #[cfg(feature = "libp2p")]
    #[error(transparent)]
    Host(#[from] dht_net::libp2p::StartError),
}

impl BuildError {
    /// The shared kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            #[cfg(feature = "libp2p")]
            Self::Host(error) => error.kind(),
            _ => ErrorKind::Configuration,
        }
    }
}

type SeedSource = Arc<dyn Fn() -> Vec<Contact<Ipfs>> + Send + Sync>;
type QueryFilter = dht_query::Filter<Ipfs>;

/// Options and parts of a node of the IPFS network. Every part has a default.
#[must_use = "a builder does nothing before `build`"]
pub struct Builder {
    settings: Settings,
    keypair: Option<Keypair>,
    namespaces: Vec<(String, Box<dyn NamespaceValidator>)>,
    store: Option<Arc<dyn Store<Ipfs>>>,
    metrics: Option<Arc<Metrics<Ipfs>>>,
    clock: Option<Arc<dyn Clock>>,
    admit: Option<Box<dyn Admit<Ipfs>>>,
    query_filter: Option<QueryFilter>,
    addresses: Option<AddressFilter>,
    hook: Option<RequestHook>,
    seeds: Option<SeedSource>,
    seed: Option<u64>,
}

impl Dht<Ipfs> {
    /// A node with the options of the public network, to be changed.
    pub fn builder() -> Builder {
        Builder {
            settings: Settings::default(),
            keypair: None,
            namespaces: Vec::new(),
            store: None,
            metrics: None,
            clock: None,
            admit: None,
            query_filter: None,
            addresses: None,
            hook: None,
            seeds: None,
            seed: None,
        }
    }
}

/// What every way of building a node has in common, checked.
struct Plan {
    settings: Settings,
    keypair: Keypair,
    local: Contact<Ipfs>,
    namespaces: Namespaces,
    rules: ServerRules,
    seeds: SeedSource,
    rest: Builder,
}

impl Builder {
    /// All options at once; setters called later change single ones.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Changes any option.
    pub fn configure(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// The node's identity; a new Ed25519 key otherwise.
    pub fn identity(mut self, keypair: Keypair) -> Self {
        self.keypair = Some(keypair);
        self
    }

    /// `amino`, or the protocol prefix of a private network such as `/my-net`.
    pub fn network(self, name: impl Into<String>) -> Self {
        self.configure(|settings| settings.network.name = name.into())
    }

    /// Client, server, or decided by reachability.
    pub fn mode(self, mode: Mode) -> Self {
        self.configure(|settings| {
            settings.network.mode = match mode {
                Mode::Auto => settings::Mode::Auto,
                Mode::Client => settings::Mode::Client,
                Mode::Server => settings::Mode::Server,
                Mode::AutoServer => settings::Mode::AutoServer,
            }
        })
    }

    /// Listens on exactly these addresses.
    pub fn listen<A: ToString>(self, addresses: impl IntoIterator<Item = A>) -> Self {
        self.configure(|settings| {
            settings.network.listen = addresses.into_iter().map(|addr| addr.to_string()).collect();
        })
    }

    /// Joins through exactly these peers, `/…/p2p/<id>` each.
    pub fn bootstrap<A: ToString>(self, addresses: impl IntoIterator<Item = A>) -> Self {
        self.configure(|settings| {
            settings.bootstrap.peers = addresses.into_iter().map(|addr| addr.to_string()).collect();
        })
    }

    /// Joins through whatever this function returns when it is called, at every bootstrap.
    pub fn bootstrap_from(mut self, peers: impl Fn() -> Vec<Contact<Ipfs>> + Send + Sync + 'static) -> Self {
        self.seeds = Some(Arc::new(peers));
        self
    }

    /// k: bucket size, lookup width and replication. Amino takes no other than 20.
    pub fn bucket_size(self, k: usize) -> Self {
        self.configure(|settings| settings.routing.bucket_size = k)
    }

    /// α: requests of one lookup in flight.
    pub fn concurrency(self, alpha: usize) -> Self {
        self.configure(|settings| settings.query.alpha = alpha)
    }

    /// β: closest peers that must have answered.
    pub fn resiliency(self, beta: usize) -> Self {
        self.configure(|settings| settings.query.beta = beta)
    }

    /// Adds the rules of a namespace; its values are stored and believed by them. A private network only.
    pub fn validator(
        mut self,
        namespace: impl Into<String>,
        validator: impl NamespaceValidator + 'static,
    ) -> Self {
        self.namespaces.push((namespace.into(), Box::new(validator)));
        self
    }

    /// Keeps records here; in memory otherwise, bounded by the settings.
    pub fn store(mut self, store: Arc<dyn Store<Ipfs>>) -> Self {
        self.store = Some(store);
        self
    }

    /// Counts into these metrics; into new ones otherwise.
    pub fn metrics(mut self, metrics: Arc<Metrics<Ipfs>>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Reads the time from here; from the system otherwise.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Who may enter the routing table; on a public network otherwise peers with a public address, elsewhere everybody.
    pub fn table_filter(mut self, admit: impl Admit<Ipfs> + 'static) -> Self {
        self.admit = Some(Box::new(admit));
        self
    }

    /// Which of the peers that an answer names are asked in lookups; all otherwise.
    pub fn query_filter(mut self, filter: impl Fn(&Contact<Ipfs>) -> bool + Send + Sync + 'static) -> Self {
        self.query_filter = Some(Arc::new(filter));
        self
    }

    /// Which addresses of a peer others are told, after the network's own filter.
    pub fn address_filter(mut self, filter: impl Fn(&AddrList) -> AddrList + Send + Sync + 'static) -> Self {
        self.addresses = Some(Arc::new(filter));
        self
    }

    /// Looks at every inbound request before it is served; `false` refuses it.
    pub fn on_request(
        mut self,
        hook: impl Fn(&Contact<Ipfs>, &dht_core::Request<Ipfs>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Seeds the node's generators, for runs that repeat; random otherwise.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts the node on a libp2p host: TCP, and QUIC with the feature.
    ///
    /// # Errors
    /// Names the option that is wrong, or the address that cannot be listened on.
    #[cfg(feature = "libp2p")]
    pub async fn build(self) -> Result<Dht<Ipfs>, BuildError> {
        let plan = self.plan()?;
        let config = super::host_config(&plan.settings)?;
        let host = dht_net::libp2p::Libp2p::<Ipfs, dht_ipfs::Codec>::new(
            plan.keypair.clone(),
            dht_ipfs::Codec,
            config,
        )
        .await?;
        let listening = host.listen_addrs();
        plan.run(host, listening)
    }

    /// Starts the node on any transport, such as `dht_net::memory`.
    ///
    /// # Errors
    /// Names the option that is wrong.
    pub fn build_on<T: Transport<Ipfs>>(
        self,
        transport: impl FnOnce(Contact<Ipfs>) -> T,
    ) -> Result<Dht<Ipfs>, BuildError> {
        let plan = self.plan()?;
        let transport = transport(plan.local.clone());
        plan.run(transport, Vec::new())
    }

    fn plan(mut self) -> Result<Plan, BuildError> {
        self.settings.validate()?;
        let settings = self.settings.clone();
        let keypair = self.keypair.take().unwrap_or_else(Keypair::generate_ed25519);
        let mut namespaces = Namespaces::amino();
        for name in &settings.records.namespaces {
            namespaces = namespaces.with(name, AnyValue::default())?;
        }
        for (name, validator) in std::mem::take(&mut self.namespaces) {
            namespaces = namespaces.with_boxed(&name, validator)?;
        }
        let network = network(&settings)?;
        let records = &settings.records;
        network.check(settings.routing.bucket_size, records.values, records.providers, &namespaces)?;
        let rules = ServerRules {
            public_only: settings.public_addresses_only(),
            hide_localhost: settings.hides_localhost(),
            values: settings.records.values,
            providers: settings.records.providers,
            value_age: settings.records.value_age,
            provider_age: settings.records.provider_age,
            address_age: settings.records.address_age,
            hook: self.hook.take(),
            addresses: self.addresses.take(),
        };
        let seeds = match self.seeds.take() {
            Some(seeds) => seeds,
            None => fixed(configured_seeds(&settings)?),
        };
        let local = Contact::unlocated(PeerId::from_public_key(&keypair.public()));
        Ok(Plan { settings, keypair, local, namespaces, rules, seeds, rest: self })
    }
}

impl Plan {
    fn run<T: Transport<Ipfs>>(
        self,
        transport: T,
        listening: Vec<Multiaddr>,
    ) -> Result<Dht<Ipfs>, BuildError> {
        let Self { settings, keypair, local, namespaces, rules, seeds, rest } = self;
        let seed = rest.seed.unwrap_or_else(random_seed);
        let admit = rest.admit.unwrap_or_else(|| default_admit(&settings));
        let parts = Parts {
            config: settings.node_config(),
            routing: settings.routing_config(),
            queries: settings.query_config(),
            admit,
            filter: rest.query_filter,
            validator: Arc::new(namespaces),
            rules: Arc::new(rules),
            seed,
        };
        let node = Node::new(local.clone(), parts)?;
        let metrics = match rest.metrics {
            Some(metrics) => metrics,
            None => Arc::new(Metrics::new(dht_metrics::Config::default())?),
        };
        let store = match rest.store {
            Some(store) => store,
            None => Arc::new(MemoryStore::new(&local.peer, settings.memory_config(), seed)?),
        };
        let sink: Arc<dyn Sink<Ipfs>> = metrics.clone();
        let clock = rest.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let driver = driver_config(&settings);
        let handle = dht_net::spawn(node, transport, store, sink, clock, driver, seed)?;
        let shared = Shared {
            metrics,
            seeds,
            fallback: fallback(&settings),
            bootstrap: settings.bootstrap_options(),
            query_timeout: settings.query.query_timeout,
            request_timeout: settings.query.request_timeout,
            resiliency: settings.query.beta,
            state: State { keypair, listening, bare_keys: !settings.is_amino() },
        };
        Ok(Dht { handle, call: CallOptions::default(), shared: Arc::new(shared) })
    }
}

/// The network that the settings name.
fn network(settings: &Settings) -> Result<dht_ipfs::Network, InvalidConfig> {
    let named = &settings.network;
    let network = match named.name.as_str() {
        settings::Network::AMINO => dht_ipfs::Network::amino(),
        prefix => dht_ipfs::Network::private(prefix)?,
    };
    let network = network.extension(&named.extension)?;
    match named.protocols.first() {
        Some(protocol) => network.protocol_override(protocol),
        None => Ok(network),
    }
}

fn driver_config(settings: &Settings) -> DriverConfig {
    DriverConfig {
        mode: match settings.network.mode {
            settings::Mode::Auto => Mode::Auto,
            settings::Mode::Client => Mode::Client,
            settings::Mode::Server => Mode::Server,
            settings::Mode::AutoServer => Mode::AutoServer,
        },
        republish_interval: settings.republish.interval,
        republish: settings.republish_config(),
        announce_timeout: settings.republish.timeout,
        sweep_interval: settings.records.sweep_interval,
        max_store_jobs: settings.records.max_store_jobs,
    }
}

/// A public network's table holds only peers that can be reached from everywhere (Amino spec, A9).
fn default_admit(settings: &Settings) -> Box<dyn Admit<Ipfs>> {
    let scope = if settings.public_addresses_only() { Scope::Public } else { Scope::Any };
    Box::new(AddressPolicy::of(scope))
}

fn random_seed() -> u64 {
    use rand::Rng;
    rand::rng().next_u64()
}

fn fixed(contacts: Vec<Contact<Ipfs>>) -> SeedSource {
    Arc::new(move || contacts.clone())
}

/// The peers that the public network publishes; a private one has none.
fn fallback(settings: &Settings) -> Vec<Contact<Ipfs>> {
    let default = settings.bootstrap.peers.iter().any(|peer| peer == settings::Bootstrap::DEFAULT_PEERS);
    if settings.is_amino() && default { bootstrap_peers() } else { Vec::new() }
}

fn configured_seeds(settings: &Settings) -> Result<Vec<Contact<Ipfs>>, BuildError> {
    let mut contacts: Vec<Contact<Ipfs>> = Vec::new();
    for text in &settings.bootstrap.peers {
        if text == settings::Bootstrap::DEFAULT_PEERS {
            if settings.is_amino() {
                contacts.extend(bootstrap_peers());
            }
            continue;
        }
        let contact = dht_ipfs::parse_peer_addr(text).map_err(|_| BuildError::Address {
            option: "bootstrap.peers",
            value: text.clone(),
            wanted: "an address such as `/ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…`",
        })?;
        match contacts.iter_mut().find(|known| known.peer == contact.peer) {
            Some(known) => known.addr = known.addr.merge(&contact.addr),
            None => contacts.push(contact),
        }
    }
    Ok(contacts)
}
