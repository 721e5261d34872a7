//! Options and parts of a node of the Mainline network.

use std::{io, net::SocketAddr, sync::Arc};

use dht_core::{Contact, ErrorKind, InvalidConfig};
use dht_mainline::{Mainline, NodeId, SavedState};
use dht_metrics::Metrics;
use dht_net::Clock;
use dht_records::Store;
use thiserror::Error;

use super::Options;
use crate::Dht;

/// Why a node was not built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// An option has a value it must not have.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// A socket could not be opened.
    #[error("cannot listen on {addr}: {why}")]
    Listen {
        /// Where.
        addr: SocketAddr,
        /// Why not.
        why: io::Error,
    },
}

impl BuildError {
    /// The shared kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(_) => ErrorKind::Configuration,
            Self::Listen { .. } => ErrorKind::Network,
        }
    }
}

/// Options and parts of a node of the Mainline network. Every part has a default.
#[must_use = "a builder does nothing before `build`"]
#[derive(Default)]
pub struct Builder {
    pub(super) options: Options,
    pub(super) id: Option<NodeId>,
    pub(super) state: Option<SavedState>,
    pub(super) contacts: Vec<Contact<Mainline>>,
    pub(super) store: Option<Arc<dyn Store<Mainline>>>,
    pub(super) metrics: Option<Arc<Metrics<Mainline>>>,
    pub(super) clock: Option<Arc<dyn Clock>>,
    pub(super) seed: Option<u64>,
}

impl Dht<Mainline> {
    /// A node with the options of the public network, to be changed.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    /// All options at once; setters called later change single ones.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Changes any option.
    pub fn configure(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// Listens on exactly these addresses, with a node for each.
    pub fn listen(self, addrs: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.configure(|options| options.listen = addrs.into_iter().collect())
    }

    /// Joins through these hosts, `host:port`; none for the first node of a network.
    pub fn bootstrap<A: ToString>(self, hosts: impl IntoIterator<Item = A>) -> Self {
        self.configure(|options| options.bootstrap = hosts.into_iter().map(|host| host.to_string()).collect())
    }

    /// Joins through these nodes too.
    pub fn bootstrap_from(mut self, contacts: impl IntoIterator<Item = Contact<Mainline>>) -> Self {
        self.contacts = contacts.into_iter().collect();
        self
    }

    /// Answers nothing, and asks others to keep it out of their tables (BEP 43).
    pub fn read_only(self, read_only: bool) -> Self {
        self.configure(|options| options.read_only = read_only)
    }

    /// The id of the first node; otherwise that of the state, or one that suits the address (BEP 42).
    pub fn id(mut self, id: NodeId) -> Self {
        self.id = Some(id);
        self
    }

    /// Ids and tables of an earlier run.
    pub fn restore(mut self, state: SavedState) -> Self {
        self.state = Some(state);
        self
    }

    /// The store of the first node; a bounded one in memory otherwise. Further nodes have one in memory in any case: tokens
    /// and what is stored by them belong to a socket (BEP 45).
    pub fn store(mut self, store: Arc<dyn Store<Mainline>>) -> Self {
        self.store = Some(store);
        self
    }

    /// Counts here, for instance beside other nodes.
    pub fn metrics(mut self, metrics: Arc<Metrics<Mainline>>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Where time comes from; the system otherwise.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Seeds every generator, secrets of tokens included: for tests that repeat.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}
