//! What links do to lookups and records.

use dht_sim::{
    Burst, Conduct, Links, Measure, OpKind, OverlayKind, Population, Reorder, Scenario, What, Workload,
};

use crate::{busy, calm, passes, run};

const ALL: [OverlayKind; 3] = [OverlayKind::Ipfs, OverlayKind::Mainline, OverlayKind::Compact];

#[test]
fn a_clear_network_finds_everything() {
    for overlay in ALL {
        let scenario = busy(overlay, 60)
            .engine(calm())
            .at_least(Measure::Success { of: OpKind::Get }, 1.0)
            .at_least(Measure::Success { of: OpKind::FindProviders }, 1.0)
            .at_least(Measure::Success { of: OpKind::Put }, 1.0)
            .at_least(Measure::RecordsAlive, 1.0)
            .at_least(Measure::Recall, 0.98);
        let outcome = passes(&scenario);
        assert!(outcome.total.operations(OpKind::Get).unwrap().started > 100);
    }
}

#[test]
fn a_lossy_network_keeps_finding() {
    for overlay in ALL {
        let duplicate = if overlay == OverlayKind::Ipfs { 0.0 } else { 0.3 };
        let scenario = busy(overlay, 60)
            .engine(calm())
            .links(Links { duplicate, ..Links::constant(20.0).loss(0.05) })
            .at_least(Measure::Success { of: OpKind::Get }, 0.999)
            .at_least(Measure::Success { of: OpKind::FindProviders }, 0.999)
            .at_least(Measure::RecordsAlive, 1.0);
        let outcome = passes(&scenario);
        assert_eq!(outcome.total.traffic.lost > 0, overlay != OverlayKind::Ipfs, "streams resend");
    }
}

#[test]
fn late_and_disordered_messages_harm_nothing() {
    let reorder = Some(Reorder { share: 0.2, by: 4.0 });
    let burst = Some(Burst { every: 120.0, lasts: 10.0, loss: 0.8 });
    for (name, links, found) in [
        ("reorder", Links { reorder, ..Links::default() }, 0.99),
        // One line in thirteen is bad, and the reader's own is one of them.
        ("burst", Links { burst, ..Links::default() }, 0.95),
        ("narrow", Links { bandwidth: Some(20_000.0), ..Links::default() }, 0.99),
    ] {
        let mut scenario = busy(OverlayKind::Compact, 60)
            .engine(calm())
            .links(links)
            .at_least(Measure::Success { of: OpKind::Get }, found);
        scenario.name = name.into();
        passes(&scenario);
    }
}

#[test]
fn mute_slow_and_hidden_peers_cost_little() {
    for population in [
        Population { silent: 0.2, ..Population::default() },
        Population { slow: 0.2, slow_by: 2.0, ..Population::default() },
        Population { clients: 0.6, ..Population::default() },
        Population { falsely_public: 0.2, ..Population::default() },
    ] {
        let scenario = busy(OverlayKind::Ipfs, 60)
            .population(population)
            .at_least(Measure::Success { of: OpKind::Get }, 0.99);
        let outcome = passes(&scenario);
        let clients = 60 - outcome.total.state.servers;
        assert_eq!(clients > 20, population.clients > 0.0, "{population:?}");
    }
}

#[test]
fn sides_find_what_they_hold_and_come_together_again() {
    for overlay in ALL {
        let scenario = busy(overlay, 60)
            .duration(1800.0)
            .phase("whole", 0.0)
            .phase("split", 200.0)
            .phase("healing", 800.0)
            .phase("healed", 1400.0)
            .passing(200.0, 600.0, What::Partition { sides: vec![1.0, 1.0] });
        let outcome = passes(&scenario);
        let success =
            |phase: usize| outcome.phases[phase].operations(OpKind::Get).unwrap().success().unwrap();
        assert!(success(1) >= 0.97, "{overlay:?} split: {}", success(1));
        assert!(success(3) >= 0.99, "{overlay:?} healed: {}", success(3));
        println!("{overlay:?}: {:?}", outcome.phases.iter().map(|p| (p.recall, p.state)).collect::<Vec<_>>());
    }
}

#[test]
fn one_way_links_do_not_hide_records() {
    let scenario = busy(OverlayKind::Mainline, 60)
        .passing(100.0, 400.0, What::OneWay { share: 0.1 })
        .at_least(Measure::Success { of: OpKind::Get }, 0.99);
    passes(&scenario);
}

#[test]
fn who_cannot_be_heard_in_time_makes_no_reader_read_backwards() {
    let work = Workload { values: 6, reads: 3.0, updates: 0.1, publish_over: 30.0, ..Workload::default() };
    let scenario = |name: &str| Scenario::new(name, 40).workload(work).duration(700.0);
    let links = Links { reorder: Some(Reorder { share: 1.0, by: 30.0 }), ..Links::default() };
    let late = scenario("late").overlay(OverlayKind::Ipfs);
    run(&late.passing(300.0, 300.0, What::Weather { links }));
    let liars = scenario("liars").overlay(OverlayKind::Mainline);
    run(&liars.fault(300.0, What::Misbehave { share: 0.9, conduct: Conduct::Stumble }));
}

#[test]
fn what_nobody_takes_was_sent_and_is_lost() {
    let work = Workload { lookups: 1.0, ..Workload::default() };
    let scenario = Scenario::new("void", 40).overlay(OverlayKind::Mainline).workload(work).duration(120.0);
    let outcome = |what| run(&scenario.clone().fault(10.0, what)).total.traffic;
    for traffic in [
        outcome(What::Misbehave { share: 1.0, conduct: Conduct::NameTheDead }),
        outcome(What::Exit { share: 0.5 }),
        outcome(What::Sleep { share: 0.5 }),
    ] {
        assert!(traffic.lost > 0 && traffic.lost < traffic.messages, "{traffic:?}");
        assert!(traffic.bytes > traffic.messages);
    }
}
