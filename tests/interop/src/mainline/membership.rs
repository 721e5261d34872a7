//! Who is in whose table: newcomers that serve enter, nodes that only read do not (BEP 43), and both are served.

use std::time::Duration;

use dht::{
    Contact,
    mainline::{Announcement, InfoHash, Mainline, NodeId},
};
use serde_json::json;

use super::{
    ours_ask,
    scene::{Scene, near},
};
use crate::{
    child::Child,
    verdict::{Expected, Outcome, ensure, eventually},
};

/// How long a foreign node may take to know us.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Our first node in its table.
pub async fn known(scene: &Scene) -> Outcome {
    they_take(scene, &scene.nodes[0].local()).await
}

async fn they_take(scene: &Scene, node: &Contact<Mainline>) -> Outcome {
    eventually("our node in its table", PATIENCE, async || {
        if scene.they_know(node).await? {
            return Ok(());
        }
        // Some take in whoever asks, others only whom they met in a lookup. Whether it has a call for one does not matter.
        let _ = scene.them.ask("get_peers", json!({ "info_hash": near(node.peer, 9).to_string() })).await;
        Err("it is not".to_owned())
    })
    .await
}

/// A newcomer that was told of the foreign node alone learns of our others from there.
pub async fn join(scene: &Scene) -> Outcome {
    let newcomer = scene.guest(|builder| builder).await?;
    eventually("one of our nodes in the table of the newcomer", PATIENCE, async || {
        let table = newcomer.table().peers().await.map_err(|error| error.to_string())?;
        let met =
            scene.nodes.iter().any(|node| table.iter().any(|entry| entry.contact.peer == node.local().peer));
        if met { Ok(()) } else { Err(format!("{} others", table.len())) }
    })
    .await
}

/// A reader of ours finds what the foreign node holds.
pub async fn our_reader_served(scene: &Scene) -> Outcome {
    let info_hash = near(scene.greet().await?.peer, 3);
    let own = scene.ours()[0].port();
    ours_ask::store(scene, info_hash.into(), ours_ask::peer(own, true)).await?;
    let reader = scene.guest(|builder| builder.read_only(true)).await?;
    let peers = reader.get_peers(info_hash).await.expected("a lookup")?.finish().await;
    let peers = peers.expected("an answer")?;
    ensure(peers.iter().any(|peer| peer.addr.port() == own), "the announced peer", format!("{peers:?}"))
}

/// A reader of ours is in nobody's table. A newcomer that serves is in the foreign node's, so there was the time to.
pub async fn our_reader_not_kept(scene: &Scene) -> Outcome {
    let reader = scene.guest(|builder| builder.read_only(true)).await?;
    let newcomer = scene.guest(|builder| builder).await?;
    they_take(scene, &newcomer.local()).await?;
    let known = scene.they_know(&reader.local()).await.expected("its table")?;
    ensure(!known, "the reader in no table", "it is in its table")?;
    not_ours(scene, reader.local().peer).await
}

async fn not_ours(scene: &Scene, reader: NodeId) -> Outcome {
    for node in &scene.nodes {
        let table = node.table().peers().await.expected("our table")?;
        let holds = table.iter().any(|entry| entry.contact.peer == reader);
        ensure(!holds, "the reader in no table", "it is in ours")?;
    }
    Ok(())
}

/// A reader of theirs finds what our nodes hold.
pub async fn their_reader_served(scene: &Scene) -> Outcome {
    let reader = scene.their_reader().await?;
    let info_hash = near(scene.nodes[0].local().peer, 2);
    let how = Announcement { port: Some(7202), seed: false };
    scene.nodes[1].announce(info_hash, how).await.expected("our nodes take it")?;
    // Its token comes back with the announcement and proves its address: who answers nothing gets nothing before.
    announce(scene, reader, info_hash, 7203).await?;
    eventually("`get_peers` finds it", PATIENCE, async || {
        let answer = reader.ask("get_peers", json!({ "info_hash": info_hash.to_string() })).await?;
        if answer["peers"].to_string().contains(":7202") { Ok(()) } else { Err(answer.to_string()) }
    })
    .await
}

async fn announce(scene: &Scene, reader: &Child, info_hash: InfoHash, port: u16) -> Outcome {
    let hash = info_hash.to_string();
    let fields = json!({ "info_hash": hash, "port": port, "implied_port": false, "seed": false });
    reader.ask("announce", fields).await.expected("`announce` works")?;
    held(scene, info_hash.into(), &format!(":{port}")).await
}

/// A reader of theirs is in no table of ours, although it asked and announced.
pub async fn their_reader_not_kept(scene: &Scene) -> Outcome {
    let reader = scene.their_reader().await?;
    announce(scene, reader, near(scene.nodes[0].local().peer, 4), 7204).await?;
    not_ours(scene, reader.peer.parse().expected("an id")?).await
}

/// Waits until one of our nodes holds something that reads like this.
pub async fn held(scene: &Scene, query: dht::mainline::Query, text: &str) -> Outcome {
    eventually("the announced peer at our nodes", PATIENCE, async || {
        for node in &scene.nodes {
            let held = node.handle().presented(&query).await.map_err(|error| error.to_string())?;
            if format!("{held:?}").contains(text) {
                return Ok(());
            }
        }
        Err("nothing".to_owned())
    })
    .await
}
