//! The IPFS dialect: protobuf codec, pk and ipns validators, Amino and private-network rules

mod addr_list;
mod address;
mod codec;
mod frame;
mod item;
mod overlay;
mod peer_id;
mod time;
mod wire;

pub use addr_list::{AddrList, InvalidAddrList};
pub use address::AddressKind;
pub use codec::{Codec, MAX_FRAME, MAX_PROVIDER_KEY};
pub use item::{Item, ProviderRecord, Query, Record};
pub use overlay::Ipfs;
pub use peer_id::{InvalidPeerId, PeerId};

/// The multiaddr type of [`AddrList`].
pub use multiaddr::Multiaddr;
