//! The node as a whole: what it answers, whom it learns, what it stores, and that it always comes to rest.

mod properties;
mod world;

use std::time::Duration;

use dht_core::{
    Contact, Failure, KadKey, Key, Now, Observation, Overlay, Request, RequestKind, Response,
    testing::{Tiny, TinyItem, TinyQuery},
};
use dht_protocol::{Event, Node, Output, Refusal, Served};
use dht_query::{QueryOptions, Reason};
use world::{World, at, node, parts};

const PEERS: [u8; 12] = [3, 17, 40, 66, 90, 101, 129, 160, 188, 201, 230, 251];

/// Everybody serves, knows the first and has looked around.
fn network(k: usize) -> World {
    let mut world = World::new();
    for peer in PEERS {
        world.add(peer, true, k);
    }
    for peer in &PEERS[1..] {
        world.introduce(PEERS[0], *peer);
    }
    for peer in PEERS {
        world.with(peer, |node, now| node.refresh(now, true));
    }
    world.run(Duration::from_secs(60));
    world
}

fn nearest(target: u8, n: usize, among: &[u8]) -> Vec<u8> {
    let mut peers = among.to_vec();
    peers.sort_by_key(|peer| Key([*peer]).distance(&Key([target])));
    peers.truncate(n);
    peers
}

fn finished(world: &mut World, peer: u8) -> dht_query::Finished<Tiny> {
    let events = world.events(peer);
    let mut ended = events.into_iter().filter_map(|event| match event {
        Event::Finished(_, finished) => Some(finished),
        _ => None,
    });
    let finished = ended.next().expect("a query ended");
    assert!(ended.next().is_none(), "only one query ended");
    finished
}

fn answered(served: Served<Tiny>) -> Response<Tiny> {
    match served {
        Served::Answer(response) => response,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lookup_finds_exactly_the_closest() {
    let mut world = network(4);
    for target in [0, 64, 130, 255] {
        world.events(PEERS[5]);
        let options = QueryOptions::default();
        world.with(PEERS[5], |node, now| node.closest(now, target, options)).unwrap();
        let finished = finished(&mut world, PEERS[5]);
        let found: Vec<u8> = finished.closest.iter().map(|contact| contact.peer).collect();
        let others: Vec<u8> = PEERS.into_iter().filter(|peer| *peer != PEERS[5]).collect();
        assert_eq!(found, nearest(target, 4, &others));
        assert_eq!(finished.reason, Reason::Complete);
    }
}

#[test]
fn a_value_is_stored_on_the_closest_and_found_from_elsewhere() {
    let mut world = network(4);
    let query = TinyQuery::Value(100);
    world.events(PEERS[0]);
    let item = TinyItem::value(7);
    world.with(PEERS[0], |node, now| node.store(now, query, item, QueryOptions::default())).unwrap();
    let receipt = finished(&mut world, PEERS[0]).receipt;
    let mut stored = receipt.stored.clone();
    stored.sort_by_key(|peer| Key([*peer]).distance(&Key([100])));
    assert_eq!(stored, nearest(100, 4, &PEERS[1..]));
    assert!(stored.iter().all(|peer| world.held(*peer, &query) == [item]));

    world.events(PEERS[11]);
    world.with(PEERS[11], |node, now| node.fetch(now, query, vec![], QueryOptions::default())).unwrap();
    assert_eq!(finished(&mut world, PEERS[11]).items, [item]);
}

#[test]
fn holders_of_a_worse_value_are_corrected() {
    let mut world = network(4);
    let query = TinyQuery::Value(100);
    let put = |world: &mut World, version| {
        world.with(3, |node, now| {
            node.store(now, query, TinyItem::value(version), QueryOptions::default()).unwrap()
        });
    };
    put(&mut world, 1);
    // The nearest misses the better one.
    let holders = nearest(100, 4, &PEERS[1..]);
    world.silent.insert(holders[0]);
    put(&mut world, 2);
    world.run(Duration::from_secs(120));
    world.silent.clear();
    assert_eq!(world.held(holders[0], &query), [TinyItem::value(1)]);
    world.disconnect(holders[0]);
    for peer in PEERS.into_iter().filter(|peer| *peer != holders[0]) {
        world.introduce(peer, holders[0]);
    }
    world.events(251);
    world.with(251, |node, now| node.fetch(now, query, vec![], QueryOptions::default())).unwrap();
    world.run(Duration::from_secs(1));
    assert_eq!(world.held(holders[0], &query), [TinyItem::value(2)]);
}

#[test]
fn a_query_that_is_cancelled_corrects_nobody() {
    for cancelled in [false, true] {
        let mut node = node(1, false, 4);
        let now = Now::default();
        for peer in [2, 3] {
            node.add_peer(now, at(peer)).unwrap();
        }
        let query = node.fetch(now, TinyQuery::Value(2), vec![], QueryOptions::default()).unwrap();
        let (mut puts, mut versions) = (0, [7, 1].into_iter());
        loop {
            match node.poll_output(now) {
                Output::Send { request: Request::Put { .. }, .. } => puts += 1,
                Output::Send { id, .. } => {
                    let Some(version) = versions.next() else { continue };
                    let items = vec![TinyItem::value(version)];
                    // The first answer alone ends nothing; the cancel comes while the second is on its way.
                    if version == 1 && cancelled {
                        node.on_response(now, id, Response { items, closer: vec![at(9)], ticket: None });
                        node.cancel(now, query);
                    } else {
                        node.on_response(now, id, Response { items, ..Response::default() });
                    }
                }
                Output::Wait(_) => break,
                _ => {}
            }
        }
        assert_eq!(puts, usize::from(!cancelled));
    }
}

#[test]
fn a_lookup_that_nobody_answered_refreshes_no_bucket() {
    let mut parts = parts(1, false, 4);
    parts.routing.lookup_timeout = Duration::from_millis(500);
    let mut node = Node::new(at(1), parts).unwrap();
    let mut now = Now::default();
    for peer in [2, 3, 128] {
        node.add_peer(now, at(peer)).unwrap();
    }
    node.refresh(now, true);
    let report = loop {
        match node.poll_output(now) {
            Output::Wait(until) => now.mono = until.expect("the refresh has an end"),
            Output::Event(Event::Table(dht_routing::Event::Refreshed { report, .. })) => break report,
            Output::Event(Event::Table(dht_routing::Event::BucketRefreshed { prefix })) => {
                panic!("nobody is known to be there at {prefix}")
            }
            _ => {}
        }
    };
    assert!(report.lookups > 1 && report.fruitless == report.lookups, "{report:?}");
}

#[test]
fn a_network_that_grew_around_the_bootstrap_node_is_joined_though_that_has_no_room_for_us() {
    const OLD: [u8; 4] = [3, 9, 40, 90];
    const NEW: [u8; 5] = [251, 4, 17, 66, 101];
    let mut world = World::new();
    for group in [&OLD[..], &NEW[..]] {
        for peer in group {
            world.add(*peer, true, 3);
            world.introduce(group[0], *peer);
        }
        for peer in group {
            world.with(*peer, |node, now| node.refresh(now, true));
        }
    }
    let knows = |world: &World, peer: u8, other: u8| world.node(peer).routing().get(&other).is_some();
    world.run(Duration::from_secs(300));
    assert!(
        !OLD.iter().any(|old| NEW.iter().any(|new| knows(&world, *old, *new) || knows(&world, *new, *old)))
    );
    assert_eq!(world.node(251).routing().len(), 3, "all others are in one bucket for it");
    world.with(3, |node, now| {
        node.remember([at(251)]);
        node.refresh(now, true)
    });
    world.run(Duration::from_secs(60));
    assert!(!knows(&world, 251, 3));
    assert!(knows(&world, 3, 4) && knows(&world, 4, 3), "the nearest of the other network");
}

#[test]
fn a_worse_or_invalid_value_is_refused() {
    let mut world = network(4);
    let query = TinyQuery::Value(100);
    for (version, stored) in [(9, true), (5, false), (0, false)] {
        world.events(3);
        let item = TinyItem::value(version);
        world.with(3, |node, now| node.store(now, query, item, QueryOptions::default())).unwrap();
        world.run(Duration::from_secs(120));
        let receipt = finished(&mut world, 3).receipt;
        assert_eq!(!receipt.stored.is_empty(), stored, "version {version}");
        assert_eq!(receipt.refused.is_empty(), stored, "version {version}");
    }
    let holder = nearest(100, 1, &PEERS[1..])[0];
    assert_eq!(world.held(holder, &query), [TinyItem::value(9)]);
    let refused = |observation: &Observation<Tiny>| {
        matches!(observation, Observation::RequestServed { kind: RequestKind::Put, ok: false })
    };
    assert!(world.observed(holder).iter().any(refused));
}

#[test]
fn a_target_that_is_known_is_named_even_if_it_is_the_server_the_asker_or_a_client() {
    let mut server = node(1, true, 3);
    let now = dht_core::Now::default();
    for peer in [2, 3, 0, 128] {
        server.add_peer(now, at(peer)).unwrap();
    }
    server.on_peer(now, at(200), false);
    let ask = |server: &mut Node<Tiny>, from: u8, target: u8| {
        let response = answered(server.serve(now, &at(from), Request::FindNode { target }));
        response.closer.iter().map(|contact| contact.peer).collect::<Vec<_>>()
    };
    assert_eq!(ask(&mut server, 90, 1), [1, 0, 3, 2], "itself, beside the k closest");
    assert_eq!(ask(&mut server, 2, 2), [2, 3, 0, 128], "the asker");
    assert_eq!(ask(&mut server, 90, 200)[0], 200, "a client");
    assert_eq!(
        ask(&mut server, 3, 7),
        [2, 0, 128],
        "neither the asker nor the server, the next ones instead"
    );
}

#[test]
fn who_asks_does_not_enter_the_table() {
    let mut server = node(1, true, 4);
    let now = dht_core::Now::default();
    for from in 2..100 {
        server.serve(now, &at(from), Request::FindNode { target: from });
    }
    let mut outputs = 0;
    while !matches!(server.poll_output(now), dht_protocol::Output::Wait(_)) {
        outputs += 1;
    }
    assert_eq!(server.routing().len(), 0);
    assert_eq!(outputs, 98, "one observation each and no check");
}

#[test]
fn a_client_refuses_everything() {
    let mut client = node(1, false, 4);
    for request in
        [Request::Ping, Request::FindNode { target: 1 }, Request::Get { query: TinyQuery::Value(1) }]
    {
        let served = client.serve(dht_core::Now::default(), &at(2), request);
        assert!(matches!(served, Served::Refused(Refusal::NotServing)));
    }
    client.set_serving(true);
    assert!(matches!(client.serve(dht_core::Now::default(), &at(2), Request::Ping), Served::Answer(_)));
}

#[test]
fn a_peer_that_serves_no_longer_leaves_the_table() {
    let mut world = World::new();
    world.add(1, true, 4);
    world.add(2, true, 4);
    world.introduce(1, 2);
    assert_eq!(world.node(1).routing().len(), 1);
    world.with(1, |node, now| node.on_peer(now, at(2), false));
    assert_eq!(world.node(1).routing().len(), 0);
    assert_eq!(world.node(1).known(&2), Some(at(2)), "its address is still known");
}

#[test]
fn providers_stand_side_by_side_and_a_limit_ends_the_search() {
    let mut world = network(4);
    let query = TinyQuery::Crowd(100);
    for author in [3, 40, 251] {
        let item = TinyItem { author: Some(author), version: 1 };
        world.with(author, |node, now| node.store(now, query, item, QueryOptions::default())).unwrap();
    }
    let search = |world: &mut World, limit| {
        world.events(160);
        let options = QueryOptions { limit, ..QueryOptions::default() };
        world.with(160, |node, now| node.fetch(now, query, vec![], options)).unwrap();
        finished(world, 160)
    };
    let all = search(&mut world, None);
    assert_eq!(all.items.iter().map(|item| item.author).collect::<Vec<_>>(), [Some(3), Some(40), Some(251)]);
    let some = search(&mut world, Some(1));
    assert!(!some.items.is_empty() && some.reason == Reason::Enough && some.requests < all.requests);
}

#[test]
fn a_node_that_leaves_is_evicted_and_lookups_go_on() {
    let mut world = network(4);
    for gone in [66, 101, 188, 230] {
        world.remove(gone);
    }
    world.run(Duration::from_secs(3600));
    let left: Vec<u8> = PEERS.into_iter().filter(|peer| ![66, 101, 188, 230].contains(peer)).collect();
    for peer in &left {
        let table: Vec<u8> = world.node(*peer).routing().iter().map(|entry| entry.contact.peer).collect();
        assert!(table.iter().all(|known| left.contains(known)), "{peer} still knows {table:?}");
        world.events(*peer);
    }
    world.with(3, |node, now| node.closest(now, 100, QueryOptions::default())).unwrap();
    let found: Vec<u8> = finished(&mut world, 3).closest.iter().map(|contact| contact.peer).collect();
    assert_eq!(found, nearest(100, 4, &left[1..]));
}

#[test]
fn bootstrap_through_one_peer_joins_the_network() {
    let mut world = network(4);
    world.add(77, true, 4);
    world.with(77, |node, now| node.bootstrap(now, vec![at(3)], vec![], Default::default()));
    world.run(Duration::from_secs(30));
    let events = world.events(77);
    let joined = events.iter().any(|event| {
        matches!(event, Event::Table(dht_routing::Event::Bootstrapped { result: Ok(report), .. }) if report.peers > 3)
    });
    assert!(joined, "{events:?}");
    // And back: those it asked found it worth checking only once they heard of it as a server.
    assert_eq!(Tiny::peer_key(&77), Key([77]));
}

#[test]
fn bootstrap_without_anybody_there_fails_with_who_was_tried() {
    let mut world = World::new();
    world.add(1, false, 4);
    world.with(1, |node, now| node.bootstrap(now, vec![at(9)], vec![at(10)], Default::default()));
    world.run(Duration::from_secs(31));
    let tried = world.events(1).into_iter().find_map(|event| match event {
        Event::Table(dht_routing::Event::Bootstrapped { result: Err(failed), .. }) => Some(failed.tried),
        _ => None,
    });
    let mut tried: Vec<u8> = tried.expect("it failed").iter().map(|tried| tried.peer).collect();
    tried.sort_unstable();
    tried.dedup();
    assert_eq!(tried, [9, 10]);
}

#[test]
fn a_ping_tells_the_round_trip_or_why_not() {
    let mut world = network(4);
    world.events(3);
    world.with(3, |node, now| node.ask(now, at(17), Request::Ping, Duration::from_secs(5)));
    world.with(3, |node, now| node.ask(now, Contact::new(18, 1018), Request::Ping, Duration::from_secs(5)));
    world.run(Duration::from_secs(60));
    let results: Vec<bool> = world
        .events(3)
        .into_iter()
        .filter_map(|event| match event {
            Event::Answered { result, .. } => Some(result.is_ok()),
            _ => None,
        })
        .collect();
    assert_eq!(results, [true, false]);
}

/// Where an address is one place, anybody may be said to be at any.
#[test]
fn what_happens_at_another_place_says_nothing_about_a_peer() {
    let now = Now::default();
    let mut node = node(3, false, 4);
    let (here, elsewhere) = (Contact::new(5, 0xff05), Contact::new(5, 0xff06));
    node.add_peer(now, here.clone()).unwrap();
    for (place, stays) in [(elsewhere, true), (here, false)] {
        node.ask(now, place, Request::Ping, Duration::from_secs(5));
        loop {
            match node.poll_output(now) {
                Output::Send { id, .. } => node.on_failure(now, id, Failure::WrongPeer),
                Output::Wait(_) => break,
                _ => {}
            }
        }
        assert_eq!(node.routing().get(&5).is_some(), stays);
    }
}

#[test]
fn a_neighbourhood_of_the_dead_is_not_the_end_of_a_lookup() {
    let mut world = World::new();
    world.add(1, false, 4);
    world.add(100, true, 4);
    // Nobody answers at the four nearest.
    let dead = [160, 161, 162, 163];
    let known = dead.into_iter().chain([100]);
    world.with(1, |node, now| known.map(|peer| node.add_peer(now, at(peer))).for_each(Result::unwrap));
    world.with(1, |node, now| node.closest(now, 164, Default::default())).unwrap();
    world.run(Duration::from_secs(61));
    let found = world.events(1).into_iter().find_map(|event| match event {
        Event::Finished(_, finished) => Some(finished.closest),
        _ => None,
    });
    assert_eq!(found.expect("it ended").iter().map(|contact| contact.peer).collect::<Vec<_>>(), [100]);
}
