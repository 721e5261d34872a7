//! `dht ping` and `dht id`: one peer, by its address or by its id.

use std::time::Duration;

use anyhow::{Context, anyhow};
use dht::{
    Contact, Failure,
    config::{Settings, settings::Addresses},
    ipfs::Ipfs,
    routing::{BootstrapOptions, Tried},
};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use crate::{
    exit::not_found,
    join::{Client, ClientArgs, Deadline, Options},
    output::{Output, addresses},
    text::{self, Whom},
};

/// Between the starts of two pings.
const INTERVAL: Duration = Duration::from_secs(1);

/// Measure round trips.
#[derive(Debug, clap::Args)]
pub struct PingArgs {
    /// `/ip4/…/tcp/…/p2p/<id>`, or a peer id to look up first
    #[arg(value_name = "ADDR", value_parser = text::whom)]
    whom: Whom,
    /// How many
    #[arg(short = 'c', long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    #[command(flatten)]
    client: ClientArgs,
}

/// Tell who somebody is.
#[derive(Debug, clap::Args)]
pub struct IdArgs {
    /// `/ip4/…/tcp/…/p2p/<id>`, or a peer id to look up first
    #[arg(value_name = "ADDR", value_parser = text::whom)]
    whom: Whom,
    #[command(flatten)]
    client: ClientArgs,
}

/// `dht ping ADDR [-c 4]`.
pub async fn ping(args: PingArgs, options: &Options, output: Output) -> anyhow::Result<()> {
    let deadline = args.client.deadline();
    let settings = args.client.load(options)?;
    // The time is that for connecting, and that for each ping: many pings take long by intent.
    let patience = args.client.timeout().min(settings.query.request_timeout);
    let (client, contact) = reach(settings, args.whom, deadline).await?;
    let peer = contact.peer.to_string();
    let mut last = None;
    let mut answered = 0;
    let start = Instant::now();
    for number in 1..=args.count {
        sleep_until(start + INTERVAL * (number - 1)).await;
        match client.dht_within(patience).ping_at(contact.clone()).await {
            Ok(rtt) => {
                answered += 1;
                let rtt = millis(rtt);
                let json = json!({ "peer": peer, "number": number, "rtt_ms": rtt });
                output.say(&json, || format!("{peer}  {number}  {rtt:.3} ms"))?;
            }
            Err(error) => {
                let json = json!({ "peer": peer, "number": number, "error": error.to_string() });
                output.say(&json, || format!("{peer}  {number}  {error}"))?;
                last = Some(error);
            }
        }
    }
    client.close().await;
    match last {
        Some(error) if answered == 0 => Err(anyhow!("none of {} pings was answered: {error}", args.count)),
        _ => Ok(()),
    }
}

/// `dht id ADDR`.
pub async fn id(args: IdArgs, options: &Options, output: Output) -> anyhow::Result<()> {
    let deadline = args.client.deadline();
    let settings = args.client.load(options)?;
    let protocol = settings.protocols().swap_remove(0);
    let check = BootstrapOptions { quick_connect_only: true, ..settings.bootstrap_options() };
    let (client, contact) = reach(settings, args.whom, deadline).await?;
    let dht = client.dht();
    let check = BootstrapOptions { limit: deadline.left().min(check.limit), ..check };
    let served = match dht.handle().bootstrap(vec![contact.clone()], Vec::new(), check).await? {
        Ok(report) => served(report.tried),
        Err(failed) => served(failed.tried),
    };
    let rtt = dht.ping_at(contact.clone()).await.ok();
    let peer = contact.peer;
    let known = dht.handle().visit(move |node, _| node.known(&peer)).await?;
    client.close().await;
    let addrs = addresses(&known.unwrap_or(contact));
    let key = peer.public_key().map(|key| key.key_type().to_string());
    let rtt = rtt.map(millis);
    let json = json!({
        "peer": peer.to_string(),
        "addrs": addrs,
        "protocol": protocol,
        "serves": served.is_ok(),
        "why_not": served.err().map(|why| why.to_string()),
        "rtt_ms": rtt,
        "key_type": key,
    });
    output.say(&json, || {
        let serves = served.map_or_else(|why| format!("no: {why}"), |()| "yes".to_owned());
        let rtt = rtt.map_or_else(|| "unknown".to_owned(), |rtt| format!("{rtt:.3} ms"));
        let key = key.unwrap_or_else(|| "not in the id".to_owned());
        let lines = [("peer", peer.to_string()), ("key", key), ("round trip", rtt), (&protocol, serves)];
        let places = addrs.into_iter().map(|addr| ("address", addr));
        let lines = lines.into_iter().chain(places).map(|(name, value)| format!("{name:<20}  {value}"));
        lines.collect::<Vec<_>>().join("\n")
    })?;
    Ok(())
}

fn served(tried: Vec<Tried<Ipfs>>) -> Result<(), Failure> {
    let outcome = tried.into_iter().next().map(|tried| tried.outcome);
    outcome.unwrap_or(Err(Failure::Timeout)).map(drop)
}

/// A connection to whom was meant; somebody at a known place is asked without joining any network.
async fn reach(
    mut settings: Settings,
    whom: Whom,
    deadline: Deadline,
) -> anyhow::Result<(Client, Contact<Ipfs>)> {
    let (client, contact) = match whom {
        Whom::At(contact) => {
            // Who types an address means it, a private one too.
            if settings.filter.addresses == Addresses::Auto {
                settings.filter.addresses = Addresses::Any;
            }
            (Client::alone(settings, deadline).await?, contact)
        }
        Whom::Named(peer) => {
            let client = Client::join(settings, deadline).await?;
            let found =
                client.dht().find_peer(peer).await.with_context(|| format!("cannot look for `{peer}`"))?;
            (client, found.ok_or_else(|| not_found(format!("nobody knows where `{peer}` is")))?)
        }
    };
    let place = addresses(&contact).join(", ");
    client.dht().dial_at(contact.clone()).await.with_context(|| {
        format!("cannot connect to {place}; there must be a libp2p host with this id that runs")
    })?;
    Ok((client, contact))
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
