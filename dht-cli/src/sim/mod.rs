//! `dht sim`: runs a scenario in a simulated network, for one seed or many, and tells what came of it.
//!
//! A run is a function of its file and its seed, so whatever fails here can be run again; the command that does so is
//! printed. What scenarios can say is `dht-sim`'s matter, not this program's.

mod files;
mod follow;
mod source;
mod table;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow};
use dht_sim::{Outcome, Scenario};
use rayon::prelude::*;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    exit::{line, usage},
    join::Options,
    output::{Output, lenient},
};
use files::{Files, Log};
use follow::{Bar, Follower, Subject};

/// Seeds of one call.
const MAX_SEEDS: u32 = 100_000;

/// Run a scenario.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 as expected, 1 not as expected or not written, 2 usage: flags, files and folders."
)]
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
pub fn run(args: &Args, options: &Options, output: Output) -> anyhow::Result<()> {
    options.none("dht sim")?;
    let Some(file) = &args.file else { return list(output) };
    let scenario = load(file, args)?;
    let bar = Bar::new(&scenario, args.seeds)?;
    let files = Files::create(file, args.report.as_deref(), args.events.as_deref())?;
    let several = args.seeds > 1;
    let watched = Watched { bar: &bar, log: files.log(), subject: args.trace, several, output };
    let (start, results) = (now(), all(&scenario, args.seeds, &watched));
    let took = start.elapsed();
    bar.clear();
    let outcomes = results.into_iter().collect::<Result<Vec<_>, _>>().map_err(usage)?;
    let mut faults = files.finish(&scenario, &outcomes);
    let failed: Vec<u64> = outcomes.iter().filter(|run| !run.passed()).map(|run| run.seed).collect();
    let replay = failed.first().map(|seed| replay(file, args, *seed));
    let told = tell(&scenario, &outcomes, took, replay.as_deref(), output);
    faults.extend(lenient(told).context("cannot write to stdout").err());
    let failure = replay.map(|replay| {
        let how = if source::is_kept(file) { "" } else { "keep the scenario in a file and run it " };
        format!("{} of {} runs failed; {how}again with `{replay}`", failed.len(), outcomes.len())
    });
    end(failure, &faults)
}

/// Tells what came of every run, and of all.
fn tell(
    scenario: &Scenario,
    outcomes: &[Outcome],
    took: Duration,
    replay: Option<&str>,
    output: Output,
) -> io::Result<()> {
    for outcome in outcomes.iter().filter(|_| outcomes.len() > 1) {
        output.say(&table::run(outcome), || table::run_line(outcome))?;
    }
    let mut json = table::summary(scenario, outcomes, took);
    json["replay"] = json!(replay);
    output.say(&json, || table::summary_text(scenario, outcomes, took))
}

/// How the call ends. That runs failed is said before what else went wrong, and is no matter of who still reads stdout.
fn end(failure: Option<String>, faults: &[anyhow::Error]) -> anyhow::Result<()> {
    let said: Vec<String> = failure.into_iter().chain(faults.iter().map(line)).collect();
    if said.is_empty() { Ok(()) } else { Err(anyhow!(said.join("; "))) }
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
    /// Whether there is more than one run.
    several: bool,
    output: Output,
}

/// Runs all seeds on all processors; the outcomes are in the order of their numbers.
fn all(scenario: &Scenario, seeds: u32, watched: &Watched<'_>) -> Vec<Result<Outcome, String>> {
    // One by one: a run takes seconds to hours, and whole shares of them would leave processors idle at the end.
    (0..seeds).into_par_iter().with_max_len(1).map(|number| one(scenario, number, watched)).collect()
}

fn one(scenario: &Scenario, number: u32, watched: &Watched<'_>) -> Result<Outcome, String> {
    let scenario = scenario.clone().seed(scenario.seed.wrapping_add(number.into()));
    let follower = Follower::new(scenario.seed, watched.bar, watched.log, watched.subject, watched.output);
    let mut follower = follower.among_others(watched.several);
    let start = now();
    let outcome = scenario.watch(&mut follower).map_err(|error| error.to_string())?;
    follower.finish();
    Ok(outcome.took(start.elapsed()))
}

/// The one command that runs a seed again.
fn replay(file: &Path, args: &Args, seed: u64) -> String {
    let nodes = args.nodes.map_or(String::new(), |nodes| format!(" --nodes {nodes}"));
    let shown = file.display().to_string();
    let shown = match shown.as_str() {
        _ if !source::is_kept(file) => "FILE".to_owned(),
        // It is a name, not a flag.
        flag if flag.starts_with('-') => format!("./{flag}"),
        _ => shown,
    };
    // A name that no shell can be given is shown as it is.
    let file = shlex::try_quote(&shown).unwrap_or(shown.as_str().into());
    format!("dht sim {file}{nodes} --seed {seed}")
}

fn now() -> Instant {
    Instant::now()
}
