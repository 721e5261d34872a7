//! The command line: what there is to type. Every group of commands has its file; here they only have their names.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::{
    config, demo, find, ipns, join, keygen, lookup, mainline, node, output::Output, ping, provide, sim, value,
};

/// Run a node of the IPFS DHT or of BitTorrent Mainline, or ask their networks one question.
#[derive(Debug, Parser)]
#[command(name = "dht", version, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 not found. Logs go to stderr.")]
pub struct Cli {
    /// Print one JSON object per line
    #[arg(long, global = true)]
    pub json: bool,
    /// Read options from a TOML file; `dht config show` lists them
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to log, such as `info` or `dht=debug`; otherwise what RUST_LOG says
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
    #[command(subcommand)]
    pub command: Command,
}

/// What there is to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a small network on this machine, use it, break it, and use it again
    Demo(demo::Args),
    /// Run a node until SIGINT or SIGTERM; its events are JSON lines
    Node(node::Args),
    /// Store a value: `/pk/<id>`, `/ipns/<name>`, or `/v/<name>` in a private network
    Put(value::PutArgs),
    /// Get the best value under a key
    Get(value::GetArgs),
    /// Publish and resolve IPNS names
    #[command(subcommand)]
    Ipns(ipns::Command),
    /// Announce that this machine provides content, and keep announcing it
    Provide(provide::Args),
    /// Find providers, peers, or the peers closest to a key
    #[command(subcommand)]
    Find(find::Command),
    /// Look up the peers closest to a key and show how
    Lookup(lookup::Args),
    /// Measure round trips to a peer
    Ping(ping::PingArgs),
    /// Tell who is at an address and whether it serves the network
    Id(ping::IdArgs),
    /// The DHT of BitTorrent: run a node, or ask it one question
    #[command(subcommand)]
    Mainline(mainline::Command),
    /// Run a scenario in a simulated network of thousands of nodes, and say what came of it
    Sim(sim::Args),
    /// Make a new identity
    Keygen(keygen::Args),
    /// Show or check the options
    #[command(subcommand)]
    Config(config::Command),
    /// Print completions for a shell
    Completions {
        /// Which
        shell: Shell,
    },
}

impl Cli {
    /// Does it.
    pub async fn run(self) -> anyhow::Result<()> {
        let output = Output { json: self.json };
        let options = join::Options { file: self.config };
        match self.command {
            Command::Demo(args) => demo::run(args, &options, output).await,
            Command::Node(args) => node::run(args, &options).await,
            Command::Put(args) => value::put(args, &options, output).await,
            Command::Get(args) => value::get(args, &options, output).await,
            Command::Ipns(command) => ipns::run(command, &options, output).await,
            Command::Provide(args) => provide::run(args, &options, output).await,
            Command::Find(command) => find::run(command, &options, output).await,
            Command::Lookup(args) => lookup::run(args, &options, output).await,
            Command::Ping(args) => ping::ping(args, &options, output).await,
            Command::Id(args) => ping::id(args, &options, output).await,
            Command::Mainline(command) => mainline::run(command, &options, output).await,
            // It keeps the processors busy; nothing else runs meanwhile.
            Command::Sim(args) => sim::run(&args, &options, output),
            Command::Keygen(args) => keygen::run(&args, output),
            Command::Config(command) => config::run(command, &options, output),
            Command::Completions { shell } => {
                clap_complete::generate(shell, &mut Self::command(), "dht", &mut std::io::stdout());
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
