use dht_core::Key;

use super::*;
use crate::Removal;

fn rename(world: &mut World, local: u8) {
    world.routing.rename(world.now, local);
    world.routing.table.audit();
}

#[test]
fn everybody_moves_with_all_that_is_known_of_him() {
    let mut world = World::new(quiet());
    world.insert([0x80, 0x81, 0x40]);
    world.now = world.now.after(secs(7));
    world.routing.alive(world.now, &0x81, Duration::from_millis(40));
    world.drain();
    world.take_events();
    rename(&mut world, 0x83);
    world.drain();
    assert_eq!(world.take_events(), [], "nobody came and nobody left");
    assert_eq!(world.routing.local(), &0x83);
    let entry = world.routing.get(&0x81).unwrap();
    assert_eq!((entry.bucket, entry.rtt), (6, Some(Duration::from_millis(40))));
    assert_eq!((entry.added, entry.last_seen), (Mono(secs(1000)), Mono(secs(1007))));
    assert_eq!(world.routing.get(&0x40).unwrap().bucket, 0);
    let mut out = Vec::new();
    world.routing.closest(&Key([0x83]), 3, &mut out);
    assert_eq!(out, contacts([0x81, 0x80, 0x40]));
}

#[test]
fn the_oldest_keep_their_places_where_buckets_merge_and_the_others_wait() {
    let mut world = World::new(Config { k: 2, replacements: 2, ..quiet() });
    for peer in [0x01, 0x40, 0x20, 0x41, 0x02] {
        world.insert([peer]);
        world.now = world.now.after(secs(1));
    }
    world.drain();
    world.take_events();
    rename(&mut world, 0x80);
    world.drain();
    assert_eq!(world.table(), BTreeSet::from([0x01, 0x40]), "all are in bucket 0 now");
    let removed = [0x20, 0x41, 0x02].map(|peer| Event::Removed { peer, cause: Removal::Displaced });
    assert_eq!(world.take_events(), removed);
    let statistics = world.routing.statistics();
    assert_eq!((statistics.added, statistics.removed), (5, 3));
    assert_eq!(statistics.buckets[0].replacements, 2, "0x20, seen first, found no room among these either");
    world.populate([0x02]);
    world.routing.failed(world.now, &0x01, Failure::Timeout);
    world.run(secs(1));
    assert_eq!(world.table(), BTreeSet::from([0x02, 0x40]));
}

#[test]
fn candidates_in_waiting_move_too_and_are_checked_where_there_is_room() {
    let mut world = World::new(Config { k: 1, ..quiet() });
    world.populate([0xc0, 0xa0]);
    world.insert([0x81]);
    world.heard([0xc0, 0xa0]);
    world.run(secs(1));
    assert_eq!(world.checked(), [] as [u8; 0]);
    rename(&mut world, 0x80);
    world.run(secs(1));
    assert_eq!(world.table(), BTreeSet::from([0x81, 0xc0, 0xa0]));
    let replacements =
        world.routing.statistics().buckets.iter().map(|bucket| bucket.replacements).sum::<usize>();
    assert_eq!(replacements, 0);
}

#[test]
fn the_name_that_the_local_peer_takes_is_nobody_elses() {
    let mut world = World::new(quiet());
    world.silent = true;
    world.insert([200]);
    world.heard([201]);
    world.drain();
    world.take_events();
    rename(&mut world, 200);
    world.drain();
    let removed = Event::Removed { peer: 200, cause: Removal::Displaced };
    assert_eq!(world.take_events(), [removed, Event::BootstrapNeeded]);
    rename(&mut world, 201);
    world.routing.checked(world.now, CheckId(1), Ok(Checked { rtt: secs(1), closer: 0 }));
    world.drain();
    assert!(world.routing.is_empty(), "its check passes too late");
    world.routing.heard(world.now, contact(200));
    world.drain();
    assert_eq!(world.checked(), [201, 200], "the old name is like any other");
    rename(&mut world, 201);
    assert_eq!(world.routing.statistics().checking, 1, "the same name changes nothing");
}

#[test]
fn checks_in_flight_bring_their_peers_to_the_new_buckets() {
    let mut world = World::new(Config { k: 2, ..quiet() });
    world.populate([0x81, 0x82, 0x83, 0x01]);
    world.heard([0x81, 0x82, 0x01]);
    world.drain();
    rename(&mut world, 0x80);
    world.heard([0x83]);
    world.run(secs(1));
    assert_eq!(world.checked(), [0x81, 0x82, 0x01, 0x83]);
    let buckets = |peer| world.routing.get(&peer).map(|entry| entry.bucket);
    assert_eq!([0x81, 0x82, 0x83, 0x01].map(buckets), [Some(7), Some(6), Some(6), Some(0)]);
    world.routing.table.audit();
}

#[test]
fn a_peer_that_lost_its_place_during_its_check_is_not_in_waiting_as_well() {
    let mut world = World::new(Config { k: 1, stale_after: Some(secs(1)), ..quiet() });
    world.populate([0x01, 0x40]);
    world.insert([0x40]);
    world.now = world.now.after(secs(2));
    world.insert([0x01]);
    world.now = world.now.after(secs(2));
    world.routing.refresh(world.now, true);
    world.drain();
    assert_eq!(world.checked(), [0x01, 0x40]);
    rename(&mut world, 0x80);
    world.routing.remove(world.now, &0x40);
    world.run(secs(1));
    assert_eq!(world.table(), BTreeSet::from([0x01]));
    world.routing.table.audit();
}

#[test]
fn a_refresh_under_way_looks_up_the_new_neighbourhood_as_well() {
    let mut world = World::new(quiet());
    world.populate([0x40, 0x81]);
    world.insert([0x40, 0x81]);
    let id = world.routing.refresh(world.now, true);
    world.run(Duration::from_millis(400));
    assert_eq!(world.lookups.iter().map(|(target, _)| *target & 0x80).collect::<Vec<_>>(), [LOCAL, 0x80]);
    world.take_events();
    rename(&mut world, 0x80);
    world.run(secs(30));
    let from_new: Vec<u32> =
        world.lookups[2..].iter().map(|(target, _)| (target ^ 0x80).leading_zeros()).collect();
    assert_eq!(from_new[..3], [8, 0, 1]);
    let events = world.take_events();
    assert!(matches!(events.last(), Some(Event::Refreshed { id: told, .. }) if *told == id), "{events:?}");
    let marked = events.iter().filter(|event| matches!(event, Event::BucketRefreshed { .. })).count();
    assert_eq!(marked, from_new.len() - 1, "the lookup under the old name stands for no bucket");
}

#[test]
fn only_buckets_that_cover_the_same_keys_count_as_refreshed_still() {
    let mut world = World::new(quiet());
    world.populate([0x80, 0x40, 0x20, 0x10]);
    world.insert([0x80, 0x40, 0x20, 0x10]);
    world.routing.refresh(world.now, true);
    world.run(secs(5));
    rename(&mut world, 0x20);
    let buckets = world.routing.statistics().buckets;
    let refreshed: Vec<bool> = buckets.iter().map(|bucket| bucket.refreshed.is_some()).collect();
    assert_eq!(refreshed[..3], [true, true, false]);
}

#[test]
fn a_table_that_looks_after_itself_looks_up_its_new_neighbourhood_at_once() {
    let mut world = World::new(Config::default());
    world.populate([0x80, 0x40]);
    world.insert([0x80, 0x40]);
    world.drain();
    rename(&mut world, 0x21);
    world.run(secs(1));
    assert_eq!(world.lookups[0].0, 0x21);
}
