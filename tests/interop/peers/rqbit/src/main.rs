//! A node of rqbit's DHT that is told what to do by JSON lines on stdin. The protocol is described in
//! `../../README.md`. It shares no code with the node it meets, on purpose.

#[path = "../../bittorrent/lines.rs"]
mod lines;

use std::{
    collections::BTreeSet,
    net::{SocketAddr, UdpSocket},
    sync::Mutex,
    time::{Duration, Instant},
};

use futures::StreamExt;
use librqbit_dht::{Dht, DhtBuilder, DhtConfig, Id20};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::lines::{Arguments, Outcome, unsupported};

/// A lookup has no end: it goes on for ever. After this long without a new peer it has found what there is.
const QUIET: Duration = Duration::from_secs(3);
/// An announcement is sent as soon as a token comes, and nothing tells of it.
const ANNOUNCE: Duration = Duration::from_secs(3);
/// A node that was cancelled lets go of its port within this.
const PORT_FREE: Duration = Duration::from_secs(5);

fn main() -> Result<(), String> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    if !arguments.server {
        return Err("it has no read-only mode".into());
    }
    let peer = Peer::start(&arguments)?;
    let ready = json!({
        "event": "ready", "addr": arguments.listen.to_string(), "id": lines::hex(&peer.id.0), "tcp": null,
    });
    lines::serve(ready, move |request| peer.perform(request))
}

struct Peer {
    listen: SocketAddr,
    id: Id20,
    runtime: Runtime,
    /// A socket that answers nobody. The worker ends when its list of nodes to start from is empty, so a lonely node
    /// gets the address of this one.
    silent: UdpSocket,
    running: Mutex<Running>,
}

struct Running {
    bootstrap: Vec<SocketAddr>,
    cancel: CancellationToken,
    dht: Dht,
}

impl Peer {
    fn start(arguments: &Arguments) -> Result<Self, String> {
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        let mut anywhere = arguments.listen;
        anywhere.set_port(0);
        let silent = UdpSocket::bind(anywhere).map_err(|error| error.to_string())?;
        let id = Id20::new(rand_id(&arguments.listen));
        let bootstrap = arguments.bootstrap.clone();
        let (dht, cancel) = runtime.block_on(build(arguments.listen, id, &bootstrap, &silent))?;
        let running = Mutex::new(Running { bootstrap, cancel, dht });
        Ok(Self { listen: arguments.listen, id, runtime, silent, running })
    }

    fn dht(&self) -> Dht {
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner).dht.clone()
    }

    fn perform(&self, request: &Value) -> Outcome {
        match request["op"].as_str().unwrap_or_default() {
            "add_node" => self.add_node(request),
            "table" => Ok(self.table()),
            "get_peers" => self.get_peers(request),
            "announce" => self.announce(request),
            "stats" => Ok(self.stats()),
            _ => unsupported(),
        }
    }

    /// Nodes to start from can be told only when the node is built. So it is built again on the same port under the
    /// same id; the peers that it stored are gone.
    fn add_node(&self, request: &Value) -> Outcome {
        let addr = lines::address(lines::text(request, "addr")?)?;
        let mut running = self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if running.bootstrap.contains(&addr) {
            return Ok(json!({}));
        }
        running.bootstrap.push(addr);
        running.cancel.cancel();
        let begun = Instant::now();
        let (dht, cancel) = loop {
            match self.runtime.block_on(build(self.listen, self.id, &running.bootstrap, &self.silent)) {
                Ok(built) => break built,
                Err(error) if begun.elapsed() > PORT_FREE => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        running.dht = dht;
        running.cancel = cancel;
        Ok(json!({}))
    }

    fn table(&self) -> Value {
        let mut nodes = Vec::new();
        self.dht().with_routing_tables(|v4, v6| {
            for node in v4.iter().chain(v6.iter()) {
                nodes.push(json!({ "id": lines::hex(&node.id().0), "addr": node.addr().to_string() }));
            }
        });
        json!({ "nodes": nodes })
    }

    fn get_peers(&self, request: &Value) -> Outcome {
        let info_hash = Id20::new(lines::digest(request, "info_hash")?);
        let peers = self.runtime.block_on(async {
            let mut stream = self.dht().get_peers(info_hash, None);
            let mut peers = BTreeSet::new();
            while let Ok(Some(peer)) = tokio::time::timeout(QUIET, stream.next()).await {
                peers.insert(peer.to_string());
            }
            peers
        });
        Ok(json!({ "peers": peers }))
    }

    /// It announces only to nodes whose id has the first 16 bits of the info hash. It knows no `implied_port`.
    fn announce(&self, request: &Value) -> Outcome {
        let info_hash = Id20::new(lines::digest(request, "info_hash")?);
        let port =
            request["port"].as_u64().and_then(|port| u16::try_from(port).ok()).filter(|&port| port != 0);
        if request["implied_port"] == true || request["implied_port"] == 1 {
            return unsupported();
        }
        let port = port.ok_or("port is missing")?;
        self.runtime.block_on(async {
            // Dropping the stream would stop the lookup.
            let stream = self.dht().get_peers(info_hash, Some(port));
            tokio::time::sleep(ANNOUNCE).await;
            drop(stream);
        });
        Ok(json!({}))
    }

    fn stats(&self) -> Value {
        let stats = self.dht().stats();
        serde_json::to_value(stats).unwrap_or_else(|error| json!({ "error": error.to_string() }))
    }
}

async fn build(
    listen: SocketAddr,
    id: Id20,
    bootstrap: &[SocketAddr],
    silent: &UdpSocket,
) -> Result<(Dht, CancellationToken), String> {
    let cancel = CancellationToken::new();
    let mut bootstrap: Vec<_> = bootstrap.iter().map(SocketAddr::to_string).collect();
    if bootstrap.is_empty() {
        bootstrap.push(silent.local_addr().map_err(|error| error.to_string())?.to_string());
    }
    let config = DhtConfig {
        peer_id: Some(id),
        bootstrap_addrs: Some(bootstrap),
        listen_addr: Some(listen),
        cancellation_token: Some(cancel.clone()),
        ..DhtConfig::default()
    };
    let dht = DhtBuilder::with_config(config).await.map_err(|error| error.to_string())?;
    Ok((dht, cancel))
}

/// An id that differs between processes, without a crate for it: nothing here has to be secret.
fn rand_id(listen: &SocketAddr) -> [u8; 20] {
    use std::hash::{BuildHasher, RandomState};
    let mut id = [0; 20];
    for (part, chunk) in id.chunks_mut(8).enumerate() {
        let word = RandomState::new().hash_one((listen, part)).to_be_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    id
}
