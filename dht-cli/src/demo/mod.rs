//! `dht demo`: many real nodes on this machine that join, find and store, lose a third of their number at once, and find
//! what they had stored. Every step checks what it got; the program ends well only if every step held.

mod ipfs;
mod mainline;
mod report;
mod swarm;

use std::time::Duration;

use clap::ValueEnum;

use crate::{exit::usage, join::Options, output::Output};

/// All of it must be over by then.
const LIMIT: Duration = Duration::from_secs(60);

/// Start a network, use it, break it, use it again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which network's dialect the nodes speak
    #[arg(long, value_enum, value_name = "NETWORK", default_value_t = Network::Ipfs)]
    network: Network,
    /// How many nodes
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u16).range(3..=200))]
    nodes: u16,
    /// What they talk over on the IPFS network; TCP when nothing is said. On Mainline it is UDP
    #[arg(long, value_enum, value_name = "TRANSPORT")]
    transport: Option<Transport>,
}

/// The networks that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Network {
    /// The DHT of IPFS
    Ipfs,
    /// The DHT of BitTorrent
    Mainline,
}

/// What the nodes talk over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// TCP on loopback, with Noise and Yamux
    Tcp,
    /// QUIC on loopback
    Quic,
    /// Values handed over inside the process
    Memory,
}

/// `dht demo`.
pub async fn run(args: Args, options: &Options, output: Output) -> anyhow::Result<()> {
    let nodes = args.nodes.into();
    match (args.network, args.transport) {
        (Network::Mainline, Some(_)) => {
            Err(usage("nodes of Mainline talk over UDP; --transport is for `--network ipfs`"))
        }
        (Network::Mainline, None) => {
            options.none("dht demo --network mainline")?;
            mainline::run(nodes, output).await
        }
        (Network::Ipfs, transport) => {
            ipfs::run(nodes, transport.unwrap_or(Transport::Tcp), options, output).await
        }
    }
}
