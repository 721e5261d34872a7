//! `dht demo`: many real nodes on this machine that join, find and store, lose a third of their number at once, and do
//! all of it again. Every step checks what it got; the program ends well only if every step held.

mod report;
mod steps;
mod swarm;

use std::time::Duration;

use clap::ValueEnum;

use crate::{exit::usage, join::Options, output::Output};
use report::Report;
use swarm::Swarm;

/// All of it must be over by then.
const LIMIT: Duration = Duration::from_secs(60);

/// Start a network, use it, break it, use it again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many nodes
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u16).range(3..=200))]
    nodes: u16,
    /// What they talk over
    #[arg(long, value_enum, value_name = "TRANSPORT", default_value_t = Transport::Tcp)]
    transport: Transport,
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
    if args.transport == Transport::Quic && !cfg!(feature = "quic") {
        return Err(usage(
            "this build has no QUIC; take `--transport tcp`, or build with the feature `quic`",
        ));
    }
    let mut report = Report::new(output, LIMIT)?;
    let Some(mut swarm) = report.start(Swarm::start(args.nodes.into(), args.transport, options)).await?
    else {
        return report.finish();
    };
    report.step(&swarm, "join through the first", swarm.join()).await?;
    let kept = steps::round(&swarm, &mut report, 1).await?;
    let gone = swarm.lose_a_third();
    report.step(&swarm, "stop a third at once", gone.stop()).await?;
    steps::still_there(&swarm, &mut report, &kept).await?;
    report.step(&swarm, "ping who is known", swarm.ping_all()).await?;
    steps::round(&swarm, &mut report, 2).await?;
    report.step(&swarm, "close the rest", swarm.close()).await?;
    report.finish()
}
