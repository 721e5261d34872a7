//! Puts a node of the IPFS network together: host, stores, validators, options. What is wrong is named by its field.

use std::sync::Arc;

use dht_config::{InvalidOption, Settings, settings};
use dht_core::{Contact, ErrorKind, InvalidConfig};
use dht_ipfs::{AddrList, AddressFilter, InvalidNamespace, Ipfs, Keypair, NamespaceValidator, RequestHook};
use dht_metrics::Metrics;
use dht_net::{Clock, Mode, Transport};
use dht_records::Store;
use dht_routing::Admit;
use thiserror::Error;

use crate::Dht;

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

pub(super) type SeedSource = Arc<dyn Fn() -> Vec<Contact<Ipfs>> + Send + Sync>;
type QueryFilter = dht_query::Filter<Ipfs>;

/// Options and parts of a node of the IPFS network. Every part has a default.
#[must_use = "a builder does nothing before `build`"]
pub struct Builder {
    pub(super) settings: Settings,
    pub(super) keypair: Option<Keypair>,
    pub(super) namespaces: Vec<(String, Box<dyn NamespaceValidator>)>,
    pub(super) store: Option<Arc<dyn Store<Ipfs>>>,
    pub(super) metrics: Option<Arc<Metrics<Ipfs>>>,
    pub(super) clock: Option<Arc<dyn Clock>>,
    pub(super) admit: Option<Box<dyn Admit<Ipfs>>>,
    pub(super) query_filter: Option<QueryFilter>,
    pub(super) addresses: Option<AddressFilter>,
    pub(super) hook: Option<RequestHook>,
    pub(super) seeds: Option<SeedSource>,
    pub(super) seed: Option<u64>,
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
}
