//! The nodes of the demonstration: servers of a private network on loopback, or inside the process.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, anyhow, ensure};
use dht::{
    Contact, Dht, Overlay,
    config::{Loader, Preset, Settings},
    ipfs::{AddrList, Ipfs, Multiaddr, PeerId},
    net::memory::Hub,
    routing::BootstrapOptions,
};
use futures::{
    StreamExt, TryStreamExt,
    future::{join_all, ready},
    stream,
};
use tokio::time::{Instant, sleep};

use super::{Transport, report::Seen};
use crate::join::{self, Options};

/// Nodes that join at the same time.
const JOINING: usize = 16;
/// Pings of one node that are under way at the same time.
const PINGS: usize = 32;
/// How long a node may take to know its neighbourhood.
const SETTLE: Duration = Duration::from_secs(20);
/// Between two looks at its table.
const LOOK: Duration = Duration::from_millis(20);
/// The private network's prefix.
const NETWORK: &str = "/dht-demo";

/// Nodes of one network; those that were stopped are remembered for their counts.
pub struct Swarm {
    live: Vec<Dht<Ipfs>>,
    stopped: Vec<Dht<Ipfs>>,
    settings: Settings,
    transport: Transport,
}

/// Nodes that are about to go.
pub struct Gone(Vec<Dht<Ipfs>>);

impl Swarm {
    /// Starts the nodes; none knows another but the first.
    pub async fn start(nodes: usize, transport: Transport, options: &Options) -> anyhow::Result<Self> {
        let settings = options_of(transport, options)?;
        let hub = Hub::new();
        let first = node(&settings, transport, &hub, 0, None).await?;
        let introducer = Contact::new(first.local().peer, addresses(&first, transport));
        let rest = (1..nodes).map(|i| node(&settings, transport, &hub, i, Some(introducer.clone())));
        let mut live: Vec<_> = stream::iter(rest).buffered(JOINING).try_collect().await?;
        live.insert(0, first);
        Ok(Self { live, stopped: Vec::new(), settings, transport })
    }

    /// What it is, in a few words.
    pub fn described(&self) -> String {
        let transport = match self.transport {
            Transport::Tcp => "TCP on loopback",
            Transport::Quic => "QUIC on loopback",
            Transport::Memory => "memory",
        };
        format!("{} nodes over {transport}", self.live.len())
    }

    /// k of this network.
    pub fn k(&self) -> usize {
        self.settings.routing.bucket_size
    }

    /// The nodes that run.
    pub fn live(&self) -> &[Dht<Ipfs>] {
        &self.live
    }

    /// One of the nodes that run, by any number.
    pub fn pick(&self, number: usize) -> &Dht<Ipfs> {
        &self.live[number % self.live.len()]
    }

    /// Requests that all nodes have sent so far.
    pub fn messages(&self) -> u64 {
        self.live.iter().chain(&self.stopped).map(|dht| dht.metrics().requests.total).sum()
    }

    /// Everybody joins through the first, and looks around until it knows its neighbourhood: who joined while the first
    /// knew nobody has to ask again.
    pub async fn join(&self) -> Seen {
        let joins = self.live.iter().skip(1).map(|dht| dht.bootstrap(BootstrapOptions::default()));
        let _: Vec<_> = stream::iter(joins).buffer_unordered(JOINING).try_collect().await?;
        // A table has room for everybody in a network of k others; in a larger one it depends on where everybody is.
        let others = self.live.len() - 1;
        let wanted = if others <= self.k() { others } else { self.k() / 2 };
        let settling = self.live.iter().map(|dht| settle(dht, wanted));
        let tables: Vec<usize> = stream::iter(settling).buffer_unordered(JOINING).try_collect().await?;
        let (least, most) = (tables.iter().min().unwrap_or(&0), tables.iter().max().unwrap_or(&0));
        Ok(format!("tables hold {least} to {most} peers"))
    }

    /// Takes every third node out, the first among them, until a third is gone.
    pub fn lose_a_third(&mut self) -> Gone {
        let third = self.live.len() / 3;
        let leaving: BTreeSet<PeerId> =
            self.live.iter().step_by(3).take(third).map(|dht| dht.local().peer).collect();
        let all = std::mem::take(&mut self.live);
        let (gone, live) = all.into_iter().partition(|dht| leaving.contains(&dht.local().peer));
        self.live = live;
        self.stopped = gone;
        Gone(self.stopped.clone())
    }

    /// Everybody pings those it knows; the mute ones leave the table. Answers name k peers, so in a network of more than
    /// k nodes a lookup finds all of the closest only after those who answer have forgotten the dead.
    pub async fn ping_all(&self) -> Seen {
        let asked = self.live.iter().map(|dht| async move {
            let before = dht.table().peers().await?;
            let pings = before.iter().map(|entry| dht.ping_at(entry.contact.clone()));
            let mute =
                stream::iter(pings).buffer_unordered(PINGS).filter(|pong| ready(pong.is_err())).count().await;
            let after = dht.table().peers().await?;
            anyhow::Ok((mute, after.into_iter().map(|entry| entry.contact.peer).collect::<Vec<_>>()))
        });
        let asked: Vec<_> = stream::iter(asked).buffer_unordered(JOINING).try_collect().await?;
        let alive: BTreeSet<PeerId> = self.live.iter().map(|dht| dht.local().peer).collect();
        let dead = asked.iter().flat_map(|(_, table)| table).filter(|peer| !alive.contains(*peer)).count();
        ensure!(dead == 0, "tables still hold {dead} entries of nodes that are gone");
        let mute: usize = asked.iter().map(|(mute, _)| mute).sum();
        let tables = || asked.iter().map(|(_, table)| table.len());
        let (least, most) = (tables().min().unwrap_or(0), tables().max().unwrap_or(0));
        Ok(format!("{mute} mute entries left, tables hold {least} to {most} peers"))
    }

    /// Closes every node that runs.
    pub async fn close(&self) -> Seen {
        Gone(self.live.clone()).stop().await
    }
}

impl Gone {
    /// Closes them all at once.
    pub async fn stop(self) -> Seen {
        join_all(self.0.iter().map(Dht::close)).await;
        let open = self.0.iter().filter(|dht| !dht.is_closed()).count();
        ensure!(open == 0, "{open} nodes are still open");
        Ok(format!("{} nodes closed", self.0.len()))
    }
}

/// Looks up the own id until the table holds so many peers; how many it holds then. Whom a lookup meets is checked before
/// it enters, so the table is looked at a little later.
async fn settle(dht: &Dht<Ipfs>, wanted: usize) -> anyhow::Result<usize> {
    let deadline = Instant::now() + SETTLE;
    loop {
        let known = dht.table().len().await?;
        if known >= wanted {
            return Ok(known);
        }
        ensure!(Instant::now() < deadline, "a node joined and knows {known} peers, of {wanted} at least");
        dht.closest_to(Ipfs::peer_target(&dht.local().peer)).await.ok();
        sleep(LOOK).await;
    }
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
