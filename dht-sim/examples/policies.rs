//! Runs one scenario by the lookup rule of each implementation, and tells phase by phase what each found and what it cost.
//!
//! `cargo run --release -p dht-sim --features serde --example policies -- dht-sim/scenarios/a1-colluders.toml --seeds 3`. The
//! scenario's own expectations are those of the shipped rule and are not judged; violations are.

use std::{error::Error, process::ExitCode};

use dht_sim::{OpKind, Outcome, PhaseOutcome, Policy, Scenario, Workload};
use rayon::prelude::*;

const POLICIES: [Policy; 4] = [Policy::Shipped, Policy::Go, Policy::Rust, Policy::RustDisjoint];

struct Options {
    scenario: Scenario,
    seeds: u32,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().ok_or("a scenario file, then --nodes N, --seeds N, --reads PER_SECOND")?;
    let mut scenario: Scenario = toml::from_str(&std::fs::read_to_string(&file)?)?;
    let mut seeds = 1;
    while let Some(name) = args.next() {
        let value = args.next().ok_or("every option has a value")?;
        match name.as_str() {
            "--nodes" => scenario.nodes = value.parse()?,
            "--seeds" => seeds = value.parse()?,
            "--reads" => scenario.workload.reads = value.parse()?,
            _ => return Err(format!("no option `{name}`").into()),
        }
    }
    scenario.validate()?;
    Ok(Options { scenario, seeds })
}

fn all(options: &Options) -> Vec<(Policy, Outcome)> {
    let jobs: Vec<(Policy, u32)> =
        POLICIES.iter().flat_map(|policy| (0..options.seeds).map(|seed| (*policy, seed))).collect();
    let run = |(policy, seed): (Policy, u32)| {
        let scenario = options.scenario.clone();
        let workload = Workload { policy, ..scenario.workload };
        let scenario = scenario.workload(workload).seed(options.scenario.seed.wrapping_add(seed.into()));
        (policy, scenario.run().expect("it was validated"))
    };
    jobs.into_par_iter().with_max_len(1).map(run).collect()
}

/// Success of all seeds together, its worst seed, and the requests of one operation.
fn cell(phases: &[&PhaseOutcome], kind: OpKind) -> String {
    let of: Vec<_> = phases.iter().filter_map(|phase| phase.operations(kind)).collect();
    let succeeded: u64 = of.iter().map(|operations| operations.succeeded).sum();
    let ended: u64 = of.iter().map(|operations| operations.succeeded + operations.failed).sum();
    if ended == 0 {
        return "-".into();
    }
    let worst = of.iter().filter_map(|operations| operations.success()).fold(1.0, f64::min);
    let requests = of.iter().map(|operations| operations.requests.mean).sum::<f64>() / of.len() as f64;
    let seconds = of.iter().map(|operations| operations.latency.p50).sum::<f64>() / of.len() as f64;
    let success = succeeded as f64 / ended as f64;
    format!("{success:.3} (≥ {worst:.3}), {requests:.1} requests, {seconds:.2} s")
}

fn recall(phases: &[&PhaseOutcome]) -> String {
    let shares: Vec<f64> = phases.iter().filter_map(|phase| phase.recall).collect();
    format!("{:.3}", shares.iter().sum::<f64>() / shares.len().max(1) as f64)
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = options()?;
    let results = all(&options);
    let of = |policy: Policy, i: usize| -> Vec<&PhaseOutcome> {
        let own = results.iter().filter(|(by, _)| *by == policy);
        own.filter_map(|(_, outcome)| outcome.phases.get(i)).collect()
    };
    println!("{}, {} nodes, {} seeds", options.scenario.name, options.scenario.nodes, options.seeds);
    for kind in [OpKind::Get, OpKind::FindProviders, OpKind::Lookup] {
        println!("\n{}:\n| phase | {POLICIES:?} |", kind.name());
        for (i, phase) in options.scenario.phases.iter().enumerate() {
            let cells: Vec<String> = POLICIES.iter().map(|policy| cell(&of(*policy, i), kind)).collect();
            println!("| {} | {} |", phase.name, cells.join(" | "));
        }
    }
    println!("\nshare of the closest that lookups named:");
    for (i, phase) in options.scenario.phases.iter().enumerate() {
        let cells: Vec<String> = POLICIES.iter().map(|policy| recall(&of(*policy, i))).collect();
        println!("| {} | {} |", phase.name, cells.join(" | "));
    }
    let broken: u64 = results.iter().map(|(_, outcome)| outcome.violation_count).sum();
    println!("\n{broken} violations in {} runs", results.len());
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
