//! A closed network, joined through its first node: in memory on virtual time, or on loopback.

use std::{net::SocketAddr, sync::Arc};

use dht::{
    Contact, Dht,
    core::{
        Rng, Wall,
        rand_core::{Rng as _, SeedableRng},
    },
    mainline::{Builder, Endpoint, InfoHash, Mainline, NodeId},
    net::{TokioClock, memory::Hub},
};

/// A deterministic id for each number.
pub fn id(n: u8) -> NodeId {
    let mut id = [0; 20];
    Rng::seed_from_u64(n.into()).fill_bytes(&mut id);
    NodeId(id)
}

pub fn info_hash(n: u8) -> InfoHash {
    InfoHash(id(n.wrapping_add(128)).0)
}

/// Where node `n` says it is; in memory nobody sends anything there.
pub fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 6881))
}

pub fn contact(n: u8) -> Contact<Mainline> {
    Contact::new(id(n), Endpoint(Some(addr(n))))
}

pub fn builder(n: u8) -> Builder {
    let clock = TokioClock::starting_at(Wall::from_secs(1_800_000_000));
    Dht::<Mainline>::builder()
        .listen([addr(n)])
        .bootstrap(Vec::<String>::new())
        .id(id(n))
        .clock(Arc::new(clock))
        .seed(n.into())
}

pub struct Net {
    pub nodes: Vec<Dht<Mainline>>,
}

impl Net {
    /// `n` nodes, numbered from 1, that all joined through the first.
    pub async fn of(n: u8) -> Self {
        let hub = Hub::new();
        let mut nodes: Vec<Dht<Mainline>> = Vec::new();
        for i in 1..=n {
            let build = if i == 1 { builder(i) } else { builder(i).bootstrap_from([contact(1)]) };
            nodes.push(build.build_on(|local| hub.join(local)).expect("the options of the tests are valid"));
        }
        for node in &nodes[1..] {
            node.bootstrap(Default::default()).await.expect("the first node answers");
        }
        for node in &nodes {
            node.table().refresh().await.expect("the node runs");
        }
        Self { nodes }
    }
}

/// A node on loopback, joined through `others`.
pub async fn on_loopback<'a>(n: u8, others: impl IntoIterator<Item = &'a Dht<Mainline>>) -> Dht<Mainline> {
    let hosts = others.into_iter().map(|other| other.socket().expect("it has a socket").to_string());
    let node = loopback(n).bootstrap(hosts.collect::<Vec<_>>()).build().await;
    node.expect("loopback has ports")
}

pub fn loopback(n: u8) -> Builder {
    Dht::<Mainline>::builder()
        .listen([SocketAddr::from(([127, 0, 0, 1], 0))])
        .bootstrap(Vec::<String>::new())
        .configure(|options| options.udp = dht::net::udp::Config::local())
        .seed(n.into())
}

/// `n` nodes on loopback, all in each other's tables.
pub async fn swarm(n: u8) -> Vec<Dht<Mainline>> {
    let mut nodes = vec![on_loopback(1, []).await];
    for i in 2..=n {
        let node = on_loopback(i, &nodes[..1]).await;
        node.bootstrap(Default::default()).await.expect("the first node answers");
        nodes.push(node);
    }
    for node in &nodes {
        node.table().refresh().await.expect("the node runs");
    }
    nodes
}
