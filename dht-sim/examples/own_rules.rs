//! A network of one's own in the simulator: some writers are not believed, and what is stored is kept for five minutes
//! unless it is announced again. `cargo run -p dht-sim --example own_rules`.

use std::{sync::Arc, time::Duration};

use dht_core::Now;
use dht_records::{Invalid, Validator};
use dht_sim::{
    Compact, CompactNetwork, Engine, Entry, Measure, OpKind, Open, Scenario, Subject, What, Workload,
    simulate,
};

/// Every fifth writer is not believed; of what the others wrote the highest version is best.
struct Trusted;

impl Validator<Compact> for Trusted {
    fn check(&self, _: &Subject, item: &Entry, _: Now) -> Result<(), Invalid> {
        if item.writer.is_multiple_of(5) { Err(Invalid::Signature) } else { Ok(()) }
    }
    fn best(&self, _: &Subject, items: &[Entry]) -> Option<usize> {
        (0..items.len()).max_by_key(|i| items[*i].version)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rules = Open { lifetime: Duration::from_secs(300) };
    let network = CompactNetwork { validator: Arc::new(Trusted), rules: Arc::new(rules) };
    let work = Workload { values: 20, updates: 0.2, reads: 5.0, lookups: 1.0, ..Workload::default() };
    let scenario = Scenario::new("trusted writers, kept for five minutes", 500)
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
