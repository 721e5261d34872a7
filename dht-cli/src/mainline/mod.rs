//! `dht mainline`: the commands on the network of BitTorrent. All their options are flags.

mod announce;
mod get;
mod harvest;
pub mod join;
mod key;
mod metadata;
mod node;
mod peers;
mod put;
mod sample;
mod scrape;
mod serve;
pub mod state;
mod text;
mod torrent;

use clap::Subcommand;

use crate::{join::Options, output::Output};

/// Run a node of the BitTorrent Mainline DHT, or ask that network one question.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a node until SIGINT or SIGTERM
    Node(node::Args),
    /// Tell who takes part in a swarm
    Peers(peers::Args),
    /// Take part in a swarm, and keep telling so
    Announce(announce::Args),
    /// Estimate how many take part in a swarm
    Scrape(scrape::Args),
    /// Store a value under its hash, or under a key of your own
    Put(put::Args),
    /// Get the value under a hash or of a key
    Get(get::Args),
    /// Tell which swarms others know
    Sample(sample::Args),
    /// Fetch the description of a torrent from its swarm
    Metadata(metadata::Args),
    /// Give the description of a torrent to whoever asks
    Serve(serve::Args),
    /// Collect swarms that others know for as long as wanted, politely
    Harvest(harvest::Args),
}

/// `dht mainline …`.
pub async fn run(command: Command, options: &Options, output: Output) -> anyhow::Result<()> {
    options.none("dht mainline")?;
    match command {
        Command::Node(args) => node::run(args, output).await,
        Command::Peers(args) => peers::run(args, output).await,
        Command::Announce(args) => announce::run(args, output).await,
        Command::Scrape(args) => scrape::run(args, output).await,
        Command::Put(args) => put::run(args, output).await,
        Command::Get(args) => get::run(args, output).await,
        Command::Sample(args) => sample::run(args, output).await,
        Command::Metadata(args) => metadata::run(args, output).await,
        Command::Serve(args) => serve::run(args, output).await,
        Command::Harvest(args) => harvest::run(args, output).await,
    }
}
