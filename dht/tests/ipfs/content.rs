//! Content: providing it, finding who does, for how long.

use std::time::Duration;

use dht::{
    CallOptions, PutError, QueryError,
    ipfs::{ContentKey, Query},
    records::Invalid,
};

use crate::network::{Net, builder, contact, join, peer_id};

fn content(text: &str) -> Vec<u8> {
    ContentKey::of_bytes(text.as_bytes()).as_bytes().to_vec()
}

#[tokio::test(start_paused = true)]
async fn provided_content_is_found_from_elsewhere() {
    let net = Net::of(25).await;
    let key = content("a");
    let announced = net.nodes[2].provide(key.clone(), true).await.unwrap();
    let mut stored = announced.receipt.stored.clone();
    let mut closest = net.closest(&key, 20, peer_id(3));
    stored.sort();
    closest.sort();
    assert_eq!(stored, closest);
    net.nodes[4].provide(key.clone(), true).await.unwrap();

    let found = net.nodes[20].find_providers(key.clone(), 0).await.unwrap().collect_all().await;
    let mut wanted = vec![contact(3), contact(5)];
    wanted.sort_by_key(|contact| contact.peer);
    assert_eq!(found, wanted, "each with its address, once");
    let first = net.nodes[20].find_providers(key.clone(), 1).await.unwrap().collect_all().await;
    assert_eq!(first.len(), 1);
    let none = net.nodes[20].find_providers(content("b"), 0).await.unwrap().collect_all().await;
    assert!(none.is_empty());
}

#[tokio::test(start_paused = true)]
async fn keys_that_every_server_refuses_are_asked_of_nobody() {
    let net = Net::of(5).await;
    let node = &net.nodes[0];
    let sent = node.metrics().requests.total;
    let refused = QueryError::Key(Invalid::InvalidKey);
    for key in [vec![], vec![7; 81]] {
        assert_eq!(node.find_providers(key, 0).await.err(), Some(refused.clone()));
    }
    assert_eq!(node.get_record(Vec::new().into()).await.err(), Some(refused.clone()));
    assert_eq!(node.closest_peers(Vec::new()).await.err(), Some(refused));
    assert_eq!(node.metrics().requests.total, sent);
}

#[tokio::test(start_paused = true)]
async fn what_is_provided_without_announcing_stays_here() {
    let net = Net::of(5).await;
    let key = content("private");
    let announced = net.nodes[0].provide(key.clone(), false).await.unwrap();
    assert!(announced.receipt.stored.is_empty());
    assert_eq!(net.nodes[0].local_providers(key.clone()).await.unwrap(), vec![contact(1)]);
    let mut stream = net.nodes[0].find_providers(key.clone(), 0).await.unwrap();
    assert_eq!(stream.next().await, Some(contact(1)), "local ones come first");
    for node in &net.nodes[1..] {
        assert!(node.local_providers(key.clone()).await.unwrap().is_empty());
    }
    let local = net.nodes[1].with(CallOptions { local_only: true, ..CallOptions::default() });
    assert!(local.find_providers(key, 0).await.unwrap().collect_all().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn providers_of_others_are_recorded_here_only() {
    let net = Net::of(3).await;
    let key = content("told");
    net.nodes[0].add_provider(key.clone(), contact(9)).await.unwrap();
    assert_eq!(net.nodes[0].local_providers(key.clone()).await.unwrap(), vec![contact(9)]);
    let found = net.nodes[2].find_providers(key, 0).await.unwrap().collect_all().await;
    assert_eq!(found, vec![contact(9)], "and shown to those who ask");
}

#[tokio::test(start_paused = true)]
async fn keys_are_one_to_eighty_bytes() {
    let net = Net::of(2).await;
    for key in [vec![], vec![1; 81]] {
        let refused = net.nodes[0].provide(key, true).await.unwrap_err();
        assert_eq!(refused, PutError::Invalid(Invalid::InvalidKey));
    }
}

#[tokio::test(start_paused = true)]
async fn records_are_announced_again_in_time_and_fade_with_their_provider() {
    let net = Net::of(6).await;
    let (kept, left) = (content("kept"), content("left"));
    net.nodes[0].provide(kept.clone(), true).await.unwrap();
    let leaver = net.client(90).await;
    leaver.provide(left.clone(), true).await.unwrap();
    leaver.close().await;
    let at = |key: &Vec<u8>| net.nodes[4].local_providers(key.clone());
    tokio::time::sleep(Duration::from_secs(25 * 3600)).await;
    assert_eq!(at(&left).await.unwrap(), vec![dht::Contact::unlocated(peer_id(90))], "addresses last a day");
    assert_eq!(at(&kept).await.unwrap(), vec![contact(1)], "announced again after 22 hours");
    tokio::time::sleep(Duration::from_secs(25 * 3600)).await;
    assert!(at(&left).await.unwrap().is_empty(), "the record lasts two");
    assert_eq!(at(&kept).await.unwrap(), vec![contact(1)]);

    assert!(net.nodes[0].stop_providing(kept.clone()).await.unwrap());
    tokio::time::sleep(Duration::from_secs(49 * 3600)).await;
    assert!(at(&kept).await.unwrap().is_empty(), "no longer announced");
}

#[tokio::test(start_paused = true)]
async fn own_records_of_a_store_that_outlived_a_restart_are_announced() {
    use dht::records::{MemoryConfig, MemoryStore};
    use std::sync::Arc;

    let net = Net::of(4).await;
    let key = content("durable");
    let store = Arc::new(MemoryStore::new(&peer_id(60), MemoryConfig::default(), 1).unwrap());
    let build = || builder(60).store(store.clone()).bootstrap_from(|| vec![contact(1)]);
    let before = join(&net.hub, 60, build());
    before.bootstrap(Default::default()).await.unwrap();
    before.provide(key.clone(), true).await.unwrap();
    before.close().await;
    for node in &net.nodes {
        node.datastore().remove(&Query::Providers(key.clone().into())).await.unwrap();
    }
    let after = join(&net.hub, 60, build());
    after.bootstrap(Default::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(23 * 3600)).await;
    assert_eq!(net.nodes[2].local_providers(key).await.unwrap(), vec![contact(60)]);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_took_is_announced_again_soon() {
    use dht::net::memory::Hub;

    let hub = Hub::new();
    let early = join(&hub, 1, builder(1).bootstrap_from(|| vec![contact(2)]));
    let key = content("early");
    assert!(early.provide(key.clone(), true).await.is_err(), "there is nobody yet");
    let other = join(&hub, 2, builder(2));
    early.bootstrap(Default::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(11 * 60)).await;
    assert_eq!(other.local_providers(key).await.unwrap(), vec![contact(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_provider_is_told_once_and_again_when_an_address_turns_up() {
    let net = Net::of(6).await;
    let key = content("twice");
    // One holder knows only the name, the others know where.
    for (i, node) in net.nodes[..5].iter().enumerate() {
        let told = if i == 0 { dht::Contact::unlocated(peer_id(50)) } else { contact(50) };
        node.add_provider(key.clone(), told).await.unwrap();
    }
    let asker = &net.nodes[5];
    asker.add_provider(key.clone(), dht::Contact::unlocated(peer_id(50))).await.unwrap();
    let mut stream = asker.find_providers(key, 0).await.unwrap();
    let mut told = Vec::new();
    while let Some(provider) = stream.next().await {
        told.push(provider);
    }
    assert_eq!(told, vec![dht::Contact::unlocated(peer_id(50)), contact(50)]);
}
