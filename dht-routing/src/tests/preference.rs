use super::*;
use crate::{Rejected, Removal};

/// Prefers peers with even names.
struct Even;

impl Admit<Tiny> for Even {
    fn admit(&self, _: &Contact<Tiny>) -> bool {
        true
    }

    fn prefers(&self, contact: &Contact<Tiny>) -> bool {
        contact.peer.is_multiple_of(2)
    }
}

fn picky(config: Config) -> World {
    World::filtered(config, Even)
}

/// A bucket of two peers that are not preferred, 201 silent for longer than 203.
fn full() -> World {
    let mut world = picky(Config { k: 2, ..quiet() });
    world.populate(1..=255);
    world.insert([203, 201]);
    world.now = world.now.after(secs(5));
    world.routing.alive(world.now, &203, secs(1));
    world.drain();
    world.take_events();
    world
}

#[test]
fn a_preferred_newcomer_takes_the_place_of_the_one_that_was_silent_for_longest() {
    let mut world = full();
    world.insert([200]);
    world.drain();
    let expected = [
        Event::Removed { peer: 201, cause: Removal::Displaced },
        Event::Added { contact: contact(200), bucket: 0 },
    ];
    let events = world.take_events();
    assert!(expected.iter().all(|event| events.contains(event)), "{events:?}");
    assert_eq!(world.routing.statistics().buckets[0].replacements, 1, "the other one waits");
    world.insert([202]);
    assert_eq!(world.table(), BTreeSet::from([200, 202]));
    assert_eq!(world.routing.insert(world.now, contact(204)), Err(Rejected::Capacity { bucket: 0 }));
    world.routing.table.audit();
}

#[test]
fn others_displace_nobody() {
    let mut world = full();
    assert_eq!(world.routing.insert(world.now, contact(205)), Err(Rejected::Capacity { bucket: 0 }));
    world.heard([207]);
    world.run(secs(1));
    assert_eq!(world.checked(), [] as [u8; 0]);
    assert_eq!(world.table(), BTreeSet::from([201, 203]));
}

#[test]
fn a_preferred_peer_heard_of_is_checked_although_the_bucket_is_full_and_enters_only_then() {
    let mut world = full();
    world.peers.remove(&200);
    world.heard([200, 202, 204]);
    world.drain();
    assert_eq!(world.checked(), [200, 202], "no more than there are places to take");
    assert_eq!(world.table(), BTreeSet::from([201, 203]));
    world.run(secs(20));
    assert_eq!(world.checked(), [200, 202, 204], "200 was mute, 204 has its turn");
    assert_eq!(world.table(), BTreeSet::from([202, 204]));
    world.heard([206]);
    world.run(secs(1));
    assert_eq!(world.checks.len(), 3, "nobody is left to give up a place");
    world.routing.table.audit();
}

#[test]
fn preferred_candidates_have_their_turn_first() {
    let mut world = full();
    world.insert([200, 202]);
    world.heard([206, 207]);
    world.routing.failed(world.now, &200, Failure::Timeout);
    world.run(secs(1));
    assert_eq!(world.checked(), [206], "before 201 and 203, which answered before");
    assert_eq!(world.table(), BTreeSet::from([202, 206]));
}

#[test]
fn preference_follows_the_filter_where_a_table_is_full_as_a_whole() {
    let mut world = picky(Config { k: 2, max_size: 2, ..quiet() });
    world.insert([200, 101]);
    assert_eq!(world.routing.insert(world.now, contact(202)), Err(Rejected::Capacity { bucket: 0 }));
    assert_eq!(world.routing.insert(world.now, contact(100)), Ok(()), "instead of 101");
    assert_eq!(world.table(), BTreeSet::from([200, 100]));
    world.routing.table.audit();
}

#[test]
fn the_preferred_keep_their_places_where_a_new_name_merges_buckets() {
    let mut world = picky(Config { k: 2, ..quiet() });
    for peer in [0x01, 0x41, 0x20, 0x10] {
        world.insert([peer]);
        world.now = world.now.after(secs(1));
    }
    world.routing.rename(world.now, 0x80);
    assert_eq!(world.table(), BTreeSet::from([0x20, 0x10]));
    world.routing.table.audit();
}
