//! The BitTorrent half of the suite: nodes of ours and a foreign one in one network on loopback, and what each wants of
//! the other. What a foreign library has no call for it says itself, and is skipped.

mod ours_ask;
mod they_ask;

use std::{net::SocketAddr, path::PathBuf};

use dht::{
    Contact, Dht,
    mainline::{Endpoint, InfoHash, Mainline, NodeId},
};
use futures::future::LocalBoxFuture;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, timeout};

use crate::{
    arguments::Arguments,
    child::Child,
    foreign::{self, Built},
    report::{Cell, Report, Side},
    verdict::{Expected, Outcome, Stop, Verdict, wrong},
};

/// A foreign node, and what it does not serve.
pub struct Peer {
    /// Its folder in `peers/`.
    pub name: &'static str,
    /// Checks of what it serves that it can not pass, and why.
    cannot: &'static [(&'static str, &'static str)],
}

const NO_ITEMS: &str = "does not know BEP 44";
const NO_SAMPLES: &str = "does not know BEP 51";
const NO_SCRAPE: &str = "does not know BEP 33";
const STORES_NEAR: &str = "stores only what shares 20 bits with its id";
const NO_METADATA: &str = "has no peer wire";

/// All of them, the reference first.
pub const ALL: [Peer; 6] = [
    Peer { name: "libtorrent", cannot: &[] },
    Peer { name: "libtorrent20", cannot: &[] },
    Peer {
        name: "mainline",
        cannot: &[("samples", NO_SAMPLES), ("scrape", NO_SCRAPE), ("metadata by magnet", NO_METADATA)],
    },
    Peer {
        name: "rqbit",
        cannot: &[
            ("announce and get_peers", STORES_NEAR),
            ("immutable item", NO_ITEMS),
            ("mutable item", NO_ITEMS),
            ("samples", NO_SAMPLES),
            ("scrape", NO_SCRAPE),
            ("metadata by magnet", NO_METADATA),
        ],
    },
    Peer { name: "webtorrent", cannot: &[("samples", NO_SAMPLES), ("scrape", NO_SCRAPE)] },
    Peer {
        name: "aria2",
        cannot: &[
            ("immutable item", NO_ITEMS),
            ("mutable item", NO_ITEMS),
            ("samples", NO_SAMPLES),
            ("scrape", NO_SCRAPE),
        ],
    },
];

/// One row of the table.
pub struct Check {
    pub capability: &'static str,
    pub side: Side,
    pub run: for<'a> fn(&'a Scene) -> LocalBoxFuture<'a, Outcome>,
}

/// Three nodes of ours that know each other, and a foreign one that was told of them.
pub struct Scene {
    pub them: Child,
    pub nodes: Vec<Dht<Mainline>>,
    pub dir: PathBuf,
}

const CHECK_LIMIT: Duration = Duration::from_secs(75);

fn checks() -> impl Iterator<Item = &'static Check> {
    ours_ask::CHECKS.iter().chain(they_ask::CHECKS)
}

/// Which peers and checks there are.
pub fn list() {
    for peer in &ALL {
        println!("peer   {}", peer.name);
    }
    for check in checks() {
        println!("check  {:<9} {}", check.side, check.capability);
    }
}

/// Every selected check with every selected peer.
pub async fn meet_all(arguments: &Arguments, report: &mut Report) {
    let wanted = arguments.check.as_deref().unwrap_or_default();
    for peer in &ALL {
        if !arguments.peer.is_empty() && arguments.peer.iter().all(|name| name != peer.name) {
            continue;
        }
        let checks: Vec<_> = checks().filter(|check| check.capability.contains(wanted)).collect();
        let verdict = match foreign::build(peer.name).await {
            Ok(Built::Program(program)) => {
                meet(peer, &program, &checks, report).await;
                continue;
            }
            Ok(Built::Missing(why)) => {
                report.say(&format!("{} is left out: {why}", peer.name));
                Verdict::Skipped(why)
            }
            Err(error) => Verdict::from(Err(wrong("the peer is built", format!("{error:#}")))),
        };
        checks.iter().for_each(|check| report.add(cell(peer, check, verdict.clone())));
    }
}

fn cell(peer: &Peer, check: &Check, verdict: Verdict) -> Cell {
    Cell { peer: peer.name, capability: check.capability, side: check.side, verdict, took: Duration::ZERO }
}

async fn meet(peer: &Peer, program: &[String], checks: &[&Check], report: &mut Report) {
    let started = Instant::now();
    let mut scene = match Scene::start(peer.name, program).await {
        Ok(scene) => scene,
        Err(stop) => {
            let verdict = Verdict::from(Err(stop));
            return checks.iter().for_each(|check| report.add(cell(peer, check, verdict.clone())));
        }
    };
    for check in checks {
        let began = Instant::now();
        let reason =
            peer.cannot.iter().find(|(name, _)| *name == check.capability && check.side == Side::WeAsk);
        let outcome = match reason {
            Some((_, reason)) => Err(Stop::Skipped((*reason).to_owned())),
            None => timeout(CHECK_LIMIT, (check.run)(&scene))
                .await
                .unwrap_or_else(|_| Err(wrong("an end within 75 s", "the check still ran"))),
        };
        report.add(Cell { took: began.elapsed(), ..cell(peer, check, Verdict::from(outcome)) });
    }
    scene.end().await;
    report.say(&format!("{}: {:.1} s", peer.name, started.elapsed().as_secs_f64()));
}

impl Scene {
    async fn start(name: &str, program: &[String]) -> Outcome<Self> {
        let mut nodes: Vec<Dht<Mainline>> = Vec::new();
        for _ in 0..3 {
            let hosts: Vec<String> = nodes
                .first()
                .and_then(Dht::<Mainline>::socket)
                .map(|at| at.to_string())
                .into_iter()
                .collect();
            let node = Dht::<Mainline>::builder()
                .listen([SocketAddr::from(([127, 0, 0, 1], 0))])
                .bootstrap(&hosts)
                .build()
                .await
                .expected("a node of ours")?;
            if !hosts.is_empty() {
                node.bootstrap(Default::default()).await.expected("it joins the first")?;
            }
            nodes.push(node);
        }
        let dir = foreign::log(name, "files").expected("a folder")?.with_extension("dir");
        // What an earlier run left.
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expected("a folder for the peer")?;
        let ours: Vec<String> =
            nodes.iter().filter_map(Dht::<Mainline>::socket).map(|at| at.to_string()).collect();
        let arguments =
            ["--listen", "127.0.0.1:0", "--dir", &dir.display().to_string(), "--bootstrap", &ours.join(",")];
        let log = foreign::log(name, "node").expected("a log")?;
        let them = Child::start_node(program, &arguments, &log).await?;
        Ok(Self { them, nodes, dir })
    }

    async fn end(&mut self) {
        self.them.end().await;
        for node in &self.nodes {
            node.close_all().await;
        }
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

    /// A torrent that the foreign node makes, or that is made here when it can not.
    pub async fn torrent(&self, name: &str) -> Outcome<Value> {
        let dir = self.dir.display().to_string();
        self.ask("make_torrent", json!({ "name": name, "size": 50_000, "dir": dir })).await
    }
}

/// A hash that nobody else uses.
pub fn info_hash(text: &str) -> InfoHash {
    let mut hash = [0x5a; 20];
    for (byte, letter) in hash.iter_mut().zip(text.bytes().cycle().take(20)) {
        *byte ^= letter.wrapping_mul(31);
    }
    InfoHash(hash)
}

/// An id of the line protocol.
pub fn id(text: &str) -> Option<NodeId> {
    text.parse().ok()
}
