//! The demonstration on the IPFS network: servers of a private network on loopback, or inside the process.

mod steps;

use anyhow::{Context, anyhow};
use dht::{
    Contact, Dht,
    config::{Loader, Preset, Settings},
    ipfs::{AddrList, Ipfs, Multiaddr},
    net::memory::Hub,
};
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    LIMIT, Transport,
    report::Report,
    swarm::{JOINING, Swarm},
};
use crate::{
    exit::usage,
    join::{self, Options},
    output::Output,
};

/// The private network's prefix.
const NETWORK: &str = "/dht-demo";

/// Two rounds of everything, with the loss of a third between them.
pub async fn run(
    nodes: usize,
    transport: Transport,
    options: &Options,
    output: Output,
) -> anyhow::Result<()> {
    if transport == Transport::Quic && !cfg!(feature = "quic") {
        return Err(usage(
            "this build has no QUIC; take `--transport tcp`, or build with the feature `quic`",
        ));
    }
    let mut report = Report::new(output, LIMIT)?;
    let Some(mut swarm) = report.start(start(nodes, transport, options)).await? else {
        return report.finish();
    };
    report.step(&swarm, "join through the first", swarm.join()).await?;
    let kept = steps::round(&swarm, &mut report, 1).await?;
    let gone = swarm.lose_a_third();
    report.step(&swarm, "stop a third at once", gone.stop()).await?;
    steps::still_there(&swarm, &mut report, &kept).await?;
    report.step(&swarm, "ping who is known", swarm.ping_all()).await?;
    steps::round(&swarm, &mut report, 2).await?;
    report.step(&swarm, "close the rest", swarm.close()).await?;
    report.finish()
}

/// Starts the nodes; none knows another but the first.
async fn start(nodes: usize, transport: Transport, options: &Options) -> anyhow::Result<Swarm<Ipfs>> {
    let settings = options_of(transport, options)?;
    let hub = Hub::new();
    let first = node(&settings, transport, &hub, 0, None).await?;
    let introducer = Contact::new(first.local().peer, addresses(&first, transport));
    let rest = (1..nodes).map(|i| node(&settings, transport, &hub, i, Some(introducer.clone())));
    let mut live: Vec<_> = stream::iter(rest).buffered(JOINING).try_collect().await?;
    live.insert(0, first);
    let over = match transport {
        Transport::Tcp => "TCP on loopback",
        Transport::Quic => "QUIC on loopback",
        Transport::Memory => "memory",
    };
    Ok(Swarm::new(live, settings.routing.bucket_size, over))
}

/// The options that a file has, over those for several nodes on one machine. A busy machine is slow, and nobody is dead
/// for that; but who closed a QUIC endpoint refuses nothing and is known by silence only, so there patience costs time.
fn options_of(transport: Transport, options: &Options) -> anyhow::Result<Settings> {
    let (listen, patience) = match transport {
        Transport::Tcp => ("/ip4/127.0.0.1/tcp/0", "5s"),
        Transport::Quic => ("/ip4/127.0.0.1/udp/0/quic-v1", "2s"),
        Transport::Memory => ("", "5s"),
    };
    let demo = [
        ("network.name", NETWORK),
        ("network.mode", "server"),
        ("network.listen", listen),
        ("bootstrap.seed_timeout", "10s"),
        ("bootstrap.timeout", "30s"),
        ("routing.check_timeout", patience),
        ("query.request_timeout", patience),
        ("query.query_timeout", "20s"),
    ];
    let layer = |loader: Loader| {
        let loader = loader.preset(Preset::Testing);
        demo.iter().fold(loader, |loader, (option, value)| loader.flag("dht demo", *option, *value))
    };
    Ok(options.load(layer)?.settings)
}

async fn node(
    settings: &Settings,
    transport: Transport,
    hub: &Hub<Ipfs>,
    number: usize,
    introducer: Option<Contact<Ipfs>>,
) -> anyhow::Result<Dht<Ipfs>> {
    let seeds: Vec<_> = introducer.into_iter().collect();
    let builder = Dht::<Ipfs>::builder().settings(settings.clone()).bootstrap_from(move || seeds.clone());
    if transport != Transport::Memory {
        return join::build(builder).await;
    }
    // A peer without an address is nobody's contact, so even here everybody has one.
    let addr: Multiaddr = format!("/memory/{}", number + 1).parse().context("an address in memory")?;
    let located = |local: Contact<Ipfs>| Contact::new(local.peer, AddrList::for_peer(&local.peer, [&addr]));
    builder.build_on(|local| hub.join(located(local))).map_err(|error| anyhow!(error))
}

/// Where a node can be reached from the start.
fn addresses(dht: &Dht<Ipfs>, transport: Transport) -> AddrList {
    let local = dht.local();
    match transport {
        Transport::Memory => local.addr,
        Transport::Tcp | Transport::Quic => AddrList::for_peer(&local.peer, dht.listen_addrs()),
    }
}
