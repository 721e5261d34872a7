//! Words that every layer of the stack shares: keys and distance, contacts, messages, time and observations.
//!
//! This crate knows no clock, no randomness of its own, no socket and no dialect. Whatever differs between two
//! Kademlia networks is an associated type or function of [`Overlay`]; whatever they share is written once, against it.
//!
//! ```
//! use dht_core::{KadKey, Key};
//!
//! let (here, near, far) = (Key([0b1010_0000]), Key([0b1011_0000]), Key([0b0010_0000]));
//! assert_eq!(here.common_prefix_len(&near), 3);
//! assert!(here.distance(&near) < here.distance(&far));
//! ```

mod draws;
mod error;
mod key;
mod message;
mod observe;
mod overlay;
mod time;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use draws::Draws;
pub use error::{ErrorKind, Failure, InvalidConfig};
pub use key::{Distance, KadKey, Key};
pub use message::{Request, RequestId, Response};
pub use observe::{Direction, NoSink, Observation, OperationKind, Outcome, RequestKind, Sink, StoreKind};
pub use overlay::{Contact, Overlay};
pub use time::{Mono, Now, Wall};

/// The deterministic generator of the machines: the same seed gives the same run on every platform.
pub type Rng = rand_chacha::ChaCha8Rng;
pub use rand_chacha::rand_core;
