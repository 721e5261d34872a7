//! Keys of 32 bytes, which the eight bits of `Tiny` cannot stand for: prefixes beyond a machine word, and keys that
//! differ only where the sort words no longer see it.

use std::{convert::Infallible, fmt};

use dht_core::{Contact, KadKey, Key, Now, Overlay};
use proptest::prelude::*;

use crate::{AdmitAll, Config, Routing};

struct Wide;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Id([u8; 32]);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Key(self.0).fmt(f)
    }
}

impl Overlay for Wide {
    type Key = Key<32>;
    type Target = Id;
    type PeerId = Id;
    type Addr = u8;
    type Query = u8;
    type Item = u8;
    type Slot = u8;
    type Ticket = Infallible;
    const TICKETED: bool = false;

    fn peer_key(peer: &Id) -> Key<32> {
        Key(peer.0)
    }
    fn key_of(target: &Id) -> Key<32> {
        Key(target.0)
    }
    fn peer_target(peer: &Id) -> Id {
        *peer
    }
    fn target_peer(target: &Id) -> Option<Id> {
        Some(*target)
    }
    fn target_of(query: &u8) -> Id {
        Id([*query; 32])
    }
    fn refresh_target(local: &Key<32>, prefix: u32, _: u64) -> Id {
        flip(Id(local.0), prefix as usize)
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

const LOCAL: Id = Id([0x5a; 32]);

fn flip(mut id: Id, bit: usize) -> Id {
    id.0[bit / 8] ^= 0x80 >> (bit % 8);
    id
}

/// Random keys, neighbours of the local one at every depth, and twins of a random key that differ late.
fn id() -> impl Strategy<Value = Id> {
    let near = (0..256usize, 0..256usize).prop_map(|(first, second)| flip(flip(LOCAL, first), second));
    let twin =
        (50..256usize, 50..256usize).prop_map(|(first, second)| flip(flip(Id([0xc3; 32]), first), second));
    prop_oneof![any::<[u8; 32]>().prop_map(Id), near, twin]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_closest_of_wide_keys_are_those_that_brute_force_finds(
        ids in proptest::collection::vec(id(), 0..300),
        target in id(),
        n in 0..40usize,
        k in prop_oneof![Just(20usize), Just(256), 1..256usize],
    ) {
        let config = Config { k, ..Config::default() };
        let mut routing: Routing<Wide> = Routing::new(LOCAL, config, Box::new(AdmitAll), 0).unwrap();
        for id in ids {
            let _ = routing.insert(Now::default(), Contact::new(id, 1));
        }
        let mut expected: Vec<Id> = routing.iter().map(|entry| entry.contact.peer).collect();
        let key = Key(target.0);
        expected.sort_by_key(|id| Key(id.0).distance(&key));
        expected.truncate(n);
        let mut out = Vec::new();
        routing.closest(&key, n, &mut out);
        prop_assert_eq!(out.into_iter().map(|contact| contact.peer).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_machine_may_move_between_threads() {
    fn movable<T: Send + Sync>() {}
    movable::<Routing<Wide>>();
}
