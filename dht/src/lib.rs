//! A Kademlia stack for two real networks: the IPFS DHT and BitTorrent Mainline.
//!
//! This crate puts the layers together and adds no logic of its own. [`Dht`] is a running node; who needs one layer
//! only takes that crate alone, or finds it here under its short name.
//!
//! ```no_run
//! # #[cfg(feature = "libp2p")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use dht::{Dht, ipfs::Ipfs};
//!
//! let dht = Dht::<Ipfs>::builder().build().await?;
//! dht.bootstrap(Default::default()).await?;
//! let value = dht.get_value("/ipns/k51qzi5uqu5dlkw8pxuw9qmqayfdeh4kfebhmreauqdc6a7c3y7d5i9fi8mk9w").await?;
//! println!("{value:?}");
//! dht.close().await;
//! # Ok(()) }
//! ```

#![cfg_attr(
    not(any(feature = "ipfs", feature = "mainline")),
    allow(dead_code, reason = "a dialect builds a `Dht`; without one only its parts are used")
)]

mod datastore;
mod error;
mod health;
mod node;
mod table;
mod trace;

#[cfg(feature = "ipfs")]
pub mod ipfs;
#[cfg(feature = "mainline")]
pub mod mainline;

pub use dht_core as core;
pub use dht_metrics as metrics;
pub use dht_net as net;
pub use dht_protocol as protocol;
pub use dht_query as query;
pub use dht_records as records;
pub use dht_routing as routing;

#[cfg(feature = "ipfs")]
pub use dht_config as config;

pub use datastore::LocalStore;
pub use dht_core::{Contact, ErrorKind, Failure, InvalidConfig, Overlay, Request};
pub use dht_net::{Mode, NodeEvent, Role};
pub use dht_query::Receipt;
pub use error::{BootstrapError, PeerError, ProvideError, PutError, QueryError};
pub use health::Health;
pub use node::{CallOptions, Dht, Network};
pub use table::{Table, TableEntry};
pub use trace::Trace;

/// The example of the front page, run as a test.
#[cfg(all(doctest, feature = "libp2p"))]
#[doc = include_str!("../../README.md")]
struct Readme;
