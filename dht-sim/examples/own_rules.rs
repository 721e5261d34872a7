//! A network of one's own in the simulator: a value may be changed twice, and is kept for five
//! minutes, and what that does to readers. `cargo run -p dht-sim --example own_rules`.

use std::{sync::Arc, time::Duration};

use dht_core::Now;
use dht_records::{Invalid, Validator};
use dht_sim::{
    Compact, CompactNetwork, Engine, Entry, Measure, OpKind, Open, Scenario, Subject, What, Workload,
    simulate,
};

/// A value may be changed twice; the last change is best.
struct Twice;

impl Validator<Compact> for Twice {
    fn check(&self, _: &Subject, item: &Entry, _: Now) -> Result<(), Invalid> {
        if item.version <= 3 { Ok(()) } else { Err(Invalid::Malformed("changed too often")) }
    }
    fn best(&self, _: &Subject, items: &[Entry]) -> Option<usize> {
        (0..items.len()).max_by_key(|i| items[*i].version)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rules = Open { lifetime: Duration::from_secs(300) };
    let network = CompactNetwork { validator: Arc::new(Twice), rules: Arc::new(rules) };
    let work = Workload { values: 20, updates: 0.2, reads: 5.0, lookups: 1.0, ..Workload::default() };
    let scenario = Scenario::new("changed twice, kept for five minutes", 500)
        .workload(work)
        .engine(Engine { republish_interval: Some(120.0), ..Engine::default() })
        .duration(1800.0)
        .fault(600.0, What::Exit { share: 0.3 })
        .at_least(Measure::Success { of: OpKind::Get }, 0.9);
    let outcome = simulate(&scenario, network, &mut ())?;
    for operations in &outcome.total.operations {
        println!(
            "{:<10} {:>6} started, success {:?}",
            operations.kind.name(),
            operations.started,
            operations.success()
        );
    }
    for verdict in &outcome.verdicts {
        println!(
            "{}: measured {:?}, {}",
            verdict.check,
            verdict.measured,
            if verdict.ok { "ok" } else { "not so" }
        );
    }
    println!("{} violations, trace {:016x}", outcome.violation_count, outcome.trace_hash);
    Ok(())
}
