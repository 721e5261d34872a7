//! How nodes come and go, and what they publish.

use dht_sim::{
    Churn, Engine, Happening, Measure, OpKind, OverlayKind, Scenario, Start, Watching, What, Workload,
};

use crate::{busy, calm, churning, passes};

#[test]
fn churn_keeps_the_records() {
    let engine = Engine { republish_interval: Some(600.0), ..Engine::default() };
    for overlay in [OverlayKind::Ipfs, OverlayKind::Compact] {
        let scenario = churning(busy(overlay, 60), 900.0)
            .duration(1800.0)
            .engine(engine.clone())
            .at_least(Measure::Success { of: OpKind::Get }, 0.99)
            .at_least(Measure::RecordsAlive, 1.0);
        let outcome = passes(&scenario);
        assert!(outcome.total.operations(OpKind::Republish).unwrap().succeeded > 50);
        assert!(outcome.total.operations(OpKind::Join).unwrap().started > 20);
        let up = outcome.total.state.up;
        assert!((35..85).contains(&up), "as many come as go: {up}");
    }
}

#[test]
fn sessions_are_those_that_were_measured() {
    let mut starts = std::collections::BTreeMap::new();
    let mut sessions = Vec::new();
    let scenario = Scenario::new("sessions", 300)
        .overlay(OverlayKind::Compact)
        .engine(calm())
        .duration(6.0 * 86_400.0)
        .sample_interval(86_400.0)
        .churn(Churn::default());
    let mut watch = Watching(|at: f64, happening: &Happening| match happening {
        Happening::Up { node } if at > 0.0 && at < 86_400.0 => drop(starts.insert(*node, at)),
        Happening::Down { node, .. } => sessions.extend(starts.remove(node).map(|start| at - start)),
        _ => {}
    });
    scenario.watch(&mut watch).unwrap();
    let within = |hours: f64| {
        sessions.iter().filter(|session| **session <= hours * 3600.0).count() as f64 / sessions.len() as f64
    };
    assert!(sessions.len() > 300, "{}", sessions.len());
    assert!((0.44..0.58).contains(&within(2.0)), "{}", within(2.0));
    assert!((0.74..0.87).contains(&within(8.0)), "{}", within(8.0));
}

#[test]
fn newcomers_join_a_network_that_grows() {
    for overlay in [OverlayKind::Ipfs, OverlayKind::Mainline] {
        let scenario = busy(overlay, 40)
            .start(Start::Join { over: 120.0, settle: 120.0 })
            .duration(300.0)
            .fault(50.0, What::Crowd { share: 0.5, over: 60.0 })
            .at_least(Measure::Success { of: OpKind::Join }, 0.9)
            .at_least(Measure::Success { of: OpKind::Get }, 0.99)
            .at_least(Measure::Recall, 0.95);
        assert_eq!(passes(&scenario).total.state.up, 60);
    }
}

#[test]
fn half_of_the_holders_may_leave_at_once() {
    let scenario = busy(OverlayKind::Ipfs, 100)
        .fault(200.0, What::Exit { share: 0.5 })
        .phase("before", 0.0)
        .phase("after", 200.0)
        .at_least(Measure::RecordsAlive, 1.0)
        .at_least(Measure::Success { of: OpKind::Get }, 0.99);
    let outcome = passes(&scenario);
    assert_eq!(outcome.phases[0].state.up, 100);
    assert_eq!(outcome.phases[1].state.up, 52);
}

#[test]
fn what_nobody_renews_is_forgotten_everywhere() {
    // Peers of a swarm are kept for 45 minutes; their publisher is away and does not come back. Whoever still gave them out a
    // sweep after that would be a violation.
    let work = Workload { providers: 5, publish_over: 1.0, ..Workload::default() };
    let scenario = Scenario::new("forgotten", 40)
        .overlay(OverlayKind::Mainline)
        .engine(calm())
        .workload(work)
        .duration(4000.0)
        .fault(60.0, What::PublishersAway)
        .phase("kept", 0.0)
        .phase("away", 50.0);
    let outcome = passes(&scenario);
    assert_eq!(outcome.phases[0].state.alive, 5);
    assert_eq!(outcome.phases[1].state.records, 0, "nobody whose record it is is there");
}
