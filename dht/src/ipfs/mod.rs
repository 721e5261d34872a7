//! The IPFS DHT: [`Dht<Ipfs>`](crate::Dht), its builder and its calls.

mod assemble;
mod builder;
mod health;
#[cfg(feature = "libp2p")]
mod host;
mod peers;
mod providers;
mod store;
mod values;

pub use builder::{BuildError, Builder};
pub use dht_ipfs::*;
#[cfg(feature = "libp2p")]
pub use host::host_config;
pub use providers::{Announced, Providers};
pub use store::{LocalValue, Values};
pub use values::{Improving, Put};

use crate::Network as NetworkTrait;

/// What a node of this network keeps for its own calls.
#[derive(Debug)]
pub struct State {
    pub(crate) keypair: Keypair,
    pub(crate) listening: Vec<Multiaddr>,
    pub(crate) bare_keys: bool,
}

impl NetworkTrait for Ipfs {
    type State = State;
}
