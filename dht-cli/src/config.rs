//! `dht config`: the options as they hold, with the source of each, and whether they are right.

use std::io::{self, Write};

use clap::Subcommand;
use dht::config::{Loaded, settings::Bootstrap};
use serde_json::json;

use crate::{
    exit::usage,
    identity,
    join::{NetworkArgs, Options, PlaceArgs},
    output::Output,
    text,
};

/// Show or check the options.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every option with its value and where it comes from
    Show(Args),
    /// Whether file, environment and flags are right
    Check(Args),
}

/// The flags of a node, to see what they change.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    place: PlaceArgs,
}

/// `dht config …`.
pub fn run(command: Command, options: &Options, output: Output) -> anyhow::Result<()> {
    let (Command::Show(args) | Command::Check(args)) = &command;
    let loaded = options.load(|loader| args.place.layer(args.network.layer(loader)))?;
    match command {
        Command::Show(_) => Ok(show(&loaded, output)?),
        Command::Check(_) => {
            check(&loaded)?;
            let file = options.file.as_ref().map(|path| path.display().to_string());
            let text = || format!("{}: right", file.as_deref().unwrap_or("defaults and environment"));
            Ok(output.say(&json!({ "ok": true, "file": file }), text)?)
        }
    }
}

fn show(loaded: &Loaded, output: Output) -> io::Result<()> {
    let shown = loaded.show();
    if output.json {
        for line in &shown {
            output.say(
                &json!({ "option": line.option, "value": line.value, "source": line.source.to_string() }),
                String::new,
            )?;
        }
        return Ok(());
    }
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let options = shown.iter().map(|line| line.option.len()).max().unwrap_or_default();
    let values = shown.iter().map(|line| value(&line.value).chars().count()).max().unwrap_or_default();
    let mut out = io::stdout().lock();
    for line in &shown {
        writeln!(out, "{:<options$}  {:<values$}  {}", line.option, value(&line.value), line.source)?;
    }
    out.flush()
}

/// What only the network's dialect and the file system can tell.
fn check(loaded: &Loaded) -> anyhow::Result<()> {
    let network = &loaded.settings.network;
    let peers = &loaded.settings.bootstrap.peers;
    let named = peers.iter().filter(|peer| *peer != Bootstrap::DEFAULT_PEERS);
    let faulty = named
        .map(|peer| ("bootstrap.peers", peer, text::bootstrap(peer)))
        .chain(network.listen.iter().map(|addr| ("network.listen", addr, text::listen(addr))))
        .chain(network.announce.iter().map(|addr| ("network.announce", addr, text::listen(addr))));
    for (option, value, read) in faulty {
        read.map_err(|why| usage(format!("{}: `{option}` has \"{value}\": {why}", loaded.source(option))))?;
    }
    if let Some(path) = &network.identity {
        identity::read(path)?;
    }
    Ok(())
}
