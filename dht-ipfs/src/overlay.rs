//! The libp2p Kademlia network as an [`Overlay`]: 256-bit keys, the SHA-256 of raw bytes.

use std::convert::Infallible;

use bytes::Bytes;
use dht_core::{Contact, KadKey, Key, Overlay};
use sha2::{Digest, Sha256};

use crate::{AddrList, Item, PeerId, ProviderRecord, Query, Record, address::ip_group, peer_id::SHA2_256};

/// The IPFS dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipfs;

/// Deepest prefix that a refresh target matches exactly; one bit more would double the search.
const MAX_EXACT_PREFIX: u32 = 15;
/// Hashes of one preimage search. The mean at 15 bits is 2^16 (4 ms); one search in e^16 gives up with a near miss.
const MAX_HASHES: u64 = 1 << 20;

impl Overlay for Ipfs {
    type Key = Key<32>;
    type Target = Bytes;
    type PeerId = PeerId;
    type Addr = AddrList;
    type Query = Query;
    type Item = Item;
    type Slot = Option<PeerId>;
    type Ticket = Infallible;
    const TICKETED: bool = false;

    fn peer_key(peer: &PeerId) -> Key<32> {
        sha256(peer.as_ref())
    }

    fn key_of(target: &Bytes) -> Key<32> {
        sha256(target)
    }

    fn peer_target(peer: &PeerId) -> Bytes {
        Bytes::copy_from_slice(peer.as_ref())
    }

    fn target_peer(target: &Bytes) -> Option<PeerId> {
        PeerId::try_from(&target[..]).ok()
    }

    fn target_of(query: &Query) -> Bytes {
        query.key().clone()
    }

    /// Found by hashing candidates: nobody can aim a SHA-256. The candidates have the shape of a peer id, because some
    /// servers look at the shape of the key.
    fn refresh_target(local: &Key<32>, prefix: u32, seed: u64) -> Bytes {
        let want = prefix.min(MAX_EXACT_PREFIX);
        let mut candidate = [0; 34];
        candidate[..2].copy_from_slice(&[SHA2_256, 32]);
        candidate[2..10].copy_from_slice(&seed.to_be_bytes());
        let mut nearest = (u32::MAX, candidate);
        for attempt in 0..MAX_HASHES {
            candidate[26..].copy_from_slice(&attempt.to_be_bytes());
            let miss = sha256(&candidate).common_prefix_len(local).abs_diff(want);
            if miss < nearest.0 {
                nearest = (miss, candidate);
            }
            if miss == 0 {
                break;
            }
        }
        Bytes::copy_from_slice(&nearest.1)
    }

    fn slot(item: &Item) -> Option<PeerId> {
        item.as_provider().map(|record| record.peer)
    }

    fn weight(item: &Item) -> usize {
        match item {
            Item::Value(record) => record.key.len() + record.value.len(),
            Item::Provider(record) => record.peer.as_ref().len() + record.addrs.as_ref().len(),
        }
    }

    fn query_weight(query: &Query) -> usize {
        size_of::<Query>() + query.key().len()
    }

    /// The group of the first address: a provider with addresses in many groups sits in one of them, and does not choose
    /// another by adding more behind it.
    fn item_group(item: &Item) -> Option<u64> {
        item.as_provider()?.addrs.ips().next().map(ip_group)
    }

    fn corrects(query: &Query) -> bool {
        matches!(query, Query::Value(_))
    }

    fn detach(contact: Contact<Self>) -> Contact<Self> {
        Contact { peer: contact.peer, addr: contact.addr.detach() }
    }

    fn detach_item(item: Item) -> Item {
        match item {
            Item::Value(record) => Item::Value(Record {
                key: Bytes::copy_from_slice(&record.key),
                value: Bytes::copy_from_slice(&record.value),
                time_received: record.time_received,
            }),
            Item::Provider(record) => {
                Item::Provider(ProviderRecord { peer: record.peer, addrs: record.addrs.detach() })
            }
        }
    }
}

fn sha256(bytes: &[u8]) -> Key<32> {
    Key(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn refresh_targets_share_exactly_the_prefix(local in any::<[u8; 32]>(), prefix in 0u32..=12, seed in any::<u64>()) {
            let target = Ipfs::refresh_target(&Key(local), prefix, seed);
            prop_assert_eq!(Ipfs::key_of(&target).common_prefix_len(&Key(local)), prefix);
            prop_assert_eq!(&target, &Ipfs::refresh_target(&Key(local), prefix, seed));
            prop_assert_ne!(target, Ipfs::refresh_target(&Key(local), prefix, seed ^ 1));
        }
    }

    #[test]
    fn the_deepest_exact_prefix_is_found_and_deeper_ones_are_cut() {
        let local = Key([0x5a; 32]);
        for prefix in [13, 14, 15, 40, 255] {
            let key = Ipfs::key_of(&Ipfs::refresh_target(&local, prefix, 7));
            assert_eq!(key.common_prefix_len(&local), prefix.min(MAX_EXACT_PREFIX));
        }
    }

    #[test]
    fn a_peer_and_its_target_share_a_key() {
        let peer: PeerId = "QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN".parse().unwrap();
        let target = Ipfs::peer_target(&peer);
        assert_eq!(Ipfs::key_of(&target), Ipfs::peer_key(&peer));
        assert_eq!(Ipfs::target_peer(&target), Some(peer));
        assert_eq!(Ipfs::target_peer(&Bytes::from_static(b"/ipns/x")), None);
    }
}
