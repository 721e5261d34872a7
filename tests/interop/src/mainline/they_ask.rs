//! What the foreign node wants of ours.

use std::{net::SocketAddr, time::Duration};

use dht::mainline::{Announcement, InfoHash, Torrent, bencode::Tree};
use ed25519_dalek::SigningKey;
use futures::FutureExt;
use serde_json::json;

use super::{Check, Scene, id, info_hash};
use crate::{
    report::Side::TheyAsk,
    verdict::{Expected, Outcome, Stop, ensure, eventually, wrong},
    wire,
};

pub const CHECKS: &[Check] = &[
    Check { capability: "our nodes in its table", side: TheyAsk, run: |scene| table(scene).boxed_local() },
    Check { capability: "find_node", side: TheyAsk, run: |scene| find_node(scene).boxed_local() },
    Check { capability: "get_peers", side: TheyAsk, run: |scene| get_peers(scene).boxed_local() },
    Check { capability: "announce", side: TheyAsk, run: |scene| announce(scene).boxed_local() },
    Check { capability: "put immutable", side: TheyAsk, run: |scene| put_immutable(scene).boxed_local() },
    Check { capability: "get immutable", side: TheyAsk, run: |scene| get_immutable(scene).boxed_local() },
    Check { capability: "put mutable", side: TheyAsk, run: |scene| put_mutable(scene).boxed_local() },
    Check { capability: "get mutable", side: TheyAsk, run: |scene| get_mutable(scene).boxed_local() },
    Check { capability: "samples", side: TheyAsk, run: |scene| samples(scene).boxed_local() },
    Check { capability: "metadata by magnet", side: TheyAsk, run: |scene| metadata(scene).boxed_local() },
];

/// How long a foreign node may take to know us.
const PATIENCE: Duration = Duration::from_secs(40);

async fn table(scene: &Scene) -> Outcome {
    let ours = scene.nodes[0].local().peer;
    // Whether it can tell is known at once.
    scene.ask("table", json!({})).await?;
    eventually("our node in its table", PATIENCE, async || {
        let answer = scene.them.ask("table", json!({})).await?;
        let nodes = answer["nodes"].as_array().cloned().unwrap_or_default();
        let known = nodes.iter().any(|node| node["id"].as_str().and_then(id) == Some(ours));
        if known { Ok(()) } else { Err(answer.to_string()) }
    })
    .await
}

async fn find_node(scene: &Scene) -> Outcome {
    let target = scene.nodes[1].local().peer;
    let answer = scene.ask("find_node", json!({ "target": target.to_string() })).await?;
    let nodes = answer["nodes"].as_array().cloned().unwrap_or_default();
    let found = nodes.iter().any(|node| node["id"].as_str().and_then(id) == Some(target));
    ensure(found, "the node that was looked for", answer)
}

/// Until an answer holds what it should: the foreign node may have to be known first, for strangers are given nothing that
/// others stored.
async fn until(
    scene: &Scene,
    op: &str,
    fields: serde_json::Value,
    holds: impl Fn(&serde_json::Value) -> bool,
) -> Outcome {
    eventually(format!("`{op}` finds it"), PATIENCE, async || {
        match scene.them.ask(op, fields.clone()).await {
            Ok(answer) if holds(&answer) => Ok(Ok(())),
            Ok(answer) => Err(answer.to_string()),
            Err(error) if error == "unsupported" => {
                Ok(Err(Stop::Skipped("its library has no call for it".to_owned())))
            }
            Err(error) => Err(error),
        }
    })
    .await?
}

async fn get_peers(scene: &Scene) -> Outcome {
    let info_hash = info_hash("get_peers");
    let how = Announcement { port: Some(7101), seed: false };
    scene.nodes[1].announce(info_hash, how).await.expected("our nodes take it")?;
    let fields = json!({ "info_hash": info_hash.to_string() });
    until(scene, "get_peers", fields, |answer| answer["peers"].to_string().contains(":7101")).await
}

async fn announce(scene: &Scene) -> Outcome {
    // Near a node of ours: rqbit tells only those that share 16 bits with the hash.
    let mut info_hash = InfoHash(scene.nodes[0].local().peer.0);
    info_hash.0[19] ^= 1;
    let fields =
        json!({ "info_hash": info_hash.to_string(), "port": 7102, "implied_port": false, "seed": false });
    scene.ask("announce", fields).await?;
    eventually("the announced peer at our nodes", PATIENCE, async || {
        let query = info_hash.into();
        for node in &scene.nodes {
            let held = node.handle().presented(&query).await.map_err(|error| error.to_string())?;
            if format!("{held:?}").contains(":7102") {
                return Ok(());
            }
        }
        Err("nothing".to_owned())
    })
    .await
}

async fn put_immutable(scene: &Scene) -> Outcome {
    let value = Tree::from("by a stranger").encode();
    let answer = scene.ask("put_immutable", json!({ "value": wire::base64(&value) })).await?;
    let target = answer["target"].as_str().and_then(id).ok_or_else(|| wrong("a target", &answer))?.key();
    let got = scene.nodes[2].get_immutable(target).await.expected("our nodes answer")?;
    ensure(got.as_ref().is_some_and(|item| item.value == value), "the item", format!("{got:?}"))
}

async fn get_immutable(scene: &Scene) -> Outcome {
    let value = Tree::from("by one of ours");
    let put = scene.nodes[1].put_immutable(&value).await.expected("our nodes take it")?;
    let want = wire::base64(&value.encode());
    let fields = json!({ "target": put.target.to_string() });
    until(scene, "get_immutable", fields, |answer| answer["value"] == want.as_str()).await
}

async fn put_mutable(scene: &Scene) -> Outcome {
    let value = Tree::from("mutable, by a stranger").encode();
    let fields = json!({
        "seed": "09".repeat(32), "salt": wire::base64(b"theirs"), "seq": 3, "value": wire::base64(&value),
    });
    scene.ask("put_mutable", fields).await?;
    let key = SigningKey::from_bytes(&[9; 32]).verifying_key().to_bytes();
    let got = scene.nodes[2].get_mutable(&key, b"theirs").await.expected("our nodes answer")?;
    ensure(got.as_ref().is_some_and(|item| item.value == value), "the item", format!("{got:?}"))
}

async fn get_mutable(scene: &Scene) -> Outcome {
    let key = SigningKey::from_bytes(&[8; 32]);
    let value = Tree::from("mutable, by one of ours");
    let put = scene.nodes[1].put_mutable(&key, b"ours", 4, None, &value).await;
    put.expected("our nodes take it")?;
    let public = key.verifying_key().to_bytes();
    let hex: String = public.iter().map(|byte| format!("{byte:02x}")).collect();
    let want = wire::base64(&value.encode());
    let fields = json!({ "key": hex, "salt": wire::base64(b"ours") });
    until(scene, "get_mutable", fields, |answer| answer["value"] == want.as_str() && answer["seq"] == 4).await
}

async fn samples(scene: &Scene) -> Outcome {
    let info_hash = info_hash("sampled");
    let how = Announcement { port: Some(7103), seed: false };
    scene.nodes[1].announce(info_hash, how).await.expected("our nodes take it")?;
    let at: SocketAddr = scene.nodes[0].socket().ok_or_else(|| wrong("a socket", "none"))?;
    let fields = json!({ "addr": at.to_string(), "target": info_hash.to_string() });
    until(scene, "sample", fields, |answer| answer["num"].as_u64().is_some_and(|num| num > 0)).await
}

async fn metadata(scene: &Scene) -> Outcome {
    let mut info = b"d6:lengthi1000e4:name4:ours12:piece lengthi16384e6:pieces20000:".to_vec();
    info.extend_from_slice(&[7; 20_000]);
    info.push(b'e');
    let torrent = Torrent::of(info.into()).expected("an info dictionary")?;
    scene.nodes[1].serve_metadata(&torrent).await.expected("it is served")?;
    let info_hash = torrent.v1().ok_or_else(|| wrong("a hash", "none"))?;
    let fields = json!({ "magnet": format!("magnet:?xt=urn:btih:{info_hash}") });
    let want = wire::base64(torrent.info());
    until(scene, "fetch_metadata", fields, |answer| answer["info"] == want.as_str()).await
}
