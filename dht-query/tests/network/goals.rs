//! What each kind of query brings, and how it ends (E2, E3, E5, E8).

use dht_core::{
    Failure, Observation, OperationKind, Outcome, Request,
    testing::{Tiny, TinyItem, TinyQuery, TinyTicketed},
};
use dht_query::{Config, Output, Progress, QueryOptions, Reason};

use crate::world::{Peer, Way, World, contact, contacts, ms, names};

fn small() -> Config {
    Config { k: 4, alpha: 3, approach: 2, beta: 2, max_candidates: 64, ..Config::default() }
}

fn world(ids: impl IntoIterator<Item = u8>) -> World<Tiny> {
    World::new(small()).with(ids)
}

fn by_default() -> QueryOptions {
    QueryOptions::default()
}

fn outcomes(world: &World<Tiny>) -> Vec<(OperationKind, Outcome)> {
    let finished = |output: &Output<Tiny>| match output {
        Output::Observed(Observation::QueryFinished { kind, outcome, .. }) => Some((*kind, *outcome)),
        _ => None,
    };
    world.log.iter().filter_map(|(_, output)| finished(output)).collect()
}

#[test]
fn a_lookup_finds_the_k_nearest_sorted_and_confirmed() {
    let mut world = world((1..=255).step_by(3));
    let id = world.queries.closest(world.now, 0x55, contacts([1, 4, 7]), by_default()).unwrap();
    let result = world.finish(id);
    assert_eq!(result.reason, Reason::Complete);
    assert_eq!(names(&result.closest), world.nearest(0x55, 4));
    assert_eq!(result.confirmed, 4);
    assert!(result.requests <= 4 + 3, "{}", result.requests);
    assert_eq!(outcomes(&world), [(OperationKind::Closest, Outcome::Ok)]);
    assert!(world.forgotten().is_empty());
}

#[test]
fn peers_that_fail_in_the_follow_up_leave_and_newcomers_of_it_enter() {
    // 1, 2 and 4 are the nearest anybody knows of; 4 knows of 3, which nobody else does, and 2 is dead.
    let mut world = world([1, 2, 3, 4, 8, 9]);
    for id in [1, 8, 9] {
        world.peer(id).knows = Some(vec![1, 2, 4, 8, 9]);
    }
    world.peer(4).knows = Some(vec![3]);
    world.peer(2).way = Way::Fails(Failure::Unreachable, 9);
    let id = world.queries.closest(world.now, 1, contacts([8]), by_default()).unwrap();
    let result = world.finish(id);
    assert_eq!(names(&result.closest), [1, 3, 4, 9]);
    assert_eq!(world.failures(), [(world.failures()[0].0, 2, Failure::Unreachable)]);
}

#[test]
fn a_small_network_is_complete_when_everybody_answered() {
    let mut world = world([5, 6]);
    let id = world.queries.closest(world.now, 7, contacts([5]), by_default()).unwrap();
    let result = world.finish(id);
    assert_eq!((result.reason, names(&result.closest)), (Reason::Complete, vec![6, 5]));
}

#[test]
fn reasons_tell_the_ends_apart() {
    let mut world = world([5]);
    world.peer(5).way = Way::Silent;
    let none = world.queries.closest(world.now, 7, contacts([0]), by_default()).unwrap();
    let dead = world.queries.closest(world.now, 7, contacts([9]), by_default()).unwrap();
    let options = QueryOptions { timeout: Some(ms(3000)), ..by_default() };
    let mute = world.queries.closest(world.now, 7, contacts([5]), options).unwrap();
    let unwanted = world.queries.closest(world.now, 7, contacts([5]), by_default()).unwrap();
    world.queries.cancel(world.now, unwanted);
    world.run();
    let reason = |id| world.results(id)[0].1.reason;
    assert_eq!(reason(none), Reason::NoPeers);
    assert_eq!(reason(dead), Reason::Exhausted);
    assert_eq!(reason(mute), Reason::Timeout);
    assert_eq!(reason(unwanted), Reason::Cancelled);
    assert_eq!(world.results(mute)[0].1.took, ms(3000));
}

#[test]
fn find_peer_ends_with_the_first_answer_that_has_an_address() {
    let mut world = world((1..=200).step_by(2));
    let id = world.queries.find_peer(world.now, 101, contacts([1, 3, 5, 7]), by_default()).unwrap();
    let result = world.finish(id);
    assert_eq!((result.reason, result.found), (Reason::Enough, Some(contact(101))));
    assert_eq!((result.hops, result.requests), (1, 2));
    // The other request was under way and is dropped, not awaited.
    assert_eq!(world.forgotten().len(), 1);
    assert_eq!(result.took, ms(50));

    let id = world.queries.find_peer(world.now, 101, contacts([101]), by_default()).unwrap();
    let result = world.finish(id);
    assert_eq!((result.found, result.requests), (Some(contact(101)), 0));
    let id = world.queries.find_peer(world.now, 102, contacts([1]), by_default()).unwrap();
    let result = world.finish(id);
    assert_eq!((result.reason, result.found), (Reason::Complete, None));
}

#[test]
fn items_are_judged_before_they_count() {
    let mut world = world((1..=60).step_by(2));
    for id in world.nearest(1, 4) {
        world.peer(id).holds = vec![TinyItem::value(0)];
    }
    world.peer(5).holds = vec![TinyItem::value(0), TinyItem::value(3)];
    let options = QueryOptions { quorum: Some(1), ..by_default() };
    let id =
        world.queries.fetch(world.now, TinyQuery::Value(1), vec![], contacts([9, 11, 13]), options).unwrap();
    let result = world.finish(id);
    assert_eq!((result.reason, result.items), (Reason::Enough, vec![TinyItem::value(3)]));
}

#[test]
fn only_invalid_items_are_not_found() {
    let mut world = world([1, 2, 3]);
    world.peer(1).holds = vec![TinyItem::value(0)];
    let id =
        world.queries.fetch(world.now, TinyQuery::Value(1), vec![], contacts([2]), by_default()).unwrap();
    assert_eq!(world.finish(id).items, []);
    assert_eq!(outcomes(&world), [(OperationKind::Fetch, Outcome::NotFound)]);
}

#[test]
fn better_items_stream_and_holders_of_worse_ones_are_named() {
    let mut world = world([1, 2, 3, 4]);
    for (id, version) in [(1, 5), (2, 7), (3, 5)] {
        world.peer(id).holds = vec![TinyItem::value(version)];
        world.peer(id).delay = ms(40 + u64::from(id));
    }
    let fetch = TinyQuery::Value(1);
    let id = world
        .queries
        .fetch(world.now, fetch, vec![TinyItem::value(4)], contacts([1, 2, 3, 4]), by_default())
        .unwrap();
    let result = world.finish(id);
    assert_eq!(world.items(), [4, 5, 7].map(TinyItem::value));
    assert_eq!(result.items, [TinyItem::value(7)]);
    let outdated: Vec<u8> = result.outdated.iter().map(|(contact, _)| contact.peer).collect();
    assert_eq!(outdated, [1, 3, 4]);
    // Of a crowd everybody holds what is theirs: nobody is corrected.
    let crowd = TinyQuery::Crowd(1);
    let id = world.queries.fetch(world.now, crowd, vec![], contacts([1, 2]), by_default()).unwrap();
    assert_eq!(world.finish(id).outdated, []);
}

#[test]
fn the_quorum_counts_answers_and_the_local_one_and_still_corrects() {
    let mut world = world([1, 2, 3, 4]);
    for (id, version) in [(1, 5), (2, 6), (3, 6), (4, 6)] {
        world.peer(id).holds = vec![TinyItem::value(version); 3];
        world.peer(id).delay = ms(10 * u64::from(id));
    }
    let fetch = TinyQuery::Value(1);
    let options = QueryOptions { quorum: Some(3), ..by_default() };
    let local = vec![TinyItem::value(5)];
    let id = world
        .queries
        .fetch(world.now, fetch, local.clone(), contacts([1, 2, 3, 4]), options.clone())
        .unwrap();
    let result = world.finish(id);
    assert_eq!((result.reason, result.items), (Reason::Enough, vec![TinyItem::value(6)]));
    // 1 and 3, the nearest, are asked first; with 1's answer 2 is.
    assert_eq!(result.took, ms(30));
    let outdated: Vec<u8> = result.outdated.iter().map(|(contact, _)| contact.peer).collect();
    assert_eq!(outdated, [1]);

    // With the local item alone being enough nobody is asked.
    let options = QueryOptions { quorum: Some(1), ..options };
    let before = world.sent().len();
    let id = world.queries.fetch(world.now, fetch, local, contacts([1]), options).unwrap();
    assert_eq!(world.finish(id).reason, Reason::Enough);
    assert_eq!(world.sent().len(), before);
}

#[test]
fn the_limit_counts_slots_once_each() {
    let mut world = world((1..=20).collect::<Vec<u8>>());
    for id in 1..=20 {
        world.peer(id).holds =
            (0..3).map(|i| TinyItem { author: Some(id / 4 * 3 + i), version: 1 }).collect();
    }
    let options = QueryOptions { limit: Some(7), ..by_default() };
    let local = vec![TinyItem { author: Some(200), version: 1 }];
    let query = TinyQuery::Crowd(1);
    let id = world.queries.fetch(world.now, query, local, contacts(1..=20), options).unwrap();
    let result = world.finish(id);
    assert_eq!((result.reason, result.items.len()), (Reason::Enough, 7));
    assert_eq!(world.items().len(), 7);
    assert_eq!(world.items()[0].author, Some(200));
}

#[test]
fn a_store_tells_who_took_it_who_refused_and_who_was_mute() {
    let mut world = world([1, 2, 3, 4, 9]);
    world.peer(2).way = Way::Refuses(Failure::Reset);
    world.peer(3).way = Way::Refuses(Failure::Refused(203));
    world.peer(4).way = Way::Forgetful(99);
    let query = TinyQuery::Value(1);
    let id =
        world.queries.store(world.now, query, TinyItem::value(1), contacts([9, 1]), by_default()).unwrap();
    let result = world.finish(id);
    assert_eq!(result.reason, Reason::Complete);
    assert_eq!(result.receipt.stored, [1]);
    assert_eq!(result.receipt.refused, [(3, Failure::Refused(203)), (2, Failure::Reset)]);
    assert_eq!(result.receipt.failed, [(4, Failure::Timeout)]);
    let to_four =
        world.sent().iter().filter(|(_, to, r)| *to == 4 && matches!(r, Request::Put { .. })).count();
    assert_eq!(to_four, 4, "the mute one was tried again, as often as allowed");
    assert!(result.took < ms(8000), "and not waited for to the hard limit: {:?}", result.took);
    let stored = |(_, o): &(_, Output<Tiny>)| matches!(o, Output::Progress(_, Progress::Stored(1)));
    assert_eq!(world.log.iter().filter(|entry| stored(entry)).count(), 1);
    // Those who refuse to store are servers all the same.
    assert!(world.failures().iter().all(|(_, peer, _)| *peer == 4), "{:?}", world.failures());
    assert_eq!(outcomes(&world), [(OperationKind::Store, Outcome::Ok)]);
}

#[test]
fn a_store_that_nobody_took_is_not_a_success() {
    let mut world = world([1, 2]);
    for id in [1, 2] {
        world.peer(id).way = Way::Refuses(Failure::Reset);
    }
    let query = TinyQuery::Value(1);
    let id = world.queries.store(world.now, query, TinyItem::value(1), contacts([2]), by_default()).unwrap();
    assert_eq!(world.finish(id).receipt.refused.len(), 2);
    assert!(matches!(outcomes(&world)[..], [(OperationKind::Store, Outcome::Failed(_))]));
}

#[test]
fn where_tickets_are_asked_for_they_are_fetched_and_shown() {
    let mut world = World::<TinyTicketed>::new(small()).with(1..=9);
    world.peers.insert(3, Peer { gives_ticket: false, ..Peer::default() });
    let query = TinyQuery::Value(1);
    let id = world.queries.store(world.now, query, TinyItem::value(1), contacts([9]), by_default()).unwrap();
    let result = world.finish(id);
    // 3 is among the nearest and gives no ticket, so the lookup goes on to the next nearest.
    let mut stored = result.receipt.stored.clone();
    stored.sort();
    assert_eq!(names(&result.closest), [1, 3, 2, 5]);
    assert_eq!(stored, [1, 2, 4, 5]);
    for (_, to, request) in world.sent() {
        match request {
            Request::Put { ticket, .. } => assert_eq!(ticket, Some(to ^ 0xff)),
            request => assert!(matches!(request, Request::Get { .. })),
        }
    }
    let peers = vec![(contact(1), Some(9)), (contact(2), None), (contact(1), Some(8))];
    let id = world.queries.store_at(world.now, query, TinyItem::value(1), peers, by_default()).unwrap();
    assert_eq!(world.finish(id).receipt.stored, [1]);
}

#[test]
fn without_tickets_the_lookup_of_a_store_asks_for_peers_only() {
    let mut world = world(1..=9);
    let query = TinyQuery::Value(1);
    let id = world.queries.store(world.now, query, TinyItem::value(1), contacts([9]), by_default()).unwrap();
    assert_eq!(world.finish(id).receipt.stored.len(), 4);
    assert!(world.sent().iter().all(|(_, _, r)| matches!(r, Request::FindNode { .. } | Request::Put { .. })));
}

#[test]
fn stores_at_given_peers_need_no_lookup() {
    let mut world = world(1..=9);
    let peers = vec![(contact(7), None), (contact(0), None), (contact(8), None), (contact(7), None)];
    let query = TinyQuery::Value(1);
    let id = world.queries.store_at(world.now, query, TinyItem::value(1), peers, by_default()).unwrap();
    assert_eq!(world.finish(id).receipt.stored, [7, 8]);
    assert_eq!(world.asked(), [7, 8]);
    let id = world.queries.store_at(world.now, query, TinyItem::value(1), vec![], by_default()).unwrap();
    assert_eq!(world.finish(id).reason, Reason::NoPeers);
}

#[test]
fn a_liar_on_one_path_does_not_mislead_the_other() {
    // 128 is nearest of the seeds and names only its own crew, all near the target; the honest side is never named there.
    let crew: Vec<u8> = (0x50..0x58).collect();
    let mut lied = Vec::new();
    for paths in [1, 2] {
        let mut world = world((0x40..0x50).chain([0x80, 0x81]));
        for id in crew.iter().copied().chain([0x81]) {
            world.peer(id).way = Way::Liar(crew.clone());
        }
        for id in (0x40..0x50).chain([0x80]) {
            world.peer(id).knows = Some((0x40..0x50).collect());
        }
        let options = QueryOptions { paths: Some(paths), ..by_default() };
        let id = world.queries.closest(world.now, 0x51, contacts([0x81, 0x80]), options).unwrap();
        let result = world.finish(id);
        let asked = world.asked();
        lied.push(asked.iter().filter(|id| crew.contains(id)).count());
        if paths == 2 {
            let honest = asked.iter().filter(|id| (0x40..0x50).contains(*id)).count();
            assert!(honest >= 4, "the honest path went its way: {asked:x?}");
        }
        let mut once = asked.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), asked.len(), "no peer serves two paths");
        assert!(result.closest.len() <= 4);
    }
    assert!(lied[0] >= 4);
}

#[test]
fn answers_are_sorted_before_the_cut_and_filtered_before_that() {
    let config = Config { max_closer: 2, ..small() };
    let queries = dht_query::Queries::new(0, config, 1)
        .unwrap()
        .with_filter(std::sync::Arc::new(|contact| contact.peer != 17));
    let mut world = World::<Tiny>::around(queries, 4).with([16, 17, 18, 19, 200, 201, 202]);
    world.peer(200).way = Way::Liar(vec![201, 202, 0, 200, 19, 17, 18, 17]);
    for id in [18, 19] {
        world.peer(id).knows = Some(vec![]);
    }
    let id = world.queries.closest(world.now, 17, contacts([200]), by_default()).unwrap();
    world.finish(id);
    assert_eq!(world.asked(), [200, 19, 18]);
    // Whom a query looks for passes the filter.
    let id = world.queries.find_peer(world.now, 17, contacts([200]), by_default()).unwrap();
    assert_eq!(world.finish(id).found, Some(contact(17)));
}
