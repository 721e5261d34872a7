//! `dht mainline sample`: which swarms one node knows, or one node after another (BEP 51).

use std::net::SocketAddr;

use anyhow::{Context, anyhow};
use dht::{
    core::Key,
    mainline::{Sampled, Samples, harvest::HarvestConfig},
    net::resolve::{Family, Limits, resolve},
};
use serde_json::json;
use tokio::time::{Duration, Instant, timeout_at};

use super::{
    harvest::{polite, teller},
    join::{Client, ClientArgs},
    text,
};
use crate::{exit::not_found, join::Stay, output::Output};

/// A walk on which nobody new was asked for so long has asked everybody.
const IDLE: Duration = Duration::from_secs(5);

/// Tell which swarms others know.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ask whoever is there
    #[arg(value_name = "HOST:PORT", value_parser = text::host, required_unless_present = "walk")]
    host: Option<String>,
    /// Ask one node after another, until all were asked or the time is up
    #[arg(long, conflicts_with = "host")]
    walk: bool,
    /// End the walk after so many swarms; 0 for no end
    #[arg(short = 'n', long, value_name = "N", default_value_t = 0, requires = "walk")]
    number: usize,
    #[command(flatten)]
    client: ClientArgs,
}

/// `dht mainline sample HOST:PORT|--walk`.
pub async fn run(args: Args, output: Output) -> anyhow::Result<()> {
    match &args.host {
        Some(host) => one(host, &args.client, output).await,
        None => walk(&args, output).await,
    }
}

async fn one(host: &str, args: &ClientArgs, output: Output) -> anyhow::Result<()> {
    let place = located(host).await?;
    let client = Client::toward(args, place).await?;
    let sampled = client.dht().sample_infohashes(place, Key(rand::random())).await;
    client.close().await;
    let Sampled { from, samples, closer } = sampled.with_context(|| format!("cannot ask {place}"))?;
    let samples = samples.ok_or_else(|| {
        not_found(format!("the node at {place} answers and tells no swarms: it does not know BEP 51"))
    })?;
    let Samples { hashes, num, interval } = samples;
    let hashes: Vec<_> = hashes.iter().map(ToString::to_string).collect();
    let json = json!({
        "id": from.peer.to_string(), "addr": place.to_string(), "num": num, "interval": interval,
        "samples": hashes, "nodes": closer.len(),
    });
    output.say(&json, || {
        let head = format!("{}  knows {num} swarms, may be asked again after {interval} s", from.peer);
        [head].into_iter().chain(hashes.iter().cloned()).collect::<Vec<_>>().join("\n")
    })?;
    Ok(())
}

async fn located(host: &str) -> anyhow::Result<SocketAddr> {
    let mut resolved = resolve(&[host.to_owned()], Family::Any, Limits::default()).await;
    resolved.addrs.sort_by_key(SocketAddr::is_ipv6);
    match (resolved.addrs.first(), resolved.errors.into_iter().next()) {
        (Some(addr), _) => Ok(*addr),
        (None, Some(error)) => Err(error.into()),
        (None, None) => Err(anyhow!("`{host}` has no address")),
    }
}

async fn walk(args: &Args, output: Output) -> anyhow::Result<()> {
    let client = Client::join(&args.client, Stay::Once).await?;
    let names = HarvestConfig { passive: false, metadata: false, ..polite(&args.client.place)? };
    let wanted = if args.number == 0 { usize::MAX } else { args.number };
    let end = Instant::now() + client.left();
    let mut walk = client.node().harvest(names)?;
    let (mut told, mut asked, mut idle) = (0, 0, Instant::now() + IDLE);
    while told < wanted && Instant::now() < end {
        match timeout_at(end.min(idle), walk.next()).await {
            Ok(Some(found)) => {
                told += 1;
                let (hash, (_, from)) = (found.info_hash, teller(found.source));
                let json = json!({ "info_hash": hash.to_string(), "from": from.to_string() });
                output.say(&json, || format!("{hash}  {from}"))?;
            }
            Ok(None) => break,
            Err(_) => {}
        }
        let progress = walk.progress();
        let now = progress.sampled + progress.without_samples + progress.silent;
        if now > asked {
            (asked, idle) = (now, Instant::now() + IDLE);
        } else if Instant::now() >= idle {
            break;
        }
    }
    drop(walk);
    client.close().await;
    if told == 0 {
        return Err(not_found(format!("no swarm was told by {asked} nodes")));
    }
    Ok(())
}
