//! A node of the crate `mainline` that is told what to do by JSON lines on stdin. The protocol is described in
//! `../../README.md`. It shares no code with the node it meets, on purpose.
#![allow(deprecated, reason = "the blocking interface is what a thread per request wants")]

#[path = "../../bittorrent/lines.rs"]
mod lines;

use std::{
    net::{SocketAddr, SocketAddrV4},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use mainline::{Dht, Id, MutableItem, SigningKey};
use serde_json::{Value, json};

use crate::lines::{Arguments, Outcome, unsupported};

/// The thread of a node that was dropped lets go of its port within this.
const PORT_FREE: Duration = Duration::from_secs(5);

fn main() -> Result<(), String> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let peer = Peer::start(&arguments)?;
    let dht = peer.dht();
    let ready = json!({
        "event": "ready", "addr": peer.listen.to_string(), "id": lines::hex(dht.info().id().as_bytes()), "tcp": null,
    });
    drop(dht);
    lines::serve(ready, move |request| peer.perform(request))
}

struct Peer {
    listen: SocketAddrV4,
    server: bool,
    running: Mutex<Running>,
}

struct Running {
    bootstrap: Vec<SocketAddrV4>,
    dht: Option<Dht>,
}

impl Peer {
    fn start(arguments: &Arguments) -> Result<Self, String> {
        let listen = v4(arguments.listen)?;
        let bootstrap = arguments.bootstrap.iter().copied().map(v4).collect::<Result<Vec<_>, _>>()?;
        let dht = Some(build(listen, arguments.server, &bootstrap)?);
        Ok(Self { listen, server: arguments.server, running: Mutex::new(Running { bootstrap, dht }) })
    }

    fn dht(&self) -> Dht {
        let running = self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        running.dht.clone().expect("there is a node but while it restarts, under the lock")
    }

    fn perform(&self, request: &Value) -> Outcome {
        match request["op"].as_str().unwrap_or_default() {
            "add_node" => self.add_node(request),
            "table" => Ok(self.table()),
            "find_node" => self.find_node(request),
            "get_peers" => self.get_peers(request),
            "announce" => self.announce(request),
            "put_immutable" => self.put_immutable(request),
            "get_immutable" => self.get_immutable(request),
            "put_mutable" => self.put_mutable(request),
            "get_mutable" => self.get_mutable(request),
            "stats" => self.stats(),
            _ => unsupported(),
        }
    }

    /// Nodes to start from can be told only when the node is built. So it is built again on the same port, under
    /// another id, and what it stored is gone.
    fn add_node(&self, request: &Value) -> Outcome {
        let addr = v4(lines::address(lines::text(request, "addr")?)?)?;
        let mut running = self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if running.bootstrap.contains(&addr) {
            return Ok(json!({}));
        }
        running.bootstrap.push(addr);
        running.dht = None;
        let begun = Instant::now();
        let dht = loop {
            match build(self.listen, self.server, &running.bootstrap) {
                Ok(dht) => break dht,
                Err(error) if begun.elapsed() > PORT_FREE => return Err(error),
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        };
        running.dht = Some(dht.clone());
        drop(running);
        let bootstrapped = dht.bootstrapped();
        Ok(json!({ "node": lines::hex(dht.info().id().as_bytes()), "bootstrapped": bootstrapped }))
    }

    /// The library tells where the nodes are, and not who.
    fn table(&self) -> Value {
        let nodes = self.dht().to_bootstrap();
        json!({ "nodes": nodes.iter().map(|addr| json!({ "id": null, "addr": addr })).collect::<Vec<_>>() })
    }

    fn find_node(&self, request: &Value) -> Outcome {
        let nodes = self.dht().find_node(Id::from(lines::digest(request, "target")?));
        let each =
            |node: &mainline::Node| json!({ "id": lines::hex(node.id().as_bytes()), "addr": node.address() });
        Ok(json!({ "nodes": nodes.iter().map(each).collect::<Vec<_>>() }))
    }

    fn get_peers(&self, request: &Value) -> Outcome {
        let answers = self.dht().get_peers(Id::from(lines::digest(request, "info_hash")?));
        let mut peers: Vec<_> = answers.flatten().map(|peer| peer.to_string()).collect();
        peers.sort();
        peers.dedup();
        Ok(json!({ "peers": peers }))
    }

    fn announce(&self, request: &Value) -> Outcome {
        let implied = request["implied_port"] == true || request["implied_port"] == 1;
        let port = request["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        let info_hash = Id::from(lines::digest(request, "info_hash")?);
        let done = self.dht().announce_peer(info_hash, if implied { None } else { port });
        done.map(|_| json!({})).map_err(|error| error.to_string())
    }

    fn put_immutable(&self, request: &Value) -> Outcome {
        let done = self.dht().put_immutable(&string(request)?);
        done.map(|target| json!({ "target": lines::hex(target.as_bytes()) }))
            .map_err(|error| error.to_string())
    }

    fn get_immutable(&self, request: &Value) -> Outcome {
        let value = self.dht().get_immutable(Id::from(lines::digest(request, "target")?));
        Ok(json!({ "value": encoded(&value.ok_or("not found")?) }))
    }

    fn put_mutable(&self, request: &Value) -> Outcome {
        let seed = lines::hexadecimal(lines::text(request, "seed")?)?;
        let seed = seed.try_into().map_err(|_| "a seed has 32 bytes")?;
        let signer = SigningKey::from_bytes(&seed);
        let key = signer.verifying_key().to_bytes();
        let seq = request["seq"].as_i64().unwrap_or(1);
        let item = MutableItem::new(signer, &string(request)?, seq, salt(request)?.as_deref());
        let done = self.dht().put_mutable(item, request["cas"].as_i64());
        let target = done.map_err(|error| error.to_string())?;
        Ok(json!({ "target": lines::hex(target.as_bytes()), "key": lines::hex(&key), "seq": seq }))
    }

    fn get_mutable(&self, request: &Value) -> Outcome {
        let key = lines::hexadecimal(lines::text(request, "key")?)?;
        let key = key.try_into().map_err(|_| "a key has 32 bytes")?;
        let item = self.dht().get_mutable_most_recent(&key, salt(request)?.as_deref()).ok_or("not found")?;
        Ok(json!({ "value": encoded(item.value()), "seq": item.seq() }))
    }

    fn stats(&self) -> Outcome {
        let info = self.dht().info();
        Ok(json!({
            "node": lines::hex(info.id().as_bytes()), "server": info.server_mode(), "firewalled": info.firewalled(),
            "public_address": info.public_address().map(|addr| addr.to_string()), "size": info.dht_size_estimate().0,
        }))
    }
}

fn build(listen: SocketAddrV4, server: bool, bootstrap: &[SocketAddrV4]) -> Result<Dht, String> {
    let mut builder = Dht::builder();
    builder.bind_address(*listen.ip()).port(listen.port());
    if server {
        builder.server_mode();
    }
    if bootstrap.is_empty() {
        builder.no_bootstrap();
    } else {
        builder.bootstrap(bootstrap);
    }
    builder.build().map_err(|error| error.to_string())
}

fn v4(addr: SocketAddr) -> Result<SocketAddrV4, String> {
    match addr {
        SocketAddr::V4(addr) => Ok(addr),
        SocketAddr::V6(_) => Err("the library has no IPv6".into()),
    }
}

fn salt(request: &Value) -> Result<Option<Vec<u8>>, String> {
    let salt = if request["salt"].is_null() { Vec::new() } else { lines::bytes(request, "salt")? };
    Ok(Some(salt).filter(|salt| !salt.is_empty()))
}

/// The library stores strings only, and adds their bencoding itself.
fn string(request: &Value) -> Result<Vec<u8>, String> {
    let value = lines::bytes(request, "value")?;
    let colon = value.iter().position(|&byte| byte == b':');
    let string = colon.map(|colon| value[colon + 1..].to_vec()).unwrap_or_default();
    if encode(&string) == value { Ok(string) } else { Err("unsupported".into()) }
}

fn encode(string: &[u8]) -> Vec<u8> {
    [format!("{}:", string.len()).as_bytes(), string].concat()
}

fn encoded(string: &[u8]) -> String {
    lines::base64(&encode(string))
}
