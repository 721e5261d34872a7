use super::*;
use crate::Removal;

#[test]
fn a_peer_heard_of_enters_only_after_it_answered_a_check() {
    let mut world = World::new(quiet());
    world.populate([200]);
    world.heard([200, 201]);
    world.drain();
    assert!(world.routing.is_empty(), "hearing alone lets nobody in");
    world.run(secs(60));
    assert_eq!(world.checks, [(200, Mono(secs(1000)), secs(10)), (201, Mono(secs(1000)), secs(10))]);
    assert_eq!(world.table(), BTreeSet::from([200]));
    assert_eq!(world.routing.get(&200).unwrap().rtt, Some(Duration::from_millis(100)));
    let statistics = world.routing.statistics();
    assert_eq!((statistics.checks_passed, statistics.checks_failed, statistics.checking), (1, 1, 0));
}

#[test]
fn an_answer_without_peers_is_proper() {
    let mut world = World::new(quiet());
    world.heard([200]);
    let Action::Check { id, .. } = world.routing.poll(world.now) else { panic!("no check") };
    world.routing.checked(world.now, id, Ok(Checked { rtt: secs(1), closer: 0 }));
    assert_eq!(world.routing.len(), 1);
    world.routing.checked(world.now, id, Err(Failure::Reset));
    assert_eq!(world.routing.len(), 1, "a late outcome counts for nothing");
}

#[test]
fn a_peer_is_checked_once_at_a_time() {
    let mut world = World::new(quiet());
    world.heard([200, 200, 201, 200]);
    world.drain();
    assert_eq!(world.checked(), [200, 201]);
    world.run(secs(11));
    world.heard([200]);
    world.drain();
    assert_eq!(world.checked(), [200, 201, 200]);
}

#[test]
fn checks_in_flight_are_bounded_and_the_extra_candidates_dropped() {
    let mut world = World::new(Config { max_checks: 5, ..quiet() });
    world.heard(1..=255);
    world.drain();
    assert_eq!(world.checks.len(), 5);
    let statistics = world.routing.statistics();
    assert_eq!(statistics.checking, 5);
    assert!(statistics.dropped > 200, "{}", statistics.dropped);
}

#[test]
fn a_bucket_has_no_more_checks_in_flight_than_it_has_places() {
    let mut world = World::new(Config { k: 3, ..quiet() });
    world.insert([200]);
    world.heard(201..=250);
    world.drain();
    assert_eq!(world.checked(), [201, 202], "one place is taken");
    world.run(secs(11));
    assert_eq!(world.checks.len(), 4, "two were mute, two candidates in waiting have their turn");
}

#[test]
fn the_local_peer_and_unwanted_ones_are_never_checked() {
    struct Nobody;
    impl Admit<Tiny> for Nobody {
        fn admit(&self, _: &Contact<Tiny>) -> bool {
            false
        }
    }
    let mut world = World::new(quiet());
    world.heard([LOCAL]);
    world.run(secs(1));
    assert_eq!(world.checked(), [] as [u8; 0]);
    let mut world = World::filtered(quiet(), Nobody);
    world.heard([200]);
    world.run(secs(1));
    assert_eq!(world.checked(), [] as [u8; 0]);
}

#[test]
fn a_slow_peer_passes_its_check_and_does_not_enter() {
    let config = Config { latency_tolerance: Duration::from_millis(50), ..quiet() };
    let mut world = World::new(config);
    world.populate([200]);
    world.heard([200]);
    world.run(secs(1));
    assert!(world.routing.is_empty());
    assert_eq!(world.routing.statistics().rejected_latency, 1);
}

#[test]
fn a_peer_withdrawn_during_its_check_does_not_enter() {
    let mut world = World::new(quiet());
    world.populate([200]);
    world.heard([200]);
    world.drain();
    assert!(!world.routing.remove(world.now, &200));
    world.run(secs(1));
    assert!(world.routing.is_empty());
}

#[test]
fn a_checked_peer_that_finds_its_bucket_full_waits_as_verified() {
    let mut world = World::new(Config { k: 1, ..quiet() });
    world.populate([200, 201]);
    world.heard([200]);
    world.drain();
    world.insert([210]);
    world.heard([201]);
    world.run(secs(1));
    assert_eq!(world.table(), BTreeSet::from([210]));
    world.routing.failed(world.now, &210, Failure::Timeout);
    world.drain();
    assert_eq!(world.checked(), [200, 200], "before 201, which never answered");
    world.run(secs(1));
    let removed = Event::Removed { peer: 210, cause: Removal::Failed(Failure::Timeout) };
    assert!(world.take_events().contains(&removed));
    assert_eq!(world.table(), BTreeSet::from([200]));
}

#[test]
fn a_check_that_is_never_reported_is_given_up() {
    let mut world = World::new(quiet());
    world.silent = true;
    world.heard([200]);
    assert_eq!(world.drain(), Some(Mono(secs(1015))));
    world.run(secs(20));
    assert_eq!(world.routing.statistics().checking, 0);
    assert_eq!(world.routing.statistics().checks_failed, 1);
}

#[test]
fn a_flood_of_candidates_leaves_checks_for_the_upkeep() {
    let mut world = World::new(Config { max_checks: 8, stale_after: Some(secs(1)), ..quiet() });
    world.insert([200]);
    world.now = world.now.after(secs(10));
    world.routing.refresh(world.now, true);
    world.heard(1..=127);
    world.drain();
    assert_eq!(world.checks.len(), 7);
    assert!(world.checked().contains(&200));
}

#[test]
fn the_place_of_a_peer_that_passed_and_may_not_enter_goes_to_the_next() {
    let mut world = World::new(Config { k: 1, latency_tolerance: secs(1), ..quiet() });
    world.peers = BTreeMap::from([(200, secs(2)), (201, Duration::from_millis(1))]);
    world.heard([200, 201]);
    world.run(secs(3));
    assert_eq!(world.table(), BTreeSet::from([201]));
}
