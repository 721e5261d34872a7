//! Nodes that come while the network runs: one that only reads, and one that leaves and comes back from its file.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use dht::{
    Dht,
    mainline::{Mainline, NodeId, SavedState},
    routing::BootstrapOptions,
};
use tokio::time::{sleep, timeout};

use super::{node, socket, steps::Kept};
use crate::{
    demo::{report::Report, swarm::Swarm},
    mainline::{join, state},
};

/// How long others may take to notice a newcomer.
const NOTICE: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Both visits. The one that came back stays, if all went well.
pub async fn visit(
    swarm: &Swarm<Mainline>,
    report: &mut Report,
    kept: &Kept,
) -> anyhow::Result<Option<Dht<Mainline>>> {
    let mut newcomer = None;
    let arrival = async {
        let (dht, seen) = arrive(swarm, kept).await?;
        newcomer = Some(dht);
        Ok(seen)
    };
    report.step(swarm, "read-only beside a newcomer", arrival).await?;
    let Some(newcomer) = newcomer else { return Ok(None) };
    let mut back = None;
    let restart = async {
        let (dht, seen) = come_back(newcomer, kept).await?;
        back = Some(dht);
        Ok(seen)
    };
    report.step(swarm, "restart from a file", restart).await?;
    Ok(back)
}

/// A node that reads only and one like all others join and look around; by the time that somebody has the other in its
/// table, nobody has the first. Both find what is stored, the first with the tokens of those who withhold it at first.
async fn arrive(swarm: &Swarm<Mainline>, kept: &Kept) -> anyhow::Result<(Dht<Mainline>, String)> {
    let door = socket(swarm.pick(0))?;
    let reader = join::build(node(Some(door)).read_only(true)).await?;
    reader.bootstrap(BootstrapOptions::default()).await?;
    let found = reader.closest_to(reader.local().peer.key()).await?;
    ensure!(!found.is_empty(), "the reader found nobody");
    kept.items.look(&reader).await?;
    let newcomer = join::build(node(Some(door))).await?;
    newcomer.bootstrap(BootstrapOptions::default()).await?;
    kept.items.look(&newcomer).await?;
    let noticed = async {
        loop {
            let holders = holders(swarm, newcomer.local().peer).await?;
            if holders > 0 {
                return anyhow::Ok(holders);
            }
            sleep(LOOK).await;
        }
    };
    let noticed = timeout(NOTICE, noticed).await.context("nobody noticed the newcomer")??;
    let holders = holders(swarm, reader.local().peer).await?;
    reader.close_all().await;
    ensure!(holders == 0, "{holders} nodes have the reader in their tables");
    Ok((newcomer, format!("{noticed} nodes know the newcomer, none the reader")))
}

/// Nodes that have somebody in their tables.
async fn holders(swarm: &Swarm<Mainline>, peer: NodeId) -> anyhow::Result<usize> {
    let mut holders = 0;
    for dht in swarm.live() {
        let known = dht.handle().visit(move |node, _| node.routing().get(&peer).is_some()).await?;
        holders += usize::from(known);
    }
    Ok(holders)
}

/// A file that is gone in the end.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Saved, closed and started again at the same place, with nobody to join through but those in the file.
async fn come_back(dht: Dht<Mainline>, kept: &Kept) -> anyhow::Result<(Dht<Mainline>, String)> {
    let file = std::env::temp_dir().join(format!("dht-demo-{}.state", std::process::id()));
    let file = Scratch(file);
    let (id, place) = (dht.local().peer, socket(&dht)?);
    state::write(&file.0, &dht.saved_state().await?)?;
    dht.close_all().await;
    drop(dht);
    let saved: SavedState = state::read(&file.0)?.context("the file is gone")?;
    let remembered: usize = saved.tables.iter().map(|table| table.contacts.len()).sum();
    let back = join::build(node(None).listen([place]).restore(saved)).await?;
    ensure!(back.local().peer == id, "it came back as {}", back.local().peer);
    back.bootstrap(BootstrapOptions::default()).await?;
    let known = back.table().len().await?;
    ensure!(known > 0, "none of the {remembered} nodes in the file is known any more");
    kept.items.look(&back).await?;
    Ok((back, format!("the same id, and {known} of the {remembered} nodes in its file")))
}
