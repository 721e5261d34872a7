//! What is true and what is kept: validators, record stores with caps and expiry, republishing.
//!
//! A [`Validator`] says whether an item belongs under its query and which of several is best; a [`Store`] keeps items
//! side by side in slots, the best one per slot, for as long as their lease lasts; a [`Republisher`] says which of our
//! own items are due to be announced again. The crate does no I/O, reads no clock and knows no dialect: stores that
//! need a file or a database live elsewhere and implement [`Store`].
//!
//! ```
//! use dht_core::{Now, testing::{Tiny, TinyItem, TinyQuery}};
//! use dht_records::{Lease, MemoryConfig, MemoryStore, Saved, Store, Validator};
//! # use dht_records::Invalid;
//! # struct Highest;
//! # impl Validator<Tiny> for Highest {
//! #     fn check(&self, _: &TinyQuery, _: &TinyItem, _: Now) -> Result<(), Invalid> { Ok(()) }
//! #     fn best(&self, _: &TinyQuery, items: &[TinyItem]) -> Option<usize> {
//! #         (0..items.len()).max_by_key(|i| items[*i].version)
//! #     }
//! # }
//! # futures::executor::block_on(async {
//! let store = MemoryStore::<Tiny>::new(&0, MemoryConfig::default(), 1)?;
//! let (now, query) = (Now::default(), TinyQuery::Value(7));
//! let lease = Lease { from: 9, received: now.wall, lifetime: std::time::Duration::from_secs(60), own: false };
//! // `Highest` is a validator for which the higher version is better.
//! assert_eq!(store.save(&query, TinyItem::value(2), lease.clone(), &Highest, now).await?, Saved::New);
//! assert_eq!(store.save(&query, TinyItem::value(1), lease, &Highest, now).await?, Saved::Worse(dht_records::Conflict::Older));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! `examples/store.rs` adds expiry and announcing again.

mod clock;
mod memory;
mod republish;
mod shared;
mod store;
mod validator;

pub use memory::{MemoryConfig, MemoryStore};
pub use republish::{Republish, RepublishConfig, Republisher, TooMany};
pub use store::{Bound, Lease, Saved, Statistics, Store, StoreError, Stored};
pub use validator::{Conflict, Invalid, Validator};
