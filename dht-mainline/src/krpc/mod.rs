//! KRPC: the messages of BEP 5 and of those that extend it (9 samples, 32 IPv6, 33 scrapes, 43 read-only, 44 items, 51).
//!
//! A [`Message`] borrows from the datagram it was read from and allocates nothing, neither when it is read nor when it is written. Reading is tolerant where deployed peers
//! are odd and nothing hangs on it (unknown fields, unsorted keys, fields of the wrong sort that the method does not
//! need); what a method needs must be right. Writing is canonical.
//!
//! Matching answers to questions, rates and addresses are the transport's duty; whether an item is true is `item`'s.

mod decode;
mod encode;

use std::net::SocketAddr;

use dht_core::Key;
use thiserror::Error;

use crate::{
    InfoHash, NodeId, bencode,
    compact::{Nodes, Peers},
};

pub use crate::bencode::Canonical;
pub use decode::decode;

/// Bytes of the largest datagram that is read. The largest seen from deployed peers have 1,742.
pub const MAX_DATAGRAM: usize = 4096;
/// Bytes of the longest transaction id that is echoed; deployed peers send up to 20.
pub const MAX_TID: usize = 32;
/// Bytes of a payload that every network carries whole and BEP 32 wants at most.
pub const SAFE_PAYLOAD: usize = 1024;

/// One datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Names the question, chosen by who asks, echoed as it is.
    pub tid: &'a [u8],
    /// The program and its version, as four bytes by convention.
    pub version: Option<&'a [u8]>,
    /// In answers: where the answerer sees the asker (BEP 42).
    pub ip: Option<SocketAddr>,
    /// The rest.
    pub body: Body<'a>,
}

/// The three sorts of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// A question.
    Query(Query<'a>),
    /// An answer.
    Reply(Reply<'a>),
    /// A refusal.
    Reject(Reject<'a>),
}

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// Who asks.
    pub id: NodeId,
    /// Whether the asker answers nothing and wants to be in no table (BEP 43).
    pub read_only: bool,
    /// Which nodes the asker wants to be told (BEP 32).
    pub want: Want,
    /// In `get` and `get_peers`: a token that the answerer handed out for the same target, as in an announcement. Not in any
    /// specification, so nobody else looks at it: who answers no pings (BEP 43) proves its address with it.
    pub echo: Option<&'a [u8]>,
    /// What is asked.
    pub call: Call<'a>,
}

/// Which families of nodes are wanted; neither means the one of the datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// IPv4 nodes.
    pub n4: bool,
    /// IPv6 nodes.
    pub n6: bool,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call<'a> {
    /// Are you there?
    Ping,
    /// Who is closest to this?
    FindNode {
        /// The point of the key space.
        target: Key<20>,
    },
    /// Who is in this swarm?
    GetPeers {
        /// The swarm.
        info_hash: InfoHash,
        /// Whether bloom filters of the swarm are wanted (BEP 33).
        scrape: bool,
        /// Whether seeds are of no use to the asker.
        noseed: bool,
    },
    /// I am in this swarm.
    AnnouncePeer {
        /// The swarm.
        info_hash: InfoHash,
        /// The port that is announced.
        port: u16,
        /// Whether the port of the datagram counts instead.
        implied_port: bool,
        /// Whether the announcer has everything (BEP 33).
        seed: bool,
        /// What the answerer handed out before.
        token: &'a [u8],
    },
    /// What item is under this? (BEP 44)
    Get {
        /// The point of the key space.
        target: Key<20>,
        /// Only a later one than this is wanted.
        seq: Option<i64>,
    },
    /// Keep this item. (BEP 44)
    Put {
        /// What the answerer handed out before.
        token: &'a [u8],
        /// Where it belongs: not in the specification, and wanted by the crate `mainline`. Never believed.
        target: Option<Key<20>>,
        /// The value.
        v: Canonical<'a>,
        /// What makes it mutable.
        signed: Option<Signed<'a>>,
        /// Only store over exactly this sequence number.
        cas: Option<i64>,
    },
    /// Which swarms do you know? (BEP 51)
    SampleInfohashes {
        /// The point of the key space that nodes are wanted for.
        target: Key<20>,
    },
    /// Something else.
    Unknown {
        /// Its name.
        method: &'a [u8],
        /// Its `target` or `info_hash`, if it has one: such a question is answered with nodes.
        target: Option<Key<20>>,
    },
}

/// What makes an item mutable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// The Ed25519 key.
    pub key: &'a [u8; 32],
    /// The signature over salt, sequence number and value.
    pub signature: &'a [u8; 64],
    /// The sequence number.
    pub seq: i64,
    /// The salt, empty in answers.
    pub salt: &'a [u8],
}

/// An answer; what the question did not ask for is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// Who answers.
    pub id: NodeId,
    /// IPv4 nodes close to the target.
    pub nodes: Option<Nodes<'a>>,
    /// IPv6 nodes close to the target.
    pub nodes6: Option<Nodes<'a>>,
    /// What to present when storing here.
    pub token: Option<&'a [u8]>,
    /// Peers of the swarm.
    pub values: Option<Peers<'a>>,
    /// Bloom filters of the swarm.
    pub scrape: Option<Scrape<'a>>,
    /// The value of an item.
    pub v: Option<Canonical<'a>>,
    /// The key and signature of a mutable item.
    pub signed: Option<(&'a [u8; 32], &'a [u8; 64])>,
    /// The sequence number of a mutable item, also where its value is not sent because the asker has it.
    pub seq: Option<i64>,
    /// Swarms that the answerer knows.
    pub samples: Option<Samples<'a>>,
    /// The asker's port as the answerer sees it (libtorrent).
    pub port: Option<u16>,
    /// Whether more is held for who shows the token: see [`Query::echo`].
    pub echo: bool,
}

impl Reply<'_> {
    /// An answer that says only who answers.
    pub fn of(id: NodeId) -> Self {
        Self {
            id,
            nodes: None,
            nodes6: None,
            token: None,
            values: None,
            scrape: None,
            v: None,
            signed: None,
            seq: None,
            samples: None,
            port: None,
            echo: false,
        }
    }
}

/// The bloom filters of a swarm (BEP 33).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scrape<'a> {
    /// Addresses that have everything.
    pub seeds: &'a [u8; 256],
    /// Addresses that do not.
    pub peers: &'a [u8; 256],
}

/// Swarms that a node knows (BEP 51).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Samples<'a> {
    hashes: &'a [u8],
    /// How many the node knows in all.
    pub num: u32,
    /// Seconds until it may be asked again, at most six hours.
    pub interval: u32,
}

impl<'a> Samples<'a> {
    /// The longest interval, in seconds.
    pub const MAX_INTERVAL: u32 = 21_600;

    /// Samples of 20 bytes each; `None` when `hashes` is no whole number of them.
    pub fn new(hashes: &'a [u8], num: u32, interval: u32) -> Option<Self> {
        let whole = hashes.len().is_multiple_of(20);
        whole.then_some(Self { hashes, num, interval: interval.min(Self::MAX_INTERVAL) })
    }

    /// Every sample.
    pub fn iter(&self) -> impl Iterator<Item = InfoHash> + use<'a> {
        self.hashes.chunks_exact(20).filter_map(|hash| hash.try_into().ok().map(InfoHash))
    }
}

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject<'a> {
    /// Why, as a number: see [`code`].
    pub code: u32,
    /// Why, in words.
    pub message: &'a [u8],
}

/// The numbers of refusals.
pub mod code {
    /// Something went wrong.
    pub const GENERIC: u32 = 201;
    /// The node cannot serve now.
    pub const SERVER: u32 = 202;
    /// The question is malformed, or its token does not hold.
    pub const PROTOCOL: u32 = 203;
    /// The method is not known.
    pub const UNKNOWN_METHOD: u32 = 204;
    /// The value is larger than 1,000 bytes.
    pub const TOO_BIG: u32 = 205;
    /// The signature is wrong.
    pub const SIGNATURE: u32 = 206;
    /// The salt is larger than 64 bytes.
    pub const SALT_TOO_BIG: u32 = 207;
    /// Another sequence number is stored than `cas` says.
    pub const CAS: u32 = 301;
    /// A later sequence number is stored.
    pub const OLD_SEQ: u32 = 302;
}

/// A datagram that is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{why}")]
pub struct Unreadable<'a> {
    /// The transaction id when it is a question that was understood so far: it may be refused with [`code::PROTOCOL`].
    /// Otherwise nothing is answered.
    pub refuse: Option<&'a [u8]>,
    /// The transaction id when it is an answer that was understood so far: nothing better will come to that question.
    pub answers: Option<&'a [u8]>,
    /// What is wrong.
    pub why: Why,
}

/// Why a datagram is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Why {
    /// It is not bencode.
    #[error(transparent)]
    Bencode(#[from] bencode::Error),
    /// A field that the message needs is missing, of the wrong sort or out of range.
    #[error("`{0}` is missing or malformed")]
    Field(&'static str),
}

#[cfg(test)]
mod tests;
