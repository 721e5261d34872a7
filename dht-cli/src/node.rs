//! `dht node`: a node that runs until SIGINT or SIGTERM. Whoever starts it reads its events, one JSON object per line:
//! `listening` for every address, then `ready`, then `mode` and `provided` as they come, `closed` at last. `not_joined`
//! before `ready` says that the network's published peers do not answer yet; the node keeps trying.

use std::{io, time::Duration};

use anyhow::Context;
use clap::ValueEnum;
use dht::{
    Dht, Role,
    config::Settings,
    ipfs::{ContentKey, Ipfs},
    routing::BootstrapOptions,
};
use serde_json::{Value, json};
use tokio::{sync::watch, time::timeout};

use crate::{
    join::{self, NetworkArgs, Options, PlaceArgs},
    output, provide, signals, text,
};

/// How long closing may take before the program ends without it.
const CLOSE: Duration = Duration::from_millis(1900);
/// How long a node may take to find out where it is before it announces content all the same.
const LOCATE: Duration = Duration::from_secs(60);

/// Run a node.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    network: NetworkArgs,
    /// Whether to serve others; `auto` does while it can be reached from outside
    #[arg(long, value_enum, value_name = "MODE")]
    mode: Option<ModeArg>,
    /// Announce that this machine provides this content, now and every 22 h; several times for several
    #[arg(long, value_name = "CID", value_parser = text::content)]
    provide: Vec<ContentKey>,
}

/// Who decides about client or server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ModeArg {
    /// Server while it can be reached from outside
    Auto,
    /// Never a server
    Client,
    /// Always a server
    Server,
    /// Server until it is known not to be reachable
    AutoServer,
}

impl Args {
    fn load(&self, options: &Options) -> anyhow::Result<Settings> {
        let mode = self.mode.and_then(|mode| mode.to_possible_value());
        let loaded = options.load(|loader| {
            let loader = self.place.layer(self.network.layer(loader));
            match &mode {
                Some(mode) => loader.flag("--mode", "network.mode", mode.get_name()),
                None => loader,
            }
        })?;
        Ok(loaded.settings)
    }
}

/// `dht node`.
pub async fn run(args: Args, options: &Options) -> anyhow::Result<()> {
    let stop = signals::listen().context("cannot listen for signals")?;
    let settings = args.load(options)?;
    let keypair = join::identity(&settings)?;
    let dht = join::build(Dht::<Ipfs>::builder().settings(settings.clone()).identity(keypair)).await?;
    tokio::pin!(stop);
    let result = tokio::select! {
        () = stop => Ok(()),
        result = live(&dht, &settings, &args.provide) => result,
    };
    // The host itself allows two seconds; what is not closed by then ends with the process.
    let _ = timeout(CLOSE, dht.close()).await;
    result?;
    tell(&json!({ "event": "closed" }))?;
    Ok(())
}

/// Joins, then tells what happens; ends only when something is wrong.
async fn live(dht: &Dht<Ipfs>, settings: &Settings, provides: &[ContentKey]) -> anyhow::Result<()> {
    let peer = dht.local().peer.to_string();
    for addr in dht.listen_addrs() {
        tell(&json!({ "event": "listening", "addr": format!("{addr}/p2p/{peer}") }))?;
    }
    join(dht, settings).await?;
    let role = dht.mode();
    let mode = *role.borrow();
    tell(&json!({ "event": "ready", "peer": peer, "mode": name(mode) }))?;
    tokio::try_join!(modes(role, mode), announce(dht, provides))?;
    Ok(())
}

/// Tells every change of the mode.
async fn modes(mut role: watch::Receiver<Role>, mut mode: Role) -> anyhow::Result<()> {
    while role.changed().await.is_ok() {
        let now = *role.borrow_and_update();
        if now != mode {
            mode = now;
            tell(&json!({ "event": "mode", "mode": name(mode) }))?;
        }
    }
    anyhow::bail!("the node ended by itself")
}

/// Joins through those that were named, or fails; the peers that the network publishes may also come later.
async fn join(dht: &Dht<Ipfs>, settings: &Settings) -> anyhow::Result<()> {
    match dht.bootstrap(BootstrapOptions::default()).await {
        Ok(report) if report.alone => tracing::info!("this is the first node of its network"),
        Ok(report) => tracing::info!(peers = report.peers, took = ?report.took, "joined"),
        Err(error) if join::names_peers(settings) => return Err(join::not_joined(settings, &error)),
        Err(error) => tell(&json!({ "event": "not_joined", "why": error.to_string() }))?,
    }
    Ok(())
}

async fn announce(dht: &Dht<Ipfs>, provides: &[ContentKey]) -> anyhow::Result<()> {
    if provides.is_empty() {
        return Ok(());
    }
    // Without an address it is announced all the same: the event says that nobody took it, and it is tried again.
    let _ = provide::located(dht, LOCATE).await;
    for content in provides {
        let told = dht.provide(content.as_bytes().clone(), true).await.map(|announced| announced.receipt);
        let event = output::merged(json!({ "event": "provided" }), provide::provided(content, &told));
        tell(&event)?;
    }
    Ok(())
}

/// An event for whoever started the node. A node whose reader has left goes on.
fn tell(event: &Value) -> io::Result<()> {
    output::lenient(output::object(event))
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Server => "server",
    }
}
