//! The IPFS dialect: protobuf codec, pk and ipns validators, Amino and private-network rules

mod addr_list;
mod address;
mod codec;
mod content;
mod frame;
pub mod ipns;
mod item;
mod key;
mod namespaces;
mod network;
mod overlay;
mod peer_addr;
mod peer_id;
mod pk;
mod policy;
mod server;
mod time;
mod wire;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod testing;

pub use addr_list::{AddrList, InvalidAddrList};
pub use address::AddressKind;
pub use codec::{Codec, MAX_FRAME, MAX_PROVIDER_KEY};
pub use content::{ContentKey, InvalidContentKey};
pub use item::{Item, ProviderRecord, Query, Record};
pub use key::{InvalidValueKey, ValueKey};
pub use namespaces::{AnyValue, InvalidNamespace, NamespaceValidator, Namespaces};
pub use network::{Network, bootstrap_peers};
pub use overlay::Ipfs;
pub use peer_addr::{InvalidPeerAddr, parse_peer_addr};
pub use peer_id::{InvalidPeerId, PeerId};
pub use pk::PkValidator;
pub use policy::{AddressPolicy, Scope};
pub use server::{AddressFilter, RequestHook, ServerRules};

/// The key types that peer ids and IPNS names are made from, and their signatures.
pub use libp2p_identity::{KeyType, Keypair, PublicKey};
/// The multiaddr type of [`AddrList`].
pub use multiaddr::Multiaddr;
