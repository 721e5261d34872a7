//! `dht mainline scrape`: how many take part in a swarm, as far as bloom filters tell (BEP 33).

use anyhow::Context;
use dht::mainline::{Magnet, SwarmSize};
use serde_json::json;

use super::{
    join::{Client, ClientArgs},
    text,
};
use crate::{exit::not_found, join::Stay, output::Output};

/// Estimate how many take part in a swarm.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// 40 hexadecimal digits or a magnet link
    #[arg(value_name = "INFOHASH|MAGNET", value_parser = text::swarm)]
    swarm: Magnet,
    #[command(flatten)]
    client: ClientArgs,
}

/// `dht mainline scrape INFOHASH|MAGNET`.
pub async fn run(args: Args, output: Output) -> anyhow::Result<()> {
    let client = Client::join(&args.client, Stay::Once).await?;
    let mut known = false;
    for info_hash in args.swarm.info_hashes() {
        let size = client.dht().scrape(info_hash).await;
        let SwarmSize { seeds, peers, answers } =
            size.with_context(|| format!("cannot ask for the size of `{info_hash}`"))?;
        if seeds + peers < 0.5 {
            continue;
        }
        known = true;
        let (seeds, peers) = (tenths(seeds), tenths(peers));
        let json =
            json!({ "info_hash": info_hash.to_string(), "seeds": seeds, "peers": peers, "answers": answers });
        output.say(&json, || {
            let filters = if answers == 1 { "filter" } else { "different filters" };
            format!("{info_hash}  about {seeds:.0} seeds and {peers:.0} others, by {answers} {filters}")
        })?;
    }
    client.close().await;
    if !known {
        return Err(not_found(format!("nobody is known in `{}`", text::name_of(&args.swarm))));
    }
    Ok(())
}

fn tenths(estimate: f64) -> f64 {
    (estimate * 10.0).round() / 10.0
}
