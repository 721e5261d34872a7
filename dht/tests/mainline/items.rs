//! Items of BEP 44, immutable and mutable.

use std::time::Duration;

use dht::{PutError, mainline::bencode::Tree, records::Invalid};
use ed25519_dalek::SigningKey;

use crate::network::Net;

fn text(text: &str) -> Tree {
    text.into()
}

#[tokio::test(start_paused = true)]
async fn a_value_is_found_under_its_hash() {
    let net = Net::of(15).await;
    let put = net.nodes[3].put_immutable(&text("Hello World!")).await.expect("others take it");
    assert_eq!(put.target.to_string(), "e5f96f6f38320f0f33959cb4d3d656452117aadb");
    assert_eq!(put.receipt.stored.len(), 8);
    let got = net.nodes[11].get_immutable(put.target).await.expect("others answer").expect("it is there");
    assert_eq!(got.tree(), Ok(text("Hello World!")));
    let large = Tree::from("x".repeat(1000).as_str());
    let refused = net.nodes[3].put_immutable(&large).await;
    assert!(matches!(refused, Err(PutError::Invalid(Invalid::TooLarge { limit: 1000 }))));
}

#[tokio::test(start_paused = true)]
async fn the_latest_of_a_key_wins_and_conditions_hold() {
    let net = Net::of(15).await;
    let key = SigningKey::from_bytes(&[7; 32]);
    let public = key.verifying_key().to_bytes();
    let [a, b, c] = [&net.nodes[1], &net.nodes[5], &net.nodes[9]];
    a.put_mutable(&key, b"salt", 1, None, &text("one")).await.expect("others take it");
    b.put_mutable(&key, b"salt", 2, Some(1), &text("two")).await.expect("the condition holds");
    let stale = c.put_mutable(&key, b"salt", 3, Some(1), &text("three")).await;
    assert!(matches!(stale, Err(PutError::NotStored { .. } | PutError::Worse)), "{stale:?}");
    let old = c.put_mutable(&key, b"salt", 1, None, &text("one again")).await;
    assert!(matches!(old, Err(PutError::NotStored { .. } | PutError::Worse)), "{old:?}");
    let got = c.get_mutable(&public, b"salt").await.expect("others answer").expect("it is there");
    assert_eq!((got.seq(), got.tree()), (Some(2), Ok(text("two"))));
    assert_eq!(c.get_mutable(&public, b"").await, Ok(None), "another salt is another place");
    let mut search = c.search_mutable(&public, b"salt").await.expect("the node runs");
    let mut last = None;
    while let Some(item) = search.next().await {
        assert!(item.seq() > last);
        last = item.seq();
    }
    assert_eq!(last, Some(2));
}

#[tokio::test(start_paused = true)]
async fn items_are_kept_while_their_owner_runs_and_two_hours_longer() {
    let net = Net::of(12).await;
    let put = net.nodes[2].put_immutable(&text("x")).await.expect("others take it");
    let held = |asker: usize| net.nodes[asker].get_immutable(put.target);
    tokio::time::sleep(Duration::from_secs(9 * 3600)).await;
    assert!(held(8).await.expect("others answer").is_some());
    net.nodes[2].close().await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(held(9).await.expect("others answer").is_some());
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    assert_eq!(held(10).await, Ok(None));
}
