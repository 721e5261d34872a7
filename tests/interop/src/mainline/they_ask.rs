//! What the foreign node wants of ours.

use dht::mainline::{Announcement, bencode::Tree};
use ed25519_dalek::SigningKey;
use futures::FutureExt;
use serde_json::{Value, json};

use super::{
    Check,
    membership::{self, PATIENCE, held},
    metadata,
    scene::{Scene, id, info_hash, near},
};
use crate::{
    report::Side::TheyAsk,
    verdict::{Expected, Outcome, Stop, ensure, eventually, wrong},
    wire,
};

pub const CHECKS: &[Check] = &[
    Check { capability: "ping", side: TheyAsk, run: |scene| ping(scene).boxed_local() },
    Check {
        capability: "our nodes in its table",
        side: TheyAsk,
        run: |scene| membership::known(scene).boxed_local(),
    },
    Check { capability: "find_node", side: TheyAsk, run: |scene| find_node(scene).boxed_local() },
    Check { capability: "get_peers", side: TheyAsk, run: |scene| get_peers(scene).boxed_local() },
    Check { capability: "announce", side: TheyAsk, run: |scene| announce(scene).boxed_local() },
    Check { capability: "announce, implied port", side: TheyAsk, run: |scene| implied(scene).boxed_local() },
    Check { capability: "put immutable", side: TheyAsk, run: |scene| put_immutable(scene).boxed_local() },
    Check { capability: "get immutable", side: TheyAsk, run: |scene| get_immutable(scene).boxed_local() },
    Check { capability: "put mutable", side: TheyAsk, run: |scene| put_mutable(scene).boxed_local() },
    Check { capability: "get mutable", side: TheyAsk, run: |scene| get_mutable(scene).boxed_local() },
    Check { capability: "wrong cas refused", side: TheyAsk, run: |scene| wrong_cas(scene).boxed_local() },
    Check { capability: "samples", side: TheyAsk, run: |scene| samples(scene).boxed_local() },
    Check {
        capability: "metadata by magnet",
        side: TheyAsk,
        run: |scene| metadata::ours(scene).boxed_local(),
    },
    Check {
        capability: "read-only, not kept",
        side: TheyAsk,
        run: |scene| membership::their_reader_not_kept(scene).boxed_local(),
    },
    // Last: a libtorrent that announced meets itself in its lookups, and waits long for itself.
    Check {
        capability: "read-only, served",
        side: TheyAsk,
        run: |scene| membership::their_reader_served(scene).boxed_local(),
    },
];

async fn ping(scene: &Scene) -> Outcome {
    scene.ask("ping", json!({ "addr": scene.ours()[0].to_string() })).await.map(drop)
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
pub async fn until(scene: &Scene, op: &str, fields: Value, holds: impl Fn(&Value) -> bool) -> Outcome {
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
    let info_hash = near(scene.nodes[0].local().peer, 1);
    let fields =
        json!({ "info_hash": info_hash.to_string(), "port": 7102, "implied_port": false, "seed": false });
    match scene.ask("announce", fields).await {
        Ok(_) => held(scene, info_hash.into(), ":7102").await,
        Err(Stop::Skipped(_)) => metadata::announced(scene).await,
        Err(stop) => Err(stop),
    }
}

async fn implied(scene: &Scene) -> Outcome {
    let info_hash = near(scene.nodes[0].local().peer, 3);
    let fields =
        json!({ "info_hash": info_hash.to_string(), "port": 1, "implied_port": true, "seed": false });
    scene.ask("announce", fields).await?;
    held(scene, info_hash.into(), &format!(":{}", scene.their_addr()?.port())).await
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

async fn wrong_cas(scene: &Scene) -> Outcome {
    let put = async |seq: i64, cas: Option<i64>| {
        let value = wire::base64(&Tree::from(format!("number {seq}").as_str()).encode());
        let salt = wire::base64(b"cas");
        let fields = json!({ "seed": "07".repeat(32), "salt": salt, "seq": seq, "cas": cas, "value": value });
        scene.them.ask("put_mutable", fields).await
    };
    put(2, None).await.expected("`put_mutable` works")?;
    let refused = put(3, Some(1)).await;
    ensure(refused.as_ref().is_err_and(|why| why.contains("301")), "error 301", format!("{refused:?}"))
}

async fn samples(scene: &Scene) -> Outcome {
    let info_hash = info_hash("sampled");
    let how = Announcement { port: Some(7103), seed: false };
    scene.nodes[1].announce(info_hash, how).await.expected("our nodes take it")?;
    let fields = json!({ "addr": scene.ours()[0].to_string(), "target": info_hash.to_string() });
    until(scene, "sample", fields, |answer| answer["num"].as_u64().is_some_and(|num| num > 0)).await
}
