//! What our node wants of the foreign one, asked of it directly: nobody else can have answered.

use std::{net::SocketAddr, time::Duration};

use dht::{
    Contact, Request,
    core::Response,
    mainline::{Item, ItemKey, Magnet, Mainline, Peer, Query, Record, Swarm},
};
use ed25519_dalek::SigningKey;
use futures::FutureExt;
use serde_json::json;

use super::{Check, Scene, info_hash};
use crate::{
    report::Side::WeAsk,
    verdict::{Expected, Outcome, ensure, wrong},
};

pub const CHECKS: &[Check] = &[
    Check {
        capability: "ping",
        side: WeAsk,
        run: |scene| async move { scene.greet().await.map(drop) }.boxed_local(),
    },
    Check { capability: "find_node", side: WeAsk, run: |scene| find_node(scene).boxed_local() },
    Check { capability: "announce and get_peers", side: WeAsk, run: |scene| announce(scene).boxed_local() },
    Check { capability: "immutable item", side: WeAsk, run: |scene| immutable(scene).boxed_local() },
    Check { capability: "mutable item", side: WeAsk, run: |scene| mutable(scene).boxed_local() },
    Check { capability: "scrape", side: WeAsk, run: |scene| scrape(scene).boxed_local() },
    Check { capability: "samples", side: WeAsk, run: |scene| samples(scene).boxed_local() },
    Check { capability: "metadata by magnet", side: WeAsk, run: |scene| metadata(scene).boxed_local() },
];

async fn ask(scene: &Scene, request: Request<Mainline>) -> Outcome<(Contact<Mainline>, Response<Mainline>)> {
    let them = scene.greet().await?;
    let kind = format!("an answer to {:?}", request.kind());
    let (response, _) = scene.nodes[0].ask(them.clone(), request).await.expected(kind)?;
    Ok((them, response))
}

/// Stores with the ticket that it gives, and reads back.
async fn store(scene: &Scene, query: Query, item: Record) -> Outcome<Vec<Record>> {
    let (_, response) = ask(scene, Request::Get { query: query.clone() }).await?;
    let ticket = response.ticket.ok_or_else(|| wrong("a token", "none"))?;
    ask(scene, Request::Put { query: query.clone(), item, ticket: Some(ticket) }).await?;
    Ok(ask(scene, Request::Get { query }).await?.1.items)
}

async fn find_node(scene: &Scene) -> Outcome {
    let target = info_hash("find").key();
    let (_, response) = ask(scene, Request::FindNode { target }).await?;
    // It may know nobody yet; what it names must be nodes.
    ensure(response.closer.iter().all(|c| c.addr.0.is_some()), "nodes with places", format!("{response:?}"))
}

fn peer(port: u16) -> Record {
    Record::Peer(Peer { addr: SocketAddr::from(([127, 0, 0, 1], port)), seed: false, implied_port: false })
}

async fn announce(scene: &Scene) -> Outcome {
    let got = store(scene, info_hash("announce").into(), peer(7001)).await?;
    let found = got.iter().any(|item| matches!(item, Record::Peer(peer) if peer.addr.port() == 7001));
    ensure(found, "the announced peer", format!("{got:?}"))
}

async fn immutable(scene: &Scene) -> Outcome {
    let item = Item::immutable(&"kept by a stranger".into()).expected("an item")?;
    let query = Query::Item(ItemKey::new(item.target()));
    let got = store(scene, query, Record::Item(item.clone(), None)).await?;
    ensure(got == [Record::Item(item, None)], "the item", format!("{got:?}"))
}

async fn mutable(scene: &Scene) -> Outcome {
    let key = SigningKey::from_bytes(&[5; 32]);
    let place = ItemKey::mutable(&key.verifying_key().to_bytes(), &b"salt"[..]);
    for seq in [1, 2] {
        let item = Item::mutable(&key, b"salt", seq, &format!("number {seq}").as_str().into());
        let item = item.expected("an item")?;
        let got = store(scene, Query::Item(place.clone()), Record::Item(item.clone(), None)).await?;
        ensure(got == [Record::Item(item, None)], "the latest item", format!("{got:?}"))?;
    }
    Ok(())
}

async fn scrape(scene: &Scene) -> Outcome {
    let info_hash = info_hash("scrape");
    store(scene, info_hash.into(), peer(7002)).await?;
    let query = Query::Peers(Swarm { scrape: true, ..Swarm::new(info_hash) });
    let (_, response) = ask(scene, Request::Get { query }).await?;
    let told = response.items.iter().find_map(|item| match item {
        Record::Scrape(scrape) => Some(scrape.seeds.estimate() + scrape.peers.estimate()),
        _ => None,
    });
    let size = told.ok_or_else(|| wrong("bloom filters", format!("{:?}", response.items)))?;
    ensure((0.9..1.1).contains(&size), "one peer", size)
}

async fn samples(scene: &Scene) -> Outcome {
    let info_hash = info_hash("samples");
    store(scene, info_hash.into(), peer(7003)).await?;
    let sampled = scene.nodes[0].sample_infohashes(scene.their_addr()?, info_hash.key()).await;
    let samples = sampled.expected("an answer")?.samples.ok_or_else(|| wrong("samples", "none"))?;
    ensure(samples.num > 0 && !samples.hashes.is_empty(), "swarms that it knows", format!("{samples:?}"))
}

async fn metadata(scene: &Scene) -> Outcome {
    let made = scene.torrent("theirs").await?;
    let dir = scene.dir.display().to_string();
    scene.ask("seed_torrent", json!({ "file": made["file"], "dir": dir })).await?;
    let link = format!("magnet:?xt=urn:btih:{}", made["info_hash"].as_str().unwrap_or_default());
    let magnet: Magnet = link.parse().expected("a link")?;
    // By the DHT alone: the link names nobody.
    let node = scene.nodes[2].timeout(Duration::from_secs(60));
    node.fetch_metadata(&magnet).await.expected("the info dictionary").map(drop)
}
