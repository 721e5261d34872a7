//! The BitTorrent Mainline DHT: [`Dht<Mainline>`](crate::Dht), its builder and its calls.
//!
//! A node has one socket and one id per family (BEP 32, BEP 45). A [`Dht`](crate::Dht) with several is the first of them;
//! its calls go to all, and what they find comes together.

mod assemble;
mod builder;
mod exchange;
pub mod harvest;
mod health;
mod items;
mod join;
mod options;
mod peers;
mod samples;
mod sockets;

pub use builder::{BuildError, Builder};
pub use dht_mainline::*;
pub use exchange::{MetadataError, PeerFault, ServeError};
pub use items::{MutableItems, Put};
pub use options::Options;
pub use peers::{Announcement, Peers, SwarmSize};
pub use samples::Sampled;

use std::sync::Arc;

use crate::Network as NetworkTrait;

/// The socket of a node.
pub(crate) struct Socket {
    pub(crate) addr: std::net::SocketAddr,
    /// Its limits, which can be set while it runs.
    pub(crate) rates: dht_net::udp::Rates,
}

/// What a node of this network keeps for its own calls.
pub struct State {
    /// The nodes on further sockets.
    pub(crate) siblings: Vec<crate::Dht<Mainline>>,
    /// Where datagrams come in; none on other transports.
    pub(crate) socket: Option<Socket>,
    pub(crate) exchange: Arc<exchange::Exchange>,
    /// What strangers ask for, for harvests that listen.
    pub(crate) overheard: tokio::sync::broadcast::Sender<(InfoHash, std::net::SocketAddr)>,
    pub(crate) options: Options,
}

impl NetworkTrait for Mainline {
    type State = State;
}
