//! What passes, and what it leaves as it was; and that every node has one chain of cues.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    Churn, CompactNetwork, Conduct, Engine, Happening, IpfsNetwork, Links, OpKind, OverlayKind, Point,
    Population, Scenario, Watching, What, Workload, run::Run, world::Op,
};

/// A network that does nothing by itself.
fn quiet(nodes: u32) -> Scenario {
    Scenario::new("quiet", nodes)
        .overlay(OverlayKind::Compact)
        .engine(Engine { refresh_interval: Some(0.0), ..Engine::default() })
        .links(Links::constant(20.0))
}

#[test]
fn values_and_memberships_are_liked_by_turns() {
    let ranked = |values, providers| {
        let work = Workload { values, providers, ..Workload::default() };
        let scenario = quiet(20).workload(work);
        let mut watch = ();
        let run = Run::new(&scenario, Arc::new(CompactNetwork::default()), &mut watch).unwrap();
        (0..values + providers).map(|rank| run.ranked(rank)).collect::<Vec<_>>()
    };
    assert_eq!(ranked(2, 4), [0, 2, 1, 3, 4, 5]);
    assert_eq!(ranked(4, 2), [0, 4, 1, 5, 2, 3]);
    assert_eq!((ranked(3, 0), ranked(0, 3)), (vec![0, 1, 2], vec![0, 1, 2]));
}

#[test]
fn readers_ask_for_what_they_do_not_hold_while_there_is_anything_else() {
    let reads = |nodes| {
        let work = Workload { values: 5, publish_over: 1.0, ..Workload::default() };
        let scenario = quiet(nodes).workload(work);
        let mut watch = ();
        let mut run = Run::new(&scenario, Arc::new(CompactNetwork::default()), &mut watch).unwrap();
        run.gather().unwrap();
        run.schedule();
        run.play(run.at(60.0)).unwrap();
        let held = |run: &Run<'_, _>, (reader, key)| {
            run.history.holders(&run.world, key).any(|(holder, _)| holder == reader)
        };
        let choices: Vec<_> = (0..200).filter_map(|_| run.reading(false)).collect();
        assert!(!choices.iter().any(|choice| held(&run, *choice)));
        (choices.len(), run.reading(true).is_some())
    };
    assert_eq!(reads(60), (200, true));
    assert_eq!(reads(15), (0, true), "everybody holds everything");
}

#[test]
fn what_passes_heals_what_it_did() {
    let population = Population { silent: 0.3, slow: 0.3, slow_by: 5.0, ..Population::default() };
    let scenario = quiet(60)
        .population(population)
        .passing(10.0, 10.0, What::Silence { share: 1.0 })
        .passing(10.0, 10.0, What::Slow { share: 1.0, by: 9.0 });
    let mut watch = ();
    let mut run = Run::new(&scenario, Arc::new(CompactNetwork::default()), &mut watch).unwrap();
    run.gather().unwrap();
    let nature = |run: &Run<'_, _>| -> Vec<_> {
        (0..60).map(|node| (run.world.is_silent(node), run.world.late_by(node))).collect()
    };
    let before = nature(&run);
    assert!(before.contains(&(true, 0)) && before.contains(&(false, 5_000_000_000)));
    run.schedule();
    run.play(run.at(15.0)).unwrap();
    assert!(nature(&run)[4..].iter().all(|node| *node == (true, 9_000_000_000)));
    run.play(run.at(25.0)).unwrap();
    assert_eq!(nature(&run), before);
}

#[test]
fn what_only_silent_nodes_hold_is_not_looked_for_and_what_nobody_holds_is() {
    let workload = Workload { values: 1, publish_over: 1.0, ..Workload::default() };
    let scenario = quiet(60).workload(workload);
    let mut watch = ();
    let mut run = Run::new(&scenario, Arc::new(CompactNetwork::default()), &mut watch).unwrap();
    run.gather().unwrap();
    run.schedule();
    run.play(run.at(20.0)).unwrap();
    let holders: Vec<u32> = run.history.holders(&run.world, 0).map(|(holder, _)| holder).collect();
    assert!(holders.len() > 3);
    let reader = (0..60).find(|node| !holders.contains(node)).unwrap();
    for holder in &holders {
        assert!(run.is_reachable(reader, 0));
        run.world.silence(*holder, true);
    }
    assert!(!run.is_reachable(reader, 0));
    holders.iter().for_each(|holder| run.stop(*holder, false));
    assert!(run.is_reachable(reader, 0));
}

#[test]
fn who_left_for_ever_does_not_return_with_the_others() {
    let scenario = quiet(100).duration(100.0).fault(10.0, What::Exit { share: 1.0 }).passing(
        20.0,
        20.0,
        What::PublishersAway,
    );
    assert_eq!(scenario.run().unwrap().total.state.up, 4);
}

#[test]
fn whoever_publishes_is_away_asleep_or_not_and_does_not_come_back_before_the_others() {
    for (before, back) in [
        (What::Sleep { share: 1.0 }, true),
        (What::Crash { share: 1.0, restart_after: 250.0 }, true),
        (What::Crash { share: 1.0, restart_after: 1000.0 }, false),
    ] {
        let mut scenario = quiet(40).duration(1000.0).passing(200.0, 200.0, What::PublishersAway);
        scenario = match before {
            What::Sleep { .. } => scenario.passing(10.0, 300.0, before),
            _ => scenario.fault(10.0, before),
        };
        let mut watch = ();
        let mut run = Run::new(&scenario, Arc::new(CompactNetwork::default()), &mut watch).unwrap();
        run.gather().unwrap();
        run.schedule();
        run.play(run.at(9.99)).unwrap();
        // Who sleeps through its deadlines has missed none, whatever becomes of its process.
        let publishers = run.publishers.clone();
        for node in &publishers {
            let op = Op { kind: OpKind::Lookup, key: 0, version: 0, started: run.world.now() };
            run.world.look_up(*node, op, Point(1));
        }
        for (at, up) in [(199.0, None), (201.0, Some(false)), (399.0, Some(false)), (401.0, Some(back))] {
            run.play(run.at(at)).unwrap();
            assert!(publishers.iter().all(|node| up.is_none_or(|up| run.world.is_up(*node) == up)), "{at}");
        }
        assert_eq!(run.world.violations, []);
    }
}

#[test]
fn attackers_are_gone_when_their_attack_is_over_whatever_befalls_the_network() {
    let conduct = Conduct::Collude;
    let workload = Workload { values: 2, publish_over: 1.0, ..Workload::default() };
    for attack in [
        What::Sybils { each: 20, keys: 2, conduct },
        What::Eclipse { per_bucket: 4, conduct, restart_after: None },
    ] {
        for crashes in [false, true] {
            let mut scenario =
                quiet(40).workload(workload).duration(500.0).passing(100.0, 200.0, attack.clone());
            scenario = match crashes {
                true => scenario.fault(200.0, What::Crash { share: 1.0, restart_after: 150.0 }),
                false => scenario.passing(200.0, 200.0, What::Sleep { share: 1.0 }),
            };
            let mut watch = ();
            let mut run = Run::new(&scenario, Arc::new(CompactNetwork::default()), &mut watch).unwrap();
            run.gather().unwrap();
            run.schedule();
            for (at, there) in [(250.0, true), (301.0, false), (490.0, false)] {
                run.play(run.at(at)).unwrap();
                let attackers = (40..run.world.len()).filter(|node| run.world.runs(*node)).count();
                assert_eq!(attackers == run.world.len() as usize - 40, there, "{attackers} at {at}");
                assert!(there || attackers == 0, "{attackers} at {at}");
            }
            assert_eq!(run.world.up().len(), 40);
        }
    }
}

/// When each node came and went after a time.
fn sessions(scenario: &Scenario, from: f64) -> BTreeMap<u32, Vec<(bool, f64)>> {
    let mut told: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    let mut watch = Watching(|at: f64, happening: &Happening| match happening {
        Happening::Up { node } if at > from => told.entry(*node).or_default().push((true, at)),
        Happening::Down { node, .. } if at > from => told.entry(*node).or_default().push((false, at)),
        _ => {}
    });
    scenario.watch(&mut watch).unwrap();
    told
}

#[test]
fn a_crash_is_not_the_beginning_of_a_second_life_beside_the_first() {
    let churn = Churn { median_session: 100.0, median_gap: 50.0, sigma: 0.0, ..Churn::default() };
    let scenario = quiet(40)
        .duration(1000.0)
        .churn(churn)
        .fault(120.0, What::Crash { share: 0.5, restart_after: 1.0 })
        .fault(140.0, What::Crash { share: 0.5, restart_after: 1.0 });
    let told = sessions(&scenario, 141.5);
    assert!(told.len() > 40, "{}", told.len());
    for (node, turns) in told {
        for pair in turns.windows(2) {
            let (came, took) = (pair[0].0, pair[1].1 - pair[0].1);
            assert_eq!(came, !pair[1].0);
            assert!((took - if came { 100.0 } else { 50.0 }).abs() < 1e-3, "{node}: {turns:?}");
        }
    }
}

#[test]
fn who_slept_through_its_time_to_go_goes_later() {
    let churn = Churn { median_session: 100.0, median_gap: 50.0, sigma: 0.5, ..Churn::default() };
    let scenario = quiet(40).duration(2000.0).churn(churn).passing(20.0, 400.0, What::Sleep { share: 1.0 });
    let told = sessions(&scenario, 421.0);
    let gone: BTreeSet<u32> =
        told.iter().filter(|(_, turns)| turns.iter().any(|(came, _)| !came)).map(|(node, _)| *node).collect();
    // Forty and the twenty that were away at first, without four doors and two who publish.
    assert_eq!(gone.len(), 54, "{gone:?}");
}

#[test]
fn who_was_never_reachable_finds_out_too_whatever_happens_meanwhile() {
    let population = Population { falsely_public: 0.4, recheck: 100.0, ..Population::default() };
    let scenario = quiet(60)
        .population(population)
        .duration(500.0)
        .phase("young", 0.0)
        .phase("found out", 90.0)
        .phase("restarted", 350.0);
    let servers = |scenario: &Scenario| -> Vec<u64> {
        let outcome = scenario.run().unwrap();
        outcome.phases.iter().map(|phase| phase.state.servers).collect()
    };
    let plain = servers(&scenario);
    assert!(plain[0] == 60 && plain[1] < 45 && plain[2] == plain[1], "{plain:?}");
    // Whoever slept is looked at when it is awake, and who has just started when its belief is old.
    let slept = servers(&scenario.clone().passing(80.0, 150.0, What::Sleep { share: 1.0 }));
    assert_eq!(slept[1..], plain[1..]);
    let crashed = servers(&scenario.fault(95.0, What::Crash { share: 1.0, restart_after: 200.0 }));
    assert_eq!((crashed[1], crashed[2]), (60, plain[2]));
}

#[test]
fn spammers_without_ids_end_the_run_instead_of_being_fewer() {
    let what = |ids| What::Spam { ids, keys: 1, networks: Some(1), over: 1.0 };
    for (ids, enough) in [(2, true), (50, false)] {
        let workload = Workload { providers: 1, ..Workload::default() };
        let scenario = quiet(60).workload(workload).fault(10.0, what(ids));
        let mut watch = ();
        let mut run = Run::new(&scenario, Arc::new(IpfsNetwork::new().unwrap()), &mut watch).unwrap();
        run.gather().unwrap();
        run.schedule();
        // About four in a thousand are of one network.
        run.world.limit_tries(3000);
        match run.play(run.at(20.0)) {
            Ok(()) => assert!(enough),
            Err(error) => assert!(!enough && error.to_string().contains("`faults.spam.networks`"), "{error}"),
        }
    }
}

#[test]
fn who_is_joining_and_has_met_nobody_asks_for_nothing_yet() {
    let scenario = quiet(60);
    let mut watch = ();
    let mut run = Run::new(&scenario, Arc::new(CompactNetwork::default()), &mut watch).unwrap();
    run.gather().unwrap();
    run.schedule();
    run.play(run.at(5.0)).unwrap();
    assert!(!run.world.is_arriving(50), "warm");
    run.stop(50, false);
    run.come(50).unwrap();
    assert!(run.world.is_arriving(50));
    run.play(run.at(6.0)).unwrap();
    assert!(!run.world.is_arriving(50), "it has met somebody");
    // With the doors gone nobody is met, and when the join has failed that is for all to see.
    (0..60).filter(|node| *node != 50).for_each(|node| run.stop(node, false));
    run.stop(50, false);
    run.come(50).unwrap();
    run.play(run.at(7.0)).unwrap();
    assert!(run.world.is_arriving(50));
    run.play(run.at(60.0)).unwrap();
    assert!(!run.world.is_arriving(50));
}
