//! Many requests at once: on one stream, and on as many as there are.

use bytes::Bytes;
use dht::ipfs::Keypair;
use futures::future::join_all;
use serde_json::json;

use crate::{
    ours::{self, Sample},
    scene::Scene,
    verdict::{Expected, Outcome, ensure, wrong},
    wire,
};

/// What the table calls concurrent.
const MANY: u64 = 200;
/// More requests than there are streams to one peer.
const PIPELINED: usize = 48;

/// Different questions to one peer at once, each with its own answer: requests share streams, and no two answers are
/// mixed up.
pub async fn we_pipeline(scene: &Scene) -> Outcome {
    let samples: Vec<Sample> = (0..6)
        .map(|number| match scene.foreign.prefix {
            "/ipfs" => Sample::pk(&Keypair::generate_ed25519()),
            _ => Sample::any(&format!("value {number}")),
        })
        .collect();
    for sample in &samples {
        let put =
            scene.client.put_record(sample.key.clone(), sample.value.clone()).await.expected("a put")?;
        let stored = put.receipt.stored.contains(&scene.their_id);
        ensure(stored, "stored by the foreign node", format!("{:?}", put.receipt))?;
    }
    let wanted: Vec<&Sample> = samples.iter().cycle().take(PIPELINED).collect();
    let found = join_all(wanted.iter().map(|sample| scene.reader.get_record(sample.key.clone()))).await;
    for (sample, found) in wanted.iter().zip(found) {
        let found = found.expected("an answer to each of the requests")?.map(|record| record.value);
        let right = found.as_ref() == Some(&sample.value);
        ensure(right, format!("{:?}", sample.value), format!("{found:?}"))?;
    }
    Ok(())
}

/// Twelve requests are written before one reply is read; an ADD_PROVIDER between them has none.
pub async fn they_pipeline(scene: &Scene) -> Outcome {
    let held = Sample::pk(&Keypair::generate_ed25519());
    scene.server.handle().hold(held.query(), held.item()).await.expected("our own store takes it")?;
    let mut asked: Vec<(u64, Bytes)> =
        (0..11).map(|_| (wire::FIND_NODE, ours::content().into_bytes())).collect();
    asked.insert(5, (wire::GET_VALUE, held.key.clone()));
    let frames: Vec<_> = asked.iter().map(|(kind, key)| wire::request(*kind, key)).collect();
    let replies = scene.raw(&frames, frames.len()).await?;
    let answered: Vec<_> = replies.iter().map(|reply| (reply.kind, Bytes::from(reply.key.clone()))).collect();
    ensure(answered == asked, "the answers in the order of the requests", format!("{answered:?}"))?;
    let value = replies[5].value.as_deref();
    ensure(value == Some(&held.value[..]), "the value in the sixth answer", format!("{value:?}"))
}

pub async fn we_burst(scene: &Scene) -> Outcome {
    let lookups = (0..MANY).map(|_| scene.reader.closest_peers(ours::content()));
    let outcomes = join_all(lookups).await;
    let mut fine = 0;
    let mut first = None;
    for outcome in outcomes {
        match outcome {
            Ok(found) if found.iter().any(|contact| contact.peer == scene.their_id) => fine += 1,
            Ok(found) => first = first.or(Some(format!("{found:?}"))),
            Err(error) => first = first.or(Some(error.to_string())),
        }
    }
    let expected = format!("all {MANY} lookups end at the foreign node");
    ensure(fine == MANY, expected, format!("{fine} did, first other: {}", first.unwrap_or_default()))
}

/// Those that open fewer streams at once do it in rounds.
pub async fn they_burst(scene: &Scene) -> Outcome {
    let peer = ours::name(&scene.server);
    let mut left = MANY;
    while left > 0 {
        let count = left.min(scene.foreign.burst);
        let fields = json!({ "count": count, "peer": peer });
        let answer = scene.them.ask("burst", fields).await.expected("its requests end")?;
        if answer["succeeded"] != count {
            return Err(wrong(format!("{count} of {count} requests answered"), answer));
        }
        left -= count;
    }
    Ok(())
}
