//! Whole networks, small enough for a debug build.
#![allow(clippy::unwrap_used)]

mod attacks;
mod determinism;
mod faults;
#[cfg(feature = "serde")]
mod files;
mod networks;
mod policy;
mod refused;
mod weather;
mod workload;

use dht_sim::{Churn, Engine, Links, Outcome, OverlayKind, Scenario, Workload};

/// A network of some size with a bit of everything to do, for ten minutes.
pub fn busy(overlay: OverlayKind, nodes: u32) -> Scenario {
    let work = Workload {
        values: 20,
        providers: 20,
        publish_over: 20.0,
        updates: 0.05,
        reads: 1.0,
        lookups: 0.2,
        recall: true,
        ..Workload::default()
    };
    Scenario::new("busy", nodes).overlay(overlay).duration(600.0).links(Links::constant(20.0)).workload(work)
}

/// As much churn as the network bears in the time of a test.
pub fn churning(scenario: Scenario, median: f64) -> Scenario {
    let churn = Churn { median_session: median, median_gap: median, ..Churn::default() };
    scenario.churn(churn)
}

/// Tables that do not refresh themselves: what a test does not look at need not be paid for.
pub fn calm() -> Engine {
    Engine { refresh_interval: Some(0.0), ..Engine::default() }
}

/// Runs it, and shows what must not be.
pub fn run(scenario: &Scenario) -> Outcome {
    let outcome = scenario.run().unwrap();
    let first = &outcome.violations[..outcome.violations.len().min(5)];
    assert_eq!(outcome.violation_count, 0, "{} seed {}: {first:#?}", scenario.name, scenario.seed);
    outcome
}

/// The same, and everything is as expected.
pub fn passes(scenario: &Scenario) -> Outcome {
    let outcome = run(scenario);
    for verdict in &outcome.verdicts {
        assert!(verdict.ok, "{} seed {}: {verdict:?}", scenario.name, scenario.seed);
    }
    outcome
}
