//! The Mainline network as an [`Overlay`]: 160-bit keys that are used as they are, K of 8, stores by token.

use std::{
    cmp::Ordering,
    fmt::{self, Debug, Display},
    hash::{Hash, Hasher},
    net::{IpAddr, SocketAddr},
};

use bytes::Bytes;
use dht_core::{
    Key, Overlay, Rng,
    rand_core::{Rng as _, SeedableRng},
};

use crate::{InfoHash, Item, NodeId, Token, address, item};

/// The Mainline dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mainline;

/// Where a node is, if that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint(pub Option<SocketAddr>);

impl From<SocketAddr> for Endpoint {
    fn from(addr: SocketAddr) -> Self {
        Self(Some(addr))
    }
}

impl Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(addr) => Display::fmt(&addr, f),
            None => f.write_str("nowhere"),
        }
    }
}

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Query {
    /// The peers of a swarm.
    Peers(InfoHash),
    /// The item under a point of the key space.
    Item(ItemKey),
}

/// Where an item is, and what an answer leaves out.
///
/// Two keys with the same target are the same key: the target is a hash that the salt is part of.
#[derive(Clone)]
pub struct ItemKey {
    target: Key<20>,
    salt: Bytes,
}

impl ItemKey {
    /// The item under this target: an immutable one, or a mutable one without salt.
    pub fn new(target: Key<20>) -> Self {
        Self { target, salt: Bytes::new() }
    }

    /// The mutable item of a key. Answers do not repeat the salt, so who asks must know it to check the signature.
    pub fn mutable(key: &[u8; 32], salt: impl Into<Bytes>) -> Self {
        let salt = salt.into();
        Self { target: item::mutable_target(key, &salt), salt }
    }

    /// The point of the key space.
    pub fn target(&self) -> &Key<20> {
        &self.target
    }

    /// The salt, if it was given.
    pub fn salt(&self) -> &Bytes {
        &self.salt
    }
}

impl Debug for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.target, f)
    }
}

impl PartialEq for ItemKey {
    fn eq(&self, other: &Self) -> bool {
        self.target == other.target
    }
}

impl Eq for ItemKey {}

impl PartialOrd for ItemKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ItemKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.target.cmp(&other.target)
    }
}

impl Hash for ItemKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.target.hash(state);
    }
}

/// What can be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Somebody who takes part in a swarm.
    Peer(Peer),
    /// An item, and the sequence number that whoever sends it expects to replace.
    Item(Item, Option<i64>),
}

/// Somebody who takes part in a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Where.
    pub addr: SocketAddr,
    /// Whether he has everything.
    pub seed: bool,
    /// In an announcement: the port of the datagram counts, and not that of `addr`.
    pub implied_port: bool,
}

impl Overlay for Mainline {
    type Key = Key<20>;
    type Target = Key<20>;
    type PeerId = NodeId;
    type Addr = Endpoint;
    type Query = Query;
    type Item = Record;
    type Slot = Option<IpAddr>;
    type Ticket = Token;
    const TICKETED: bool = true;

    fn peer_key(peer: &NodeId) -> Key<20> {
        peer.key()
    }

    fn key_of(target: &Key<20>) -> Key<20> {
        *target
    }

    fn peer_target(peer: &NodeId) -> Key<20> {
        peer.key()
    }

    fn target_peer(target: &Key<20>) -> Option<NodeId> {
        Some(NodeId::from(*target))
    }

    fn target_of(query: &Query) -> Key<20> {
        match query {
            Query::Peers(info_hash) => info_hash.key(),
            Query::Item(key) => key.target,
        }
    }

    fn refresh_target(local: &Key<20>, prefix: u32, seed: u64) -> Key<20> {
        let mut target = [0; 20];
        Rng::seed_from_u64(seed).fill_bytes(&mut target);
        let prefix = prefix.min(159) as usize;
        let (whole, bit) = (prefix / 8, 0x80u8 >> (prefix % 8));
        target[..whole].copy_from_slice(&local.0[..whole]);
        let random = bit - 1;
        target[whole] = (local.0[whole] ^ bit) & !random | target[whole] & random;
        Key(target)
    }

    /// One peer for each address of a swarm (BEP 33); an item is alone under its target.
    fn slot(record: &Record) -> Option<IpAddr> {
        match record {
            Record::Peer(peer) => Some(peer.addr.ip()),
            Record::Item(..) => None,
        }
    }

    fn weight(record: &Record) -> usize {
        match record {
            Record::Peer(_) => size_of::<Peer>(),
            Record::Item(item, _) => {
                item.value.len()
                    + item.signed.as_ref().map_or(0, |signed| size_of_val(signed) + signed.salt.len())
            }
        }
    }

    fn query_weight(query: &Query) -> usize {
        let salt = if let Query::Item(key) = query { key.salt.len() } else { 0 };
        size_of::<Query>() + salt
    }

    fn item_group(record: &Record) -> Option<u64> {
        match record {
            Record::Peer(peer) => Some(address::group(peer.addr.ip())),
            Record::Item(..) => None,
        }
    }

    fn corrects(query: &Query) -> bool {
        matches!(query, Query::Item(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dht_core::KadKey;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn refresh_targets_share_exactly_the_prefix(local in any::<[u8; 20]>(), prefix in 0u32..160, seed in any::<u64>()) {
            let target = Mainline::refresh_target(&Key(local), prefix, seed);
            prop_assert_eq!(target.common_prefix_len(&Key(local)), prefix);
            prop_assert_eq!(target, Mainline::refresh_target(&Key(local), prefix, seed));
            prop_assert!(prefix > 100 || target != Mainline::refresh_target(&Key(local), prefix, seed ^ 1));
        }
    }

    #[test]
    fn keys_are_used_as_they_are() {
        let node = NodeId([9; 20]);
        assert_eq!(Mainline::peer_key(&node), Mainline::key_of(&Mainline::peer_target(&node)));
        assert_eq!(Mainline::target_peer(&Mainline::peer_target(&node)), Some(node));
        assert_eq!(Mainline::target_of(&Query::Peers(InfoHash([9; 20]))), node.key());
    }

    #[test]
    fn the_salt_does_not_make_another_key() {
        let salted = ItemKey::mutable(&[1; 32], &b"salt"[..]);
        let bare = ItemKey::new(*salted.target());
        assert_eq!(salted, bare);
        assert_eq!(salted.cmp(&bare), Ordering::Equal);
        assert_ne!(salted, ItemKey::mutable(&[1; 32], &b"other"[..]));
        assert!(std::collections::HashSet::from([salted]).contains(&bare));
    }

    #[test]
    fn peers_stand_side_by_side_and_items_do_not() {
        let peer =
            |text: &str| Record::Peer(Peer { addr: text.parse().unwrap(), seed: false, implied_port: false });
        assert_eq!(Mainline::slot(&peer("9.8.7.6:1")), Mainline::slot(&peer("9.8.7.6:2")));
        assert_ne!(Mainline::slot(&peer("9.8.7.6:1")), Mainline::slot(&peer("9.8.7.5:1")));
        assert_eq!(Mainline::item_group(&peer("9.8.7.6:1")), Mainline::item_group(&peer("9.8.7.5:1")));
        let item = Record::Item(Item::immutable(&"x".into()).unwrap(), None);
        assert_eq!(
            (Mainline::slot(&item), Mainline::item_group(&item), Mainline::weight(&item)),
            (None, None, 3)
        );
    }
}
