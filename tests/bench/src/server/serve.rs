//! The two servers: our `Dht` and a swarm with the stock behaviours, both as their users would start them, each with the
//! same identity, the same peers in its table and a runtime of two threads.

use std::io::Read as _;

use anyhow::{Context as _, Result, bail};
use dht::{Dht, Mode};
use dht_ipfs::{Ipfs, Multiaddr};
use futures::StreamExt as _;
use libp2p::{
    PeerId, StreamProtocol, SwarmBuilder, identify,
    identity::Keypair,
    kad::{self, store::MemoryStore},
    noise,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};

use crate::{
    tables::{FULL, members},
    world::{Somebody, World},
};

/// The protocol that both serve.
pub const PROTOCOL: &str = "/test/kad/1.0.0";
const LISTEN: &str = "/ip4/127.0.0.1/tcp/0";
/// Addresses of each peer of the tables.
const ADDRESSES: usize = 4;

fn keypair() -> Keypair {
    Keypair::ed25519_from_bytes([7; 32]).expect("32 bytes")
}

/// Who both servers are.
pub fn identity() -> PeerId {
    keypair().public().to_peer_id()
}

/// Serves until the input ends.
///
/// # Errors
/// When it cannot start.
pub fn serve(kind: &str) -> Result<()> {
    let mut world = World::around(identity(), 7);
    let peers = members(&mut world, FULL, ADDRESSES);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match kind {
            "ours" => ours(peers).await,
            "stock" => stock(peers).await,
            other => bail!("no server called {other}"),
        }
    })
}

async fn ours(peers: Vec<Somebody>) -> Result<()> {
    let builder = Dht::<Ipfs>::builder().network("/test").mode(Mode::Server).identity(keypair());
    let node = builder.listen([LISTEN]).bootstrap(Vec::<String>::new()).build().await?;
    // The peers do not exist: upkeep would throw them out.
    node.table().set_auto_refresh(false).await?;
    for peer in peers {
        let _ = node.table().add(peer.contact).await?;
    }
    announce(node.listen_addrs().first().context("an address")?);
    until_input_ends().await;
    node.close().await;
    Ok(())
}

#[derive(NetworkBehaviour)]
struct Stock {
    kad: kad::Behaviour<MemoryStore>,
    identify: identify::Behaviour,
}

async fn stock(peers: Vec<Somebody>) -> Result<()> {
    let mut swarm = SwarmBuilder::with_existing_identity(keypair())
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|key| {
            let local = key.public().to_peer_id();
            let mut config = kad::Config::new(StreamProtocol::new(PROTOCOL));
            config.set_periodic_bootstrap_interval(None);
            let mut kad = kad::Behaviour::with_config(local, MemoryStore::new(local), config);
            kad.set_mode(Some(kad::Mode::Server));
            for peer in &peers {
                for addr in &peer.addrs {
                    kad.add_address(&peer.peer, addr.clone());
                }
            }
            Stock {
                kad,
                identify: identify::Behaviour::new(identify::Config::new("bench/1".into(), key.public())),
            }
        })?
        .build();
    swarm.listen_on(LISTEN.parse()?)?;
    let mut ended = std::pin::pin!(until_input_ends());
    loop {
        tokio::select! {
            event = swarm.select_next_some() => {
                if let SwarmEvent::NewListenAddr { address, .. } = event {
                    announce(&address);
                }
            }
            () = &mut ended => return Ok(()),
        }
    }
}

fn announce(addr: &Multiaddr) {
    println!("{addr}");
}

async fn until_input_ends() {
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = ended.send(());
    });
    let _ = end.await;
}
