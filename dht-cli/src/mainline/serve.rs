//! `dht mainline serve`: gives the description of a torrent to whoever asks, and none of its content.

use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;

use super::{
    join::{Client, ClientArgs},
    torrent,
};
use crate::{
    join::Stay,
    output::{self, Output},
    signals,
};

/// Give the description of a torrent to whoever asks.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The torrent
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    client: ClientArgs,
}

/// `dht mainline serve FILE`.
pub async fn run(args: Args, output: Output) -> anyhow::Result<()> {
    let stop = signals::listen()?;
    tokio::pin!(stop);
    let client = tokio::select! {
        () = &mut stop => return Ok(()),
        client = serve(&args, output) => client?,
    };
    stop.await;
    client.close().await;
    Ok(())
}

async fn serve(args: &Args, output: Output) -> anyhow::Result<Client> {
    let torrent = torrent::read(&args.file)?;
    let client = Client::join(&args.client, Stay::On).await?;
    let served = client.dht().serve_metadata(&torrent).await;
    let addr = served.with_context(|| format!("cannot serve `{}`", args.file.display()))?;
    let json = output::merged(torrent::described(&torrent, &[]), json!({ "addr": addr.to_string() }));
    output.say(&json, || format!("{}  served at {addr}", torrent::magnet(&torrent)))?;
    Ok(client)
}
