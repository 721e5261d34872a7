//! Line B6: what a question costs a Mainline server, and how long it takes, with 64 questions under way over loopback.
//!
//! Each server is a process of its own on one core; the one who asks has the other. All were given the same nodes to join
//! through and asked until they knew most of them, so that their tables are alike. Processor time is that of all threads of
//! the server, kernel included. Every sixteenth answer is read and must be right: nodes that exist, and a token.
//!
//! The one who asks first stores something with a token, as a node that means well would: ours tells an address that proved
//! nothing little, whatever it asks.

pub mod floor;
pub mod heap;
pub mod load;
pub mod ours;
pub mod serve;
pub mod village;

use std::{
    collections::BTreeSet,
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use dht_core::Key;
use dht_mainline::{
    InfoHash, NodeId,
    krpc::{self, Body, Call, Message, Query, Reply},
};

use crate::{
    args::Args,
    contest::{median, note, report},
    process::Process,
};
use load::{Load, OUTSTANDING};
use village::Village;

/// Nodes that the servers can know.
const VILLAGERS: u8 = 250;
/// Nodes that a server shows to know before it is measured …
const KNOWN: usize = 40;
/// … or as many as it shows after this long: one looks around every five seconds only, another names the same few nodes to
/// everybody.
const FILL: Duration = Duration::from_secs(45);
/// The one who asks.
const ASKER: NodeId = NodeId(*b"the one who asks now");
/// The server that is none, see [`floor`].
const FLOOR: &str = "the calls of the system alone";
/// Questions of each sort, with different targets.
const QUESTIONS: usize = 4 * OUTSTANDING;

/// A server that is measured.
struct Server {
    name: &'static str,
    process: Process,
    load: Load,
    /// Knows one answer only, that to a ping.
    floor: bool,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Ping,
    GetPeers,
}

/// Line B6.
///
/// # Errors
/// When a server does not start or answers wrong.
pub fn run(args: &Args) -> Result<()> {
    let village = Village::start(VILLAGERS)?;
    // The one who asks keeps to a core, and with it no other thread of this program.
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            serve::pin(1 - serve::CORE);
            compare(args, &village)
        });
        asking.join().map_err(|_| anyhow::anyhow!("the one who asks panicked"))?
    })
}

fn compare(args: &Args, village: &Village) -> Result<()> {
    let mut servers = Vec::new();
    for (name, command) in commands(args, village)? {
        let (process, line) = Process::start(command)?;
        let addr = line.parse().with_context(|| format!("{name} listens on `{line}`"))?;
        let mut server = Server { name, process, load: Load::new(addr)?, floor: name == FLOOR };
        if server.floor {
            servers.push(server);
            continue;
        }
        introduce(&mut server.load).with_context(|| name)?;
        let (known, nodes, bytes) = fill(args, &mut server.load, village).with_context(|| name)?;
        let text = format!("{name} shows {known} of {VILLAGERS} nodes, names {nodes} in {bytes} bytes");
        note(args, "b6", &text);
        servers.push(server);
    }
    [Sort::Ping, Sort::GetPeers].into_iter().try_for_each(|sort| measure(args, sort, &mut servers, village))
}

/// Who is measured and how they are started; ours first.
fn commands(args: &Args, village: &Village) -> Result<Vec<(&'static str, Command)>> {
    let members: Vec<String> = village.members.iter().map(|(_, addr)| addr.to_string()).collect();
    let mut commands = Vec::new();
    for (name, kind) in [
        ("dht, mainline on UDP", "ours"),
        ("mainline 8.0.1", "mainline"),
        ("librqbit-dht 9.1.0", "rqbit"),
        (FLOOR, "floor"),
    ] {
        let mut command = Process::again()?;
        command.args([serve::SERVE, kind, &free_addr()?.to_string()]).args(&members);
        commands.push((name, command));
    }
    let python = libtorrent();
    if python.exists() {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/datagrams/serve_libtorrent.py");
        let mut command = Command::new(python);
        command.arg("-B").arg(script).arg(free_addr()?.to_string()).args(&members);
        commands.push(("libtorrent 2.1.1", command));
    } else {
        note(args, "b6", "without libtorrent, which tests/interop/peers/libtorrent/build installs");
    }
    Ok(commands)
}

/// The interpreter that finds libtorrent, where the tests with other implementations put it.
fn libtorrent() -> PathBuf {
    let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cache = std::env::var_os("INTEROP_CACHE").map_or_else(|| repo.join("target/interop"), PathBuf::from);
    cache.join("libtorrent/venv/bin/python")
}

/// An address whose port nobody has now.
fn free_addr() -> Result<SocketAddr> {
    Ok(UdpSocket::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// Asks until the server shows that its table is filled: how many nodes it shows, how many it names at once, in how many bytes.
fn fill(args: &Args, load: &mut Load, village: &Village) -> Result<(usize, usize, usize)> {
    let begun = Instant::now();
    let mut known = BTreeSet::new();
    loop {
        let mut last = (0, 0);
        for (id, _) in &village.members {
            let answer = load.ask(&question(Call::FindNode { target: Key(id.0) }))?;
            let reply = reply(&answer).context("an answer")?;
            let nodes: Vec<_> = reply.nodes.iter().flat_map(|nodes| nodes.iter()).collect();
            last = (nodes.len(), answer.len());
            known.extend(nodes.into_iter().filter(|node| village.has(node)));
        }
        let enough = known.len() >= KNOWN || args.test || begun.elapsed() > FILL;
        if enough && last.0 >= 8 {
            return Ok((known.len(), last.0, last.1));
        }
        ensure!(begun.elapsed() < 2 * FILL, "it knows only {} nodes", known.len());
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Announces something with a token that came to this address, and so proves that it is the own one.
fn introduce(load: &mut Load) -> Result<()> {
    let info_hash = InfoHash([0xee; 20]);
    let answer = load.ask(&question(Call::GetPeers { info_hash, scrape: false, noseed: false }))?;
    let token = reply(&answer).and_then(|reply| reply.token).context("a token")?;
    let call = Call::AnnouncePeer { info_hash, port: 6881, implied_port: true, seed: false, token };
    // Some never say that they did not store it, others store nothing from afar; it is not what is measured.
    let _ = load.ask(&question(call));
    Ok(())
}

fn reply(answer: &[u8]) -> Option<Reply<'_>> {
    match krpc::decode(answer).ok()?.body {
        Body::Reply(reply) => Some(reply),
        _ => None,
    }
}

/// Read-only, so that no server asks back or takes the one who asks into its table. All are like a ping but for the call.
fn question(call: Call<'_>) -> Vec<u8> {
    const PING: &[u8] =
        b"d1:ad2:id20:the one who asks nowe1:q4:ping2:roi1e1:t4:\xff\xff\xff\xff1:v4:BN011:y1:qe";
    let mut out = Vec::new();
    if let Ok(Message { body: Body::Query(ping), .. }) = krpc::decode(PING) {
        let body = Body::Query(Query { call, ..ping });
        Message { tid: &[0xff; 4], version: Some(b"BN01"), ip: None, body }.encode(&mut out);
    }
    out
}

fn questions(sort: Sort) -> Vec<Vec<u8>> {
    let hash = |i: usize| InfoHash(std::array::from_fn(|byte| (i * 151 + byte * 7) as u8));
    let call = |i| match sort {
        Sort::Ping => Call::Ping,
        Sort::GetPeers => Call::GetPeers { info_hash: hash(i), scrape: false, noseed: false },
    };
    (0..QUESTIONS).map(|i| question(call(i))).collect()
}

fn is_right(sort: Sort, answer: &[u8], village: &Village) -> bool {
    let Some(reply) = reply(answer) else { return false };
    if sort == Sort::Ping {
        return true;
    }
    let nodes: Vec<_> = reply.nodes.iter().flat_map(|nodes| nodes.iter()).collect();
    let distinct: BTreeSet<_> = nodes.iter().collect();
    // Whoever stored something is taken into some tables, read-only or not.
    let exist = nodes.iter().all(|node| node.0 == ASKER || village.has(node));
    distinct.len() >= 8
        && exist
        && reply.token.is_some_and(|token| !token.is_empty())
        && reply.values.is_none_or(|values| values.to_vec().is_empty())
}

/// One comparison: the servers take turns.
fn measure(args: &Args, sort: Sort, servers: &mut [Server], village: &Village) -> Result<()> {
    let mut servers: Vec<_> =
        servers.iter_mut().filter(|server| sort == Sort::Ping || !server.floor).collect();
    let mut questions = questions(sort);
    let time = Duration::from_millis(args.size(1000, 50) as u64);
    let mut costs = vec![Vec::new(); servers.len()];
    let mut flows = vec![Vec::new(); servers.len()];
    // The first round warms up and is not counted.
    for round in 0..=args.rounds() {
        for (at, server) in servers.iter_mut().enumerate() {
            let before = server.process.cpu();
            let flow = server
                .load
                .run(&mut questions, time, |answer| is_right(sort, answer, village))
                .with_context(|| server.name)?;
            let used = server.process.cpu() - before;
            ensure!(flow.replies > 0, "{} is silent", server.name);
            if round > 0 {
                costs[at].push(used.as_secs_f64() * 1e6 / flow.replies as f64);
                flows[at].push(flow);
            }
        }
    }
    let names: Vec<&str> = servers.iter().map(|server| server.name).collect();
    let task = match sort {
        Sort::Ping => "ping",
        Sort::GetPeers => "get_peers, full table",
    };
    report(args, "b6", &format!("{task}, {OUTSTANDING} under way"), "us CPU", &names, &costs);
    for ((name, costs), flows) in names.iter().zip(&costs).zip(flows) {
        let middle = |of: fn(&load::Flow) -> f64| median(flows.iter().map(of).collect());
        let text = format!(
            "{task}: {name} answers {:.0} per CPU second, {:.0} per second, p50 {:.2} ms, p99 {:.2} ms, {} lost",
            1e6 / median(costs.clone()),
            middle(|flow| flow.replies as f64 / flow.took.as_secs_f64()),
            middle(|flow| flow.percentile(50) / 1000.0),
            middle(|flow| flow.percentile(99) / 1000.0),
            flows.iter().map(|flow| flow.lost).sum::<u64>(),
        );
        note(args, "b6", &text);
    }
    Ok(())
}
