//! Finding and reaching peers, the routing table, pings.

use std::time::Duration;

use dht::{CallOptions, PeerError, QueryError};

use crate::network::{Net, contact, eventually, peer_id};

#[tokio::test(start_paused = true)]
async fn closest_peers_are_the_closest_of_all() {
    let net = Net::of(30).await;
    for key in [&b"one"[..], b"two", b"three"] {
        let found = net.nodes[7].closest_peers(key.to_vec()).await.unwrap();
        let ids: Vec<_> = found.iter().map(|contact| contact.peer).collect();
        assert_eq!(ids, net.closest(key, 20, peer_id(8)));
    }
    let local = net.nodes[7].with(CallOptions { local_only: true, ..CallOptions::default() });
    let before = net.nodes[7].metrics().requests.total;
    assert!(!local.closest_peers(b"one".to_vec()).await.unwrap().is_empty());
    assert_eq!(net.nodes[7].metrics().requests.total, before, "nobody was asked");
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_found_at_once_or_by_lookup_and_not_found_is_no_error() {
    let net = Net::of(12).await;
    assert_eq!(net.nodes[0].find_peer(peer_id(1)).await.unwrap().unwrap().peer, peer_id(1), "itself");
    let found = net.nodes[4].find_peer(peer_id(9)).await.unwrap().unwrap();
    assert_eq!(found, contact(9));
    let client = net.client(77).await;
    assert_eq!(net.nodes[0].find_peer(peer_id(77)).await.unwrap(), Some(contact(77)), "a client, connected");
    assert_eq!(client.find_peer(peer_id(200)).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn an_empty_table_says_so() {
    let net = Net::of(1).await;
    assert_eq!(net.nodes[0].closest_peers(b"x".to_vec()).await, Err(QueryError::NoPeers));
    assert_eq!(net.nodes[0].find_peer(peer_id(9)).await, Err(QueryError::NoPeers));
}

#[tokio::test(start_paused = true)]
async fn pings_and_dials_tell_the_time_or_the_failure() {
    let net = Net::of(5).await;
    net.nodes[1].ping(peer_id(3)).await.unwrap();
    net.nodes[1].dial(peer_id(4)).await.unwrap();
    assert!(net.nodes[1].is_reachable(peer_id(5)).await);
    let gone = net.nodes[1].timeout(Duration::from_secs(300)).ping_at(contact(99)).await.unwrap_err();
    assert!(matches!(gone, PeerError::RetriesExhausted { attempts: 4, .. }), "{gone:?}");
    assert!(matches!(net.nodes[1].ping(peer_id(99)).await, Err(PeerError::Unknown { .. })));
    assert!(matches!(net.nodes[1].dial_at(contact(99)).await, Err(PeerError::Failed { .. })));
}

#[tokio::test(start_paused = true)]
async fn the_table_can_be_read_and_changed() {
    let net = Net::of(6).await;
    let table = net.nodes[2].table();
    assert_eq!(table.len().await.unwrap(), 5);
    let peers = table.peers().await.unwrap();
    assert!(peers.iter().all(|entry| entry.contact.peer != peer_id(3) && entry.rtt.is_some()));
    assert!(table.remove(peer_id(1)).await.unwrap());
    assert!(!table.remove(peer_id(1)).await.unwrap());
    table.add(contact(1)).await.unwrap().unwrap();
    assert_eq!(table.add(contact(3)).await.unwrap(), Err(dht::routing::Rejected::Own));
    let report = table.refresh().await.unwrap();
    assert!(report.lookups > 0 && report.peers == 5, "{report:?}");
    assert_eq!(table.health().await.unwrap().peers, 5);
    assert!(table.statistics().await.unwrap().added >= 5);
}

#[tokio::test(start_paused = true)]
async fn a_client_is_never_in_a_table_and_a_server_that_turns_client_leaves() {
    let net = Net::of(8).await;
    let client = net.client(77).await;
    client.closest_peers(b"anything".to_vec()).await.unwrap();
    for node in &net.nodes {
        let peers = node.table().peers().await.unwrap();
        assert!(peers.iter().all(|entry| entry.contact.peer != peer_id(77)));
    }
    net.nodes[5].set_mode(dht::Mode::Client).await.unwrap();
    assert_eq!(*net.nodes[5].mode().borrow_and_update(), dht::Role::Client);
    eventually("all tables are without it", || async {
        for (i, node) in net.nodes.iter().enumerate() {
            if i != 5 && node.table().peers().await.unwrap().iter().any(|e| e.contact.peer == peer_id(6)) {
                return false;
            }
        }
        true
    })
    .await;
}
