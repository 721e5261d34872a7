//! Iterative Kademlia lookups: closest, fetch and store goals as pure machines, without I/O.
//!
//! [`Queries`] runs every lookup and every lone request of a node. It decides whom to ask next, when to stop waiting
//! for an answer, what an answer is worth and when a query is over; somebody else moves the bytes:
//!
//! *After any call that takes `&mut Queries`, drain [`Queries::poll`] until it says [`Output::Wait`], then call it
//! again no later than it says.*
//!
//! At the end of a query its running requests are forgotten, not awaited; those that were overdue already are left to
//! their deadline, so that [`Output::Failed`] names mute peers to the routing table (never after a cancel).
//!
//! What it deliberately does not do: keep a routing table (seeds are handed in), keep records (a [`Judge`] says what is
//! valid and what is better), read a clock or open a socket.
//!
//! ```
//! use dht_core::{Contact, Now, testing::Tiny};   // Tiny: a network with 8-bit keys, behind the feature `testing`
//! use dht_query::{Config, Output, Queries, QueryOptions};
//!
//! let (mut queries, now) = (Queries::<Tiny>::new(0, Config::default(), 1)?, Now::default());
//! queries.closest(now, 0x83, vec![Contact::new(0x80, 1)], QueryOptions::default())?;
//! let first = std::iter::repeat_with(|| queries.poll(now)).find_map(|output| match output {
//!     Output::Send { to, request, .. } => Some((to.peer, request.target())),
//!     _ => None,
//! });
//! assert_eq!(first, Some((0x80, Some(0x83))));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/lookup.rs` drives a lookup to its end.

mod backoff;
mod common;
mod config;
mod gather;
mod inflight;
mod intake;
mod lone;
mod lookup;
mod options;
mod output;
mod paths;
mod place;
mod queries;
mod query;
mod rtt;

pub use config::Config;
pub use options::{Filter, Judge, QueryOptions, StartError};
pub use output::{Finished, Output, Progress, QueryId, Reason, Receipt, Statistics, Step, StepOutcome};
pub use queries::Queries;
