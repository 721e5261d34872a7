//! What must not be stored, and that whoever sent it is told: receipts name those that refused and those that failed.

use dht::ipfs::Ipfs;
use dht::{PutError, ipfs::Keypair, query::Receipt};

use crate::{
    ours::Sample,
    scene::Scene,
    verdict::{Expected, Outcome, ensure, wrong},
    wire,
};

/// A value under a namespace that neither of the two knows.
fn stranger() -> Sample {
    let sample = Sample::any("x");
    Sample { key: [b"/nope", &sample.key[2..]].concat().into(), ..sample }
}

fn name(scene: &Scene, key: &Keypair, sequence: u64) -> Outcome<Sample> {
    Sample::ipns(&scene.server, key, &format!("/ipfs/{}", crate::ours::content()), sequence)
}

pub async fn they_refuse_a_namespace(scene: &Scene) -> Outcome {
    they_refuse(scene, &stranger()).await
}

pub async fn we_refuse_a_namespace(scene: &Scene) -> Outcome {
    let sample = stranger();
    we_refuse(scene, &sample).await?;
    let held = scene.held(&sample).await?;
    ensure(held.is_none(), "nothing under a namespace that is not ours", format!("{held:?}"))
}

pub async fn they_refuse_invalid(scene: &Scene) -> Outcome {
    they_refuse(scene, &name(scene, &Keypair::generate_ed25519(), 1)?.broken()).await
}

pub async fn we_refuse_invalid(scene: &Scene) -> Outcome {
    let sample = name(scene, &Keypair::generate_ed25519(), 1)?.broken();
    we_refuse(scene, &sample).await?;
    let held = scene.held(&sample).await?;
    ensure(held.is_none(), "no record whose signature does not fit", format!("{held:?}"))
}

pub async fn they_refuse_older(scene: &Scene) -> Outcome {
    let key = Keypair::generate_ed25519();
    let newer = name(scene, &key, 5)?;
    let put = scene.client.put_record(newer.key.clone(), newer.value).await.expected("the newer record")?;
    let stored = put.receipt.stored.contains(&scene.their_id);
    ensure(stored, "the foreign node stores the newer record", format!("{:?}", put.receipt))?;
    they_refuse(scene, &name(scene, &key, 3)?).await
}

pub async fn we_refuse_older(scene: &Scene) -> Outcome {
    let key = Keypair::generate_ed25519();
    let newer = name(scene, &key, 5)?;
    for server in [&scene.server, &scene.friend] {
        server.handle().hold(newer.query(), newer.item()).await.expected("our own store takes it")?;
    }
    we_refuse(scene, &name(scene, &key, 3)?).await?;
    scene.holds(&newer).await
}

/// Offered past our own checks, to the foreign node alone: the receipt says that it refused.
async fn they_refuse(scene: &Scene, sample: &Sample) -> Outcome {
    let finished = scene.reader.handle().offer(sample.query(), sample.item(), Default::default()).await;
    let receipt = finished.expected("the offer ends")?.receipt;
    let refused = receipt.refused.iter().any(|(peer, _)| *peer == scene.their_id);
    let expected = format!("{} among those that refused", scene.their_id);
    ensure(refused && receipt.stored.is_empty(), expected, format!("{receipt:?}"))
}

/// By `raw` where the client of the foreign node checks first or does not tell; by its `put` elsewhere.
async fn we_refuse(scene: &Scene, sample: &Sample) -> Outcome {
    let expected = "our server resets the stream";
    if scene.foreign.raw {
        let replies = scene.raw(&[wire::put(&sample.key, &sample.value)], 1).await;
        return match replies {
            Err(_) => Ok(()),
            Ok(replies) => Err(wrong(expected, format!("{replies:?}"))),
        };
    }
    match scene.they_put(sample).await {
        Err(_) => Ok(()),
        Ok(()) if scene.foreign.put_tells => Err(wrong(expected, "its put succeeded")),
        Ok(()) => Ok(()),
    }
}

/// The last check: it ends the foreign node.
pub async fn a_dead_peer_failed(scene: &mut Scene) -> Outcome {
    scene.them.end().await;
    let sample = Sample::pk(&Keypair::generate_ed25519());
    let receipt = match scene.client.put_record(sample.key, sample.value).await {
        Ok(put) => put.receipt,
        Err(PutError::NotStored { receipt }) => receipt,
        Err(error) => return Err(wrong("a receipt", error)),
    };
    let named = |list: &Receipt<Ipfs>| list.stored.contains(&scene.their_id);
    ensure(!named(&receipt), "no dead peer among those that stored it", format!("{receipt:?}"))?;
    let ours = scene.server.local().peer;
    ensure(
        receipt.stored.contains(&ours),
        format!("{ours} among those that stored it"),
        format!("{receipt:?}"),
    )
}
