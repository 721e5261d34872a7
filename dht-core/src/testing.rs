//! `Tiny`: an 8-bit overlay. Eight bits fit in the head and reach every bucket.
//!
//! A peer is a byte, its key is the same byte, its address says whether it is known, and with its high byte in which
//! network group it is; in group 255 there is one peer at each address. A query is a byte too; an item has an author and a version, the higher version is better,
//! version 0 is invalid by the convention of the tests.

use crate::{Contact, Key, Overlay};

/// The 8-bit overlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiny;

/// The same network with tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TinyTicketed;

/// What is asked for in [`Tiny`]: a value (one slot) or a crowd (one slot per author) at a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TinyQuery {
    /// One slot, the highest version wins.
    Value(u8),
    /// One slot per author.
    Crowd(u8),
}

/// What is stored in [`Tiny`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TinyItem {
    /// Who wrote it; `None` for a value.
    pub author: Option<u8>,
    /// Higher is better; 0 is invalid.
    pub version: u8,
}

impl TinyItem {
    /// A value.
    pub fn value(version: u8) -> Self {
        Self { author: None, version }
    }
}

macro_rules! tiny {
    ($name:ident, $ticket:ty, $ticketed:expr) => {
        impl Overlay for $name {
            type Key = Key<1>;
            type Target = u8;
            type PeerId = u8;
            type Addr = u16;
            type Query = TinyQuery;
            type Item = TinyItem;
            type Slot = Option<u8>;
            type Ticket = $ticket;
            const TICKETED: bool = $ticketed;

            fn peer_key(peer: &u8) -> Key<1> {
                Key([*peer])
            }
            fn key_of(target: &u8) -> Key<1> {
                Key([*target])
            }
            fn peer_target(peer: &u8) -> u8 {
                *peer
            }
            fn target_peer(target: &u8) -> Option<u8> {
                Some(*target)
            }
            fn target_of(query: &TinyQuery) -> u8 {
                match query {
                    TinyQuery::Value(key) | TinyQuery::Crowd(key) => *key,
                }
            }
            fn refresh_target(local: &Key<1>, prefix: u32, seed: u64) -> u8 {
                let flip = 0x80u8 >> prefix;
                let low = flip - 1;
                (local.0[0] ^ flip) & !low | (seed as u8 & low)
            }
            fn slot(item: &TinyItem) -> Option<u8> {
                item.author
            }
            fn weight(_: &TinyItem) -> usize {
                2
            }
            fn contact_group(contact: &Contact<Self>) -> Option<u64> {
                contact.is_located().then_some(u64::from(contact.addr / 256))
            }
            fn same_place(one: &u16, other: &u16) -> bool {
                one == other && one / 256 == 255
            }
            fn corrects(query: &TinyQuery) -> bool {
                matches!(query, TinyQuery::Value(_))
            }
        }
    };
}
tiny!(Tiny, std::convert::Infallible, false);
tiny!(TinyTicketed, u8, true);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KadKey;

    #[test]
    fn refresh_targets_share_exactly_the_prefix() {
        for local in 0..=255u8 {
            for prefix in 0..8 {
                for seed in 0..16 {
                    let target = Tiny::refresh_target(&Key([local]), prefix, seed * 37);
                    assert_eq!(Key([target]).common_prefix_len(&Key([local])), prefix);
                }
            }
        }
    }
}
