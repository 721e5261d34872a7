//! Info dictionaries, found and fetched through the DHT alone.

use std::time::Duration;

use dht::mainline::{Magnet, MetadataError, Torrent};

use crate::network::swarm;

/// An info dictionary of about `size` bytes.
fn torrent(size: usize) -> Torrent {
    let pieces = vec![7u8; size.div_ceil(20) * 20];
    let mut info = b"d6:lengthi1000e4:name4:test12:piece lengthi16384e6:pieces".to_vec();
    info.extend_from_slice(format!("{}:", pieces.len()).as_bytes());
    info.extend_from_slice(&pieces);
    info.push(b'e');
    Torrent::of(info.into()).expect("it is an info dictionary")
}

#[tokio::test]
async fn metadata_is_found_by_its_hash_alone() {
    let nodes = swarm(6).await;
    for size in [100, 100_000] {
        let torrent = torrent(size);
        nodes[1].serve_metadata(&torrent).await.expect("loopback has ports");
        let info_hash = torrent.info_hashes().next().unwrap();
        let magnet: Magnet = format!("magnet:?xt=urn:btih:{info_hash}").parse().unwrap();
        let got = nodes[4].timeout(Duration::from_secs(20)).fetch_metadata(&magnet).await;
        assert_eq!(got.expect("it is served"), *torrent.info());
        assert_eq!(nodes[1].unserve_metadata(info_hash).await, Ok(true));
    }
}

#[tokio::test]
async fn a_swarm_without_peers_ends_at_the_deadline() {
    let nodes = swarm(3).await;
    let magnet: Magnet = format!("magnet:?xt=urn:btih:{}", "ab".repeat(20)).parse().unwrap();
    let got = nodes[0].timeout(Duration::from_secs(2)).fetch_metadata(&magnet).await;
    assert_eq!(got, Err(MetadataError::NoPeers));
}

#[tokio::test]
async fn peers_that_the_link_names_are_asked_first() {
    let nodes = swarm(2).await;
    let torrent = torrent(20_000);
    let place = nodes[0].serve_metadata(&torrent).await.expect("loopback has ports");
    let info_hash = torrent.info_hashes().next().unwrap();
    let alone = crate::network::on_loopback(9, []).await;
    let magnet: Magnet = format!("magnet:?xt=urn:btih:{info_hash}&x.pe={place}").parse().unwrap();
    let got = alone.timeout(Duration::from_secs(20)).fetch_metadata(&magnet).await;
    assert_eq!(got.expect("it is served"), *torrent.info());
}
