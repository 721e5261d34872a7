//! The Kademlia node: one pure machine that owns routing and queries and answers requests.
//!
//! It does no I/O, storage included, knows no clock and no dialect. *After any call that takes `&mut Node`, drain
//! [`Node::poll_output`] until it says [`Output::Wait`], then sleep no later than it says*: that sentence is the whole
//! interface between the engine and the world. An async driver and a simulator are two loops that obey it.
//!
//! `examples/two_nodes.rs` is such a loop: two nodes that store and find a value, in virtual time.

mod book;
mod codec;
mod config;
mod datagram;
mod drive;
mod judge;
mod node;
mod output;
mod rules;
mod serve;
mod served;
mod size;

pub use codec::{Malformed, StreamCodec};
pub use config::Config;
pub use datagram::{Datagram, DatagramCodec, Room, TransactionId, Unread};
pub use node::Node;
pub use output::{Event, Output, Parts};
pub use rules::{Refusal, Rules};
pub use served::{Load, Save, Served};
pub use size::NetworkSize;
