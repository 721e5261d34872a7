//! The IPFS dialect of the stack: the kad protocol of libp2p, its records and its rules, as pure functions and values.
//!
//! [`Ipfs`] names the types of the network; [`Codec`] reads and writes its messages; [`Namespaces`] judges values, with
//! [`ipns`] and public keys built in; [`Network`] and [`ServerRules`] say which network a node joins and what it shows
//! there. [`ValueKey`], [`ContentKey`] and [`parse_peer_addr`] read what people write.
//!
//! The crate opens no connection, resolves no name, reads no clock and keeps nothing.
//!
//! ```
//! use std::time::Duration;
//! use dht_core::{Now, Wall};
//! use dht_ipfs::{ContentKey, Item, Keypair, Namespaces, Query, Record, ValueKey, ipns::Draft};
//! use dht_records::Validator;
//!
//! let now = Now { wall: Wall::from_secs(1_790_000_000), ..Now::default() };
//! let key = Keypair::generate_ed25519();
//! let (name, record) = Draft::new("/ipfs/bafkqaaa", 1).lifetime(Duration::from_secs(3600)).sign(&key, now.wall)?;
//!
//! let query: Query = ValueKey::ipns(&name).into();
//! let item = Item::Value(Record::new(query.key().clone(), record.as_bytes().clone()));
//! assert!(Namespaces::amino().check(&query, &item, now).is_ok());
//! assert!(Namespaces::amino().check(&query, &item, now.after(Duration::from_secs(3600))).is_err());
//!
//! let content: ContentKey = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n".parse()?;
//! assert_eq!(content, "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku".parse()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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

pub use addr_list::{AddrList, Addresses, InvalidAddrList};
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
