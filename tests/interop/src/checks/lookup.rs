//! Finding nodes and peers.

use serde_json::json;

use crate::{
    ours,
    scene::Scene,
    verdict::{Expected, Outcome, PATIENCE, ensure, eventually},
    wire,
};

/// Our server is known to our client through the foreign node only.
pub async fn we_find_nodes(scene: &Scene) -> Outcome {
    let wanted = [scene.their_id, scene.server.local().peer];
    eventually("a lookup of ours ends at the foreign node and at our server", PATIENCE, async || {
        let found = scene.client.closest_peers(ours::content()).await.map_err(|error| error.to_string())?;
        let peers: Vec<_> = found.into_iter().map(|contact| contact.peer).collect();
        if wanted.iter().all(|peer| peers.contains(peer)) { Ok(()) } else { Err(format!("{peers:?}")) }
    })
    .await
}

/// Our second server is known to the foreign node through our first one only.
pub async fn they_find_nodes(scene: &Scene) -> Outcome {
    let wanted = [ours::name(&scene.server), ours::name(&scene.friend)];
    eventually("a lookup of it ends at both our servers", PATIENCE, async || {
        let key = wire::base64(ours::content().as_bytes());
        let found = scene.them.names("closest", json!({ "key": key }), "peers").await?;
        if wanted.iter().all(|name| found.contains(name)) { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await
}

pub async fn we_find_a_peer(scene: &Scene) -> Outcome {
    let server = scene.server.local().peer;
    let found = scene.reader.find_peer(server).await.expected("our server, from the foreign node")?;
    let addrs = found.map(|contact| contact.addr);
    let wanted = scene.server.listen_addrs();
    let known = addrs.as_ref().is_some_and(|addrs| addrs.multiaddrs().any(|addr| wanted.contains(&addr)));
    ensure(known, format!("one of {wanted:?}"), format!("{addrs:?}"))
}

pub async fn they_find_a_peer(scene: &Scene) -> Outcome {
    let friend = ours::name(&scene.friend);
    let found = scene.them.names("find_peer", json!({ "peer": friend }), "addrs").await;
    let found = found.expected("our second server, from our first one")?;
    let wanted: Vec<String> = scene.friend.listen_addrs().iter().map(ToString::to_string).collect();
    let known = found.iter().any(|addr| wanted.iter().any(|wanted| addr.starts_with(wanted.as_str())));
    ensure(known, format!("one of {wanted:?}"), format!("{found:?}"))
}
