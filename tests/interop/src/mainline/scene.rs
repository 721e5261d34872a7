//! What every check with one BitTorrent node finds: nodes of ours that know each other, and that node, which was told of
//! them.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use dht::{
    Contact, Dht,
    mainline::{Builder, Endpoint, InfoHash, Mainline, NodeId},
};
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, OnceCell},
    time::Duration,
};

use super::foreign::Foreign;
use crate::{
    child::Child,
    foreign,
    verdict::{Expected, Outcome, Stop, wrong},
};

/// The nodes of one foreign peer's checks.
pub struct Scene {
    pub them: Child,
    /// At least three.
    pub nodes: Vec<Dht<Mainline>>,
    pub dir: PathBuf,
    foreign: &'static Foreign,
    program: Vec<String>,
    /// Nodes that came later. They stay to the end, for one that falls silent would hold up the lookups of others.
    guests: Mutex<Vec<Dht<Mainline>>>,
    seeded: OnceCell<InfoHash>,
    reader: OnceCell<Child>,
}

impl Scene {
    pub async fn start(foreign: &'static Foreign, program: Vec<String>) -> Outcome<Self> {
        let mut nodes: Vec<Dht<Mainline>> = Vec::new();
        for _ in 0..foreign.ours {
            let doors: Vec<SocketAddr> =
                nodes.first().and_then(Dht::<Mainline>::socket).into_iter().collect();
            nodes.push(start_node(foreign.ip, &doors, |builder| builder).await?);
        }
        let dir = foreign::log(foreign.name, "files").expected("a folder")?.with_extension("dir");
        // What an earlier run left.
        let _ = std::fs::remove_dir_all(&dir);
        let ours: Vec<SocketAddr> = nodes.iter().filter_map(Dht::<Mainline>::socket).collect();
        let them = start_foreign(foreign, &program, "server", &dir.join("server"), &ours).await?;
        let (guests, seeded, reader) = Default::default();
        Ok(Self { them, nodes, dir, foreign, program, guests, seeded, reader })
    }

    pub async fn end(&mut self) {
        if let Some(reader) = self.reader.get_mut() {
            reader.end().await;
        }
        self.them.end().await;
        for node in self.nodes.iter().chain(self.guests.get_mut().iter()) {
            node.close_all().await;
        }
    }

    /// Where our nodes are.
    pub fn ours(&self) -> Vec<SocketAddr> {
        self.nodes.iter().filter_map(Dht::<Mainline>::socket).collect()
    }

    /// Where the foreign node is.
    pub fn their_addr(&self) -> Outcome<SocketAddr> {
        self.them.address.parse().expected("an address")
    }

    /// Who the foreign node is, asked.
    pub async fn greet(&self) -> Outcome<Contact<Mainline>> {
        let at = Endpoint(Some(self.their_addr()?));
        let met =
            self.nodes[0].handle().greet(at, Duration::from_secs(10)).await.expected("our node runs")?;
        met.expected("it answers a ping")
    }

    /// An operation of the foreign node. What its library has no call for is skipped.
    pub async fn ask(&self, op: &str, fields: Value) -> Outcome<Value> {
        match self.them.ask(op, fields).await {
            Ok(answer) => Ok(answer),
            Err(error) if error == "unsupported" => {
                Err(Stop::Skipped("its library has no call for it".to_owned()))
            }
            Err(error) => Err(wrong(format!("`{op}` works"), error)),
        }
    }

    /// Another node of ours, which joins through the foreign one only.
    pub async fn guest(&self, change: impl FnOnce(Builder) -> Builder) -> Outcome<Dht<Mainline>> {
        let node = start_node(self.foreign.ip, &[self.their_addr()?], change).await?;
        self.guests.lock().await.push(node.clone());
        Ok(node)
    }

    /// Another process of the foreign node, read-only, which was told of our nodes. It stays to the end too.
    pub async fn their_reader(&self) -> Outcome<&Child> {
        let start = async {
            let dir = self.dir.join("client");
            start_foreign(self.foreign, &self.program, "client", &dir, &self.ours()).await
        };
        self.reader.get_or_try_init(|| start).await
    }

    /// Whether the foreign node has a node in its table: told, or seen in what it answers when it is asked for that node.
    pub async fn they_know(&self, node: &Contact<Mainline>) -> Result<bool, String> {
        let addr = node.addr.0.ok_or("the node has no address")?;
        match self.them.ask("table", json!({})).await {
            Ok(answer) => {
                let nodes = answer["nodes"].as_array().ok_or_else(|| format!("no `nodes` in {answer}"))?;
                return Ok(nodes.iter().any(|node| node["addr"].as_str() == Some(&addr.to_string())));
            }
            Err(error) if error == "unsupported" => {}
            Err(error) => return Err(error),
        }
        let them = self.greet().await.map_err(|stop| format!("{stop:?}"))?;
        let request = dht::Request::FindNode { target: InfoHash(node.peer.0).key() };
        // Not by the node itself: some do not name the asker.
        let asker = self.nodes.iter().find(|asker| asker.local().peer != node.peer).ok_or("no other node")?;
        let (response, _) = asker.ask(them, request).await.map_err(|error| error.to_string())?;
        Ok(response.closer.iter().any(|known| known.peer == node.peer))
    }

    /// A torrent that the foreign node seeds from now on.
    pub async fn seeded(&self) -> Outcome<InfoHash> {
        let seed = async {
            let dir = self.dir.display().to_string();
            let fields = json!({ "name": "theirs", "size": 50_000, "dir": dir });
            let made = self.ask("make_torrent", fields).await?;
            self.ask("seed_torrent", json!({ "file": made["file"], "dir": dir })).await?;
            let hash = made["info_hash"].as_str().and_then(id).ok_or_else(|| wrong("a hash", &made))?;
            Ok(InfoHash(hash.0))
        };
        self.seeded.get_or_try_init(|| seed).await.copied()
    }
}

async fn start_node(
    ip: IpAddr,
    doors: &[SocketAddr],
    change: impl FnOnce(Builder) -> Builder,
) -> Outcome<Dht<Mainline>> {
    let builder = Dht::<Mainline>::builder().listen([SocketAddr::new(ip, 0)]).bootstrap(doors);
    let node = change(builder).build().await.expected("a node of ours")?;
    if !doors.is_empty() {
        node.bootstrap(Default::default()).await.expected("it joins")?;
    }
    Ok(node)
}

async fn start_foreign(
    foreign: &Foreign,
    program: &[String],
    mode: &str,
    dir: &std::path::Path,
    doors: &[SocketAddr],
) -> Outcome<Child> {
    std::fs::create_dir_all(dir).expected("a folder for the peer")?;
    let (listen, dir) = (SocketAddr::new(foreign.ip, 0).to_string(), dir.display().to_string());
    let doors = doors.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",");
    let arguments = ["--listen", &listen, "--dir", &dir, "--mode", mode, "--bootstrap", &doors];
    let log = foreign::log(foreign.name, mode).expected("a log")?;
    Child::start_node(program, &arguments, &log).await
}

/// A hash that nobody else uses.
pub fn info_hash(text: &str) -> InfoHash {
    let mut hash = [0x5a; 20];
    for (byte, letter) in hash.iter_mut().zip(text.bytes().cycle().take(20)) {
        *byte ^= letter.wrapping_mul(31);
    }
    InfoHash(hash)
}

/// A hash next to the id of a node: some store only what is near, or tell only who is.
pub fn near(node: NodeId, number: u8) -> InfoHash {
    let mut hash = node.0;
    hash[19] ^= number;
    InfoHash(hash)
}

/// An id of the line protocol.
pub fn id(text: &str) -> Option<NodeId> {
    text.parse().ok()
}
