//! `dht lookup`: the peers closest to a key, and how they were found.

use dht::{
    core::KadKey,
    ipfs::Ipfs,
    query::{Reason, Step, StepOutcome},
};
use serde_json::{Value, json};

use crate::{
    exit::usage,
    join::{Client, ClientArgs, Options},
    output::Output,
    text,
};

/// Look up a key.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A peer id, a CID, or the key of a value
    key: String,
    /// Tell every step: time, peer, distance, answer
    #[arg(long)]
    trace: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// `dht lookup KEY [--trace]`.
pub async fn run(args: Args, options: &Options, output: Output) -> anyhow::Result<()> {
    let deadline = args.client.deadline();
    let settings = args.client.load(options)?;
    let target = text::target(&args.key, &settings).map_err(usage)?;
    let client = Client::join(settings, deadline).await?;
    let mut steps = client.dht().trace(target).await?;
    while let Some(step) = steps.next().await {
        if args.trace {
            output.say(&told(&step), || line(&step))?;
        }
    }
    let (reason, closest) = steps.finish().await?;
    client.close().await;
    if closest.is_empty() {
        anyhow::bail!("cannot look up `{}`: {}", args.key, why(reason));
    }
    if args.trace && !output.json {
        output.say(&Value::Null, || format!("\n{} peers are closest; {}", closest.len(), why(reason)))?;
    }
    for contact in &closest {
        output.contact(contact)?;
    }
    Ok(())
}

fn told(step: &Step<Ipfs>) -> Value {
    let mut json = json!({
        "at_ms": millis(step),
        "peer": step.peer.to_string(),
        "distance": step.distance.to_string(),
        "hop": step.hop,
        "step": name(step.outcome),
    });
    match step.outcome {
        StepOutcome::Answered { newcomers, items } => {
            json["newcomers"] = newcomers.into();
            json["items"] = items.into();
        }
        StepOutcome::Failed(failure) => json["why"] = failure.to_string().into(),
        _ => {}
    }
    json
}

fn line(step: &Step<Ipfs>) -> String {
    // How many leading bits are shared says at a glance how near a peer is.
    let shared = <Ipfs as dht::Overlay>::Key::BITS - step.distance.ilog2().map_or(0, |top| top + 1);
    let answer = match step.outcome {
        StepOutcome::Answered { newcomers, .. } => format!("answered, {newcomers} new"),
        StepOutcome::Failed(failure) => format!("failed: {failure}"),
        outcome => name(outcome).to_owned(),
    };
    let (at, peer) = (millis(step), step.peer.to_string());
    format!("{at:>9.1} ms  hop {:<2}  {peer:<52}  {shared:>3} bits shared  {answer}", step.hop)
}

fn millis(step: &Step<Ipfs>) -> f64 {
    (step.at.as_secs_f64() * 1e6).round() / 1e3
}

fn name(outcome: StepOutcome) -> &'static str {
    match outcome {
        StepOutcome::Asked => "asked",
        StepOutcome::Answered { .. } => "answered",
        StepOutcome::Overdue => "overdue",
        StepOutcome::Failed(_) => "failed",
        _ => "other",
    }
}

fn why(reason: Reason) -> &'static str {
    match reason {
        Reason::Complete => "the closest have answered",
        Reason::Enough => "what was wanted was found",
        Reason::Exhausted => "nobody answered",
        Reason::Timeout => "the time was up",
        Reason::Cancelled => "the lookup was cancelled",
        Reason::NoPeers => "nobody is known",
        _ => "the lookup ended",
    }
}
