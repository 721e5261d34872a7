//! The numbers of the network: what a node must keep to so that it behaves like the others, and where it enters.

use std::time::Duration;

use dht_records::MemoryConfig;

use crate::{
    address::Reach,
    item::{MAX_SALT, MAX_VALUE},
    rules::PEERS_PER_SWARM,
};

/// Who introduces newcomers to the public network, as `host:port`. Several operators, because such hosts die.
pub const BOOTSTRAP_HOSTS: &[&str] = &[
    "router.bittorrent.com:6881",
    "dht.transmissionbt.com:6881",
    "router.utorrent.com:6881",
    "dht.libtorrent.org:25401",
    "relay.pkarr.org:6881",
];

/// How often an own membership in a swarm is announced: peers forget it after 30 to 45 minutes, and one announcement may
/// be lost.
pub const PEER_REPUBLISH: Duration = Duration::from_secs(30 * 60);

/// How often an own item is put: peers forget it after two hours, and BEP 44 wants it once an hour.
pub const ITEM_REPUBLISH: Duration = Duration::from_secs(3600);

/// The K of the network (BEP 5).
const K: usize = 8;
/// Requests of a lookup in flight; libtorrent and Transmission have 5 and 4.
const ALPHA: usize = 4;
/// Late answers count up to here. Deployed peers wait for 2 to 15 s; who is overdue is passed over long before.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Before a question is sent again, and twice as long before the next time: a datagram that was lost is not coming, and the
/// dead of a small network should not hold up those who are left.
const AGAIN: Duration = Duration::from_millis(250);
/// After so long a silent node is questionable, and a bucket without a lookup is refreshed (BEP 5).
const SILENCE: Duration = Duration::from_secs(15 * 60);

/// The options of every part of a node, one set for each socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Preset {
    /// Where the members of the network are.
    pub reach: Reach,
    /// Of the table.
    pub routing: dht_routing::Config,
    /// Of lookups.
    pub queries: dht_query::Config,
    /// Of the node.
    pub node: dht_protocol::Config,
    /// Of a store in memory.
    pub store: MemoryConfig,
}

impl Preset {
    /// Those of a network whose members are within `reach`. On a local one everybody may be of one address group.
    pub fn new(reach: Reach) -> Self {
        Self {
            reach,
            routing: routing(reach),
            queries: queries(),
            node: dht_protocol::Config {
                closer_per_answer: K,
                serve: true,
                ..dht_protocol::Config::default()
            },
            store: store(reach),
        }
    }
}

impl Default for Preset {
    /// The public network.
    fn default() -> Self {
        Self::new(Reach::Public)
    }
}

fn grouped(reach: Reach, limit: usize) -> usize {
    if reach == Reach::Local { usize::MAX } else { limit }
}

fn routing(reach: Reach) -> dht_routing::Config {
    dht_routing::Config {
        k: K,
        replacements: K,
        latency_tolerance: REQUEST_TIMEOUT,
        check_timeout: REQUEST_TIMEOUT,
        // BEP 5: several missed replies in a row, for datagrams get lost.
        max_failures: 2,
        max_per_group_bucket: grouped(reach, 2),
        max_per_group: grouped(reach, 10),
        refresh_interval: SILENCE,
        stale_after: Some(SILENCE),
        lookup_timeout: Duration::from_secs(20),
        ..dht_routing::Config::default()
    }
}

fn queries() -> dht_query::Config {
    dht_query::Config {
        k: K,
        alpha: ALPHA,
        request_timeout: REQUEST_TIMEOUT,
        retries: 2,
        backoff_initial: AGAIN,
        // Some answer with 20 nodes where 8 are usual.
        max_closer: 20,
        max_candidates: 200,
        ..dht_query::Config::default()
    }
}

fn store(reach: Reach) -> MemoryConfig {
    let default = MemoryConfig::default();
    MemoryConfig {
        // An item with its salt in both places, key and signature.
        max_item_bytes: 2 * (MAX_VALUE + MAX_SALT),
        max_items_per_query: PEERS_PER_SWARM,
        max_items_per_group: grouped(reach, default.max_items_per_group),
        ..default
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Item, ItemKey, Mainline, Query, Record};
    use dht_core::Overlay;
    use ed25519_dalek::SigningKey;

    #[test]
    fn every_part_accepts_its_numbers() {
        for reach in [Reach::Public, Reach::Local] {
            let preset = Preset::new(reach);
            assert_eq!(preset.routing.validate(), Ok(()));
            assert_eq!(preset.queries.validate(), Ok(()));
            assert_eq!(preset.node.validate(), Ok(()));
            assert_eq!(preset.store.validate(), Ok(()));
            assert_eq!(preset.routing.k, preset.node.closer_per_answer);
        }
        assert_eq!(Preset::default().reach, Reach::Public);
    }

    #[test]
    fn the_largest_item_has_room() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let item = Item::mutable(&key, &[1; MAX_SALT], 1, &vec![0u8; MAX_VALUE - 4][..].into()).unwrap();
        let query = Query::Item(ItemKey::mutable(&key.verifying_key().to_bytes(), vec![1; MAX_SALT]));
        let weight = Mainline::weight(&Record::Item(item, None)) + Mainline::query_weight(&query);
        assert!(weight <= Preset::default().store.max_item_bytes, "{weight}");
    }

    #[test]
    fn what_is_ours_is_repeated_before_others_forget_it() {
        let rules = crate::ServerRules::new([0; 16]);
        assert!(PEER_REPUBLISH < rules.peer_age && ITEM_REPUBLISH < rules.item_age);
    }

    #[test]
    fn hosts_have_names_and_ports() {
        for host in BOOTSTRAP_HOSTS {
            let (name, port) = host.split_once(':').unwrap();
            assert!(name.contains('.') && port.parse::<u16>().unwrap() > 1024, "{host}");
        }
    }
}
