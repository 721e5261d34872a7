//! A private network in memory, joined through its first node, on virtual time.

use std::{sync::Arc, time::Duration};

use dht::{
    Contact, Dht, Mode,
    ipfs::{AddrList, AnyValue, Builder, Ipfs, Keypair, Multiaddr, PeerId},
    net::{TokioClock, memory::Hub},
};

/// A deterministic identity for each number.
pub fn keypair(n: u8) -> Keypair {
    Keypair::ed25519_from_bytes([n; 32]).expect("32 bytes are a key")
}

pub fn peer_id(n: u8) -> PeerId {
    PeerId::from_public_key(&keypair(n).public())
}

/// Where node `n` says it is; in memory nobody dials it.
pub fn addr(n: u8) -> AddrList {
    let addr: Multiaddr = format!("/ip4/10.0.0.{n}/tcp/4001").parse().expect("an address");
    AddrList::from(addr)
}

pub fn contact(n: u8) -> Contact<Ipfs> {
    Contact::new(peer_id(n), addr(n))
}

/// What every node of the tests has: a private network, a fixed identity, virtual time.
pub fn builder(n: u8) -> Builder {
    let clock = TokioClock::starting_at(dht::core::Wall::from_secs(1_800_000_000));
    Dht::<Ipfs>::builder()
        .network("/test")
        .validator("v", AnyValue::default())
        .mode(Mode::Server)
        .identity(keypair(n))
        .bootstrap(Vec::<String>::new())
        .clock(Arc::new(clock))
        .seed(u64::from(n))
}

pub fn join(hub: &Hub<Ipfs>, n: u8, builder: Builder) -> Dht<Ipfs> {
    builder
        .build_on(|local| hub.join(Contact::new(local.peer, addr(n))))
        .expect("the options of the tests are valid")
}

pub struct Net {
    pub hub: Hub<Ipfs>,
    pub nodes: Vec<Dht<Ipfs>>,
}

impl Net {
    /// `n` servers, numbered from 1, that all joined through the first.
    pub async fn of(n: u8) -> Self {
        Self::built(n, builder).await
    }

    pub async fn built(n: u8, build: impl Fn(u8) -> Builder) -> Self {
        let hub = Hub::new();
        let mut nodes = Vec::new();
        for i in 1..=n {
            let through = if i == 1 { vec![] } else { vec![contact(1)] };
            nodes.push(join(&hub, i, build(i).bootstrap_from(move || through.clone())));
        }
        for node in &nodes[1..] {
            node.bootstrap(Default::default()).await.expect("the first node answers");
        }
        for node in &nodes {
            node.table().refresh().await.expect("the node runs");
        }
        Self { hub, nodes }
    }

    /// Adds a client that joined through the first node.
    pub async fn client(&self, n: u8) -> Dht<Ipfs> {
        let client = join(&self.hub, n, builder(n).mode(Mode::Client).bootstrap_from(|| vec![contact(1)]));
        client.bootstrap(Default::default()).await.expect("the first node answers");
        client
    }

    /// The ids of the servers closest to a key, nearest first.
    pub fn closest(&self, key: &[u8], k: usize, except: PeerId) -> Vec<PeerId> {
        use dht::{Overlay, core::KadKey};
        let target = Ipfs::key_of(&key.to_vec().into());
        let mut ids: Vec<PeerId> = self.nodes.iter().map(|node| node.local().peer).collect();
        ids.retain(|id| *id != except);
        ids.sort_by_key(|id| Ipfs::peer_key(id).distance(&target));
        ids.truncate(k);
        ids
    }
}

/// Awaits something that other tasks bring about, in virtual time.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never: {what}");
}
