//! Values: what one puts, the other holds and hands out.

use std::time::Duration;

use dht::ipfs::Keypair;
use serde_json::json;

use crate::{
    ours::{Sample, unique},
    scene::Scene,
    verdict::{Expected, Outcome, PATIENCE, ensure, eventually, wrong},
    wire,
};

pub async fn we_put_keys(scene: &Scene) -> Outcome {
    we_put(scene, &our_key(scene)).await?;
    we_put(scene, &scene.their_sample("own_pk", json!({})).await?).await
}

pub async fn they_put_a_key(scene: &Scene) -> Outcome {
    they_put(scene, &scene.their_sample("own_pk", json!({})).await?).await
}

pub async fn we_get_keys(scene: &Scene) -> Outcome {
    we_get(scene, &our_key(scene)).await?;
    we_get(scene, &scene.their_sample("own_pk", json!({})).await?).await
}

pub async fn they_get_a_key(scene: &Scene) -> Outcome {
    they_get(scene, &our_key(scene)).await
}

pub async fn we_put_names(scene: &Scene) -> Outcome {
    we_put(scene, &our_name(scene)?).await?;
    match their_name(scene).await? {
        Some(name) => we_put(scene, &name).await,
        None => Ok(()),
    }
}

pub async fn they_put_a_name(scene: &Scene) -> Outcome {
    let name = match their_name(scene).await? {
        Some(name) => name,
        None => our_name(scene)?,
    };
    they_put(scene, &name).await
}

pub async fn we_get_names(scene: &Scene) -> Outcome {
    we_get(scene, &our_name(scene)?).await?;
    match their_name(scene).await? {
        Some(name) => we_get(scene, &name).await,
        None => Ok(()),
    }
}

pub async fn they_get_a_name(scene: &Scene) -> Outcome {
    they_get(scene, &our_name(scene)?).await
}

pub async fn we_put_anything(scene: &Scene) -> Outcome {
    we_put(scene, &Sample::any("ours")).await
}

pub async fn they_put_anything(scene: &Scene) -> Outcome {
    they_put(scene, &Sample::any("theirs")).await
}

pub async fn we_get_anything(scene: &Scene) -> Outcome {
    we_get(scene, &Sample::any("ours")).await
}

pub async fn they_get_anything(scene: &Scene) -> Outcome {
    they_get(scene, &Sample::any("ours")).await
}

/// The key of an ECDSA peer is not in its name; where such names are made otherwise, the key of an Ed25519 peer.
fn our_key(scene: &Scene) -> Sample {
    let key = match scene.foreign.name {
        "js" => Keypair::generate_ed25519(),
        _ => Keypair::generate_ecdsa(),
    };
    Sample::pk(&key)
}

fn our_name(scene: &Scene) -> Outcome<Sample> {
    Sample::ipns(&scene.server, &Keypair::generate_ed25519(), &path(), 1)
}

/// A record with an RSA signature and the key in it, where the foreign node can make one.
async fn their_name(scene: &Scene) -> Outcome<Option<Sample>> {
    if !scene.foreign.makes_ipns {
        return Ok(None);
    }
    // A later record is the better one: this peer has one name.
    let sequence = scene.server.handle().now().wall.0.as_millis() as u64;
    let fields = json!({ "value": path(), "sequence": sequence, "lifetime": 3600, "key_type": "rsa" });
    scene.their_sample("make_ipns", fields).await.map(Some)
}

fn path() -> String {
    format!("/ipfs/{}", dht::ipfs::ContentKey::of_bytes(unique().as_bytes()))
}

/// The receipt names the foreign node among those that stored it.
async fn we_put(scene: &Scene, sample: &Sample) -> Outcome {
    let put =
        scene.client.put_record(sample.key.clone(), sample.value.clone()).await.expected("a put of ours")?;
    let stored = put.receipt.stored.contains(&scene.their_id);
    ensure(stored, format!("{} among those that stored it", scene.their_id), format!("{:?}", put.receipt))
}

/// A client of ours that knows nobody else reads what another one has put.
async fn we_get(scene: &Scene, sample: &Sample) -> Outcome {
    we_put(scene, sample).await?;
    let found =
        scene.reader.get_record(sample.key.clone()).await.expected("the value, from the foreign node")?;
    match found {
        Some(record) if record.value == sample.value => Ok(()),
        Some(record) => {
            Err(wrong("the value that was put", format!("another one of {} bytes", record.value.len())))
        }
        None => Err(wrong("the value that was put", "nothing")),
    }
}

async fn they_put(scene: &Scene, sample: &Sample) -> Outcome {
    scene.they_put(sample).await.expected("its put")?;
    scene.holds(sample).await
}

async fn they_get(scene: &Scene, sample: &Sample) -> Outcome {
    let saved = scene.server.handle().hold(sample.query(), sample.item()).await;
    saved.expected("our own store takes the value")?;
    let fields = json!({ "key": wire::base64(&sample.key) });
    eventually("the value that our server holds", PATIENCE.min(Duration::from_secs(6)), async || {
        let found = scene.them.ask("get", fields.clone()).await?;
        let value = found["value"].as_str().and_then(wire::from_base64);
        if value.as_deref() == Some(&sample.value[..]) { Ok(()) } else { Err(found.to_string()) }
    })
    .await
}
