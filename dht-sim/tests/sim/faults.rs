//! Clocks, stores, processes and machines that fail.

use dht_sim::{Check, Measure, OpKind, OverlayKind, Scenario, Stores, What};

use crate::{busy, calm, passes};

fn with(overlay: OverlayKind, what: What, lasts: Option<f64>) -> Scenario {
    let mut scenario = busy(overlay, 60).at_least(Measure::Success { of: OpKind::Get }, 0.98);
    scenario.name = what.name().into();
    match lasts {
        None => scenario.fault(100.0, what),
        Some(lasts) => scenario.passing(100.0, lasts, what),
    }
}

#[test]
fn clocks_that_are_wrong_lose_nothing() {
    for what in [
        What::ClockStep { share: 0.5, by: 3600.0 },
        What::ClockStep { share: 0.5, by: -3600.0 },
        What::ClockStep { share: 0.3, by: -315_360_000.0 },
        What::ClockDrift { share: 0.5, ppm: 50_000 },
        What::ClockFreeze { share: 0.5 },
    ] {
        passes(&with(OverlayKind::Ipfs, what, None).at_least(Measure::RecordsAlive, 1.0));
    }
}

#[test]
fn sleepers_come_back() {
    let scenario = with(OverlayKind::Ipfs, What::Sleep { share: 0.3 }, Some(300.0))
        .phase("before", 0.0)
        .phase("asleep", 100.0)
        .phase("awake", 430.0);
    let outcome = passes(&scenario);
    assert_eq!(outcome.phases[1].state.up, 60, "all are awake when the last phase begins");
    assert!(outcome.phases[2].operations(OpKind::Get).unwrap().success().unwrap() >= 0.99);
}

#[test]
fn stores_that_fail_or_are_full_do_not_lie() {
    for what in [What::StoreFails { share: 0.3, calls: 0.5 }, What::StoreFull { share: 0.3 }] {
        passes(&with(OverlayKind::Ipfs, what, Some(200.0)));
    }
}

#[test]
fn a_crash_keeps_what_was_durable_and_no_more() {
    let crash = What::Crash { share: 0.9, restart_after: 5.0 };
    for (stores, survives) in [
        (Stores::default(), false),
        (Stores { durable: true, ..Stores::default() }, true),
        (Stores { durable: true, sync_interval: 30.0, ..Stores::default() }, true),
    ] {
        let mut scenario = busy(OverlayKind::Compact, 60)
            .engine(calm())
            .stores(stores)
            .duration(400.0)
            .fault(200.0, crash.clone())
            .phase("before", 0.0)
            .phase("down", 200.0)
            .phase("after", 220.0);
        scenario.workload.updates = 0.0;
        scenario.workload.reads = 0.0;
        let outcome = passes(&scenario);
        let holders = [0, 2].map(|i: usize| outcome.phases[i].state.holders);
        assert!(holders[0] > 15.0, "{stores:?}: {holders:?}");
        assert_eq!(outcome.phases[2].state.up, 60);
        assert_eq!(holders[1] > holders[0] * 0.9, survives, "{stores:?}: {holders:?}");
    }
}

#[test]
fn what_was_durable_survives_two_crashes_of_sleepers_with_full_stores() {
    let crash = What::Crash { share: 0.9, restart_after: 5.0 };
    let mut scenario = busy(OverlayKind::Compact, 60)
        .engine(calm())
        .stores(Stores { durable: true, sync_interval: 60.0, ..Stores::default() })
        .duration(300.0)
        .passing(70.0, 20.0, What::Sleep { share: 0.5 })
        .passing(140.0, 100.0, What::StoreFull { share: 0.5 })
        .fault(150.0, crash.clone())
        // Before the next sync.
        .fault(165.0, crash)
        .phase("before", 0.0)
        .phase("down", 150.0)
        .phase("after", 180.0);
    scenario.workload.updates = 0.0;
    let outcome = passes(&scenario);
    let holders = [0, 2].map(|i: usize| outcome.phases[i].state.holders);
    assert!(holders[0] > 15.0 && holders[1] > holders[0] * 0.9, "{holders:?}");
}

#[test]
fn the_doors_may_close_for_a_while() {
    // Doors that forgot whom they knew would gather the newcomers in a network of their own.
    let scenario = busy(OverlayKind::Ipfs, 60)
        .stores(Stores { durable: true, ..Stores::default() })
        .passing(50.0, 200.0, What::BootstrapDown)
        .fault(100.0, What::Crowd { share: 0.2, over: 10.0 })
        .phase("down", 0.0)
        .phase("back", 300.0)
        .check(Check {
            at_least: Some(0.99),
            ..Check::of(Measure::Success { of: OpKind::Get }).in_phase("back")
        });
    let outcome = passes(&scenario);
    assert_eq!(outcome.phases[1].state.up, 60 + 11, "a fifth of those that were up");
    assert!(outcome.phases[1].state.table_min > Some(10), "{:?}", outcome.phases[1].state);
}

#[test]
fn publishers_that_return_continue() {
    let mut scenario = busy(OverlayKind::Ipfs, 60)
        .stores(Stores { durable: true, ..Stores::default() })
        .duration(1000.0)
        .passing(200.0, 600.0, What::PublishersAway)
        .phase("before", 0.0)
        .phase("away", 210.0)
        .phase("back", 800.0)
        .phase("later", 860.0)
        .at_least(Measure::Success { of: OpKind::Get }, 0.99);
    scenario.engine.republish_interval = Some(300.0);
    let outcome = passes(&scenario);
    // What is overdue when a process starts waits until it knows somebody, and no longer.
    let republished = outcome.phases[2].operations(OpKind::Republish).unwrap();
    assert!(republished.succeeded >= 35 && republished.failed == 0, "{republished:?}");
}

#[test]
fn who_cannot_be_dialled_any_longer_finds_out_and_leaves_the_tables() {
    for (recheck, found_out) in [(100.0, true), (0.0, false)] {
        let mut scenario = with(OverlayKind::Ipfs, What::Firewall { share: 0.3 }, None)
            .duration(400.0)
            .phase("before", 0.0)
            .phase("hidden", 100.0)
            .phase("looked twice", 250.0)
            .phase("told", 300.0);
        scenario.population.recheck = recheck;
        let outcome = passes(&scenario);
        let misplaced = [1, 3].map(|i: usize| outcome.phases[i].state.misplaced);
        assert!(misplaced[0] > 0.1, "connections that are there keep them: {misplaced:?}");
        assert_eq!(misplaced[1] < 0.01, found_out, "{misplaced:?}");
        assert_eq!(outcome.phases[3].state.servers < 60, found_out);
    }
}

#[test]
fn what_is_wrong_is_named() {
    let wrong = |scenario: Scenario| scenario.run().unwrap_err().to_string();
    assert!(wrong(busy(OverlayKind::Compact, 1)).contains("nodes"));
    assert!(
        wrong(busy(OverlayKind::Compact, 9).fault(1.0, What::Exit { share: 2.0 }))
            .contains("faults.exit.share")
    );
    let check = Check::of(Measure::Recall).in_phase("x");
    assert!(wrong(busy(OverlayKind::Compact, 9).check(check)).contains("checks.phase"));
    let mut scenario = busy(OverlayKind::Compact, 9);
    scenario.engine.k = Some(0);
    assert!(wrong(scenario).contains('k'));
}
