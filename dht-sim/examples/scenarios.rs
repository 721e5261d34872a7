//! Runs all scenario files of a folder with several seeds, on all processors, and tells for each what was the worst.
//!
//! `cargo run --release -p dht-sim --features serde --example scenarios -- dht-sim/scenarios --nodes 300 --seeds 3`.
//! Files whose name does not contain the text after `--only` are left out. Ends with 1 when anything was not as expected.
#![expect(clippy::disallowed_methods, reason = "it measures, so it reads the clock")]

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use dht_sim::{Outcome, Scenario};
use rayon::prelude::*;

struct Options {
    folder: PathBuf,
    nodes: Option<u32>,
    seeds: u32,
    only: String,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().ok_or("a folder of scenario files, then --nodes N, --seeds N, --only TEXT")?;
    let mut options = Options { folder: folder.into(), nodes: None, seeds: 1, only: String::new() };
    while let Some(name) = args.next() {
        let value = args.next().ok_or("every option has a value")?;
        match name.as_str() {
            "--nodes" => options.nodes = Some(value.parse()?),
            "--seeds" => options.seeds = value.parse()?,
            "--only" => options.only = value,
            _ => return Err(format!("no option `{name}`").into()),
        }
    }
    Ok(options)
}

fn load(path: &Path, nodes: Option<u32>) -> Result<Scenario, Box<dyn Error>> {
    let text = std::fs::read_to_string(path)?;
    let mut scenario: Scenario =
        toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    scenario.nodes = nodes.unwrap_or(scenario.nodes);
    scenario.validate().map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(scenario)
}

/// The outcomes of a scenario with several seeds, in their order.
fn all(scenario: &Scenario, seeds: u32) -> Vec<Outcome> {
    let run = |seed: u32| {
        let start = Instant::now();
        let outcome = scenario.clone().seed(scenario.seed.wrapping_add(seed.into())).run();
        outcome.expect("it was validated").took(start.elapsed())
    };
    (0..seeds).into_par_iter().with_max_len(1).map(run).collect()
}

/// Tells what became of a file; whether all was as expected.
fn tell(name: &str, scenario: &Scenario, outcomes: &[Outcome], replay: &str) -> bool {
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.passed()).collect();
    let seconds: f64 = outcomes.iter().filter_map(|outcome| outcome.wall_seconds).sum();
    let events: u64 = outcomes.iter().map(|outcome| outcome.events).sum();
    let violations: u64 = outcomes.iter().map(|outcome| outcome.violation_count).sum();
    let verdict = if failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "{verdict:<6} {name}: {} of {} runs, {violations} violations, {events} events, {seconds:.1} s",
        outcomes.len() - failed.len(),
        outcomes.len()
    );
    for (i, check) in scenario.checks.iter().enumerate() {
        let verdicts = outcomes.iter().filter_map(|outcome| outcome.verdicts.get(i));
        let bad = verdicts.clone().filter(|verdict| !verdict.ok).count();
        let measured: Vec<f64> = verdicts.filter_map(|verdict| verdict.measured).collect();
        let least = measured.iter().copied().fold(f64::INFINITY, f64::min);
        let most = measured.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mark = if bad == 0 { "     " } else { "  !! " };
        println!("{mark}{check}: {least:.5} .. {most:.5}, {bad} failed");
    }
    for violation in outcomes.iter().flat_map(|outcome| &outcome.violations).take(3) {
        println!("  !! {violation:?}");
    }
    if let Some(first) = failed.first() {
        println!("  again: dht sim {replay} --nodes {} --seed {}", first.nodes, first.seed);
    }
    failed.is_empty()
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = options()?;
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&options.folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    let wanted = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "toml")
            && path.file_name().is_some_and(|name| name.to_string_lossy().contains(&options.only))
    };
    files.retain(wanted);
    files.sort();
    if files.is_empty() || options.seeds == 0 {
        return Err("nothing to run: no such file, or no seed".into());
    }
    let scenarios = files.iter().map(|path| load(path, options.nodes)).collect::<Result<Vec<_>, _>>()?;
    let start = Instant::now();
    // A file's seeds together, so that it is told as soon as it ended.
    let told: Vec<bool> = files
        .par_iter()
        .zip(&scenarios)
        .with_max_len(1)
        .map(|(path, scenario)| {
            let outcomes = all(scenario, options.seeds);
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            tell(&name, scenario, &outcomes, &path.display().to_string())
        })
        .collect();
    let (files, runs) = (files.len(), files.len() * options.seeds as usize);
    println!("{files} scenarios, {runs} runs, {:.1} s", start.elapsed().as_secs_f64());
    Ok(if told.iter().all(|ok| *ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
