//! What the suite is told on its command line.

use clap::Parser;

/// Lets a node of ours and foreign Kademlia nodes use each other, and prints what worked.
#[derive(Debug, Parser)]
#[command(name = "interop")]
pub struct Arguments {
    /// Only these peers; all otherwise.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub peer: Vec<String>,
    /// Only the peers of this network.
    #[arg(long, value_enum)]
    pub network: Option<Network>,
    /// Only checks whose name contains this text.
    #[arg(long, value_name = "TEXT")]
    pub check: Option<String>,
    /// One JSON object per check on stdout instead of lines and a table.
    #[arg(long)]
    pub json: bool,
    /// Say which peers and checks there are, and run none.
    #[arg(long)]
    pub list: bool,
}

/// A network that is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Network {
    /// IPFS.
    Ipfs,
    /// BitTorrent.
    Mainline,
}
