//! Torrents: what each side serves of one, found by the DHT or asked where it is known to be.

use std::{net::SocketAddr, time::Duration};

use dht::mainline::{Magnet, Torrent, metadata::Wanted};
use serde_json::json;

use super::{membership::held, scene::Scene, they_ask::until};
use crate::{
    verdict::{Expected, Outcome, wrong},
    wire,
};

/// From where it takes connections.
pub async fn by_address(scene: &Scene) -> Outcome {
    let wanted = Wanted::V1(scene.seeded().await?);
    let addr: SocketAddr = scene.them.tcp.parse().expected("an address for connections")?;
    scene.nodes[2].fetch_metadata_from(addr, wanted).await.expected("the info dictionary").map(drop)
}

/// By the DHT alone: the link names nobody. Transmission takes a minute until it announces.
pub async fn by_magnet(scene: &Scene) -> Outcome {
    let magnet: Magnet =
        format!("magnet:?xt=urn:btih:{}", scene.seeded().await?).parse().expected("a link")?;
    let node = scene.nodes[2].timeout(Duration::from_secs(120));
    node.fetch_metadata(&magnet).await.expected("the info dictionary").map(drop)
}

/// Who has no call to announce does so for what it seeds.
pub async fn announced(scene: &Scene) -> Outcome {
    let port = scene.them.tcp.rsplit(':').next().unwrap_or_default();
    held(scene, scene.seeded().await?.into(), &format!(":{port}")).await
}

/// A torrent that our node serves, of three pieces of metadata. It is one that a client can believe: as many hashes as its
/// data has pieces.
pub async fn ours(scene: &Scene) -> Outcome {
    let count = 2_000;
    let length = count * 16_384;
    let hashes = count * 20;
    let mut info =
        format!("d6:lengthi{length}e4:name4:ours12:piece lengthi16384e6:pieces{hashes}:").into_bytes();
    info.extend(std::iter::repeat_n(7, hashes));
    info.push(b'e');
    let torrent = Torrent::of(info.into()).expected("an info dictionary")?;
    scene.nodes[1].serve_metadata(&torrent).await.expected("it is served")?;
    let info_hash = torrent.v1().ok_or_else(|| wrong("a hash", "none"))?;
    let fields = json!({ "magnet": format!("magnet:?xt=urn:btih:{info_hash}") });
    let want = wire::base64(torrent.info());
    until(scene, "fetch_metadata", fields, |answer| answer["info"] == want.as_str()).await
}
