//! Values: put, get, search, receipts, correction, the own store.

use std::time::Duration;

use dht::{
    CallOptions, PutError, QueryError,
    core::Overlay,
    ipfs::{Ipfs, Keypair, PeerId, Query, ValueKey, ipns},
    records::{Invalid, Saved},
};

use crate::network::{Net, builder, eventually, join, keypair, peer_id};

fn record(n: u8, sequence: u64, value: &str, now: dht::core::Now) -> (String, Vec<u8>) {
    let draft = ipns::Draft::new(value, sequence);
    let (name, record) = draft.sign(&keypair(n), now.wall).expect("the key signs");
    (format!("/ipns/{name}"), record.as_bytes().to_vec())
}

#[tokio::test(start_paused = true)]
async fn a_value_is_stored_on_the_k_closest_and_the_receipt_says_so() {
    let net = Net::of(30).await;
    let put = net.nodes[3].put_value("/v/name", "value").await.unwrap();
    assert_eq!(put.local, Saved::New);
    let mut stored = put.receipt.stored.clone();
    let mut closest = net.closest(b"/v/name", 20, peer_id(4));
    stored.sort();
    closest.sort();
    assert_eq!(stored, closest);
    assert!(put.receipt.refused.is_empty() && put.receipt.failed.is_empty());
    let holders = net.nodes.iter().filter(|node| stored.contains(&node.local().peer));
    for holder in holders {
        assert_eq!(holder.values().get("/v/name").await.unwrap().as_deref(), Some(&b"value"[..]));
    }
    assert_eq!(net.nodes[20].get_value("/v/name").await.unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(net.nodes[20].get_value("name").await.unwrap().as_deref(), Some(&b"value"[..]), "a bare key");
    assert_eq!(net.nodes[20].get_value("/v/other").await.unwrap(), None, "not found is no error");
}

#[tokio::test(start_paused = true)]
async fn wrong_keys_and_values_are_named() {
    let net = Net::of(4).await;
    let node = &net.nodes[0];
    assert_eq!(node.get_value("/x").await, Err(QueryError::Key(Invalid::InvalidKey)));
    let unknown = node.put_value("/unknown/key", "v").await.unwrap_err();
    assert_eq!(unknown, PutError::Invalid(Invalid::UnknownNamespace));
    let key = format!("/pk/{}", peer_id(9));
    let mismatch = node.put_value(&key, keypair(8).public().encode_protobuf()).await.unwrap_err();
    assert_eq!(mismatch, PutError::Invalid(Invalid::KeyMismatch));
    let (key, mut broken) = record(1, 1, "/ipfs/x", node.handle().now());
    let last = broken.len() - 1;
    broken[last] ^= 1;
    assert!(matches!(node.put_value(&key, broken).await, Err(PutError::Invalid(_))));
}

#[tokio::test(start_paused = true)]
async fn newer_ipns_records_win_and_older_ones_are_refused() {
    let net = Net::of(10).await;
    let now = net.nodes[0].handle().now();
    let (key, old) = record(40, 1, "/ipfs/old", now);
    let (_, new) = record(40, 2, "/ipfs/new", now);
    net.nodes[0].put_value(&key, old.clone()).await.unwrap();
    net.nodes[5].put_value(&key, new.clone()).await.unwrap();
    assert_eq!(net.nodes[9].get_value(&key).await.unwrap().as_deref(), Some(&new[..]));
    assert_eq!(net.nodes[5].put_value(&key, old.clone()).await, Err(PutError::Worse));
    // A node that has nothing of its own finds out from those it asks.
    let client = net.client(99).await;
    let refused = client.put_value(&key, old).await.unwrap_err();
    let PutError::NotStored { receipt } = refused else { panic!("{refused:?}") };
    assert_eq!((receipt.stored.len(), receipt.refused.len()), (0, 10));
}

#[tokio::test(start_paused = true)]
async fn a_search_yields_improving_values_and_corrects_worse_holders() {
    let net = Net::of(10).await;
    let now = net.nodes[0].handle().now();
    let (key, old) = record(40, 1, "/ipfs/old", now);
    let (_, new) = record(40, 2, "/ipfs/new", now);
    for node in &net.nodes[..9] {
        node.values().put(&key, old.clone()).await.unwrap();
    }
    net.nodes[9].values().put(&key, new.clone()).await.unwrap();
    let client = net.client(99).await;
    let mut search = client.search_value(&key).await.unwrap();
    let mut seen = Vec::new();
    while let Some(value) = search.next().await {
        seen.push(value);
    }
    assert_eq!(seen.last().unwrap(), &new);
    assert!(seen.len() <= 2);
    eventually("all holders are corrected", || async {
        for node in &net.nodes {
            if node.values().get(&key).await.unwrap().as_deref() != Some(&new[..]) {
                return false;
            }
        }
        true
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_quorum_ends_the_search_early() {
    let net = Net::of(30).await;
    net.nodes[0].put_value("/v/q", "x").await.unwrap();
    let client = net.client(99).await;
    let requests = |options: CallOptions| {
        let client = client.with(options);
        async move {
            let before = client.metrics().requests.total;
            client.get_value("/v/q").await.unwrap().unwrap();
            client.metrics().requests.total - before
        }
    };
    let one = requests(CallOptions { quorum: Some(1), ..CallOptions::default() }).await;
    let all = requests(CallOptions::default()).await;
    assert!(one < all && all >= 20, "{one} of {all}");
}

#[tokio::test(start_paused = true)]
async fn public_keys_come_from_the_id_or_the_dht() {
    let net = Net::of(6).await;
    let inline = net.nodes[0].public_key(peer_id(4)).await.unwrap();
    assert_eq!(inline, Some(keypair(4).public()));
    let hashed = Keypair::generate_ecdsa();
    let peer = PeerId::from_public_key(&hashed.public());
    assert_eq!(net.nodes[0].public_key(peer).await.unwrap(), None);
    let key = ValueKey::pk(&peer).as_bytes().clone();
    net.nodes[3].put_record(key, hashed.public().encode_protobuf().into()).await.unwrap();
    assert_eq!(net.nodes[0].public_key(peer).await.unwrap(), Some(hashed.public()));
}

#[tokio::test(start_paused = true)]
async fn the_own_store_can_be_read_and_changed_without_the_network() {
    let net = Net::of(2).await;
    let node = &net.nodes[0];
    let values = node.values();
    assert_eq!(values.put("/v/a", "1").await.unwrap(), Saved::New);
    assert_eq!(values.put("/v/b", vec![0u8, 255]).await.unwrap(), Saved::New);
    assert!(values.has("/v/a").await.unwrap() && !values.has("/v/c").await.unwrap());
    assert_eq!(values.get("/v/b").await.unwrap().unwrap(), &[0u8, 255][..]);
    let page = values.page(None, 10).await.unwrap();
    assert_eq!(page.len(), 2);
    let rest = values.page(Some(page[0].key.clone()), 10).await.unwrap();
    assert_eq!(rest, page[1..]);
    let statistics = node.datastore().statistics().await.unwrap();
    assert_eq!(statistics.records, 2);
    assert!(statistics.bytes > 0 && statistics.oldest.is_some() && statistics.newest >= statistics.oldest);
    assert!(values.remove("/v/a").await.unwrap() && !values.remove("/v/a").await.unwrap());
    node.datastore().clear().await.unwrap();
    assert_eq!(node.datastore().statistics().await.unwrap().records, 0);
    assert_eq!(net.nodes[1].datastore().statistics().await.unwrap().records, 0, "nobody was told");
}

#[tokio::test(start_paused = true)]
async fn strangers_values_expire_and_own_ones_are_announced_again() {
    let net = Net::of(5).await;
    net.nodes[0].put_value("/v/own", "x").await.unwrap();
    let client = net.client(99).await;
    client.put_value("/v/left", "x").await.unwrap();
    client.close().await;
    let held = |n: usize, key: &'static str| {
        let node = net.nodes[n].clone();
        async move { node.values().has(key).await.unwrap() }
    };
    assert!(held(2, "/v/own").await && held(2, "/v/left").await);
    tokio::time::sleep(Duration::from_secs(47 * 3600)).await;
    assert!(held(2, "/v/left").await);
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    assert!(!held(2, "/v/left").await, "48 hours have passed");
    assert!(held(2, "/v/own").await, "its publisher is there");
    let query = Query::Value(Ipfs::target_of(&Query::Value(b"/v/left"[..].into())));
    assert!(!net.nodes[2].datastore().has(&query).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_later_node_finds_what_was_put_before_it_came() {
    let net = Net::of(8).await;
    net.nodes[1].put_value("/v/early", "bird").await.unwrap();
    let late = join(&net.hub, 50, builder(50).bootstrap_from(|| vec![crate::network::contact(2)]));
    late.bootstrap(Default::default()).await.unwrap();
    assert_eq!(late.get_value("/v/early").await.unwrap().as_deref(), Some(&b"bird"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_public_key_is_asked_of_its_peer() {
    let net = Net::of(25).await;
    let hashed = Keypair::generate_ecdsa();
    let peer = PeerId::from_public_key(&hashed.public());
    let build = builder(60).identity(hashed.clone()).bootstrap_from(|| vec![crate::network::contact(1)]);
    let node = join(&net.hub, 60, build);
    node.bootstrap(Default::default()).await.unwrap();
    assert_eq!(net.nodes[7].public_key(peer).await.unwrap(), Some(hashed.public()));
    for other in &net.nodes {
        assert!(!other.values().has(&format!("/pk/{peer}")).await.unwrap(), "nobody else has it");
    }
}
