//! The servers of line B6 that are written in Rust, each as its users would start it, with the same nodes to join through,
//! and without the limits that keep one asker from being served like this.

use std::{io::Read as _, net::SocketAddr};

use anyhow::{Context as _, Result, bail};
use librqbit_dht::{DhtBuilder, DhtConfig};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

/// The argument that makes this program a server.
pub const SERVE: &str = "serve-udp";
/// Where all servers run; the one who asks has the other core.
pub const CORE: usize = 0;

/// Keeps this thread, and those that it starts from now on, on one core, if there is that one.
pub fn pin(core: usize) {
    let mut set = CpuSet::new();
    if set.set(core).is_ok() {
        let _ = sched_setaffinity(Pid::from_raw(0), &set);
    }
}

/// Serves until the input ends: which server, where, and whom to join.
///
/// # Errors
/// When it cannot start.
pub fn serve(mut given: impl Iterator<Item = String>) -> Result<()> {
    pin(CORE);
    let kind = given.next().context("which server?")?;
    let listen: SocketAddr = given.next().context("where?")?.parse()?;
    let join: Vec<String> = given.collect();
    match kind.as_str() {
        "ours" => super::ours::serve(listen, join),
        "floor" => super::floor::serve(listen),
        "mainline" => mainline(listen, &join),
        "rqbit" => rqbit(listen, join),
        other => bail!("no server called {other}"),
    }
}

fn mainline(listen: SocketAddr, join: &[String]) -> Result<()> {
    let SocketAddr::V4(addr) = listen else { bail!("IPv4 only") };
    let mut builder = mainline::Dht::builder();
    builder.server_mode().bind_address(*addr.ip()).port(addr.port()).bootstrap(join);
    let _node = builder.build()?;
    announce(listen);
    until_input_ends();
    Ok(())
}

fn rqbit(listen: SocketAddr, join: Vec<String>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let config = DhtConfig { bootstrap_addrs: Some(join), listen_addr: Some(listen), ..DhtConfig::default() };
    let _node = runtime.block_on(DhtBuilder::with_config(config))?;
    announce(listen);
    until_input_ends();
    Ok(())
}

/// Tells whoever started this that it listens.
pub fn announce(listen: SocketAddr) {
    println!("{listen}");
}

/// Waits for the end of the input.
pub fn until_input_ends() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
