//! On real sockets: joining by address, refusals by number, samples, state, families, recovery.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use dht::{
    Dht, Failure, PutError,
    mainline::{Announcement, Mainline, harvest::HarvestConfig},
};
use ed25519_dalek::SigningKey;

use crate::network::{info_hash, loopback, on_loopback, swarm};

#[tokio::test]
async fn a_network_is_joined_by_address_alone() {
    let nodes = swarm(10).await;
    for node in &nodes {
        assert_eq!(node.table().len().await, Ok(9));
    }
    let target = info_hash(1).key();
    let ids: BTreeSet<_> = nodes[3].closest_to(target).await.unwrap().into_iter().map(|c| c.peer).collect();
    let mut all: Vec<_> = nodes.iter().map(|node| node.local().peer).collect();
    all.retain(|id| *id != nodes[3].local().peer);
    all.sort_by_key(|id| dht::core::KadKey::distance(&id.key(), &target));
    assert_eq!(ids, all.into_iter().take(8).collect(), "the eight closest there are");
}

#[tokio::test]
async fn refusals_have_their_numbers() {
    let nodes = swarm(6).await;
    let key = SigningKey::from_bytes(&[7; 32]);
    nodes[1].put_mutable(&key, b"", 5, None, &"five".into()).await.expect("others take it");
    // A node that joins now holds nothing yet.
    let late = on_loopback(20, &nodes[..1]).await;
    late.bootstrap(Default::default()).await.expect("the first node answers");
    for (seq, cas, code) in [(4, None, 302), (6, Some(4), 301)] {
        match late.put_mutable(&key, b"", seq, cas, &"other".into()).await {
            Err(PutError::NotStored { receipt }) => {
                assert!(!receipt.refused.is_empty());
                for (_, why) in receipt.refused {
                    assert_eq!(why, Failure::Refused(code));
                }
            }
            other => panic!("{other:?}"),
        }
    }
    late.put_mutable(&key, b"", 6, Some(5), &"six".into()).await.expect("the condition holds");
}

#[tokio::test]
async fn swarms_are_sampled_and_harvested() {
    let nodes = swarm(8).await;
    let hashes: BTreeSet<_> = (0..6).map(info_hash).collect();
    for info_hash in &hashes {
        let how = Announcement { port: Some(7000), seed: false };
        nodes[2].announce(*info_hash, how).await.expect("others take it");
    }
    let place = nodes[4].socket().expect("it has a socket");
    let sampled = nodes[0].sample_infohashes(place, info_hash(9).key()).await.expect("it answers");
    let samples = sampled.samples.expect("BEP 51 is there");
    assert!(samples.hashes.iter().all(|hash| hashes.contains(hash)));
    assert_eq!(samples.num as usize, samples.hashes.len());
    assert!(!sampled.closer.is_empty());

    let config = HarvestConfig { metadata: false, per_host: Duration::ZERO, ..HarvestConfig::default() };
    let mut harvest = nodes[0].harvest(config).expect("the options are valid");
    let mut found = BTreeSet::new();
    while found.len() < hashes.len() {
        let next = tokio::time::timeout(Duration::from_secs(20), harvest.next()).await;
        let swarm = next.expect("in time").expect("the node runs");
        assert!(found.insert(swarm.info_hash), "each once");
    }
    assert_eq!(found, hashes);
    assert!(harvest.progress().sampled > 0);
}

#[tokio::test]
async fn what_strangers_ask_for_is_overheard() {
    let nodes = swarm(3).await;
    let config = HarvestConfig { sample: false, metadata: false, ..HarvestConfig::default() };
    let mut harvest = nodes[0].harvest(config).expect("the options are valid");
    // The harvest listens once its task has begun.
    let overheard = async { harvest.next().await.expect("the node runs").info_hash };
    let asking = async {
        loop {
            nodes[1].get_peers(info_hash(3)).await.unwrap().finish().await.unwrap();
        }
    };
    let heard = tokio::select! {
        heard = overheard => heard,
        () = asking => unreachable!(),
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("nothing was heard"),
    };
    assert_eq!(heard, info_hash(3));
}

#[tokio::test]
async fn a_table_outlives_its_node() {
    let nodes = swarm(6).await;
    let state = nodes[5].saved_state().await.expect("the node runs");
    let (id, place) = (nodes[5].local().peer, nodes[5].socket().expect("it has a socket"));
    nodes[5].close_all().await;
    // The place is free at once. No host is named: the saved contacts are the only way in.
    let again = loopback(99).listen([place]).restore(state).build().await.expect("the place is free");
    assert_eq!(again.local().peer, id);
    again.bootstrap(Default::default()).await.expect("the saved contacts answer");
    assert!(again.table().len().await.unwrap() >= 4);
}

#[tokio::test]
async fn dead_hosts_do_not_keep_a_node_out() {
    let first = on_loopback(1, []).await;
    let alive = first.socket().unwrap().to_string();
    let dead = ["127.0.0.1:1", "no-such-host.invalid:6881", "nonsense"].map(String::from);
    let node = loopback(2).bootstrap(dead.into_iter().chain([alive])).build().await.unwrap();
    node.bootstrap(Default::default()).await.expect("one of them answers");
    assert_eq!(node.table().len().await, Ok(1));
}

#[tokio::test]
async fn who_starts_alone_joins_when_somebody_is_there() {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let place: SocketAddr = port.local_addr().unwrap();
    let early = loopback(1)
        .bootstrap([place])
        .configure(|options| options.rejoin = Duration::from_secs(1))
        .build()
        .await
        .unwrap();
    assert!(early.bootstrap(Default::default()).await.is_err(), "nobody is there yet");
    drop(port);
    let _late = loopback(2).listen([place]).build().await.unwrap();
    let joined = async {
        while early.table().is_empty().await.unwrap() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), joined).await.expect("it joins by itself");
}

#[tokio::test]
async fn a_read_only_node_is_in_no_table_and_still_announces() {
    let nodes = swarm(5).await;
    let host = nodes[0].socket().unwrap();
    let silent = loopback(30).read_only(true).bootstrap([host]).build().await.unwrap();
    silent.bootstrap(Default::default()).await.expect("the first node answers");
    let how = Announcement { port: Some(7000), seed: false };
    silent.announce(info_hash(1), how).await.expect("others take it");
    let own = silent.local().peer;
    for node in &nodes {
        let peers = node.table().peers().await.unwrap();
        assert!(peers.iter().all(|entry| entry.contact.peer != own));
    }
    let found = nodes[3].get_peers(info_hash(1)).await.unwrap().finish().await.unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn a_read_only_node_gets_what_is_stored_though_it_answers_no_pings() {
    let nodes = swarm(9).await;
    let how = Announcement { port: Some(7000), seed: false };
    nodes[1].announce(info_hash(1), how).await.expect("others take it");
    let value = "v".repeat(900).as_str().into();
    let put = nodes[1].put_immutable(&value).await.expect("others take it");
    let door = nodes[0].socket().expect("it has a socket");
    let reader = || async { loopback(30).read_only(true).bootstrap([door]).build().await.unwrap() };
    // Neither knew it before, so none of its questions was ever answered in full.
    let found = reader().await;
    found.bootstrap(Default::default()).await.expect("the first node answers");
    let peers = found.get_peers(info_hash(1)).await.unwrap().finish().await.unwrap();
    assert_eq!(peers.len(), 1);
    let fetched = reader().await;
    fetched.bootstrap(Default::default()).await.expect("the first node answers");
    let item = fetched.get_immutable(put.target).await.unwrap().expect("somebody shows it");
    assert_eq!(item.tree().unwrap(), value);
}

#[tokio::test]
async fn a_family_without_a_door_is_joined_through_the_other() {
    let Ok(probe) = std::net::UdpSocket::bind("[::1]:0") else {
        println!("skipped: no IPv6 on this machine");
        return;
    };
    drop(probe);
    let both = |n: u8| {
        let listen = ["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
        loopback(n).listen(listen).configure(|options| options.rejoin = Duration::from_secs(1))
    };
    let first = both(1).build().await.unwrap();
    let hosts: Vec<SocketAddr> = first.sockets().collect();
    let second = both(2).bootstrap(&hosts).build().await.unwrap();
    second.bootstrap_all().await.expect("the first node answers on both");
    let door = first.socket().expect("it has a socket");
    let third = both(3).bootstrap([door]).build().await.unwrap();
    let joined = async {
        loop {
            let tables = third.saved_state().await.expect("the node runs").tables;
            if tables.iter().all(|table| table.contacts.len() == 2) {
                return tables;
            }
            // It asks its own family as it always does.
            let _ = third.closest_to(third.local().peer.key()).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let tables = tokio::time::timeout(Duration::from_secs(20), joined).await.expect("it joins both");
    assert_eq!(tables.len(), 2);
}

#[tokio::test]
async fn two_families_are_two_nodes_behind_one_handle() {
    let Ok(probe) = std::net::UdpSocket::bind("[::1]:0") else {
        println!("skipped: no IPv6 on this machine");
        return;
    };
    drop(probe);
    let both = |n: u8| loopback(n).listen(["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()]);
    let first = both(1).build().await.unwrap();
    let hosts: Vec<SocketAddr> = first.sockets().collect();
    assert_eq!(hosts.len(), 2);
    let mut nodes: Vec<Dht<Mainline>> = vec![first];
    for n in 2..5 {
        let node = both(n).bootstrap(&hosts).build().await.unwrap();
        node.bootstrap_all().await.expect("the first node answers on both");
        nodes.push(node);
    }
    // One family is enough to have joined, whichever.
    for host in &hosts {
        let node = both(9).bootstrap([host]).build().await.unwrap();
        let joined = node.bootstrap_all().await.expect("the first node answers on one");
        assert!(!joined.alone && joined.peers > 0, "{joined:?}");
    }
    let how = Announcement { port: Some(7000), seed: false };
    nodes[1].announce(info_hash(1), how).await.expect("others take it");
    let found = nodes[3].get_peers(info_hash(1)).await.unwrap().finish().await.unwrap();
    let families: BTreeSet<bool> = found.iter().map(|peer| peer.addr.is_ipv4()).collect();
    assert_eq!(families, BTreeSet::from([true, false]), "{found:?}");
}
