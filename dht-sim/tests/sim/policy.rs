//! Lookups by the rules of other implementations.

use dht_sim::{Conduct, Links, Measure, OpKind, Outcome, OverlayKind, Policy, Scenario, What, Workload};

use crate::{busy, calm, passes};

const ALL: [Policy; 4] = [Policy::Shipped, Policy::Go, Policy::Rust, Policy::RustDisjoint];

fn by(policy: Policy, scenario: Scenario) -> Scenario {
    let workload = Workload { policy, ..scenario.workload };
    Scenario { name: format!("{policy:?}"), ..scenario }.workload(workload)
}

fn requests(outcome: &Outcome) -> f64 {
    outcome.total.operations(OpKind::Lookup).unwrap().requests.mean
}

#[test]
fn every_rule_finds_everything_in_a_clear_network() {
    for policy in ALL {
        for overlay in [OverlayKind::Ipfs, OverlayKind::Mainline, OverlayKind::Compact] {
            let scenario = by(policy, busy(overlay, 60).engine(calm()))
                .at_least(Measure::Success { of: OpKind::Get }, 1.0)
                .at_least(Measure::Success { of: OpKind::FindProviders }, 1.0)
                .at_least(Measure::Success { of: OpKind::Lookup }, 1.0)
                .at_least(Measure::Recall, 0.98);
            passes(&scenario);
        }
    }
}

#[test]
fn a_search_for_all_members_asks_by_every_rule() {
    for policy in ALL {
        let mut scenario = by(policy, busy(OverlayKind::Compact, 60).engine(calm()))
            .at_least(Measure::Success { of: OpKind::FindProviders }, 1.0);
        scenario.workload.wanted = 0;
        let outcome = passes(&scenario);
        let searches = outcome.total.operations(OpKind::FindProviders).unwrap();
        assert!(searches.requests.mean > 3.0, "{policy:?}: {searches:?}");
    }
}

#[test]
fn lookups_of_nodes_that_go_and_answers_that_do_not_come_end() {
    for policy in ALL {
        let scenario = || {
            by(policy, busy(OverlayKind::Compact, 60).engine(calm()))
                .links(Links { duplicate: 0.2, ..Links::constant(20.0).loss(0.05) })
                .duration(300.0)
                .fault(100.0, What::Crash { share: 0.3, restart_after: 20.0 })
                .passing(150.0, 60.0, What::Sleep { share: 0.3 })
                .at_least(Measure::Success { of: OpKind::Get }, 0.9)
        };
        let outcome = passes(&scenario());
        assert_eq!(outcome.trace_hash, passes(&scenario()).trace_hash, "{policy:?}");
        assert!(outcome.total.traffic.timeouts > 0, "{policy:?}");
    }
}

/// A network large enough for lookups to have a way to go, of which many collude.
fn betrayed(policy: Policy) -> Outcome {
    let workload =
        Workload { values: 30, publish_over: 20.0, reads: 5.0, lookups: 1.0, ..Workload::default() };
    let scenario = Scenario::new("betrayed", 400)
        .overlay(OverlayKind::Compact)
        .duration(300.0)
        .engine(calm())
        .links(Links::constant(20.0))
        .workload(workload)
        .phase("trust", 0.0)
        .phase("betrayal", 100.0)
        .fault(100.0, What::Misbehave { share: 0.7, conduct: Conduct::Collude });
    passes(&by(policy, scenario))
}

#[test]
fn rules_differ_in_what_they_cost_and_in_whom_they_believe() {
    let [shipped, go, rust, disjoint] = ALL.map(betrayed);
    let costs = [&shipped, &go, &rust, &disjoint].map(requests);
    assert!(costs[0] < costs[1] && costs[0] < costs[2] && costs[2] < costs[3], "{costs:?}");
    let found = |outcome: &Outcome, phase: usize| {
        outcome.phases[phase].operations(OpKind::Get).unwrap().success().unwrap()
    };
    for outcome in [&shipped, &go, &rust, &disjoint] {
        assert_eq!(found(outcome, 0), 1.0, "{}", outcome.name);
        assert!(found(outcome, 1) < 1.0, "{}: colluders are believed by somebody", outcome.name);
    }
    // In a network as small as this one, whoever asks many at once meets a holder before it can be led astray.
    let believing = [&rust, &disjoint, &go].map(|outcome| found(outcome, 1));
    assert!(believing[0] < believing[1] && believing[0] < believing[2], "{believing:?}");
}
