//! What came of runs, as lines for people and objects for programs.

use std::{fmt::Write as _, time::Duration};

use dht_sim::{Check, Outcome, Scenario, Summary, Violation};
use serde_json::{Value, json};

/// What stands in a table where nothing was measured.
const NOTHING: &str = "-";

/// Violations that are shown.
const SHOWN: usize = 5;

/// One run of many.
pub fn run(outcome: &Outcome) -> Value {
    json!({
        "seed": outcome.seed,
        "ok": outcome.passed(),
        "verdicts": outcome.verdicts.iter().map(|verdict| json!({
            "check": verdict.check.to_string(),
            "measured": verdict.measured,
            "ok": verdict.ok,
        })).collect::<Vec<_>>(),
        "violations": outcome.violation_count,
        "events": outcome.events,
        "events_per_second": outcome.events_per_second().map(f64::round),
        "trace_hash": format!("{:016x}", outcome.trace_hash),
    })
}

/// The same in words.
pub fn run_line(outcome: &Outcome) -> String {
    let held = outcome.verdicts.iter().filter(|verdict| verdict.ok).count();
    let verdict = if outcome.passed() { "ok" } else { "FAILED" };
    format!(
        "seed {:<6} {verdict:<7} {held} of {} checks, {} violations, {} events, trace {:016x}",
        outcome.seed,
        outcome.verdicts.len(),
        outcome.violation_count,
        outcome.events,
        outcome.trace_hash
    )
}

/// What a check measured over all seeds.
struct Judged<'a> {
    check: &'a Check,
    /// The nearest to a bound, or the farthest beyond it; `None` when a run had nothing to measure.
    worst: Option<f64>,
    mean: Option<f64>,
    failed: usize,
}

fn judged<'a>(scenario: &'a Scenario, outcomes: &[Outcome]) -> Vec<Judged<'a>> {
    let judge = |(i, check): (usize, &'a Check)| {
        let verdicts: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.verdicts.get(i)).collect();
        let all: Option<Vec<f64>> = verdicts.iter().map(|verdict| verdict.measured).collect();
        let margin = |value: f64| {
            let below = check.at_least.map_or(f64::INFINITY, |least| value - least);
            below.min(check.at_most.map_or(f64::INFINITY, |most| most - value))
        };
        let nearest = |a: f64, b: f64| if margin(b) < margin(a) { b } else { a };
        let worst = all.as_ref().and_then(|all| all.iter().copied().reduce(nearest));
        let mean = all.filter(|all| !all.is_empty()).map(|all| all.iter().sum::<f64>() / all.len() as f64);
        Judged { check, worst, mean, failed: verdicts.iter().filter(|verdict| !verdict.ok).count() }
    };
    scenario.checks.iter().enumerate().map(judge).collect()
}

/// All runs.
pub fn summary(scenario: &Scenario, outcomes: &[Outcome], took: Duration) -> Value {
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    let events: u64 = outcomes.iter().map(|outcome| outcome.events).sum();
    let verdicts: Vec<_> = judged(scenario, outcomes)
        .iter()
        .map(|judged| {
            json!({
                "check": judged.check.to_string(),
                "worst": judged.worst,
                "mean": judged.mean,
                "ok": judged.failed == 0,
            })
        })
        .collect();
    json!({
        "done": true,
        "scenario": scenario.name,
        "nodes": scenario.nodes,
        "seed": scenario.seed,
        "runs": outcomes.len(),
        "failed": failed,
        "verdicts": verdicts,
        "violations": outcomes.iter().map(|outcome| outcome.violation_count).sum::<u64>(),
        "events": events,
        "seconds": (took.as_secs_f64() * 1e3).round() / 1e3,
        "events_per_second": per_second(events, took).round(),
        "trace_hash": format!("{:016x}", trace(outcomes)),
        "ok": failed == 0,
    })
}

/// The trace of one run, or of all of them in their order.
fn trace(outcomes: &[Outcome]) -> u64 {
    match outcomes {
        [one] => one.trace_hash,
        all => all.iter().fold(0xcbf2_9ce4_8422_2325, |trace: u64, outcome| {
            (trace ^ outcome.trace_hash).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
        }),
    }
}

fn per_second(events: u64, took: Duration) -> f64 {
    events as f64 / took.as_secs_f64().max(1e-9)
}

/// The same in words: what was done, what was expected, what must not be.
pub fn summary_text(scenario: &Scenario, outcomes: &[Outcome], took: Duration) -> String {
    let mut text = String::new();
    if let [outcome] = outcomes {
        operations(&mut text, outcome);
    }
    let checks = judged(scenario, outcomes);
    let width = checks.iter().map(|judged| judged.check.to_string().chars().count()).max().unwrap_or(0);
    if !checks.is_empty() {
        let _ = writeln!(text, "{:<width$}  {:>12}  {:>12}  verdict", "check", "worst", "mean");
    }
    for judged in &checks {
        let verdict = if judged.failed == 0 { "ok".into() } else { format!("FAILED {}", judged.failed) };
        let (worst, mean) = (number(judged.worst), number(judged.mean));
        let _ = writeln!(text, "{:<width$}  {worst:>12}  {mean:>12}  {verdict}", judged.check.to_string());
    }
    for violation in outcomes.iter().flat_map(|outcome| &outcome.violations).take(SHOWN) {
        let Violation { at, node, kind, detail } = violation;
        let node = node.map_or(String::new(), |node| format!(" node {node}"));
        let _ = writeln!(text, "violation at {at:.3} s{node}: {kind:?}: {detail}");
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    let violations: u64 = outcomes.iter().map(|outcome| outcome.violation_count).sum();
    let events: u64 = outcomes.iter().map(|outcome| outcome.events).sum();
    let _ = write!(
        text,
        "\n{}: {} of {} runs as expected, {violations} violations, {} nodes, {events} events in {took:.1?} ({:.0} per second), trace {:016x}",
        scenario.name,
        outcomes.len() - failed,
        outcomes.len(),
        scenario.nodes,
        per_second(events, took),
        trace(outcomes)
    );
    text
}

fn operations(text: &mut String, outcome: &Outcome) {
    let head = ["operation", "started", "success", "p50 s", "p99 s", "mean requests", "mean hops"];
    let [operation, started, success, p50, p99, requests, hops] = head;
    let _ = writeln!(
        text,
        "{operation:<24} {started:>9} {success:>9} {p50:>9} {p99:>9} {requests:>13} {hops:>9}"
    );
    let ordinary = outcome.total.operations.iter().map(|ops| (ops, ""));
    for (ops, aim) in ordinary.chain(outcome.total.attacked.iter().map(|ops| (ops, ", attacked"))) {
        let _ = writeln!(
            text,
            "{:<24} {:>9} {:>9} {:>9} {:>9} {:>13} {:>9}",
            format!("{}{aim}", ops.kind.name()),
            ops.started,
            ops.success().map_or(NOTHING.to_owned(), |share| number(Some(share))),
            of(&ops.latency, ops.latency.p50, 3),
            of(&ops.latency, ops.latency.p99, 3),
            of(&ops.requests, ops.requests.mean, 1),
            of(&ops.hops, ops.hops.mean, 1)
        );
    }
    let state = &outcome.total.state;
    let _ = writeln!(
        text,
        "\n{} up, {} servers, {} peers per table ({} % down), {} of {} records alive, {} holders each\n",
        state.up,
        state.servers,
        measured(state.table_min.is_some(), state.table_fill, 0),
        measured(state.table_fill > 0.0, state.stale * 100.0, 1),
        state.alive,
        state.records,
        measured(state.records > 0, state.holders, 1)
    );
}

/// A figure of samples, if there are any.
fn of(samples: &Summary, figure: f64, digits: usize) -> String {
    measured(samples.count > 0, figure, digits)
}

/// A figure, if there was anything to measure: 0 is a figure too.
fn measured(any: bool, figure: f64, digits: usize) -> String {
    if any { format!("{figure:.digits$}") } else { NOTHING.to_owned() }
}

fn number(x: Option<f64>) -> String {
    match x {
        None => "nothing".to_owned(),
        Some(x) if x == x.trunc() && x.abs() < 1e9 => format!("{x:.0}"),
        Some(x) => format!("{x:.5}"),
    }
}

#[cfg(test)]
mod tests {
    use dht_sim::{OpKind, Operations, PhaseOutcome};

    use super::*;

    #[test]
    fn what_was_not_measured_is_not_shown_as_zero() {
        let nothing = Summary::default();
        let none = Summary { count: 3, ..Summary::default() };
        let joins = Operations {
            kind: OpKind::Join,
            started: 3,
            succeeded: 0,
            failed: 3,
            aborted: 0,
            latency: nothing.clone(),
            requests: none,
            hops: nothing,
        };
        let total = PhaseOutcome { operations: vec![joins], ..PhaseOutcome::default() };
        let mut text = String::new();
        operations(&mut text, &Outcome { total, ..Outcome::default() });
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(lines[0].ends_with(&["mean", "requests", "mean", "hops"]), "{text}");
        assert_eq!(lines[1], ["join", "3", "0", "-", "-", "0.0", "-"]);
        assert!(
            text.contains("- peers per table (- % down), 0 of 0 records alive, - holders each"),
            "{text}"
        );
    }
}
