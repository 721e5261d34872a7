//! The end of spans and of the run: samples, states, the last checks, and the verdicts.

use dht_core::Overlay;

use super::{Run, collect::Result as OpResult};
use crate::{
    dice::Dice,
    network::Content,
    outcome::{OpKind, Outcome, PhaseOutcome, Sample, State, Summary, Traffic, Verdict},
    scenario::{Check, Measure},
};

/// A span of the run: the time before the first phase, or a phase.
#[derive(Clone, Debug, Default)]
pub(super) struct Span {
    from: f64,
    until: f64,
    /// What was sent before it.
    before: Traffic,
    traffic: Traffic,
    state: State,
}

impl<O: Overlay> Run<'_, O> {
    pub(super) fn state(&mut self) -> State {
        let up = self.world.up();
        // A stream of its own, so that looking changes nothing.
        let mut dice = Dice::new(self.world.now(), 12);
        let tables = self.world.tables(&up, &mut dice);
        let servers = up.iter().filter(|node| self.world.role(**node).serves).count() as u64;
        let (mut records, mut alive, mut holders) = (0, 0, 0u64);
        for key in 0..self.history.stories.len() as u32 {
            let story = &self.history.stories[key as usize];
            if !story.is_out() || !self.world.is_up(story.publisher) {
                continue;
            }
            records += 1;
            let held = self.history.held(&self.world, key);
            alive += u64::from(held > 0);
            holders += held;
        }
        State {
            up: up.len() as u64,
            servers,
            table_fill: tables.fill,
            table_min: tables.min,
            stale: tables.stale,
            misplaced: tables.misplaced,
            unruly: tables.unruly,
            victim: self.victim.and_then(|victim| self.world.honest_part(victim)),
            records,
            alive,
            holders: if alive > 0 { holders as f64 / alive as f64 } else { 0.0 },
        }
    }

    pub(super) fn begin_spans(&mut self) {
        self.spans = vec![Span { before: self.world.traffic, ..Span::default() }];
        self.told = self.world.violations.len();
        self.last_sample = (self.world.traffic, self.collector.ended, self.world.events);
    }

    /// The span ends, the next begins.
    pub(super) fn next_span(&mut self) {
        self.end_span();
        let (from, before) = (self.world.seconds(), self.world.traffic);
        self.spans.push(Span { from, before, ..Span::default() });
        self.history.verify(&mut self.world);
    }

    fn end_span(&mut self) {
        let state = self.state();
        let (until, traffic) = (self.world.seconds(), self.world.traffic);
        if let Some(span) = self.spans.last_mut() {
            span.until = until;
            span.traffic = traffic.since(&span.before);
            span.state = state;
        }
    }

    pub(super) fn sample(&mut self) {
        let (traffic, ended, events) = self.last_sample;
        let sample = Sample {
            at: self.world.seconds(),
            state: self.state(),
            traffic: self.world.traffic.since(&traffic),
            succeeded: self.collector.ended.0 - ended.0,
            failed: self.collector.ended.1 - ended.1,
            events: self.world.events - events,
        };
        self.last_sample = (self.world.traffic, self.collector.ended, self.world.events);
        self.watch.sampled(&sample, self.scenario.duration);
        self.samples.push(sample);
        self.history.verify(&mut self.world);
        self.history.tidy();
        self.world.audit_stores();
        for key in 0..self.history.stories.len() {
            let story = &self.history.stories[key];
            if story.attacked && story.content == Content::Provider {
                self.world.audit_query(&story.query);
            }
        }
        self.tell_violations();
    }

    fn tell_violations(&mut self) {
        for violation in &self.world.violations[self.told..] {
            self.watch.violated(violation);
        }
        self.told = self.world.violations.len();
    }

    pub(super) fn finish(mut self) -> Outcome {
        self.end_span();
        self.history.verify(&mut self.world);
        self.world.audit_stores();
        for (node, op) in self.world.unfinished() {
            let late = self.world.is_overdue(node, op, self.query_timeout);
            let phase = self.phase_of(op.started);
            let attacked = self.is_aimed_at(op, node);
            self.collector.ended(phase, (op.kind, attacked), OpResult::unfinished(late), 0.0);
        }
        self.tell_violations();
        let until = self.world.seconds();
        let state = self.spans.last().map(|span| span.state).unwrap_or_default();
        let total = PhaseOutcome {
            name: "total".into(),
            from: 0.0,
            until,
            operations: self.collector.operations(None, false),
            attacked: self.collector.operations(None, true),
            traffic: self
                .world
                .traffic
                .since(&self.spans.first().map(|span| span.before).unwrap_or_default()),
            recall: self.collector.recall(None),
            fresh: self.collector.fresh(None),
            state,
        };
        let phases = self.scenario.phases.iter().enumerate().filter_map(|(i, phase)| {
            let span = self.spans.get(i + 1)?;
            Some(PhaseOutcome {
                name: phase.name.clone(),
                from: span.from,
                until: span.until,
                operations: self.collector.operations(Some(i + 1), false),
                attacked: self.collector.operations(Some(i + 1), true),
                traffic: span.traffic,
                recall: self.collector.recall(Some(i + 1)),
                fresh: self.collector.fresh(Some(i + 1)),
                state: span.state,
            })
        });
        let mut outcome = Outcome {
            name: self.scenario.name.clone(),
            seed: self.scenario.seed,
            nodes: self.scenario.nodes,
            simulated_seconds: self.world.now() as f64 / 1e9,
            total,
            phases: phases.collect(),
            samples: std::mem::take(&mut self.samples),
            events: self.world.events,
            trace_hash: self.world.trace,
            violations: std::mem::take(&mut self.world.violations),
            violation_count: self.world.violation_count,
            verdicts: Vec::new(),
            wall_seconds: None,
        };
        outcome.verdicts = self.scenario.checks.iter().map(|check| judge(&outcome, check)).collect();
        outcome
    }
}

fn judge(outcome: &Outcome, check: &Check) -> Verdict {
    let measured = measured(outcome, check);
    let within =
        |x: f64| check.at_least.is_none_or(|least| x >= least) && check.at_most.is_none_or(|most| x <= most);
    Verdict { check: check.clone(), measured, ok: measured.is_some_and(within) }
}

/// What a check looks at: a measure of a phase, or its ratio to the same measure of another one.
fn measured(outcome: &Outcome, check: &Check) -> Option<f64> {
    let named = |name: &String| outcome.phases.iter().find(|phase| phase.name == *name);
    let phase = check.phase.as_ref().map_or(Some(&outcome.total), named)?;
    let value = measure(outcome, phase, check.measure)?;
    let Some(other) = &check.relative_to else { return Some(value) };
    let base = measure(outcome, named(other)?, check.measure)?;
    (base > 0.0).then_some(value / base)
}

fn measure(outcome: &Outcome, phase: &PhaseOutcome, measure: Measure) -> Option<f64> {
    let of = |kind: OpKind| phase.operations(kind);
    // What never happened took no time at all, which is nothing to be proud of.
    let some = |summary: &Summary, value: f64| (summary.count > 0).then_some(value);
    let requests = phase.traffic.requests;
    let of_requests = |some: u64| (requests > 0).then(|| some as f64 / requests as f64);
    let entries = |share: f64| (phase.state.table_fill > 0.0).then_some(share);
    match measure {
        Measure::Success { of: kind } => of(kind)?.success(),
        Measure::Attacked { of: kind } => {
            phase.attacked.iter().find(|operations| operations.kind == kind)?.success()
        }
        Measure::Requests { of: kind } => of(kind).and_then(|ops| some(&ops.requests, ops.requests.p50)),
        Measure::Hops { of: kind } => of(kind).and_then(|ops| some(&ops.hops, ops.hops.p50)),
        Measure::Latency { of: kind } => of(kind).and_then(|ops| some(&ops.latency, ops.latency.p50)),
        Measure::LatencyP99 { of: kind } => of(kind).and_then(|ops| some(&ops.latency, ops.latency.p99)),
        Measure::Recall => phase.recall,
        Measure::Fresh => phase.fresh,
        Measure::Holders => (phase.state.records > 0).then_some(phase.state.holders),
        Measure::Unruly => entries(phase.state.unruly),
        Measure::Misplaced => entries(phase.state.misplaced),
        Measure::SmallestTable => phase.state.table_min.map(|min| min as f64),
        Measure::HonestContacts => phase.state.victim,
        Measure::Misdirected => of_requests(phase.traffic.misdirected),
        Measure::Timeouts => of_requests(phase.traffic.timeouts),
        Measure::Late => of_requests(phase.traffic.late),
        Measure::Count { of: kind } => Some(of(kind).map_or(0.0, |ops| ops.succeeded as f64)),
        Measure::RecordsAlive => {
            (phase.state.records > 0).then(|| phase.state.alive as f64 / phase.state.records as f64)
        }
        Measure::RecordsAliveAlways => {
            let states = states(outcome, phase).filter(|state| state.records > 0);
            states.map(|state| state.alive as f64 / state.records as f64).reduce(f64::min)
        }
        Measure::MisplacedAlways => {
            let states = states(outcome, phase).filter(|state| state.table_fill > 0.0);
            states.map(|state| state.misplaced).reduce(f64::max)
        }
        Measure::TableFill => phase.state.table_min.map(|_| phase.state.table_fill),
        Measure::StaleEntries => entries(phase.state.stale),
        Measure::MessageRate => {
            let span = phase.until - phase.from;
            (span > 0.0).then(|| phase.traffic.messages as f64 / span / mean_up(outcome, phase).max(1.0))
        }
        Measure::Violations => Some(outcome.violation_count as f64),
    }
}

/// The samples of a phase, with those of its first and last moment.
fn states<'a>(outcome: &'a Outcome, phase: &'a PhaseOutcome) -> impl Iterator<Item = &'a State> {
    let within = |sample: &&Sample| sample.at >= phase.from && sample.at <= phase.until;
    outcome.samples.iter().filter(within).map(|sample| &sample.state)
}

/// Nodes that were up in a phase: each sample stands for the time until the next one. Without any they are those of the end.
fn mean_up(outcome: &Outcome, phase: &PhaseOutcome) -> f64 {
    let within = |sample: &&Sample| sample.at >= phase.from && sample.at < phase.until;
    let samples = outcome.samples.iter().filter(within);
    let (sum, count) = samples.fold((0, 0u64), |(sum, count), sample| (sum + sample.state.up, count + 1));
    if count > 0 { sum as f64 / count as f64 } else { phase.state.up as f64 }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        link::Links,
        network::{Compact, CompactNetwork, seconds_of},
        outcome::{Operations, ViolationKind},
        run::Watch,
        scenario::{OverlayKind, Scenario, Start, Workload},
        world::Op,
    };

    #[test]
    fn what_never_succeeded_was_not_fast() {
        let (latency, hops) = (Summary::default(), Summary::default());
        let requests = Summary::of(vec![7.0; 5]);
        let all_failed = Operations {
            kind: OpKind::Get,
            started: 5,
            succeeded: 0,
            failed: 5,
            aborted: 0,
            latency,
            requests,
            hops,
        };
        let mut outcome = Outcome::default();
        outcome.total.operations.push(all_failed);
        let of = OpKind::Get;
        for measure in [Measure::Latency { of }, Measure::LatencyP99 { of }, Measure::Hops { of }] {
            let verdict = judge(&outcome, &Check { at_most: Some(3.0), ..Check::of(measure) });
            assert!(!verdict.ok && verdict.measured.is_none(), "{verdict:?}");
        }
        let check = Check { at_most: Some(7.0), ..Check::of(Measure::Requests { of }) };
        assert!(judge(&outcome, &check).ok, "those that failed sent requests too");
        outcome.total.operations[0].requests = Summary::default();
        assert_eq!(judge(&outcome, &check).measured, None);
    }

    #[test]
    fn where_no_table_is_left_none_is_in_order() {
        let mut outcome = Outcome::default();
        let tables = [
            Measure::TableFill,
            Measure::SmallestTable,
            Measure::StaleEntries,
            Measure::Misplaced,
            Measure::Unruly,
        ];
        for measure in tables {
            assert_eq!(measured(&outcome, &Check::of(measure)), None, "{measure:?}");
        }
        outcome.total.state.table_min = Some(0);
        assert_eq!(measured(&outcome, &Check::of(Measure::SmallestTable)), Some(0.0));
        assert_eq!(measured(&outcome, &Check::of(Measure::StaleEntries)), None, "empty ones have no entries");
        outcome.total.state.table_fill = 1.0;
        for measure in tables {
            assert!(measured(&outcome, &Check::of(measure)).is_some(), "{measure:?}");
        }
    }

    #[test]
    fn what_must_never_be_is_looked_for_in_every_sample_of_the_phase() {
        let sample = |at, table_fill, misplaced| {
            let state = State { table_fill, misplaced, ..State::default() };
            Sample { at, state, ..Sample::default() }
        };
        let mut outcome = Outcome {
            samples: vec![
                sample(50.0, 5.0, 0.9),
                sample(100.0, 5.0, 0.0),
                sample(150.0, 5.0, 0.25),
                sample(200.0, 0.0, 0.5),
                sample(210.0, 5.0, 0.8),
            ],
            ..Outcome::default()
        };
        (outcome.total.from, outcome.total.until) = (100.0, 200.0);
        outcome.total.state.table_fill = 5.0;
        let measured = |outcome: &Outcome, measure| measured(outcome, &Check::of(measure));
        assert_eq!(measured(&outcome, Measure::Misplaced), Some(0.0), "all is well at the end");
        assert_eq!(
            measured(&outcome, Measure::MisplacedAlways),
            Some(0.25),
            "tables without entries say nothing"
        );
        outcome.samples.truncate(1);
        assert_eq!(measured(&outcome, Measure::MisplacedAlways), None);
    }

    #[test]
    fn messages_are_shared_by_those_who_were_there_and_not_only_by_who_is_left() {
        let state = |up| State { up, ..State::default() };
        let sample = |at, up| Sample { at, state: state(up), ..Sample::default() };
        let mut outcome = Outcome {
            samples: vec![sample(60.0, 100), sample(120.0, 100), sample(180.0, 10), sample(240.0, 1)],
            ..Outcome::default()
        };
        outcome.total = PhaseOutcome { from: 60.0, until: 240.0, state: state(1), ..PhaseOutcome::default() };
        outcome.total.traffic.messages = 12_600;
        let rate = |outcome: &Outcome| measured(outcome, &Check::of(Measure::MessageRate));
        assert_eq!(rate(&outcome), Some(1.0), "seventy on average for three minutes");
        outcome.samples.clear();
        assert_eq!(rate(&outcome), Some(70.0), "nobody looked before the end");
    }

    /// A run of ten minutes, up to its last moment.
    fn played<'a>(scenario: &'a Scenario, watch: &'a mut dyn Watch) -> Run<'a, Compact> {
        let mut run = Run::new(scenario, Arc::new(CompactNetwork::default()), watch).unwrap();
        run.gather().unwrap();
        run.schedule();
        run.play(run.at(scenario.duration)).unwrap();
        run
    }

    #[test]
    fn joins_that_hang_have_failed() {
        let scenario = Scenario::new("hangs", 20).overlay(OverlayKind::Compact).duration(100.0);
        let join = |key, started| Op { kind: OpKind::Join, key, version: 0, started };
        let mut watch = ();
        let mut run = played(&scenario, &mut watch);
        // One that began a minute ago and runs, one whose node goes after that time, and one that is not late.
        let (long_ago, now) = (run.at(40.0), run.at(100.0));
        run.world.join(5, join(5, long_ago), &[0]);
        run.world.join(6, join(6, long_ago), &[0]);
        run.world.join(7, join(7, now), &[0]);
        run.stop(6, false);
        run.follow();
        let outcome = run.finish();
        let joins = outcome.total.operations(OpKind::Join).unwrap();
        assert_eq!((joins.failed, joins.aborted, joins.success()), (2, 1, Some(0.0)));
        let late: Vec<_> = outcome.violations.iter().map(|late| (late.kind, late.node)).collect();
        assert_eq!(late, [(ViolationKind::Overdue, Some(6)), (ViolationKind::Overdue, Some(5))]);
    }

    #[test]
    fn violations_count_from_the_scenarios_beginning_as_everything_does() {
        let mut scenario = Scenario::new("joins", 20).overlay(OverlayKind::Compact).duration(30.0);
        scenario.start = Start::Join { over: 10.0, settle: 90.0 };
        let mut watch = ();
        let mut run = played(&scenario, &mut watch);
        run.world.violate(None, ViolationKind::Busy, String::new);
        let outcome = run.finish();
        assert_eq!((outcome.violations[0].at, outcome.total.until), (30.0, 30.0));
    }

    #[test]
    fn stores_are_looked_at_by_every_sample_and_not_at_the_end_only() {
        let scenario = Scenario::new("full", 20)
            .overlay(OverlayKind::Compact)
            .workload(Workload { values: 5, publish_over: 1.0, ..Workload::default() })
            .duration(100.0);
        let mut watch = ();
        let mut run = played(&scenario, &mut watch);
        run.sample();
        assert_eq!(run.world.violation_count, 0);
        // Each holds more than this by now.
        run.world.bound_records(1);
        run.sample();
        assert!(run.world.violation_count > 0);
        assert!(run.world.violations.iter().all(|one| one.kind == ViolationKind::Bound));
    }

    #[test]
    fn every_kind_has_its_deadline_and_sleepers_have_none() {
        let scenario = Scenario::new("deadlines", 20).overlay(OverlayKind::Compact).duration(100.0);
        let mut watch = ();
        let mut run = played(&scenario, &mut watch);
        run.query_timeout = seconds_of(20.0);
        for (kind, limit) in [(OpKind::Join, 38.0), (OpKind::Republish, 71.0), (OpKind::Get, 27.0)] {
            for (beyond, late) in [(-0.1, false), (0.1, true)] {
                let op = Op { kind, key: 0, version: 0, started: run.at(100.0 - limit - beyond) };
                assert_eq!(run.world.is_overdue(7, op, run.query_timeout), late, "{kind:?}");
                run.world.put_to_sleep(8);
                assert!(!run.world.is_overdue(8, op, run.query_timeout));
            }
        }
    }

    #[test]
    fn announcements_that_did_not_end_are_counted() {
        let mut scenario = Scenario::new("announces", 20)
            .overlay(OverlayKind::Compact)
            .links(Links::constant(2000.0))
            .workload(Workload { values: 5, publish_over: 1.0, ..Workload::default() })
            .duration(62.0);
        scenario.engine.republish_interval = Some(60.0);
        for stops in [false, true] {
            let mut watch = ();
            let mut run = played(&scenario, &mut watch);
            let begun = run.world.unfinished().iter().filter(|(_, op)| op.kind == OpKind::Republish).count();
            assert!(begun > 0);
            let publishers = run.publishers.clone();
            publishers.iter().filter(|_| stops).for_each(|node| run.stop(*node, false));
            run.follow();
            let outcome = run.finish();
            assert_eq!(outcome.total.operations(OpKind::Republish).unwrap().aborted, begun as u64);
        }
    }
}
