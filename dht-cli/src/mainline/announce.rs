//! `dht mainline announce`: takes part in a swarm, once or for as long as it runs.

use anyhow::anyhow;
use dht::{
    PutError, Receipt,
    mainline::{Announcement, InfoHash, Magnet, Mainline},
};
use serde_json::json;

use super::{
    join::{Client, ClientArgs},
    text,
};
use crate::{
    join::Stay,
    output::{self, Output},
    signals,
};

/// Take part in a swarm.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// 40 hexadecimal digits or a magnet link
    #[arg(value_name = "INFOHASH|MAGNET", value_parser = text::swarm)]
    swarm: Magnet,
    /// The port where peers are served; without it, the one that the datagrams come from
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Say that everything is there (BEP 33)
    #[arg(long)]
    seed: bool,
    /// Announce once and end, instead of every half hour until SIGINT or SIGTERM
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// `dht mainline announce INFOHASH|MAGNET [--port P] [--seed] [--once]`.
pub async fn run(args: Args, output: Output) -> anyhow::Result<()> {
    let stop = signals::listen()?;
    tokio::pin!(stop);
    let client = tokio::select! {
        () = &mut stop => return Ok(()),
        announced = announce(&args, output) => announced?,
    };
    if !args.once {
        stop.await;
    }
    client.close().await;
    Ok(())
}

async fn announce(args: &Args, output: Output) -> anyhow::Result<Client> {
    let stay = if args.once { Stay::Once } else { Stay::On };
    let client = Client::join(&args.client, stay).await?;
    let (mut hashes, mut unheard) = (0, 0);
    for info_hash in args.swarm.info_hashes() {
        let announcement = Announcement { port: args.port, seed: args.seed };
        let told = client.dht().announce(info_hash, announcement).await;
        hashes += 1;
        unheard += usize::from(told.is_err());
        say(output, info_hash, &told)?;
    }
    // Who keeps announcing tries again.
    if args.once && unheard > 0 {
        return Err(anyhow!("{unheard} of {hashes} announcements were taken by nobody"));
    }
    Ok(client)
}

fn say(
    output: Output,
    info_hash: InfoHash,
    told: &Result<Receipt<Mainline>, PutError<Mainline>>,
) -> std::io::Result<()> {
    let json = output::merged(json!({ "info_hash": info_hash.to_string() }), output::stored(told));
    output.say(&json, || match told {
        Ok(receipt) => format!("{info_hash}  {}", output::receipt_text(receipt)),
        Err(error) => format!("{info_hash}  {error}"),
    })
}
