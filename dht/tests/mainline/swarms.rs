//! Swarms: announced, found, counted, kept alive and forgotten.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use dht::mainline::Announcement;

use crate::network::{Net, addr, info_hash};

async fn found(net: &Net, asker: usize, n: u8) -> BTreeSet<SocketAddr> {
    let mut peers = net.nodes[asker].get_peers(info_hash(n)).await.expect("the node runs");
    let mut found = BTreeSet::new();
    while let Some(peer) = peers.next().await {
        assert!(found.insert(peer.addr), "each once");
    }
    found
}

#[tokio::test(start_paused = true)]
async fn who_is_announced_is_found_and_counted() {
    let net = Net::of(20).await;
    for (node, seed) in [(3, true), (4, false), (5, false)] {
        let how = Announcement { port: Some(7000 + node as u16), seed };
        let receipt = net.nodes[node - 1].announce(info_hash(1), how).await.expect("others take it");
        assert_eq!(receipt.stored.len(), 8, "all of the closest");
    }
    let want = [3, 4, 5].map(|n| SocketAddr::new(addr(n).ip(), 7000 + u16::from(n)));
    for asker in [0, 9, 19] {
        assert_eq!(found(&net, asker, 1).await, BTreeSet::from(want));
        let size = net.nodes[asker].scrape(info_hash(1)).await.expect("others answer");
        assert_eq!((size.seeds.round(), size.peers.round()), (1.0, 2.0), "{size:?}");
    }
    assert_eq!(found(&net, 0, 2).await, BTreeSet::new());
    assert_eq!(net.nodes[0].get_peers(info_hash(2)).await.unwrap().finish().await, Ok(vec![]));
}

#[tokio::test(start_paused = true)]
async fn an_announcement_lives_as_long_as_its_node_and_45_minutes() {
    let net = Net::of(12).await;
    let how = Announcement { port: Some(7000), seed: false };
    net.nodes[2].announce(info_hash(1), how).await.expect("others take it");
    tokio::time::sleep(Duration::from_secs(5 * 3600)).await;
    assert_eq!(found(&net, 7, 1).await.len(), 1, "announced every half hour");
    net.nodes[2].close().await;
    tokio::time::sleep(Duration::from_secs(14 * 60)).await;
    assert_eq!(found(&net, 7, 1).await.len(), 1);
    tokio::time::sleep(Duration::from_secs(32 * 60)).await;
    assert_eq!(found(&net, 7, 1).await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_withdraws_is_announced_no_more() {
    let net = Net::of(12).await;
    let how = Announcement { port: None, seed: false };
    net.nodes[2].announce(info_hash(1), how).await.expect("others take it");
    assert_eq!(found(&net, 7, 1).await, BTreeSet::from([addr(3)]), "its own port");
    assert_eq!(net.nodes[2].withdraw(info_hash(1)).await, Ok(true));
    assert_eq!(net.nodes[2].withdraw(info_hash(1)).await, Ok(false));
    tokio::time::sleep(Duration::from_secs(46 * 60)).await;
    assert_eq!(found(&net, 7, 1).await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_size_of_the_network_is_about_right() {
    let net = Net::of(40).await;
    for n in 0..32 {
        net.nodes[0].closest_to(info_hash(n).key()).await.expect("others answer");
    }
    let size = net.nodes[0].network_size().await.expect("the node runs").expect("enough lookups");
    assert!((25.0..65.0).contains(&size.peers), "{size:?}");
}
