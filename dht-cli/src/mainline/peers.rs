//! `dht mainline peers`: who takes part in a swarm.

use std::collections::BTreeSet;

use anyhow::Context;
use dht::mainline::Magnet;
use serde_json::json;

use super::{
    join::{Client, ClientArgs},
    text,
};
use crate::{exit::not_found, join::Stay, output::Output};

/// Tell who takes part in a swarm.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// 40 hexadecimal digits or a magnet link
    #[arg(value_name = "INFOHASH|MAGNET", value_parser = text::swarm)]
    swarm: Magnet,
    /// End after so many; 0 finds all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 0)]
    number: usize,
    #[command(flatten)]
    client: ClientArgs,
}

/// `dht mainline peers INFOHASH|MAGNET [-n N]`.
pub async fn run(args: Args, output: Output) -> anyhow::Result<()> {
    let client = Client::join(&args.client, Stay::Once).await?;
    let wanted = if args.number == 0 { usize::MAX } else { args.number };
    // Bounded by what the searches give.
    let mut seen = BTreeSet::new();
    for info_hash in args.swarm.info_hashes() {
        let named = || format!("cannot look for peers of `{info_hash}`");
        let mut peers = client.dht().get_peers(info_hash).await.with_context(named)?;
        while seen.len() < wanted
            && let Some(peer) = peers.next().await
        {
            if seen.insert(peer.addr) {
                let json = json!({ "info_hash": info_hash.to_string(), "addr": peer.addr.to_string() });
                output.say(&json, || peer.addr.to_string())?;
            }
        }
        if seen.is_empty() {
            // Nobody was found: was there anybody to ask?
            peers.finish().await.with_context(named)?;
        }
    }
    client.close().await;
    if seen.is_empty() {
        return Err(not_found(format!("nobody is known in `{}`", text::name_of(&args.swarm))));
    }
    Ok(())
}
