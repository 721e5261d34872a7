//! What our node wants of the foreign one, asked of it directly: nobody else can have answered.

use std::net::SocketAddr;

use dht::{
    Contact, PeerError, Request,
    core::{Failure, Response},
    mainline::{Item, ItemKey, Mainline, Peer, Query, Record, Swarm, Token},
};
use ed25519_dalek::SigningKey;
use futures::FutureExt;

use super::{
    Check, membership, metadata,
    scene::{Scene, info_hash, near},
};
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
    Check { capability: "announce, implied port", side: WeAsk, run: |scene| implied(scene).boxed_local() },
    Check { capability: "wrong token refused", side: WeAsk, run: |scene| wrong_token(scene).boxed_local() },
    Check { capability: "immutable item", side: WeAsk, run: |scene| immutable(scene).boxed_local() },
    Check { capability: "mutable item", side: WeAsk, run: |scene| mutable(scene).boxed_local() },
    Check { capability: "older item refused", side: WeAsk, run: |scene| older(scene).boxed_local() },
    Check { capability: "wrong cas refused", side: WeAsk, run: |scene| wrong_cas(scene).boxed_local() },
    Check { capability: "scrape", side: WeAsk, run: |scene| scrape(scene).boxed_local() },
    Check { capability: "samples", side: WeAsk, run: |scene| samples(scene).boxed_local() },
    Check {
        capability: "metadata by address",
        side: WeAsk,
        run: |scene| metadata::by_address(scene).boxed_local(),
    },
    Check {
        capability: "metadata by magnet",
        side: WeAsk,
        run: |scene| metadata::by_magnet(scene).boxed_local(),
    },
    Check { capability: "join through it", side: WeAsk, run: |scene| membership::join(scene).boxed_local() },
    Check {
        capability: "read-only, served",
        side: WeAsk,
        run: |scene| membership::our_reader_served(scene).boxed_local(),
    },
    Check {
        capability: "read-only, not kept",
        side: WeAsk,
        run: |scene| membership::our_reader_not_kept(scene).boxed_local(),
    },
];

type Asked = Result<Response<Mainline>, PeerError<Mainline>>;

async fn ask(scene: &Scene, them: &Contact<Mainline>, request: Request<Mainline>) -> Asked {
    scene.nodes[0].ask(them.clone(), request).await.map(|(response, _)| response)
}

/// Stores with the ticket that it gives.
async fn put(scene: &Scene, query: &Query, item: Record) -> Outcome<Asked> {
    let them = scene.greet().await?;
    let got = ask(scene, &them, Request::Get { query: query.clone() }).await.expected("an answer to Get")?;
    let ticket = got.ticket.ok_or_else(|| wrong("a token", "none"))?;
    Ok(ask(scene, &them, Request::Put { query: query.clone(), item, ticket: Some(ticket) }).await)
}

async fn get(scene: &Scene, query: Query) -> Outcome<Vec<Record>> {
    let them = scene.greet().await?;
    let got = ask(scene, &them, Request::Get { query }).await.expected("an answer to Get")?;
    Ok(got.items)
}

/// Stores and reads back.
pub async fn store(scene: &Scene, query: Query, item: Record) -> Outcome<Vec<Record>> {
    put(scene, &query, item).await?.expected("an answer to Put")?;
    get(scene, query).await
}

async fn find_node(scene: &Scene) -> Outcome {
    let them = scene.greet().await?;
    let target = info_hash("find").key();
    let response = ask(scene, &them, Request::FindNode { target }).await.expected("an answer to FindNode")?;
    // It may know nobody yet; what it names must be nodes.
    ensure(response.closer.iter().all(|c| c.addr.0.is_some()), "nodes with places", format!("{response:?}"))
}

/// A peer at this address, or, with `implied_port`, where the question comes from.
pub fn peer(port: u16, implied_port: bool) -> Record {
    Record::Peer(Peer { addr: SocketAddr::from(([127, 0, 0, 1], port)), seed: false, implied_port })
}

fn has_port(got: &[Record], port: u16) -> bool {
    got.iter().any(|item| matches!(item, Record::Peer(peer) if peer.addr.port() == port))
}

async fn announce(scene: &Scene) -> Outcome {
    let got = store(scene, info_hash("announce").into(), peer(7001, false)).await?;
    ensure(has_port(&got, 7001), "the announced peer", format!("{got:?}"))
}

async fn implied(scene: &Scene) -> Outcome {
    let own = scene.ours()[0].port();
    // Near to it, for one of them stores nothing else.
    let info_hash = near(scene.greet().await?.peer, 1);
    let got = store(scene, info_hash.into(), peer(1, true)).await?;
    ensure(has_port(&got, own), format!("a peer at port {own}"), format!("{got:?}"))
}

async fn wrong_token(scene: &Scene) -> Outcome {
    let them = scene.greet().await?;
    let query = Query::from(near(them.peer, 2));
    let request =
        Request::Put { query: query.clone(), item: peer(7004, true), ticket: Token::new(b"no token") };
    let answer = ask(scene, &them, request).await;
    // Some are silent, and one answers as if it stored; what they hold tells.
    if let Err(PeerError::Failed { why, .. }) = answer {
        ensure(why == Failure::Refused(203), "error 203", why)?;
    }
    let got = get(scene, query).await?;
    ensure(got.is_empty(), "nobody", format!("{got:?}"))
}

async fn immutable(scene: &Scene) -> Outcome {
    let item = Item::immutable(&"kept by a stranger".into()).expected("an item")?;
    let query = Query::Item(ItemKey::new(item.target()));
    let got = store(scene, query, Record::Item(item.clone(), None)).await?;
    ensure(got == [Record::Item(item, None)], "the item", format!("{got:?}"))
}

/// An item of one key and one salt.
fn number(salt: &'static [u8], seq: i64) -> Outcome<(Query, Item)> {
    let key = SigningKey::from_bytes(&[5; 32]);
    let place = ItemKey::mutable(&key.verifying_key().to_bytes(), salt);
    let item = Item::mutable(&key, salt, seq, &format!("number {seq}").as_str().into());
    Ok((Query::Item(place), item.expected("an item")?))
}

async fn mutable(scene: &Scene) -> Outcome {
    for seq in [1, 2] {
        let (query, item) = number(b"salt", seq)?;
        let got = store(scene, query, Record::Item(item.clone(), None)).await?;
        ensure(got == [Record::Item(item, None)], "the latest item", format!("{got:?}"))?;
    }
    Ok(())
}

async fn older(scene: &Scene) -> Outcome {
    refused(scene, b"older", 1, None, 302).await
}

async fn wrong_cas(scene: &Scene) -> Outcome {
    refused(scene, b"cas", 3, Some(1), 301).await
}

/// Over an item with the number 2.
async fn refused(scene: &Scene, salt: &'static [u8], seq: i64, cas: Option<i64>, code: u32) -> Outcome {
    let (query, second) = number(salt, 2)?;
    put(scene, &query, Record::Item(second.clone(), None)).await?.expected("an answer to Put")?;
    let asked = put(scene, &query, Record::Item(number(salt, seq)?.1, cas)).await?;
    let told = matches!(&asked, Err(PeerError::Failed { why: Failure::Refused(why), .. }) if *why == code);
    ensure(told, format!("error {code}"), format!("{asked:?}"))?;
    let got = get(scene, query).await?;
    ensure(got == [Record::Item(second, None)], "the item that was there", format!("{got:?}"))
}

async fn scrape(scene: &Scene) -> Outcome {
    let info_hash = info_hash("scrape");
    store(scene, info_hash.into(), peer(7002, false)).await?;
    let got = get(scene, Query::Peers(Swarm { scrape: true, ..Swarm::new(info_hash) })).await?;
    let told = got.iter().find_map(|item| match item {
        Record::Scrape(scrape) => Some(scrape.seeds.estimate() + scrape.peers.estimate()),
        _ => None,
    });
    let size = told.ok_or_else(|| wrong("bloom filters", format!("{got:?}")))?;
    ensure((0.9..1.1).contains(&size), "one peer", size)
}

async fn samples(scene: &Scene) -> Outcome {
    let info_hash = info_hash("samples");
    store(scene, info_hash.into(), peer(7003, false)).await?;
    let sampled = scene.nodes[0].sample_infohashes(scene.their_addr()?, info_hash.key()).await;
    let samples = sampled.expected("an answer")?.samples.ok_or_else(|| wrong("samples", "none"))?;
    ensure(samples.num > 0 && !samples.hashes.is_empty(), "swarms that it knows", format!("{samples:?}"))
}
