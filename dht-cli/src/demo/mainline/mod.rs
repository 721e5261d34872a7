//! The demonstration on the Mainline network: nodes on loopback that know each other by UDP alone, and exchange metadata
//! over TCP.

mod guests;
mod items;
mod steps;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::anyhow;
use dht::{
    Dht,
    mainline::{Builder, Mainline},
    net::udp,
};
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    LIMIT,
    report::Report,
    swarm::{JOINING, Swarm},
};
use crate::{mainline::join, output::Output};

/// How long a node of the same machine may take to answer. The dead are known by silence only, so patience costs time.
const PATIENCE: Duration = Duration::from_secs(1);

/// Two rounds of everything, with guests and the loss of a third between them.
pub async fn run(nodes: usize, output: Output) -> anyhow::Result<()> {
    let mut report = Report::new(output, LIMIT)?;
    let Some(mut swarm) = report.start(start(nodes)).await? else { return report.finish() };
    report.step(&swarm, "join through the first", swarm.join()).await?;
    let kept = steps::round(&swarm, &mut report, 1).await?;
    if let Some(guest) = guests::visit(&swarm, &mut report, &kept).await? {
        swarm.admit(guest);
    }
    let gone = swarm.lose_a_third();
    report.step(&swarm, "stop a third at once", gone.stop()).await?;
    steps::still_there(&swarm, &mut report, &kept).await?;
    report.step(&swarm, "ping who is known", swarm.ping_all()).await?;
    steps::round(&swarm, &mut report, 2).await?;
    report.step(&swarm, "close the rest", swarm.close()).await?;
    report.finish()
}

/// Starts the nodes; none knows another but the first.
async fn start(nodes: usize) -> anyhow::Result<Swarm<Mainline>> {
    let first = join::build(node(None)).await?;
    let door = socket(&first)?;
    let rest = (1..nodes).map(|_| join::build(node(Some(door))));
    let mut live: Vec<_> = stream::iter(rest).buffered(JOINING).try_collect().await?;
    let k = first.handle().visit(|node, _| node.routing().config().k).await?;
    live.insert(0, first);
    Ok(Swarm::new(live, k, "UDP on loopback"))
}

/// A node that joins through another, or nobody. All have the same address, so limits for addresses mean nothing.
fn node(through: Option<SocketAddr>) -> Builder {
    let builder = Dht::<Mainline>::builder().listen([SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]);
    builder.bootstrap(through).configure(|options| {
        options.udp = udp::Config::local();
        options.queries.request_timeout = PATIENCE;
        options.queries.retries = 1;
        options.routing.check_timeout = PATIENCE;
    })
}

/// Where a node is.
fn socket(dht: &Dht<Mainline>) -> anyhow::Result<SocketAddr> {
    dht.socket().ok_or_else(|| anyhow!("a node has no socket"))
}
