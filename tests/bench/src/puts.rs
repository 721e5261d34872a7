//! Line B10: how long a put and a get of an immutable item take on a network of 30 nodes on loopback, from a node that has
//! joined: what a program waits for, from the call to the return.
//!
//! Each item is new, is put through one node and got through another, and must come back as it was.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use dht::{Dht, mainline::Mainline};

use crate::{
    args::Args,
    contest::{median, report},
    datagrams::ours,
};

/// Nodes of each network.
const NODES: usize = 30;

/// A network that keeps items.
trait Network {
    /// Who made it.
    fn name(&self) -> String;
    /// Puts a value through one node, gets it through another, and says how long both took.
    fn turn(&mut self, value: &str) -> Result<[Duration; 2]>;
}

/// Ours, each node joined through the first.
struct Ours {
    nodes: Vec<Dht<Mainline>>,
    runtime: tokio::runtime::Runtime,
    turn: usize,
}

impl Ours {
    fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let nodes = runtime.block_on(async {
            let mut nodes: Vec<Dht<Mainline>> = Vec::new();
            for _ in 0..NODES {
                let first = nodes.first().and_then(|node| node.socket()).map(|addr| addr.to_string());
                let node = ours::node(([127, 0, 0, 1], 0).into(), first).build().await?;
                if !nodes.is_empty() {
                    node.bootstrap(Default::default()).await?;
                }
                nodes.push(node);
            }
            anyhow::Ok(nodes)
        })?;
        Ok(Self { nodes, runtime, turn: 0 })
    }
}

impl Network for Ours {
    fn name(&self) -> String {
        "dht, mainline on UDP".to_owned()
    }

    fn turn(&mut self, value: &str) -> Result<[Duration; 2]> {
        let (writer, reader) = pair(&self.nodes, &mut self.turn);
        self.runtime.block_on(async {
            let begun = Instant::now();
            let put = writer.put_immutable(&value.into()).await?;
            let took = begun.elapsed();
            ensure!(put.receipt.stored.len() >= 8, "{} nodes stored it", put.receipt.stored.len());
            let begun = Instant::now();
            let found = reader.get_immutable(put.target).await?.context("it was put")?;
            let get = begun.elapsed();
            ensure!(found.tree()?.as_str() == Some(value), "another value");
            Ok([took, get])
        })
    }
}

/// The testnet of the crate `mainline`: its tables are filled by hand, or by joining through the first node, as ours.
struct Stock {
    testnet: mainline::Testnet,
    seeded: bool,
    turn: usize,
}

#[allow(deprecated, reason = "it is the same as the other one, without a runtime")]
impl Stock {
    fn start(seeded: bool) -> Result<Self> {
        let testnet = mainline::Testnet::builder(NODES).seeded(seeded).build()?;
        for node in &testnet.nodes[1..] {
            ensure!(seeded || node.bootstrapped(), "a node does not join");
        }
        Ok(Self { testnet, seeded, turn: 0 })
    }
}

#[allow(deprecated, reason = "it is the same as the other one, without a runtime")]
impl Network for Stock {
    fn name(&self) -> String {
        format!("mainline 8.0.1, {}", if self.seeded { "tables filled by hand" } else { "joined" })
    }

    fn turn(&mut self, value: &str) -> Result<[Duration; 2]> {
        let (writer, reader) = pair(&self.testnet.nodes, &mut self.turn);
        let begun = Instant::now();
        let target = writer.put_immutable(value.as_bytes())?;
        let put = begun.elapsed();
        let begun = Instant::now();
        let found = reader.get_immutable(target).context("it was put")?;
        let get = begun.elapsed();
        ensure!(*found == *value.as_bytes(), "another value");
        Ok([put, get])
    }
}

/// Who puts and who gets; others every time.
fn pair<'a, N>(nodes: &'a [N], turn: &mut usize) -> (&'a N, &'a N) {
    *turn += 1;
    (&nodes[*turn % nodes.len()], &nodes[(*turn + nodes.len() / 2) % nodes.len()])
}

/// Line B10.
///
/// # Errors
/// When a network does not keep what it was given.
pub fn run(args: &Args) -> Result<()> {
    let mut networks: Vec<Box<dyn Network>> =
        vec![Box::new(Ours::start()?), Box::new(Stock::start(true)?), Box::new(Stock::start(false)?)];
    let each = args.size(5, 1);
    let mut costs = [vec![Vec::new(); networks.len()], vec![Vec::new(); networks.len()]];
    for round in 0..args.rounds() {
        for (at, network) in networks.iter_mut().enumerate() {
            let mut took = [Vec::new(), Vec::new()];
            for i in 0..each {
                let value = format!("value {round} {i} of {}", network.name());
                let turn = network.turn(&value).with_context(|| network.name())?;
                took.iter_mut().zip(turn).for_each(|(took, time)| took.push(time.as_secs_f64() * 1e3));
            }
            costs.iter_mut().zip(took).for_each(|(costs, took)| costs[at].push(median(took)));
        }
    }
    let names: Vec<String> = networks.iter().map(|network| network.name()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (task, costs) in ["put of an immutable item", "get of it"].iter().zip(&costs) {
        report(args, "b10", &format!("{task}, {NODES} nodes"), "ms", &names, costs);
    }
    Ok(())
}
