//! Who enters whose table, who stays there, and who does not.

use dht::{Mode, ipfs::PeerId, net::Order};
use serde_json::json;
use tokio::time::{Duration, sleep};

use crate::{
    ours::{self, Plan},
    scene::{Scene, join},
    verdict::{Expected, Outcome, PATIENCE, ensure, eventually},
    wire,
};

/// A switch of our mode is told within 100 ms; a process on a busy machine may take longer to say so.
const SWITCH: Duration = Duration::from_secs(2);
/// How long a client stays connected before the table is looked at.
const SETTLED: Duration = Duration::from_millis(500);

pub async fn they_admit(scene: &Scene) -> Outcome {
    scene.their_table_has(&ours::name(&scene.server), true).await
}

pub async fn we_admit(scene: &Scene) -> Outcome {
    eventually("our server's table holds the peer that connected to it", PATIENCE, async || {
        let table = our_table(scene).await?;
        if table.contains(&scene.their_id) { Ok(()) } else { Err(format!("{table:?}")) }
    })
    .await
}

/// The connection is gone by then, as it is when nobody has used it for a while.
pub async fn they_keep(scene: &Scene) -> Outcome {
    disconnect(scene).await?;
    scene.them.ask("refresh", json!({})).await.expected("its refresh ends")?;
    let table = scene.their_table().await.expected("its table")?;
    let own = ours::name(&scene.server);
    ensure(table.contains(&own), format!("{own} in its table after its refresh"), format!("{table:?}"))
}

pub async fn we_keep(scene: &Scene) -> Outcome {
    disconnect(scene).await?;
    scene.server.table().refresh().await.expected("our refresh ends")?;
    let table = our_table(scene).await.expected("our table")?;
    let them = scene.their_id;
    ensure(table.contains(&them), format!("{them} in our table after our refresh"), format!("{table:?}"))
}

async fn disconnect(scene: &Scene) -> Outcome {
    scene
        .server
        .handle()
        .order(Order::Disconnect(scene.their_id))
        .await
        .expected("our server disconnects")?;
    sleep(SETTLED).await;
    Ok(())
}

/// Our clients have asked it for many things by now.
pub async fn they_keep_clients_out(scene: &Scene) -> Outcome {
    join(&scene.client, &scene.them.address).await?;
    scene.client.closest_peers(ours::content()).await.expected("our client asks it")?;
    sleep(SETTLED).await;
    if scene.foreign.tells_table {
        scene.them.ask("refresh", json!({})).await.expected("its refresh ends")?;
    }
    let table = scene.their_table().await.expected("its table")?;
    for client in [&scene.client, &scene.reader] {
        let name = ours::name(client);
        ensure(!table.contains(&name), format!("no client {name} in its table"), format!("{table:?}"))?;
    }
    if !scene.foreign.tells_table {
        return Ok(());
    }
    // js-libp2p adds what a peer asks with to what identify told of it: here it is a client that asks nothing, not even
    // whether the peer that it is connected to belongs into its table.
    let plan = Plan { only: Some(scene.server.local().peer), ..scene.plan(Mode::Client) };
    let silent = plan.start().await?;
    silent.dial_at(ours::contact(&scene.them.address)?).await.expected("our client connects")?;
    let outcome = told_as_client(scene, &ours::name(&silent)).await;
    silent.close().await;
    outcome
}

async fn told_as_client(scene: &Scene, client: &str) -> Outcome {
    let told = eventually("identify of our client", PATIENCE, async || {
        let told = scene.them.ask("protocols", json!({ "peer": client })).await?;
        // Ping is what everybody speaks: without it identify has not come yet.
        if told["protocols"].to_string().contains("/ping/") { Ok(told) } else { Err(told.to_string()) }
    });
    let told = told.await?;
    ensure(told["connected"] == true, "our client is connected", &told)?;
    let serves = scene.they_see_server(client).await.expected("identify of our client")?;
    ensure(!serves, "no kad protocol of our client", told)
}

pub async fn we_keep_clients_out(scene: &Scene) -> Outcome {
    let mut client = scene.their_client().await?;
    let name: PeerId = client.peer.parse().expected("a peer id")?;
    client.connect(&ours::address(&scene.server)?).await?;
    // Some connect before the peer is in their table, and refuse to look anything up until then.
    let key = wire::base64(ours::content().as_bytes());
    eventually("its client asks our server", PATIENCE, async || {
        client.names("closest", json!({ "key": key }), "peers").await.map(drop)
    })
    .await?;
    sleep(SETTLED).await;
    let table = our_table(scene).await.expected("our table")?;
    let outcome =
        ensure(!table.contains(&name), format!("no client {name} in our table"), format!("{table:?}"));
    client.end().await;
    outcome
}

pub async fn they_see_the_switch(scene: &Scene) -> Outcome {
    let node = scene.plan(Mode::Server).start().await?;
    join(&node, &scene.them.address).await?;
    let outcome = switches(scene, &node).await;
    node.close().await;
    outcome
}

async fn switches(scene: &Scene, node: &dht::Dht<dht::ipfs::Ipfs>) -> Outcome {
    seen_as(scene, node, true, PATIENCE).await?;
    node.set_mode(Mode::Client).await.expected("our node becomes a client")?;
    seen_as(scene, node, false, SWITCH).await?;
    // Others forget a peer when it fails them.
    if scene.foreign.name == "go" {
        scene.their_table_has(&ours::name(node), false).await?;
    }
    node.set_mode(Mode::Server).await.expected("our node becomes a server again")?;
    seen_as(scene, node, true, SWITCH).await
}

/// Waits until the foreign node takes ours for a server, or for a client: by identify, or where it does not tell that, by
/// whether it can open a stream.
async fn seen_as(
    scene: &Scene,
    node: &dht::Dht<dht::ipfs::Ipfs>,
    server: bool,
    patience: Duration,
) -> Outcome {
    let word = if server { "server" } else { "client" };
    let name = ours::name(node);
    let address = ours::address(node)?;
    eventually(format!("it takes our node for a {word}"), patience, async || {
        let seen = if scene.foreign.tells_table {
            scene.they_see_server(&name).await?
        } else {
            let frame = wire::request(wire::FIND_NODE, ours::content().as_bytes());
            scene.raw_to(&address, &[frame], 1).await.is_ok()
        };
        if seen == server { Ok(()) } else { Err("it still takes it for the other".to_owned()) }
    })
    .await
}

async fn our_table(scene: &Scene) -> Result<Vec<PeerId>, String> {
    let entries = scene.server.table().peers().await.map_err(|error| error.to_string())?;
    Ok(entries.into_iter().map(|entry| entry.contact.peer).collect())
}
