//! Torrents as this program reads and describes them.

use std::{fs::File, io::Read, path::Path};

use anyhow::{Context, anyhow};
use dht::mainline::{Magnet, Torrent};
use serde_json::{Value, json};

/// Reads a torrent file.
pub fn read(path: &Path) -> anyhow::Result<Torrent> {
    let shown = path.display();
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("cannot read `{shown}`"))?;
    let read = file.take(Torrent::MAX_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.with_context(|| format!("cannot read `{shown}`"))?;
    Torrent::decode(&bytes).map_err(|why| anyhow!("`{shown}` is not a torrent file: {why}"))
}

/// What a torrent is, without where it is; its link with these trackers.
pub fn described(torrent: &Torrent, trackers: &[String]) -> Value {
    let hashes: Vec<_> = torrent.info_hashes().map(|hash| hash.to_string()).collect();
    json!({
        "info_hashes": hashes,
        "name": torrent.name(),
        "bytes": torrent.info().len(),
        "magnet": Magnet { trackers: trackers.to_vec(), ..magnet(torrent) }.to_string(),
    })
}

/// The link to it.
pub fn magnet(torrent: &Torrent) -> Magnet {
    let name = Some(torrent.name().to_owned()).filter(|name| !name.is_empty());
    Magnet { v1: torrent.v1(), v2: torrent.v2(), name, ..Magnet::default() }
}
