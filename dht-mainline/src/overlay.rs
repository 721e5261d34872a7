//! The Mainline network as an [`Overlay`]: 160-bit keys that are used as they are, K of 8, stores by token.

use std::{
    fmt::{self, Display},
    net::SocketAddr,
};

use dht_core::{
    Contact, Key, Overlay, Rng,
    rand_core::{Rng as _, SeedableRng},
};

use crate::{NodeId, Query, Record, Slot, Token, address};

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

impl Overlay for Mainline {
    type Key = Key<20>;
    type Target = Key<20>;
    type PeerId = NodeId;
    type Addr = Endpoint;
    type Query = Query;
    type Item = Record;
    type Slot = Slot;
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
            Query::Peers(swarm) => swarm.info_hash.key(),
            Query::Item(key) => *key.target(),
            Query::Samples(target) => *target,
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

    fn slot(record: &Record) -> Slot {
        record.slot()
    }

    fn weight(record: &Record) -> usize {
        record.weight()
    }

    fn query_weight(query: &Query) -> usize {
        let salt = if let Query::Item(key) = query { key.salt().len() } else { 0 };
        size_of::<Query>() + salt
    }

    fn item_group(record: &Record) -> Option<u64> {
        match record {
            Record::Peer(peer) => Some(address::group(peer.addr.ip())),
            _ => None,
        }
    }

    fn contact_group(contact: &Contact<Self>) -> Option<u64> {
        contact.addr.0.map(|addr| address::group(addr.ip()))
    }

    /// A socket has one node (BEP 45).
    fn same_place(one: &Endpoint, other: &Endpoint) -> bool {
        one.0.is_some() && one == other
    }

    fn corrects(query: &Query) -> bool {
        matches!(query, Query::Item(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InfoHash, Item, Peer};
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
        assert_eq!(Mainline::target_of(&Query::from(InfoHash([9; 20]))), node.key());
    }

    #[test]
    fn neighbours_are_of_one_group() {
        let group = |text: &str| {
            let addr: SocketAddr = text.parse().unwrap();
            Mainline::contact_group(&Contact::new(NodeId([1; 20]), Endpoint::from(addr)))
        };
        assert_eq!(group("9.8.7.6:1"), group("9.8.7.5:2"));
        assert_ne!(group("9.8.7.6:1"), group("9.8.6.6:1"));
        assert_eq!(Mainline::contact_group(&Contact::unlocated(NodeId([1; 20]))), None);
    }

    #[test]
    fn a_socket_is_one_place_and_an_address_is_not() {
        let at = |text: &str| Endpoint::from(text.parse::<SocketAddr>().unwrap());
        assert!(Mainline::same_place(&at("9.8.7.6:1"), &at("9.8.7.6:1")));
        assert!(!Mainline::same_place(&at("9.8.7.6:1"), &at("9.8.7.6:2")));
        assert!(!Mainline::same_place(&Endpoint(None), &Endpoint(None)));
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
            (Slot::Single, None, 3)
        );
    }
}
