//! Line B7: what a FIND_NODE costs the server, over TCP, Noise and Yamux on loopback.
//!
//! Each server is a process of its own, so that its processor time is its own; both have the same identity and were
//! given the same peers. One client asks both in turn, the same bytes, the same way. Time is that of all threads of the
//! server, kernel included, as the scheduler counts it; answers per second are not reported, because the client shares
//! the machine.

pub mod client;
pub mod process;
pub mod serve;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use dht_core::Request;
use dht_ipfs::{Codec, Ipfs};
use dht_protocol::StreamCodec as _;

use crate::{
    args::Args,
    contest::{Contest, note},
    world::{Target, World},
};
use client::{Session, Style};
use process::Server;

/// Requests that are under way at any time.
const CONCURRENCY: usize = 16;

/// Line B7.
///
/// # Errors
/// When a server does not start or does not answer.
pub fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let world = World::around(serve::identity(), 8);
    let ours = Server::start("ours")?;
    let stock = Server::start("stock")?;
    let mut sessions = [runtime.block_on(Session::open(&ours))?, runtime.block_on(Session::open(&stock))?];
    for (name, targets) in [("far", world.clone().far(64)), ("near", world.clone().near(64))] {
        for (session, server) in sessions.iter_mut().zip(["dht", "libp2p-kad"]) {
            let (peers, bytes) = runtime.block_on(check(session, &targets))?;
            note(args, "b7", &format!("{server} names {peers} peers in {bytes} bytes, {name} targets"));
        }
        let requests: Vec<Bytes> = targets.iter().map(request).collect();
        for style in [Style::NewStream, Style::Streams, Style::Pipelined] {
            let [first, second] = &mut sessions;
            let round = |session: &mut Session, server: &Server| {
                let count = args.size(10_000, 64);
                let before = server.cpu();
                let done = runtime.block_on(session.ask(style, &requests, count, CONCURRENCY));
                done.expect("the server answers");
                (server.cpu() - before).as_secs_f64() * 1e6 / count as f64
            };
            Contest::new(
                "b7",
                format!("{name} keys, {}, {CONCURRENCY} under way", style.name()),
                "us CPU/req",
            )
            .with("dht on libp2p 0.57.1", || round(first, &ours))
            .with("libp2p-kad 0.49.0", || round(second, &stock))
            .run(args);
        }
    }
    Ok(())
}

fn request(target: &Target) -> Bytes {
    let mut frame = bytes::BytesMut::new();
    Codec.encode_request(&Request::FindNode { target: target.bytes.clone() }, &mut frame);
    frame.freeze()
}

/// Reads the answers to all targets: a server that names nobody would be fast. Says how many peers the first one names,
/// in how many bytes.
async fn check(session: &mut Session, targets: &[Target]) -> Result<(usize, usize)> {
    let mut first = None;
    for target in targets {
        let body = session.ask_once(&request(target)).await?;
        let bytes = body.len();
        let asked: Request<Ipfs> = Request::FindNode { target: target.bytes.clone() };
        let answer = Codec.decode_response(&asked, body)?.context("an answer")?;
        ensure!(answer.closer.len() == 20, "{} peers in an answer", answer.closer.len());
        ensure!(answer.closer.iter().all(|peer| !peer.addr.is_empty()), "a peer without an address");
        first.get_or_insert((answer.closer.len(), bytes));
    }
    first.context("no targets")
}
