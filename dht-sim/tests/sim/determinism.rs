//! The same scenario is the same run, event by event.

use dht_sim::{Links, OverlayKind, Population, Scenario, What};

use crate::{busy, churning};

fn eventful(overlay: OverlayKind, seed: u64) -> Scenario {
    let duplicate = if overlay == OverlayKind::Ipfs { 0.0 } else { 0.05 };
    let links = Links { loss: 0.02, duplicate, ..Links::default() };
    churning(busy(overlay, 30), 200.0)
        .seed(seed)
        .links(links)
        .duration(100.0)
        .population(Population { clients: 0.2, ..Population::default() })
        .passing(40.0, 30.0, What::Partition { sides: vec![1.0, 1.0] })
        .passing(50.0, 30.0, What::ClockDrift { share: 0.2, ppm: 5000 })
}

#[test]
fn ten_seeds_twice_give_the_same_traces() {
    for overlay in [OverlayKind::Ipfs, OverlayKind::Mainline, OverlayKind::Compact] {
        let mut traces = Vec::new();
        for seed in 0..10 {
            let scenario = eventful(overlay, seed);
            let (first, second) = (scenario.run().unwrap(), scenario.run().unwrap());
            assert_eq!(first, second, "{overlay:?} seed {seed}");
            assert!(first.events > 1000, "{}", first.events);
            traces.push(first.trace_hash);
        }
        traces.sort_unstable();
        traces.dedup();
        assert_eq!(traces.len(), 10, "{overlay:?}: every seed is another run");
    }
}

#[test]
fn looking_changes_nothing() {
    let scenario = eventful(OverlayKind::Compact, 3);
    let often = Scenario { sample_interval: 7.0, ..scenario.clone() };
    let (seldom, often) = (scenario.run().unwrap(), often.run().unwrap());
    assert_eq!(seldom.total.traffic, often.total.traffic);
    assert_eq!(seldom.total.operations, often.total.operations);
    assert!(often.samples.len() > seldom.samples.len());
}
