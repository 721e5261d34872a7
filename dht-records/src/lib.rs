//! What is true and what is kept: validators, record stores with caps and expiry, republishing.
//!
//! A [`Validator`] says whether an item belongs under its query and which of several is best; a [`Store`] keeps items
//! side by side in slots, the best one per slot, for as long as their lease lasts; a [`Republisher`] says which of our
//! own items are due to be announced again. The crate does no I/O, reads no clock and knows no dialect: stores that
//! need a file or a database live elsewhere and implement [`Store`].

mod clock;
mod memory;
mod republish;
mod store;
mod validator;

pub use memory::{MemoryConfig, MemoryStore};
pub use republish::{Republish, RepublishConfig, Republisher, TooMany};
pub use store::{Bound, Lease, Saved, Statistics, Store, StoreError, Stored};
pub use validator::{Invalid, Validator};
