//! The IPFS dialect: protobuf codec, pk and ipns validators, Amino and private-network rules

mod addr_list;
mod address;
mod item;
mod overlay;
mod peer_id;

pub use addr_list::{AddrList, InvalidAddrList};
pub use address::AddressKind;
pub use item::{Item, ProviderRecord, Query, Record};
pub use overlay::Ipfs;
pub use peer_id::{InvalidPeerId, PeerId};

/// The multiaddr type of [`AddrList`].
pub use multiaddr::Multiaddr;
