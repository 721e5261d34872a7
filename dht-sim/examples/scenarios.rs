//! Runs all scenario files of a folder with several seeds, on all processors, and tells for each what was the worst.
//!
//! `cargo run --release -p dht-sim --features serde --example scenarios -- dht-sim/scenarios --nodes 300 --seeds 3`.
//! Files whose name does not contain the text after `--only` are left out. Ends with 1 when anything was not as expected.
#![expect(clippy::disallowed_methods, reason = "it measures, so it reads the clock")]

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use dht_sim::{Outcome, Scenario};

struct Options {
    folder: PathBuf,
    nodes: Option<u32>,
    seeds: u64,
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
    let scenario: Scenario = toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    scenario.validate().map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Scenario { nodes: nodes.unwrap_or(scenario.nodes), ..scenario })
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
    let scenarios = files.iter().map(|path| load(path, options.nodes)).collect::<Result<Vec<_>, _>>()?;
    let jobs: Vec<(usize, u64)> =
        (0..files.len()).flat_map(|file| (0..options.seeds).map(move |seed| (file, seed))).collect();
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let (told, start) = (Mutex::new(true), Instant::now());
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((file, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
                    let scenario = &scenarios[file];
                    let start = Instant::now();
                    let outcome = scenario.clone().seed(scenario.seed + seed).run();
                    let outcome = outcome.expect("it was validated").took(start.elapsed());
                    let mut results = results.lock().expect("no run panics with the lock");
                    results.push((file, seed, outcome));
                    if results.iter().filter(|(of, ..)| *of == file).count() as u64 == options.seeds {
                        let mut own: Vec<_> = results.extract_if(.., |(of, ..)| *of == file).collect();
                        own.sort_by_key(|(_, seed, _)| *seed);
                        let own: Vec<Outcome> = own.into_iter().map(|(.., outcome)| outcome).collect();
                        let path = files[file].display().to_string();
                        let name = files[file].file_stem().unwrap_or_default().to_string_lossy();
                        let ok = tell(&name, scenario, &own, &path);
                        *told.lock().expect("nobody panics with the lock") &= ok;
                    }
                }
            });
        }
    });
    let ok = told.into_inner().unwrap_or(false);
    println!("{} scenarios, {} runs, {:.1} s", files.len(), jobs.len(), start.elapsed().as_secs_f64());
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
