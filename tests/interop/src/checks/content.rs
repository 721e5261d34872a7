//! Content: who provides it, and that nobody answers an ADD_PROVIDER.

use dht::ipfs::{ContentKey, PeerId};
use serde_json::json;

use crate::{
    ours::{self, Plan},
    scene::{Scene, join, skipped},
    verdict::{Expected, Outcome, PATIENCE, ensure, eventually, wrong},
    wire,
};

pub async fn we_provide(scene: &Scene) -> Outcome {
    provide(scene, &ours::content()).await
}

async fn provide(scene: &Scene, content: &ContentKey) -> Outcome {
    let receipt = scene.client.provide_once(content.clone()).await.expected("we provide")?;
    let stored = receipt.stored.contains(&scene.their_id);
    ensure(stored, format!("{} among those that stored it", scene.their_id), format!("{receipt:?}"))
}

pub async fn they_provide(scene: &Scene) -> Outcome {
    let content = ours::content();
    scene.them.ask("provide", json!({ "cid": content.to_string() })).await.expected("it provides")?;
    eventually("our server holds its provider record with an address", PATIENCE, async || {
        let held = scene.server.local_providers(content.clone()).await.map_err(|error| error.to_string())?;
        let theirs = held.iter().find(|provider| provider.peer == scene.their_id);
        if theirs.is_some_and(|provider| !provider.addr.is_empty()) {
            Ok(())
        } else {
            Err(format!("{held:?}"))
        }
    })
    .await
}

pub async fn we_find_providers(scene: &Scene) -> Outcome {
    let content = ours::content();
    provide(scene, &content).await?;
    found_by(scene, &scene.reader, &content, scene.client.local().peer).await
}

async fn found_by(
    scene: &Scene,
    reader: &dht::Dht<dht::ipfs::Ipfs>,
    content: &ContentKey,
    provider: PeerId,
) -> Outcome {
    let found = reader.find_providers(content.clone(), 0).await.expected("a search for providers")?;
    let found = found.collect_all().await;
    let it = found.iter().find(|contact| contact.peer == provider);
    let located = it.is_some_and(|contact| !contact.addr.is_empty());
    let expected = format!("{provider} with an address, from {}", scene.their_id);
    ensure(located, expected, format!("{found:?}"))
}

pub async fn they_find_providers(scene: &Scene) -> Outcome {
    let content = ours::content();
    let provider = scene.friend.local();
    scene.server.add_provider(content.clone(), provider.clone()).await.expected("our own store takes it")?;
    let name = provider.peer.to_string();
    let fields = json!({ "cid": content.to_string(), "count": 20 });
    eventually(format!("{name} among the providers that it finds"), PATIENCE, async || {
        let found = scene.them.ask("providers", fields.clone()).await?;
        let entries = found["peers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let entry = entries.iter().find(|entry| entry["peer"] == name.as_str());
        let located =
            entry.is_some_and(|entry| entry["addrs"].as_array().is_some_and(|addrs| !addrs.is_empty()));
        let enough = if scene.foreign.provider_addresses { located } else { entry.is_some() };
        if enough { Ok(()) } else { Err(found.to_string()) }
    })
    .await
}

/// py-libp2p answers; an answer taken for the next one would shift all that follow on the stream.
pub async fn an_echo_is_discarded(scene: &Scene) -> Outcome {
    let plan = Plan { only: Some(scene.their_id), ..scene.plan(dht::Mode::Client) };
    let node = plan.start().await?;
    let outcome = provide_and_ask(scene, &node).await;
    node.close().await;
    outcome
}

async fn provide_and_ask(scene: &Scene, node: &dht::Dht<dht::ipfs::Ipfs>) -> Outcome {
    join(node, &scene.them.address).await?;
    // Some servers do not name a provider to itself, so it is another one that is looked for.
    let known = ours::content();
    provide(scene, &known).await?;
    for _ in 0..3 {
        let receipt = node.provide_once(ours::content()).await.expected("we provide")?;
        ensure(
            receipt.stored == [scene.their_id],
            "stored by the foreign node alone",
            format!("{receipt:?}"),
        )?;
        found_by(scene, node, &known, scene.client.local().peer).await?;
        let found = node.find_providers(ours::content(), 0).await.expected("a search for providers")?;
        let found = found.collect_all().await;
        ensure(found.is_empty(), "no provider of what nobody provides", format!("{found:?}"))?;
        let closest =
            node.closest_peers(ours::content()).await.expected("a lookup behind an ADD_PROVIDER")?;
        let peers: Vec<_> = closest.into_iter().map(|contact| contact.peer).collect();
        ensure(peers == [scene.their_id], "the foreign node alone", format!("{peers:?}"))?;
    }
    Ok(())
}

/// The reference takes an answer to its ADD_PROVIDER for the answer to its next request.
pub async fn we_echo_nothing(scene: &Scene) -> Outcome {
    if !scene.foreign.raw {
        return skipped("it can not write frames of ours");
    }
    let content = ours::content();
    let friend = scene.their_id;
    let own = ours::contact(&scene.them.address)?;
    let packed = own.addr.iter().next().ok_or_else(|| wrong("an address of the foreign node", "none"))?;
    let add = wire::add_provider(content.as_bytes(), friend.as_ref(), packed);
    let other = ours::content();
    let replies = scene.raw(&[add, wire::request(wire::FIND_NODE, other.as_bytes())], 1).await?;
    let right =
        replies.len() == 1 && replies[0].kind == wire::FIND_NODE && replies[0].key == other.as_bytes()[..];
    ensure(right, "one reply, to the FIND_NODE", format!("{replies:?}"))?;
    let held = scene.server.local_providers(content).await.expected("our own store")?;
    let stored = held.iter().any(|provider| provider.peer == scene.their_id);
    ensure(stored, "the provider record, before the FIND_NODE was answered", format!("{held:?}"))
}
