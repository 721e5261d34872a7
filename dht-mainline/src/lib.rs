//! The BitTorrent Mainline dialect of the stack, as pure functions and values.
//!
//! [`bencode`] reads and writes the encoding that everything here is written in. [`NodeId`] and [`InfoHash`] name nodes and
//! swarms, [`compact`] is how they stand in messages, [`address`] says which places can be meant.
//!
//! The crate opens no socket, resolves no name, reads no clock and keeps nothing.

pub mod address;
pub mod bencode;
pub mod compact;
mod id;
mod secure_id;

pub use id::{InfoHash, InvalidId, NodeId};
