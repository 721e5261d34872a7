//! `dht mainline metadata`: the description of a torrent, fetched from its swarm by the link alone (BEP 9). The trackers of
//! the link are not asked, but passed on.

use std::{fs, path::PathBuf};

use anyhow::Context;
use dht::mainline::{Magnet, MetadataError, Torrent};
use serde_json::json;

use super::{
    join::{Client, ClientArgs},
    text, torrent,
};
use crate::{
    exit::not_found,
    join::Stay,
    output::{self, Output},
};

/// Fetch the description of a torrent.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A magnet link or 40 hexadecimal digits
    #[arg(value_name = "MAGNET|INFOHASH", value_parser = text::swarm)]
    swarm: Magnet,
    /// Write it to this torrent file; without it, it is only described
    #[arg(short = 'o', long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    client: ClientArgs,
}

/// `dht mainline metadata MAGNET|INFOHASH [-o FILE]`.
pub async fn run(args: Args, output: Output) -> anyhow::Result<()> {
    let client = Client::join(&args.client, Stay::Once).await?;
    let fetched = client.dht().fetch_metadata(&args.swarm).await;
    client.close().await;
    let name = text::name_of(&args.swarm);
    let info = match fetched {
        Err(MetadataError::NoPeers) => return Err(not_found(format!("nobody is known in `{name}`"))),
        fetched => fetched.with_context(|| format!("cannot fetch the metadata of `{name}`"))?,
    };
    let torrent = Torrent::of(info).with_context(|| format!("`{name}` is described by no torrent"))?;
    let trackers = &args.swarm.trackers;
    let mut json = output::merged(torrent::described(&torrent, trackers), json!({ "trackers": trackers }));
    if let Some(path) = &args.out {
        let written = fs::write(path, torrent.encode_with(trackers));
        written.with_context(|| format!("cannot write `{}`", path.display()))?;
        json = output::merged(json, json!({ "file": path.display().to_string() }));
    }
    output.say(&json, || {
        let file = args.out.as_ref().map_or_else(String::new, |path| format!(", in {}", path.display()));
        format!("{}  {} bytes of metadata{file}", torrent.name(), torrent.info().len())
    })?;
    Ok(())
}
