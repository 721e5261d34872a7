//! A network whose ids are keys, as those of discv5 and Mainline are: next to them our table must not be charged for the
//! hash that turns an IPFS peer id into a key.

use std::{convert::Infallible, fmt};

use bytes::Bytes;
use dht_core::{Contact, Key, Overlay};

use crate::world::Somebody;

/// The network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw;

/// An id that is a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Id(pub [u8; 32]);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Key(self.0).fmt(f)
    }
}

impl Overlay for Raw {
    type Key = Key<32>;
    type Target = [u8; 32];
    type PeerId = Id;
    type Addr = Bytes;
    type Query = u8;
    type Item = u8;
    type Slot = u8;
    type Ticket = Infallible;
    const TICKETED: bool = false;

    fn peer_key(peer: &Id) -> Key<32> {
        Key(peer.0)
    }
    fn key_of(target: &[u8; 32]) -> Key<32> {
        Key(*target)
    }
    fn peer_target(peer: &Id) -> [u8; 32] {
        peer.0
    }
    fn target_peer(target: &[u8; 32]) -> Option<Id> {
        Some(Id(*target))
    }
    fn target_of(query: &u8) -> [u8; 32] {
        [*query; 32]
    }
    fn refresh_target(local: &Key<32>, prefix: u32, _: u64) -> [u8; 32] {
        let mut target = local.0;
        target[prefix as usize / 8] ^= 0x80 >> (prefix % 8);
        target
    }
    fn slot(item: &u8) -> u8 {
        *item
    }
    fn weight(_: &u8) -> usize {
        1
    }
    fn corrects(_: &u8) -> bool {
        false
    }
}

/// Somebody in this network, with those bytes for addresses.
pub fn contact(somebody: &Somebody, addrs: &Bytes) -> Contact<Raw> {
    Contact::new(Id(somebody.key.0), addrs.clone())
}
