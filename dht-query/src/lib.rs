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
