use dht_core::{InvalidConfig, Key};

use super::*;
use crate::{Health, Rejected, Removal, Verdict};

struct Even;

impl Admit<Tiny> for Even {
    fn admit(&self, contact: &Contact<Tiny>) -> bool {
        contact.peer.is_multiple_of(2)
    }
}

#[test]
fn a_wrong_option_is_named() {
    let config = Config { k: 0, ..Config::default() };
    let refused: Result<Routing<Tiny>, InvalidConfig> = Routing::new(LOCAL, config, Box::new(AdmitAll), 0);
    assert_eq!(refused.err().unwrap().field, "k");
}

#[test]
fn every_entry_shows_its_bucket_round_trip_and_times() {
    let mut world = World::new(quiet());
    world.insert([0b0001_0000]);
    world.now = world.now.after(secs(7));
    world.routing.alive(world.now, &0b0001_0000, Duration::from_millis(40));
    let entry = world.routing.get(&0b0001_0000).unwrap();
    assert_eq!(entry.contact, &contact(0b0001_0000));
    assert_eq!((entry.bucket, entry.rtt), (3, Some(Duration::from_millis(40))));
    assert_eq!((entry.added, entry.last_seen), (Mono(secs(1000)), Mono(secs(1007))));
    assert!(world.routing.get(&LOCAL).is_none() && world.routing.get(&7).is_none());
}

#[test]
fn entering_and_leaving_is_told_with_the_cause() {
    let mut world = World::new(quiet());
    world.insert([200, 100, 50]);
    assert!(world.routing.remove(world.now, &200));
    assert!(!world.routing.remove(world.now, &200));
    world.routing.failed(world.now, &100, Failure::Reset);
    world.drain();
    assert_eq!(
        world.take_events(),
        [
            Event::Added { contact: contact(200), bucket: 0 },
            Event::Added { contact: contact(100), bucket: 1 },
            Event::Added { contact: contact(50), bucket: 2 },
            Event::Removed { peer: 200, cause: Removal::Withdrawn },
            Event::Removed { peer: 100, cause: Removal::Failed(Failure::Reset) },
        ]
    );
    let statistics = world.routing.statistics();
    assert_eq!((statistics.added, statistics.removed, statistics.peers), (3, 2, 1));
}

#[test]
fn contacts_are_refused_with_a_reason() {
    let config = Config { k: 2, ..quiet() };
    let mut world = World::filtered(config, Even);
    let limit = secs(10);
    let mut insert = |peer, rtt| world.routing.insert_measured(world.now, contact(peer), rtt);
    assert_eq!(insert(LOCAL, None), Err(Rejected::Own));
    assert_eq!(insert(201, None), Err(Rejected::Filtered));
    assert_eq!(insert(200, Some(secs(11))), Err(Rejected::Latency { rtt: secs(11), limit }));
    assert_eq!(insert(200, Some(limit)), Ok(()));
    assert_eq!(insert(202, None), Ok(()));
    assert_eq!(insert(204, None), Err(Rejected::Capacity { bucket: 0 }));
    assert_eq!(insert(202, None), Ok(()), "it is in already");
    let statistics = world.routing.statistics();
    assert_eq!(
        (statistics.rejected_filtered, statistics.rejected_latency, statistics.rejected_capacity),
        (1, 1, 1)
    );
}

#[test]
fn a_peer_that_becomes_too_slow_leaves() {
    let mut world = World::new(quiet());
    world.insert([200]);
    for _ in 0..3 {
        world.routing.alive(world.now, &200, secs(1));
    }
    world.routing.alive(world.now, &200, secs(30));
    assert!(world.table().contains(&200), "one slow answer is smoothed away");
    for _ in 0..3 {
        world.routing.alive(world.now, &200, secs(30));
    }
    world.drain();
    assert!(world.take_events().contains(&Event::Removed { peer: 200, cause: Removal::Latency }));
}

#[test]
fn failures_of_this_node_are_not_held_against_the_peer() {
    let mut world = World::new(quiet());
    world.insert([200]);
    world.routing.failed(world.now, &200, Failure::Overloaded);
    world.routing.failed(world.now, &200, Failure::Closed);
    world.routing.failed(world.now, &200, Failure::Offline);
    assert_eq!(world.routing.len(), 1);
}

#[test]
fn a_peer_heard_of_at_its_address_counts_as_seen() {
    let mut world = World::new(quiet());
    world.insert([200]);
    let seen = |world: &World| world.routing.get(&200).unwrap().last_seen;
    world.now = world.now.after(secs(7));
    world.routing.heard(world.now, Contact::new(200, 1));
    world.routing.heard(world.now, Contact::unlocated(200));
    assert_eq!(seen(&world), Mono(secs(1000)), "elsewhere it may be anybody");
    world.routing.heard(world.now, contact(200));
    assert_eq!(seen(&world), Mono(secs(1007)));
    world.drain();
    assert_eq!(world.checked(), [] as [u8; 0]);
}

#[test]
fn an_address_changes_only_on_the_word_of_the_peer() {
    let mut world = World::new(quiet());
    world.insert([200]);
    world.routing.heard(world.now, Contact::new(200, 1));
    assert_eq!(world.routing.get(&200).unwrap().contact.addr, 1200);
    assert!(world.routing.relocate(&Contact::new(200, 2)));
    assert!(world.routing.relocate(&Contact::unlocated(200)));
    assert_eq!(world.routing.get(&200).unwrap().contact.addr, 2);
    world.routing.insert(world.now, Contact::new(200, 3)).unwrap();
    assert_eq!(world.routing.get(&200).unwrap().contact.addr, 3);
    assert!(!world.routing.relocate(&contact(7)));
}

#[test]
fn nobody_moves_to_where_the_filter_would_not_have_let_him_in() {
    struct Low;
    impl Admit<Tiny> for Low {
        fn admit(&self, contact: &Contact<Tiny>) -> bool {
            contact.addr < 2000
        }
    }
    let mut world = World::filtered(quiet(), Low);
    world.insert([200]);
    assert!(world.routing.relocate(&Contact::new(200, 2001)), "it is in the table");
    let moved = world.routing.insert(world.now, Contact::new(200, 2002));
    assert_eq!(moved, Err(Rejected::Filtered));
    assert_eq!(world.routing.get(&200).unwrap().contact.addr, 1200);
    assert_eq!(world.routing.statistics().rejected_filtered, 2);
}

#[test]
fn old_live_peers_stay_and_a_failed_one_is_replaced_by_whoever_answered_last() {
    let mut world = World::new(Config { k: 2, replacements: 3, ..quiet() });
    world.populate(128..=255);
    world.insert([200, 201]);
    world.heard([210, 211, 212]);
    world.routing.alive(world.now, &211, secs(1));
    world.run(secs(1));
    assert_eq!(world.table(), BTreeSet::from([200, 201]), "newcomers wait");
    assert_eq!(world.checked(), [] as [u8; 0]);
    world.routing.failed(world.now, &200, Failure::Timeout);
    world.run(secs(1));
    assert_eq!(world.checked(), [211], "checked before it takes the place");
    assert_eq!(world.table(), BTreeSet::from([201, 211]));
    assert_eq!(world.routing.statistics().buckets[0].replacements, 2);
}

#[test]
fn a_mute_replacement_makes_room_for_the_next() {
    let mut world = World::new(Config { k: 1, ..quiet() });
    world.populate([210]);
    world.insert([200]);
    world.heard([210, 211, 212]);
    world.routing.failed(world.now, &200, Failure::Timeout);
    world.run(secs(60));
    assert_eq!(world.checked(), [212, 211, 210]);
    assert_eq!(world.table(), BTreeSet::from([210]));
}

#[test]
fn a_full_table_gives_a_place_to_nearer_peers_until_buckets_are_even() {
    let mut world = World::new(Config { k: 6, max_size: 8, ..quiet() });
    world.insert([128, 129, 130, 131, 132, 133, 64, 65]);
    world.drain();
    world.take_events();
    world.insert([32, 33]);
    world.drain();
    let removed = |peer| Event::Removed { peer, cause: Removal::Displaced };
    let events = world.take_events();
    assert!(
        events.contains(&removed(133)) && events.contains(&removed(132)),
        "the newest of the fullest bucket"
    );
    assert_eq!(world.routing.len(), 8);
    assert_eq!(world.routing.insert(world.now, contact(66)), Ok(()), "4 + 2 + 2 becomes 3 + 3 + 2");
    assert_eq!(world.routing.insert(world.now, contact(34)), Err(Rejected::Capacity { bucket: 2 }));
    assert_eq!(world.routing.insert(world.now, contact(67)), Err(Rejected::Capacity { bucket: 1 }));
    assert_eq!(world.routing.insert(world.now, contact(134)), Err(Rejected::Capacity { bucket: 0 }));
}

#[test]
fn health_names_the_state() {
    let mut world = World::new(quiet());
    let verdict = |world: &World| world.routing.health().verdict;
    assert_eq!(verdict(&world), Verdict::Empty);
    world.insert([200]);
    assert_eq!(verdict(&world), Verdict::Fragile);
    world.insert([201, 100]);
    assert_eq!(verdict(&world), Verdict::Low);
    world.insert(210..217);
    let health = world.routing.health();
    let expected = Health {
        verdict: Verdict::Healthy,
        peers: 10,
        buckets: 2,
        refreshing: false,
        bootstrapping: false,
        last_refresh: None,
    };
    assert_eq!(health, expected);
    world.routing.alive(world.now, &200, Duration::from_millis(512));
    world.routing.alive(world.now, &100, Duration::from_millis(1536));
    assert_eq!(world.routing.statistics().average_rtt, Some(Duration::from_millis(1024)));
}

#[test]
fn the_closest_come_without_those_who_are_skipped() {
    let mut world = World::new(quiet());
    world.insert([1, 2, 4, 8, 16, 32, 64, 128]);
    let mut out = vec![contact(99)];
    world.routing.closest(&Key([5]), 3, &mut out);
    assert_eq!(out, contacts([99, 4, 1, 2]), "appended, nearest first");
    out.clear();
    world.routing.closest_except(&Key([5]), 3, |peer| *peer == 1, &mut out);
    assert_eq!(out, contacts([4, 2, 8]), "the next one takes the place");
    out.clear();
    world.routing.closest(&Key([5]), 0, &mut out);
    assert!(out.is_empty());
    world.routing.closest(&Key([5]), usize::MAX, &mut out);
    assert_eq!(out.len(), 8);
}

#[test]
fn an_empty_machine_is_small() {
    assert!(size_of::<Routing<Tiny>>() < 2048, "{}", size_of::<Routing<Tiny>>());
}
