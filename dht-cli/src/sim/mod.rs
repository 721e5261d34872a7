//! `dht sim`: runs a scenario in a simulated network, for one seed or many, and tells what came of it.
//!
//! A run is a function of its file and its seed, so whatever fails here can be run again; the command that does so is
//! printed. What scenarios can say is `dht-sim`'s matter, not this program's.

mod follow;
mod source;
mod table;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use dht_sim::{Outcome, Scenario};
use rayon::prelude::*;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{exit::usage, output::Output};
use follow::{Bar, Follower, Log, Subject};

/// Seeds of one call.
const MAX_SEEDS: u32 = 100_000;

/// Run a scenario.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A scenario: a file, in TOML, or the name of one that comes with the program
    #[arg(required_unless_present = "list")]
    file: Option<PathBuf>,
    /// List the scenarios that come with the program
    #[arg(long, conflicts_with_all = ["file", "nodes", "seed", "seeds", "report", "events", "trace"])]
    list: bool,
    /// Nodes at the start, instead of what the file says
    #[arg(long, value_name = "N")]
    nodes: Option<u32>,
    /// The first seed, instead of what the file says
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// How many seeds, one after the other; as many run at once as there are processors
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SEEDS)))]
    seeds: u32,
    /// Write a report with plots into this folder
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Write everything that happens to this file, one JSON object per line
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Tell the story of a node, by its number, or of a key: `key:7`
    #[arg(long, value_name = "NODE|KEY")]
    trace: Option<Subject>,
}

/// `dht sim FILE`.
pub fn run(args: &Args, output: Output) -> anyhow::Result<()> {
    let Some(file) = &args.file else { return list(output) };
    let scenario = load(file, args)?;
    let bar = Bar::new(&scenario, args.seeds)?;
    let log = args.events.as_deref().map(Log::create).transpose()?;
    let watched = Watched { bar: &bar, log: log.as_ref(), subject: args.trace, output };
    let (start, results) = (now(), all(&scenario, args.seeds, &watched));
    let took = start.elapsed();
    bar.clear();
    let outcomes = results.into_iter().collect::<Result<Vec<_>, _>>().map_err(usage)?;
    if let Some(log) = log {
        log.finish()?;
    }
    for outcome in outcomes.iter().filter(|_| outcomes.len() > 1) {
        output.say(&table::run(outcome), || table::run_line(outcome))?;
    }
    if let Some(folder) = &args.report {
        report(folder, &scenario, &outcomes)?;
    }
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.passed()).collect();
    let replay = failed.first().map(|outcome| replay(file, args, &scenario, outcome.seed));
    let mut json = table::summary(&scenario, &outcomes, took);
    json["replay"] = json!(replay);
    output.say(&json, || table::summary_text(&scenario, &outcomes, took))?;
    match replay {
        None => Ok(()),
        Some(replay) => {
            Err(anyhow!("{} of {} runs failed; again with `{replay}`", failed.len(), outcomes.len()))
        }
    }
}

fn list(output: Output) -> anyhow::Result<()> {
    for (name, title) in source::list()? {
        output.say(&json!({ "scenario": name, "name": title }), || format!("{name:<26}{title}"))?;
    }
    Ok(())
}

/// Reads a scenario, with what the command line says instead.
fn load(file: &Path, args: &Args) -> anyhow::Result<Scenario> {
    let mut scenario = source::read(file)?;
    scenario.nodes = args.nodes.unwrap_or(scenario.nodes);
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    scenario.validate().map_err(|error| usage(format!("{}: {error}", file.display())))?;
    Ok(scenario)
}

/// What every run is followed with.
struct Watched<'a> {
    bar: &'a Bar,
    log: Option<&'a Log>,
    subject: Option<Subject>,
    output: Output,
}

/// Runs all seeds on all processors; the outcomes are in the order of their numbers.
fn all(scenario: &Scenario, seeds: u32, watched: &Watched<'_>) -> Vec<Result<Outcome, String>> {
    // One by one: a run takes seconds to hours, and whole shares of them would leave processors idle at the end.
    (0..seeds).into_par_iter().with_max_len(1).map(|number| one(scenario, number, watched)).collect()
}

fn one(scenario: &Scenario, number: u32, watched: &Watched<'_>) -> Result<Outcome, String> {
    let scenario = scenario.clone().seed(scenario.seed.wrapping_add(number.into()));
    let mut follower =
        Follower::new(scenario.seed, watched.bar, watched.log, watched.subject, watched.output);
    let start = now();
    let outcome = scenario.watch(&mut follower).map_err(|error| error.to_string())?;
    follower.finish();
    Ok(outcome.took(start.elapsed()))
}

/// The one command that runs a seed again.
fn replay(file: &Path, args: &Args, scenario: &Scenario, seed: u64) -> String {
    let nodes = args.nodes.map_or(String::new(), |_| format!(" --nodes {}", scenario.nodes));
    let shown = file.display().to_string();
    // A name that no shell can be given is shown as it is.
    let file = shlex::try_quote(&shown).unwrap_or(shown.as_str().into());
    format!("dht sim {file}{nodes} --seed {seed}")
}

fn report(folder: &Path, scenario: &Scenario, outcomes: &[Outcome]) -> anyhow::Result<()> {
    let cannot = || format!("cannot write to `{}`", folder.display());
    fs::create_dir_all(folder).with_context(cannot)?;
    fs::write(folder.join("report.html"), dht_sim::report(scenario, outcomes)).with_context(cannot)?;
    let data = outcomes.iter().map(serde_json::to_value).collect::<Result<Vec<Value>, _>>()?;
    let data = json!({ "scenario": scenario, "outcomes": data });
    fs::write(folder.join("outcomes.json"), data.to_string()).with_context(cannot)
}

fn now() -> Instant {
    Instant::now()
}
