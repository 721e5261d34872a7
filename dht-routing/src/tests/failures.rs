use super::*;
use crate::Removal;

fn patient() -> World {
    World::new(Config { k: 2, max_failures: 3, ..quiet() })
}

fn fail(world: &mut World, peer: u8, why: Failure) {
    world.routing.failed(world.now, &peer, why);
    world.drain();
}

#[test]
fn a_peer_leaves_after_so_many_failures_in_a_row() {
    let mut world = patient();
    world.insert([200]);
    fail(&mut world, 200, Failure::Timeout);
    fail(&mut world, 200, Failure::Reset);
    assert_eq!(world.routing.get(&200).unwrap().failures, 2);
    world.take_events();
    fail(&mut world, 200, Failure::Timeout);
    let removed = Event::Removed { peer: 200, cause: Removal::Failed(Failure::Timeout) };
    assert_eq!(world.take_events()[0], removed);
}

#[test]
fn only_an_answer_breaks_the_row() {
    let mut world = patient();
    world.insert([200]);
    for _ in 0..5 {
        fail(&mut world, 200, Failure::Timeout);
        fail(&mut world, 200, Failure::Timeout);
        world.routing.alive(world.now, &200, secs(1));
    }
    fail(&mut world, 200, Failure::Timeout);
    fail(&mut world, 200, Failure::Timeout);
    fail(&mut world, 200, Failure::Offline);
    fail(&mut world, 200, Failure::Overloaded);
    assert_eq!(world.routing.get(&200).unwrap().failures, 2, "our own fault is none of its");
    world.routing.heard(world.now, contact(200));
    assert_eq!(world.routing.get(&200).unwrap().failures, 2, "whether it can be reached is another question");
    fail(&mut world, 200, Failure::Timeout);
    assert!(world.routing.is_empty());
}

#[test]
fn a_candidate_that_answered_before_need_not_wait_for_a_mute_peer() {
    let mut world = patient();
    world.populate([210]);
    world.insert([200, 201]);
    world.heard([210]);
    fail(&mut world, 200, Failure::Timeout);
    assert!(world.routing.get(&200).is_some(), "the candidate was only heard of");
    world.routing.alive(world.now, &210, secs(1));
    fail(&mut world, 201, Failure::Timeout);
    world.run(secs(1));
    assert_eq!(world.table(), BTreeSet::from([200, 210]));
}

#[test]
fn a_peer_in_whose_name_somebody_else_answers_leaves_at_once() {
    let mut world = patient();
    world.insert([200]);
    fail(&mut world, 200, Failure::WrongPeer);
    assert!(world.routing.is_empty());
}

#[test]
fn upkeep_counts_only_those_who_left() {
    let mut world = World::new(Config { max_failures: 2, stale_after: Some(secs(60)), ..quiet() });
    world.insert([200]);
    let evicted = |world: &mut World| {
        world.now = world.now.after(secs(60));
        world.routing.refresh(world.now, true);
        world.run(secs(30));
        let reports = world.take_events().into_iter().filter_map(|event| match event {
            Event::Refreshed { report, .. } => Some((report.checked, report.evicted)),
            _ => None,
        });
        reports.collect::<Vec<_>>()
    };
    assert_eq!(evicted(&mut world), [(1, 0)]);
    assert_eq!(evicted(&mut world), [(1, 1)]);
    world.insert([200]);
    for expected in [0, 1] {
        world.now = world.now.after(secs(60));
        world.bootstrap([]);
        world.run(secs(30));
        let evicted = world.take_events().into_iter().find_map(|event| match event {
            Event::Bootstrapped { result, .. } => Some(result.map_or(1, |report| report.evicted)),
            _ => None,
        });
        assert_eq!(evicted, Some(expected));
    }
}
