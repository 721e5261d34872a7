//! How fast a network of some size is simulated: events per second, memory per node, and what its lookups cost.
//!
//! `cargo run --release -p dht-sim --example throughput -- compact 100000 60 20`: overlay, nodes, simulated seconds,
//! lookups per second; then, if wanted, the k and the seconds between refreshes (0: none).
#![expect(clippy::disallowed_methods, reason = "it measures, so it reads the clock")]

use std::time::Instant;

use dht_sim::{Engine, OpKind, OverlayKind, Scenario, Workload};

/// Memory of this process in bytes, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let overlay = match args.next().as_deref() {
        Some("ipfs") => OverlayKind::Ipfs,
        Some("mainline") => OverlayKind::Mainline,
        _ => OverlayKind::Compact,
    };
    let nodes = args.next().map_or(Ok(1000), |text| text.parse())?;
    let duration = args.next().map_or(Ok(60.0), |text| text.parse())?;
    let lookups = args.next().map_or(Ok(20.0), |text| text.parse())?;
    let k = args.next().map(|text| text.parse()).transpose()?.filter(|k| *k > 0);
    let refresh_interval = args.next().map(|text| text.parse()).transpose()?;
    let engine = match k {
        None => Engine { refresh_interval, ..Engine::default() },
        Some(k) => Engine {
            k: Some(k),
            alpha: Some(3),
            beta: Some(3),
            replacements: Some(0),
            refresh_interval,
            ..Engine::default()
        },
    };
    let scenario = Scenario::new("throughput", nodes)
        .overlay(overlay)
        .duration(duration)
        .engine(engine)
        .sample_interval(duration.max(1.0))
        .workload(Workload { lookups, recall: true, ..Workload::default() });
    let (start, before) = (Instant::now(), resident().unwrap_or(0));
    let mut ready = Ready { at: None };
    let outcome = scenario.watch(&mut ready)?;
    let all = start.elapsed();
    let outcome = outcome.took(ready.at.map_or(all, |at| at.elapsed()));
    println!("{nodes} nodes of {overlay:?}, ready after {:?}", all - ready.at.map_or(all, |at| at.elapsed()));
    println!("{} events, {:.0} per second", outcome.events, outcome.events_per_second().unwrap_or(0.0));
    println!("{:.2} times real time", duration / outcome.wall_seconds.unwrap_or(f64::INFINITY));
    if let Some(after) = resident() {
        println!("{} bytes per node at most", after.saturating_sub(before) / u64::from(nodes));
    }
    if let Some(lookups) = outcome.total.operations(OpKind::Lookup) {
        println!(
            "{} lookups: {:.1} requests, {:.1} hops, {:.3} s, recall {:.4}, success {:.4}",
            lookups.started,
            lookups.requests.mean,
            lookups.hops.mean,
            lookups.latency.p50,
            outcome.total.recall.unwrap_or(0.0),
            lookups.success().unwrap_or(0.0),
        );
    }
    println!("{:.1} peers per table, trace {:016x}", outcome.total.state.table_fill, outcome.trace_hash);
    Ok(())
}

/// Notes when the tables are full and the first thing happens that is not a start.
struct Ready {
    at: Option<Instant>,
}

impl dht_sim::Watch for Ready {
    fn happened(&mut self, _: f64, happening: &dht_sim::Happening) {
        if matches!(happening, dht_sim::Happening::Began { .. }) {
            self.at.get_or_insert_with(Instant::now);
        }
    }
}
