//! A page that shows what came of runs: verdicts, tables, and plots in SVG. One file, nothing is fetched.

mod plot;

use std::fmt::Write as _;

use crate::{
    outcome::{OpKind, Operations, Outcome, PhaseOutcome, Sample, State, Summary},
    scenario::Scenario,
};
use plot::{Line, Plot};

/// Runs that are drawn; more lines are a blot.
const DRAWN: usize = 10;

/// Violations that are listed.
const LISTED: usize = 100;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;\
color:#1b1f24;background:#fff}table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem;text-align:right;\
border-bottom:1px solid #d8dee4}td:first-child,th:first-child{text-align:left}.ok{color:#116329}.bad{color:#a40e26;\
font-weight:600}figure{display:inline-block;margin:.5rem}figcaption{font-weight:600}svg text{font:11px system-ui,\
sans-serif;fill:#57606a}";

/// The page about these runs of a scenario.
pub fn report(scenario: &Scenario, outcomes: &[Outcome]) -> String {
    let mut page = String::new();
    let name = escaped(&scenario.name);
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{name}</title><style>{STYLE}</style><h1>{name}</h1>"
    );
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    let events: u64 = outcomes.iter().map(|outcome| outcome.events).sum();
    let (class, verdict) = if failed == 0 { ("ok", "as expected") } else { ("bad", "not as expected") };
    let _ = write!(
        page,
        "<p>{:?}, {} nodes at the start, {} s, {} runs from seed {}, {events} events. <span class=\"{class}\">{} of {} {verdict}</span></p>",
        scenario.overlay,
        scenario.nodes,
        scenario.duration,
        outcomes.len(),
        scenario.seed,
        if failed == 0 { outcomes.len() } else { failed },
        outcomes.len(),
    );
    verdicts(&mut page, scenario, outcomes);
    plots(&mut page, outcomes);
    if let Some(first) = outcomes.first() {
        let _ = write!(page, "<h2>Seed {}</h2>", first.seed);
        for phase in std::iter::once(&first.total).chain(&first.phases) {
            operations(&mut page, phase);
        }
    }
    violations(&mut page, outcomes);
    page.push_str("</html>\n");
    page
}

fn verdicts(page: &mut String, scenario: &Scenario, outcomes: &[Outcome]) {
    if scenario.checks.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Expectations</h2><table><tr><th>expected<th>least<th>most<th>not measured<th>failed</tr>",
    );
    for (i, check) in scenario.checks.iter().enumerate() {
        let verdicts: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.verdicts.get(i)).collect();
        let measured: Vec<f64> = verdicts.iter().filter_map(|verdict| verdict.measured).collect();
        let least = measured.iter().copied().reduce(f64::min);
        let most = measured.iter().copied().reduce(f64::max);
        let failed = verdicts.iter().filter(|verdict| !verdict.ok).count();
        let class = if failed == 0 { "ok" } else { "bad" };
        let (all, missing) = (verdicts.len(), verdicts.len() - measured.len());
        let _ = write!(
            page,
            "<tr><td>{}<td>{}<td>{}<td>{missing} of {all}<td class=\"{class}\">{failed} of {all}</tr>",
            escaped(&check.to_string()),
            number(least),
            number(most),
        );
    }
    page.push_str("</table>");
}

fn over_time(outcomes: &[Outcome], value: impl Fn(&Sample) -> Option<f64>) -> Vec<Line> {
    let line = |outcome: &Outcome| {
        let points = outcome.samples.iter().filter_map(|sample| Some((sample.at / 60.0, value(sample)?)));
        Line { name: format!("seed {}", outcome.seed), points: points.collect() }
    };
    outcomes.iter().take(DRAWN).map(line).collect()
}

/// Shares of operations of each kind that are not above a value, of the first run.
fn shares(outcomes: &[Outcome], of: impl Fn(&Operations) -> &Summary) -> Vec<Line> {
    let asked = |ops: &&Operations| !matches!(ops.kind, OpKind::Join | OpKind::Republish);
    let line = |ops: &Operations| {
        let curve = &of(ops).curve;
        let last = curve.len().saturating_sub(1).max(1) as f64;
        let points = curve.iter().enumerate().map(|(i, x)| (*x, i as f64 / last)).collect();
        Line { name: ops.kind.name().replace('_', " "), points }
    };
    let first = outcomes.first().into_iter();
    first.flat_map(|outcome| outcome.total.operations.iter().filter(asked).map(line)).collect()
}

fn plots(page: &mut String, outcomes: &[Outcome]) {
    let minutes = "minutes";
    let success = |sample: &Sample| {
        let ended = sample.succeeded + sample.failed;
        (ended > 0).then(|| sample.succeeded as f64 / ended as f64)
    };
    let alive = |sample: &Sample| {
        (sample.state.records > 0).then(|| sample.state.alive as f64 / sample.state.records as f64)
    };
    let plots = [
        Plot::new("Success of lookups, reads and writes", minutes, over_time(outcomes, success))
            .within(0.0, 1.0),
        Plot::new("Records alive, of those whose publisher is up", minutes, over_time(outcomes, alive))
            .within(0.0, 1.0),
        Plot::new("Live holders of a record", minutes, over_time(outcomes, |s| holders(&s.state))),
        Plot::new("Peers per table", minutes, over_time(outcomes, |s| fill(&s.state))),
        Plot::new("Table entries that are down", minutes, over_time(outcomes, |s| stale(&s.state))),
        Plot::new("Nodes up", minutes, over_time(outcomes, |s| Some(s.state.up as f64))),
        Plot::new(
            "Messages between two samples",
            minutes,
            over_time(outcomes, |s| Some(s.traffic.messages as f64)),
        ),
        Plot::new("Latency: share that took no longer", "seconds", shares(outcomes, |ops| &ops.latency))
            .within(0.0, 1.0),
        Plot::new(
            "Requests per operation: share with no more",
            "requests",
            shares(outcomes, |ops| &ops.requests),
        )
        .within(0.0, 1.0),
        Plot::new("Hops: share with no more", "hops", shares(outcomes, |ops| &ops.hops)).within(0.0, 1.0),
    ];
    page.push_str("<h2>Plots</h2>");
    what_is_drawn(page, outcomes);
    plots.iter().for_each(|plot| page.push_str(&plot.svg()));
}

/// Which of many runs the plots are about.
fn what_is_drawn(page: &mut String, outcomes: &[Outcome]) {
    let [first, _, ..] = outcomes else { return };
    let (seed, runs) = (first.seed, outcomes.len());
    page.push_str("<p>Over time: ");
    let _ = match runs {
        0..=DRAWN => write!(page, "all {runs} seeds"),
        _ => write!(page, "the first {DRAWN} of {runs} seeds"),
    };
    let _ = write!(page, ". Latency, requests and hops: seed {seed} only.</p>");
}

/// Live holders of a record, where anything is published.
fn holders(state: &State) -> Option<f64> {
    (state.records > 0).then_some(state.holders)
}

/// Peers in a table, where there is one.
fn fill(state: &State) -> Option<f64> {
    state.table_min.map(|_| state.table_fill)
}

/// Table entries that are down, where there are any.
fn stale(state: &State) -> Option<f64> {
    (state.table_fill > 0.0).then_some(state.stale)
}

fn operations(page: &mut String, phase: &PhaseOutcome) {
    let _ = write!(
        page,
        "<h3>{}</h3><p>{} s to {} s: {} up, {} peers per table, {} of {} records alive, {} messages{}{}</p>",
        escaped(&phase.name),
        phase.from,
        phase.until,
        phase.state.up,
        figure(fill(&phase.state), 0),
        phase.state.alive,
        phase.state.records,
        phase.traffic.messages,
        phase.recall.map_or(String::new(), |recall| format!(", recall {recall:.4}")),
        phase.fresh.map_or(String::new(), |fresh| format!(", newest {fresh:.4} of the reads")),
    );
    if phase.operations.is_empty() && phase.attacked.is_empty() {
        return;
    }
    page.push_str(
        "<table><tr><th>operation<th>started<th>success<th>p50 s<th>p90 s<th>p99 s<th>mean requests<th>mean hops</tr>",
    );
    let ordinary = phase.operations.iter().map(|ops| (ops, ""));
    for (ops, aim) in ordinary.chain(phase.attacked.iter().map(|ops| (ops, ", attacked"))) {
        let _ = write!(
            page,
            "<tr><td>{}{aim}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            ops.kind.name().replace('_', " "),
            ops.started,
            figure(ops.success(), 5),
            figure(of(&ops.latency, |latency| latency.p50), 3),
            figure(of(&ops.latency, |latency| latency.p90), 3),
            figure(of(&ops.latency, |latency| latency.p99), 3),
            figure(of(&ops.requests, |requests| requests.mean), 1),
            figure(of(&ops.hops, |hops| hops.mean), 1)
        );
    }
    page.push_str("</table>");
}

fn violations(page: &mut String, outcomes: &[Outcome]) {
    let all: Vec<_> = outcomes
        .iter()
        .flat_map(|outcome| outcome.violations.iter().map(move |violation| (outcome.seed, violation)))
        .collect();
    if all.is_empty() {
        return;
    }
    page.push_str(
        "<h2 class=\"bad\">What must not be</h2><table><tr><th>seed<th>at s<th>node<th>kind<th>detail</tr>",
    );
    for (seed, violation) in all.iter().take(LISTED) {
        let node = violation.node.map_or(String::new(), |node| node.to_string());
        let (at, kind, detail) = (violation.at, violation.kind, escaped(&violation.detail));
        let _ = write!(page, "<tr><td>{seed}<td>{at:.3}<td>{node}<td>{kind:?}<td>{detail}</tr>");
    }
    page.push_str("</table>");
    let count: u64 = outcomes.iter().map(|outcome| outcome.violation_count).sum();
    if count > LISTED as u64 {
        let _ = write!(page, "<p>These are the first {LISTED} of {count}.</p>");
    }
}

/// A figure of samples, if there are any.
fn of(samples: &Summary, value: impl Fn(&Summary) -> f64) -> Option<f64> {
    (samples.count > 0).then(|| value(samples))
}

/// A figure in a table; `-` where nothing was measured, because 0 is a figure too.
fn figure(x: Option<f64>, digits: usize) -> String {
    x.map_or("-".to_owned(), |x| format!("{x:.digits$}"))
}

fn number(x: Option<f64>) -> String {
    x.map_or("nothing".to_owned(), |x| format!("{x:.5}"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        network::Engine,
        outcome::{Verdict, Violation, ViolationKind},
        scenario::{Measure, OverlayKind, Workload},
    };

    #[test]
    fn a_report_says_everything_and_fetches_nothing() {
        let workload = Workload { values: 5, reads: 1.0, lookups: 1.0, ..Workload::default() };
        let scenario = Scenario::new("a <small> network", 30)
            .overlay(OverlayKind::Compact)
            .engine(Engine { refresh_interval: Some(0.0), ..Engine::default() })
            .workload(workload)
            .duration(300.0)
            .at_least(Measure::Success { of: OpKind::Get }, 0.9);
        let outcomes = [scenario.run().unwrap(), scenario.clone().seed(2).run().unwrap()];
        let page = report(&scenario, &outcomes);
        assert!(page.contains("a &lt;small&gt; network") && page.contains("success of get &gt;= 0.9"));
        assert_eq!(page.matches("<svg").count(), 10);
        assert!(!page.contains("http") && !page.contains("NaN") && !page.contains("<script"));
    }

    /// Outcomes of a scenario that expects one thing.
    fn outcomes(measured: &[Option<f64>]) -> (Scenario, Vec<Outcome>) {
        let scenario = Scenario::new("x", 5).at_least(Measure::Success { of: OpKind::Get }, 0.9);
        let outcome = |(seed, measured): (u64, &Option<f64>)| Outcome {
            seed,
            verdicts: vec![Verdict {
                check: scenario.checks[0].clone(),
                measured: *measured,
                ok: measured.is_some(),
            }],
            ..Outcome::default()
        };
        let outcomes = (1..).zip(measured).map(outcome).collect();
        (scenario, outcomes)
    }

    #[test]
    fn seeds_that_measured_nothing_are_counted() {
        let (scenario, outcomes) = outcomes(&[Some(1.0), None, None]);
        let page = report(&scenario, &outcomes);
        let row = "<td>1.00000<td>1.00000<td>2 of 3<td class=\"bad\">2 of 3</tr>";
        assert!(page.contains("<th>not measured<th>failed") && page.contains(row), "{page}");
    }

    #[test]
    fn it_is_said_what_is_drawn_of_many_runs() {
        let page = |runs: usize| {
            let (scenario, outcomes) = outcomes(&vec![Some(1.0); runs]);
            report(&scenario, &outcomes)
        };
        assert!(
            page(12)
                .contains("Over time: the first 10 of 12 seeds. Latency, requests and hops: seed 1 only.")
        );
        assert!(page(10).contains("Over time: all 10 seeds."));
        assert!(!page(1).contains("Over time:"));
    }

    #[test]
    fn what_was_not_measured_is_not_shown_as_zero() {
        let nothing = Summary::default();
        let joins = Operations {
            kind: OpKind::Join,
            started: 3,
            succeeded: 0,
            failed: 3,
            aborted: 0,
            latency: nothing.clone(),
            requests: Summary { count: 3, ..Summary::default() },
            hops: nothing,
        };
        let phase = PhaseOutcome { operations: vec![joins], ..PhaseOutcome::default() };
        let mut page = String::new();
        operations(&mut page, &phase);
        assert!(page.contains("<td>join<td>3<td>0.00000<td>-<td>-<td>-<td>0.0<td>-</tr>"), "{page}");
        assert!(
            page.contains("<th>mean requests<th>mean hops") && page.contains("- peers per table"),
            "{page}"
        );
        let state = State { records: 1, table_min: Some(0), ..State::default() };
        assert_eq!([holders(&state), fill(&state), stale(&state)], [Some(0.0), Some(0.0), None]);
        assert_eq!([holders(&State::default()), fill(&State::default())], [None, None]);
    }

    #[test]
    fn what_is_left_out_of_many_violations_is_said() {
        let kind = ViolationKind::Busy;
        let violation = Violation { at: 1.0, node: None, kind, detail: "x".into() };
        let page = |listed: usize, violation_count| {
            let violations = vec![violation.clone(); listed];
            let outcome = Outcome { violations, violation_count, ..Outcome::default() };
            report(&Scenario::new("x", 5), &[outcome])
        };
        assert!(page(101, 2345).contains("the first 100 of 2345"));
        assert!(!page(100, 100).contains("the first"));
    }
}
