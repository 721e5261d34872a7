use super::*;
use crate::{Rejected, Removal};

/// At most two of a group in a bucket and three in the table.
fn diverse(k: usize) -> World {
    World::new(Config { k, max_per_group_bucket: 2, max_per_group: 3, ..quiet() })
}

fn of(group: u8, peer: u8) -> Contact<Tiny> {
    Contact::new(peer, u16::from(group) * 256 + u16::from(peer))
}

fn insert(world: &mut World, group: u8, peer: u8) -> Result<(), Rejected> {
    let entered = world.routing.insert(world.now, of(group, peer));
    world.routing.table.audit();
    entered
}

#[test]
fn a_group_has_its_share_of_a_bucket_and_of_the_table() {
    let mut world = diverse(8);
    assert_eq!(insert(&mut world, 1, 200), Ok(()));
    assert_eq!(insert(&mut world, 1, 201), Ok(()));
    assert_eq!(insert(&mut world, 1, 202), Err(Rejected::Group), "two in the bucket");
    assert_eq!(insert(&mut world, 2, 202), Ok(()));
    assert_eq!(insert(&mut world, 1, 100), Ok(()));
    assert_eq!(insert(&mut world, 1, 50), Err(Rejected::Group), "three in the table");
    assert_eq!(insert(&mut world, 1, 200), Ok(()), "it is in already");
    world.routing.remove(world.now, &201);
    assert_eq!(insert(&mut world, 1, 50), Ok(()), "its share is free again");
    let statistics = world.routing.statistics();
    assert_eq!((statistics.rejected_group, statistics.rejected_capacity), (2, 0));
    assert_eq!(Rejected::Group.kind(), dht_core::ErrorKind::Capacity);
}

#[test]
fn contacts_without_a_group_and_tables_without_limits_know_no_shares() {
    let mut world = diverse(8);
    for peer in 200..208 {
        assert_eq!(world.routing.insert(world.now, Contact::unlocated(peer)), Ok(()));
    }
    let mut world = World::new(quiet());
    for peer in 200..220 {
        assert_eq!(insert(&mut world, 1, peer), Ok(()));
    }
}

#[test]
fn nobody_is_checked_for_whose_group_there_is_no_place() {
    let mut world = diverse(8);
    world.populate(1..=255);
    insert(&mut world, 1, 200).unwrap();
    for peer in [201, 202, 203] {
        world.routing.heard(world.now, of(1, peer));
    }
    world.run(secs(1));
    assert_eq!(world.checked(), [201, 202, 203], "any of them may be the one that answers");
    assert_eq!(world.table(), BTreeSet::from([200, 201]));
    assert_eq!(world.routing.statistics().rejected_group, 2);
    world.routing.heard(world.now, of(1, 204));
    world.run(secs(1));
    assert_eq!(world.checks.len(), 3);
    assert_eq!(world.routing.statistics().rejected_group, 3);
}

#[test]
fn a_candidate_whose_group_got_its_share_meanwhile_is_passed_over() {
    let mut world = diverse(3);
    world.populate(1..=255);
    for (group, peer) in [(1, 200), (2, 201), (3, 202)] {
        insert(&mut world, group, peer).unwrap();
    }
    world.routing.heard(world.now, of(4, 210));
    world.routing.heard(world.now, of(1, 211));
    insert(&mut world, 1, 100).unwrap();
    insert(&mut world, 1, 101).unwrap();
    world.routing.failed(world.now, &202, Failure::Timeout);
    world.run(secs(1));
    assert_eq!(world.checked(), [210]);
    assert_eq!(world.routing.statistics().buckets[0].replacements, 0);
    world.routing.table.audit();
}

#[test]
fn a_peer_does_not_move_into_a_group_that_has_its_share() {
    let mut world = diverse(8);
    for (group, peer) in [(1, 200), (1, 201), (2, 202)] {
        insert(&mut world, group, peer).unwrap();
    }
    assert!(world.routing.relocate(&of(1, 202)), "it is in the table");
    assert_eq!(world.routing.get(&202).unwrap().contact, &of(2, 202));
    assert_eq!(insert(&mut world, 1, 202), Err(Rejected::Group));
    assert!(world.routing.relocate(&of(3, 201)));
    assert_eq!(insert(&mut world, 1, 202), Ok(()));
    assert_eq!(world.routing.get(&202).unwrap().contact, &of(1, 202));
    let elsewhere = Contact::new(200, 256);
    assert!(world.routing.relocate(&elsewhere), "within its group it is free to");
    assert_eq!(world.routing.get(&200).unwrap().contact, &elsewhere);
    assert_eq!(world.routing.statistics().rejected_group, 2);
    world.routing.table.audit();
}

#[test]
fn shares_hold_where_a_new_name_merges_buckets() {
    let mut world = diverse(8);
    for (group, peer) in [(1, 0x01), (1, 0x40), (1, 0x20), (2, 0x21)] {
        insert(&mut world, group, peer).unwrap();
        world.now = world.now.after(secs(1));
    }
    world.drain();
    world.take_events();
    world.routing.rename(world.now, 0x80);
    world.drain();
    assert_eq!(world.take_events(), [Event::Removed { peer: 0x20, cause: Removal::Displaced }]);
    world.routing.table.audit();
    assert_eq!(world.table(), BTreeSet::from([0x01, 0x40, 0x21]));
}

#[test]
fn a_flood_from_few_networks_fills_no_more_than_their_shares() {
    let mut world = World::new(Config { k: 8, max_per_group_bucket: 2, max_per_group: 10, ..quiet() });
    world.populate(1..=255);
    for peer in 1..=255 {
        world.routing.heard(world.now, of(1 + peer % 2, peer));
        world.run(Duration::from_millis(200));
    }
    assert!(world.routing.len() <= 20, "{}", world.routing.len());
    let honest: Vec<u8> = (0..8).map(|i| 128 + i).collect();
    for (group, peer) in (10..).zip(honest) {
        world.routing.heard(world.now, of(group, peer));
    }
    world.run(secs(1));
    let bucket = world.routing.statistics().buckets[0];
    assert_eq!(bucket.peers, 8, "the rest of the bucket is open to others");
}
