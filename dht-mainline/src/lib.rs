//! The BitTorrent Mainline dialect of the stack, as pure functions and values.
//!
//! [`bencode`] reads and writes the encoding that everything here is written in. [`NodeId`] and [`InfoHash`] name nodes and
//! swarms, [`compact`] is how they stand in messages, [`address`] says which places can be meant. [`krpc`] reads and writes
//! the messages. [`Tokens`] says who may store, [`Item`] what, and [`Bloom`] counts a swarm.
//!
//! [`Mainline`] names the types of the network for the engine; [`Records`], [`ServerRules`] and [`Admission`] are its rules,
//! and [`Preset`] its numbers. [`KrpcCodec`] stands between the engine and the datagrams of one socket, [`SampleStore`]
//! between the engine and its store. [`SavedState`] is what survives a restart.
//!
//! [`metadata`] exchanges info dictionaries between peers; a [`Magnet`] says which, a [`Torrent`] keeps one.
//!
//! The crate opens no socket or file, resolves no name, reads no clock, and keeps nothing beyond what it is handed.

pub mod address;
pub mod bencode;
mod bloom;
mod codec;
pub mod compact;
mod id;
pub mod item;
pub mod krpc;
mod magnet;
pub mod metadata;
mod overlay;
mod preset;
mod query;
mod record;
mod refusal;
mod rules;
mod samples;
mod saved;
mod secure_id;
mod token;
mod torrent;

pub use bloom::Bloom;
pub use codec::{CodecConfig, KrpcCodec, Question, Sibling};
pub use id::{InfoHash, InvalidId, NodeId};
pub use item::{Item, ItemError};
pub use magnet::{InvalidMagnet, Magnet};
pub use overlay::{Endpoint, Mainline};
pub use preset::{BOOTSTRAP_HOSTS, ITEM_REPUBLISH, PEER_REPUBLISH, Preset};
pub use query::{ItemKey, Query, Swarm};
pub use record::{Peer, Record, Samples, Scrape, Slot};
pub use refusal::reject;
pub use rules::{Admission, Records, RequestHook, ServerRules};
pub use samples::{SampleConfig, SampleStore};
pub use saved::{InvalidState, SavedState, SavedTable};
pub use token::{Token, Tokens};
pub use torrent::{InvalidTorrent, Torrent};
