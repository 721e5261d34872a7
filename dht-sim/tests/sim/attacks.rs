//! Attackers who come for something: what they reach, and what they must not.

use dht_sim::{
    Check, Conduct, Engine, Happening, Measure, OpKind, Outcome, OverlayKind, Scenario, Watching, What,
};

use crate::{busy, run};

/// How much of what an attack aims at went well in a phase.
fn attacked(outcome: &Outcome, phase: &str, kind: OpKind) -> Option<f64> {
    let phase = outcome.phases.iter().find(|other| other.name == phase)?;
    phase.attacked.iter().find(|ops| ops.kind == kind)?.success()
}

/// Keys that are published three minutes after Sybils took the places around them; later these go.
fn besieged(overlay: OverlayKind, conduct: Conduct) -> Scenario {
    let mut scenario = busy(overlay, 60)
        .duration(1500.0)
        .passing(10.0, 790.0, What::Sybils { each: 40, keys: 1, conduct })
        .phase("before", 0.0)
        .phase("siege", 300.0)
        .phase("over", 1200.0);
    scenario.workload.publish_from = 180.0;
    scenario.workload.updates = 0.2;
    scenario.workload.zipf = 0.0;
    scenario.workload.recall = false;
    scenario.engine = Engine { republish_interval: Some(300.0), ..Engine::default() };
    scenario
}

#[test]
fn sybils_take_what_comes_after_them_and_leave_the_rest() {
    for overlay in [OverlayKind::Ipfs, OverlayKind::Compact] {
        for conduct in [Conduct::Collude, Conduct::Bait] {
            let outcome = run(&besieged(overlay, conduct));
            for kind in [OpKind::Get, OpKind::FindProviders] {
                let name = format!("{overlay:?} {conduct:?} {kind:?}");
                let [siege, over] = ["siege", "over"].map(|phase| attacked(&outcome, phase, kind).unwrap());
                assert!(siege <= 0.5 && over >= 0.95, "{name}: {siege}, {over}");
                // More Sybils come than there are honest nodes here, so others are not left quite alone.
                let others = outcome.phases[1].operations(kind).unwrap();
                assert!(others.success().unwrap() >= 0.8, "{name}: {others:?}");
            }
            assert!(outcome.samples.iter().any(|sample| sample.state.unruly > 0.1));
            assert_eq!(outcome.phases[2].state.up, 60);
        }
    }
}

#[test]
fn sybils_are_as_many_as_were_asked_for() {
    let mut told = Vec::new();
    let scenario = besieged(OverlayKind::Mainline, Conduct::Collude);
    let mut watch = Watching(|_, happening: &Happening| {
        if let Happening::Fault { name, begins: true, nodes } = happening {
            told.push((*name, *nodes));
        }
    });
    let outcome = scenario.watch(&mut watch).unwrap();
    assert_eq!(outcome.violation_count, 0, "{:?}", outcome.violations.first());
    assert_eq!(told, [("sybils", 80)], "one key of each content");
}

#[test]
fn an_eclipse_reaches_its_victim_only() {
    let what = What::Eclipse { per_bucket: 8, conduct: Conduct::Collude, restart_after: Some(300.0) };
    let scenario = busy(OverlayKind::Ipfs, 60)
        .duration(1300.0)
        .passing(100.0, 901.0, what)
        .phase("before", 30.0)
        .phase("eclipse", 100.0)
        .phase("restarted", 415.0)
        .phase("over", 1000.0)
        .check(Check { at_least: Some(0.99), ..Check::of(Measure::Success { of: OpKind::Get }) });
    let outcome = run(&scenario);
    assert!(outcome.verdicts[0].ok, "{:?}", outcome.verdicts);
    let honest: Vec<f64> = outcome.phases.iter().map(|phase| phase.state.victim.unwrap()).collect();
    assert!(honest[0] > 0.99 && honest[3] > 0.99, "{honest:?}");
    assert!(honest[1] < 0.6 && honest[2] < 0.6, "{honest:?}");
    assert_eq!(attacked(&outcome, "before", OpKind::Lookup), Some(1.0));
    assert!(outcome.phases.iter().all(|phase| phase.state.up >= 60));
}

#[test]
fn spam_displaces_nobody_who_was_there_and_fills_no_store() {
    for (networks, publish_from) in [(Some(2), 0.0), (None, 0.0), (Some(2), 300.0)] {
        let mut scenario = busy(OverlayKind::Ipfs, 60)
            .duration(700.0)
            .fault(100.0, What::Spam { ids: 150, keys: 2, networks, over: 100.0 })
            .phase("before", 0.0)
            .phase("flooded", 400.0);
        scenario.workload.publish_from = publish_from;
        scenario.workload.wanted = 0;
        let outcome = run(&scenario);
        // The bound of holders is one of the rules that no run may break.
        let found = attacked(&outcome, "flooded", OpKind::FindProviders).unwrap();
        assert!(found >= 0.99, "{networks:?} {publish_from}: {found}");
        assert!(outcome.total.attacked.iter().any(|ops| ops.kind == OpKind::Provide && ops.started == 300));
    }
}

#[test]
fn spam_floods_the_keys_that_it_names_whatever_else_is_attacked() {
    let sybils = What::Sybils { each: 1, keys: 5, conduct: Conduct::Collude };
    let spam = |ids, keys| What::Spam { ids, keys, networks: None, over: 10.0 };
    let scenario = busy(OverlayKind::Compact, 60)
        .duration(100.0)
        .fault(10.0, sybils)
        .fault(20.0, spam(30, 1))
        .fault(20.0, spam(10, 3));
    let outcome = run(&scenario);
    let provided = outcome.total.attacked.iter().find(|ops| ops.kind == OpKind::Provide).unwrap();
    assert_eq!(provided.started, 30 + 10 * 3);
}

#[test]
fn liars_lead_nobody_far_astray() {
    let scenario = busy(OverlayKind::Ipfs, 60)
        .passing(100.0, 300.0, What::Misbehave { share: 0.3, conduct: Conduct::Mislead })
        .phase("honest", 0.0)
        .phase("lying", 100.0);
    let outcome = run(&scenario);
    let traffic = outcome.phases[1].traffic;
    assert_eq!(outcome.phases[0].traffic.misdirected, 0);
    assert!(traffic.misdirected > 0, "somebody believed them: {traffic:?}");
    let success = outcome.phases[1].operations(OpKind::Get).unwrap().success().unwrap();
    assert!(success >= 0.99, "{success}");
}

#[test]
fn attacks_that_cannot_be_are_named() {
    let wrong = |what: What| busy(OverlayKind::Compact, 60).fault(1.0, what).run().unwrap_err().to_string();
    let sybils = |each, keys| What::Sybils { each, keys, conduct: Conduct::Bait };
    assert!(wrong(sybils(0, 1)).contains("faults.sybils.each"));
    assert!(wrong(sybils(1, 0)).contains("faults.sybils.keys"));
    let spam = What::Spam { ids: 1, keys: 1, networks: Some(0), over: 0.0 };
    assert!(wrong(spam).contains("faults.spam.networks"));
    let eclipse = What::Eclipse { per_bucket: 0, conduct: Conduct::Bait, restart_after: None };
    assert!(wrong(eclipse).contains("faults.eclipse.per_bucket"));
}
