use super::*;
use crate::Rejected;

/// A peer at the one place of which there is nothing but one.
fn there(peer: u8) -> Contact<Tiny> {
    Contact::new(peer, 0xff01)
}

#[test]
fn a_place_has_one_name_and_the_first_keeps_it() {
    let mut world = World::new(quiet());
    assert_eq!(world.routing.insert(world.now, there(200)), Ok(()));
    assert_eq!(world.routing.insert(world.now, there(100)), Err(Rejected::Place));
    assert_eq!(world.routing.insert(world.now, there(200)), Ok(()), "it is in already");
    assert_eq!(Rejected::Place.kind(), dht_core::ErrorKind::Routing);
    world.insert([50]);
    assert!(world.routing.relocate(&there(50)), "it is in the table");
    assert_eq!(world.routing.get(&50).unwrap().contact, &contact(50));
    assert_eq!(world.routing.insert(world.now, there(50)), Err(Rejected::Place));
    assert_eq!(world.routing.statistics().rejected_place, 3);
    world.routing.remove(world.now, &200);
    assert_eq!(world.routing.insert(world.now, there(50)), Ok(()), "the place is free");
    world.routing.table.audit();
}

#[test]
fn one_socket_with_many_names_is_one_peer() {
    let mut world = World::new(quiet());
    world.populate(1..=255);
    for peer in 1..=255 {
        world.routing.heard(world.now, there(peer));
        world.run(secs(1));
    }
    assert_eq!(world.table(), BTreeSet::from([1]), "it answers by every name");
    assert!(world.checked().into_iter().all(|peer| peer == 1), "nobody else was checked");
}

#[test]
fn a_place_goes_to_the_newcomer_when_the_first_has_left_it() {
    let mut world = World::new(quiet());
    world.populate([1, 2]);
    world.routing.heard(world.now, there(1));
    world.run(secs(1));
    assert_eq!(world.table(), BTreeSet::from([1]));
    world.peers.remove(&1);
    world.routing.heard(world.now, there(2));
    world.run(secs(20));
    assert!(world.table().is_empty(), "it was asked, and was mute");
    world.routing.heard(world.now, there(2));
    world.run(secs(1));
    assert_eq!(world.table(), BTreeSet::from([2]));
}

#[test]
fn a_candidate_whose_place_was_taken_meanwhile_is_passed_over() {
    let mut world = World::new(Config { k: 2, ..quiet() });
    world.populate(1..=255);
    world.insert([200, 201]);
    for candidate in [contact(203), there(202)] {
        world.routing.heard(world.now, candidate);
    }
    world.routing.insert(world.now, there(10)).unwrap();
    world.routing.failed(world.now, &200, Failure::Timeout);
    world.run(secs(1));
    assert_eq!(world.table(), BTreeSet::from([10, 201, 203]));
    // Of two that are checked at the same time the first to answer has the place.
    let mut world = World::new(quiet());
    world.populate(1..=255);
    for peer in [7, 8] {
        world.routing.heard(world.now, there(peer));
    }
    world.run(secs(1));
    assert_eq!(world.table(), BTreeSet::from([7]));
}
