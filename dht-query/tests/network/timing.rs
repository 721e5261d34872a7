//! Deadlines, overdue requests, retries and cancelling: nothing hangs, nothing is awaited in vain (E4, A18).

use std::time::Duration;

use dht_core::{
    Contact, Failure, Mono, Observation, Request, RequestId, RequestKind, Response,
    testing::{Tiny, TinyItem, TinyQuery},
};
use dht_query::{Config, Output, QueryOptions, Reason};

use crate::world::{ByVersion, Way, World, at, contact, contacts, ms, names};

fn small() -> Config {
    Config { k: 4, alpha: 3, approach: 2, beta: 2, backoff_jitter: 0.0, ..Config::default() }
}

fn world(ids: impl IntoIterator<Item = u8>) -> World<Tiny> {
    World::new(small()).with(ids)
}

fn by_default() -> QueryOptions {
    QueryOptions::default()
}

/// One quick lookup, so that the round-trip time is known.
fn warmed(mut world: World<Tiny>) -> World<Tiny> {
    world.peers.insert(255, Default::default());
    let id = world.queries.request(world.now, contact(255), Request::Ping, ms(1000));
    world.run();
    assert_eq!(world.lone(id).len(), 1);
    world.peers.remove(&255);
    world.log.clear();
    world
}

#[test]
fn an_answer_to_what_was_given_up_is_told_as_late() {
    let late = |delay| {
        let mut world = warmed(world([1]));
        world.peer(1).delay = ms(delay);
        let id = world.queries.request(world.now, contact(1), Request::Ping, ms(9000));
        world.run();
        assert!(world.lone(id)[0].1.is_ok());
        let is_late = |(_, output): &(Mono, Output<Tiny>)| {
            matches!(output, Output::Observed(Observation::RequestLate { kind: RequestKind::Ping }))
        };
        world.log.iter().any(is_late)
    };
    assert!(!late(60) && late(4000));
}

#[test]
fn mute_peers_do_not_hold_up_a_lookup() {
    let mut world = warmed(world(1..=60));
    for id in [1, 2, 9, 40] {
        world.peer(id).way = Way::Silent;
    }
    let id = world.queries.closest(world.now, 1, contacts([40, 41, 42]), by_default()).unwrap();
    world.run();
    let (_, result) = &world.results(id)[0];
    assert_eq!(result.reason, Reason::Complete);
    // 41 was a seed; nobody names 7, since every answer of four is half full of the mute.
    assert_eq!(names(&result.closest), [3, 5, 4, 41]);
    assert!(result.took < ms(1000), "{:?}", result.took);
    // Their requests were left to the deadline, so that the routing table hears of them.
    let late: Vec<u8> = world.failures().iter().map(|(_, peer, _)| *peer).collect();
    assert_eq!(late, [40, 1, 2]);
    assert!(world.failures().iter().all(|(when, _, why)| *why == Failure::Timeout && *when > at(9000)));
    assert_eq!(world.queries.statistics().in_flight, 0);
}

#[test]
fn an_answer_between_overdue_and_deadline_counts() {
    let mut world = warmed(world([1, 2, 3, 4, 5]));
    world.peer(1).delay = ms(240);
    let id = world.queries.closest(world.now, 1, contacts([1, 2]), by_default()).unwrap();
    let result = world.finish(id);
    assert_eq!(names(&result.closest), [1, 3, 2, 5]);
    assert!(world.failures().is_empty());
}

#[test]
fn a_lookup_for_peers_waits_for_a_late_one_and_so_does_a_fetch_until_it_has_found_something() {
    let late = || {
        let mut world = warmed(world(1..=60));
        world.peer(1).delay = ms(320);
        world
    };
    let mut looking = late();
    let id = looking.queries.closest(looking.now, 1, contacts([40, 41, 42]), by_default()).unwrap();
    let result = looking.finish(id);
    assert_eq!((names(&result.closest)[0], result.took > ms(320)), (1, true), "{:?}", result.took);
    let fetch = |holder: u8| {
        let mut fetching = late();
        fetching.peer(holder).holds = vec![TinyItem::value(7)];
        let seeds = contacts([40, 41, 42]);
        let id =
            fetching.queries.fetch(fetching.now, TinyQuery::Value(1), vec![], seeds, by_default()).unwrap();
        let result = fetching.finish(id);
        assert_eq!((result.reason, result.items), (Reason::Complete, vec![TinyItem::value(7)]));
        result.took
    };
    // Another of the four nearest has it: nobody is waited for. The late one alone has it: it is.
    let (soon, late) = (fetch(2), fetch(1));
    assert!(soon < ms(320) && late > ms(320), "{soon:?}, {late:?}");
}

#[test]
fn peers_that_all_became_slow_are_waited_for() {
    let mut world = warmed(world([1, 2, 3]));
    for id in [1, 2, 3] {
        world.peer(id).delay = ms(5000);
    }
    let id = world.queries.closest(world.now, 1, contacts([1, 2, 3]), by_default()).unwrap();
    let result = world.finish(id);
    assert!(!result.closest.is_empty());
    assert_ne!(result.reason, Reason::Exhausted);
}

#[test]
fn without_hedging_only_the_hard_limit_frees_a_place() {
    for (hedge, least, most) in [(false, 10_000, 12_000), (true, 0, 1000)] {
        let mut world = World::<Tiny>::new(Config { hedge, ..small() }).with(1..=9);
        world = warmed(world);
        world.peer(1).way = Way::Silent;
        let id = world.queries.closest(world.now, 1, contacts([1, 2]), by_default()).unwrap();
        let took = world.finish(id).took;
        assert!((ms(least)..ms(most)).contains(&took), "{took:?}");
    }
}

#[test]
fn a_query_ends_at_its_deadline_whatever_happens() {
    let mut world = world([1, 2, 3]);
    for id in 1..=3 {
        world.peer(id).way = Way::Silent;
    }
    let options = QueryOptions { timeout: Some(ms(700)), ..by_default() };
    let query = TinyQuery::Value(1);
    let item = TinyItem::value(1);
    let ids = [
        world.queries.closest(world.now, 1, contacts([1, 2]), options.clone()).unwrap(),
        world.queries.find_peer(world.now, 9, contacts([1, 2]), options.clone()).unwrap(),
        world.queries.fetch(world.now, query, vec![item], contacts([1, 2]), options.clone()).unwrap(),
        world.queries.store_at(world.now, query, item, vec![(contact(1), None)], options.clone()).unwrap(),
    ];
    let store = world.queries.store(world.now, query, item, contacts([1, 2]), options).unwrap();
    world.run();
    for id in ids {
        let (when, result) = &world.results(id)[0];
        assert_eq!((*when, result.reason), (at(700), Reason::Timeout));
    }
    // Half of so short a time is kept for the placing, and there was nobody to place at.
    assert_eq!(world.results(store)[0].1.reason, Reason::Timeout);
    assert_eq!(world.results(store)[0].0, at(350));
    assert_eq!(world.results(ids[2])[0].1.items, [item]);
    assert_eq!(world.results(ids[3])[0].1.receipt.failed, [(1, Failure::Timeout)]);
}

#[test]
fn the_lookup_of_a_store_leaves_time_to_store() {
    let mut world = World::<Tiny>::new(Config { hedge: false, ..small() }).with([1, 2, 3]);
    world.peer(1).way = Way::Silent;
    let options = QueryOptions { timeout: Some(ms(5000)), ..by_default() };
    let query = TinyQuery::Value(1);
    let id = world.queries.store(world.now, query, TinyItem::value(1), contacts([1, 2, 3]), options).unwrap();
    let result = world.finish(id);
    assert_eq!(result.receipt.stored, [3, 2]);
    assert_eq!(result.took, ms(4050));
}

#[test]
fn cancelling_ends_all_traffic_of_a_query() {
    let mut world = warmed(world(1..=9));
    world.peer(1).way = Way::Silent;
    world.peer(3).delay = ms(400);
    let id = world.queries.closest(world.now, 1, contacts(1..=9), by_default()).unwrap();
    let start = world.now.mono;
    world.run_until(start + ms(130));
    let in_flight = world.queries.statistics().in_flight;
    assert!(in_flight >= 2);
    world.queries.cancel(world.now, id);
    world.queries.cancel(world.now, id);
    assert_eq!(world.queries.statistics().in_flight, 0);
    assert_eq!(world.finish(id).reason, Reason::Cancelled);
    assert_eq!(world.forgotten().len(), in_flight);
    assert!(world.failures().is_empty(), "what the caller did not wait for is nobody's fault");
    // The answer that was on its way is counted and ignored.
    assert!(world.queries.statistics().ignored >= 1);
}

#[test]
fn closing_ends_everything() {
    let mut world = world([1, 2]);
    world.peer(1).way = Way::Silent;
    let query = world.queries.closest(world.now, 1, contacts([1]), by_default()).unwrap();
    let lone = world.queries.request(world.now, contact(1), Request::Ping, ms(1000));
    world.drain();
    world.queries.close(world.now);
    world.drain();
    assert_eq!(world.drain(), None);
    assert_eq!(world.results(query)[0].1.reason, Reason::Cancelled);
    assert_eq!(world.lone(lone), [(at(0), Err(Failure::Closed))]);
    assert_eq!(world.forgotten().len(), 2);
    assert_eq!(world.queries.statistics().in_flight, 0);
}

#[test]
fn answers_nobody_waits_for_are_counted_and_ignored() {
    let mut world = world([1]);
    world.peer(1).way = Way::Twice;
    let id = world.queries.request(world.now, contact(1), Request::Ping, ms(1000));
    world.run();
    assert_eq!(world.lone(id).len(), 1);
    world.queries.on_response(world.now, RequestId(77), Response::default(), &ByVersion);
    world.queries.on_failure(world.now, RequestId(78), Failure::Reset);
    assert_eq!(world.queries.statistics().ignored, 3);
    let before = world.log.len();
    world.drain();
    assert_eq!(world.log.len(), before);
}

fn ping(world: &mut World<Tiny>, peer: u8, timeout: u64) -> Vec<(Mono, Result<Duration, Failure>)> {
    let id = world.queries.request(world.now, contact(peer), Request::Ping, ms(timeout));
    world.run();
    world.lone(id)
}

#[test]
fn lone_requests_are_retried_with_growing_waits() {
    let mut world = world([1, 2, 3, 4]);
    world.peer(1).way = Way::Fails(Failure::Unreachable, 3);
    assert_eq!(ping(&mut world, 1, 10_000), [(at(50 * 4 + 500 + 1000 + 2000), Ok(ms(50)))]);
    let times: Vec<Mono> = world.sent().iter().map(|(when, ..)| *when).collect();
    assert_eq!(times, [at(0), at(550), at(1600), at(3650)]);

    // One more failure than retries.
    world.peer(2).way = Way::Fails(Failure::Reset, 4);
    assert_eq!(ping(&mut world, 2, 10_000)[0].1, Err(Failure::Reset));
    // What will not pass is not tried again.
    world.peer(3).way = Way::Fails(Failure::Unsupported, 1);
    let before = world.sent().len();
    assert_eq!(ping(&mut world, 3, 10_000)[0].1, Err(Failure::Unsupported));
    assert_eq!(world.sent().len(), before + 1);
    // When the next attempt would come too late there is no point in waiting.
    world.peer(4).way = Way::Fails(Failure::Unreachable, 9);
    let start = world.now.mono;
    assert_eq!(ping(&mut world, 4, 1000), [(start + ms(600), Err(Failure::Unreachable))]);
}

#[test]
fn a_lone_request_that_was_lost_is_repeated_and_ends_in_time() {
    let mut world = warmed(world([1, 2]));
    world.peer(1).way = Way::Deaf(2);
    let start = world.now.mono;
    // Lost twice; repeated after the back-off of half a second, then of a second.
    assert_eq!(ping(&mut world, 1, 3000), [(start + ms(1550), Ok(ms(50)))]);
    assert_eq!(world.forgotten().len(), 2);
    world.peer(2).way = Way::Silent;
    let start = world.now.mono;
    assert_eq!(ping(&mut world, 2, 3000), [(start + ms(3000), Err(Failure::Timeout))]);
    assert_eq!(world.queries.statistics().in_flight, 0);
}

#[test]
fn forgotten_lone_requests_end_without_a_word() {
    let mut world = world([1]);
    let id = world.queries.request(world.now, contact(1), Request::Ping, ms(1000));
    world.drain();
    world.queries.forget(id);
    world.run();
    assert_eq!((world.lone(id), world.forgotten()), (vec![], vec![id]));
}

#[test]
fn the_only_seed_is_asked_again_when_it_was_not_heard() {
    for way in [Way::Deaf(2), Way::Fails(Failure::Unreachable, 2), Way::Fails(Failure::Overloaded, 2)] {
        let mut world = world([1, 2, 3]);
        world.peer(1).way = way.clone();
        let id = world.queries.closest(world.now, 1, contacts([1]), by_default()).unwrap();
        let result = world.finish(id);
        assert_eq!(names(&result.closest), [1, 3, 2], "{way:?}");
        assert!(result.took < ms(8000), "{way:?}: {:?}", result.took);
    }
    // What will not pass is not.
    let mut world = world([1, 2]);
    world.peer(1).way = Way::Fails(Failure::Malformed, 1);
    let id = world.queries.closest(world.now, 1, contacts([1]), by_default()).unwrap();
    assert_eq!(world.finish(id).reason, Reason::Exhausted);
    assert_eq!(world.asked(), [1]);
}

#[test]
fn in_a_lookup_others_answer_for_the_unreachable() {
    let mut world = world(1..=9);
    world.peer(1).way = Way::Fails(Failure::Unreachable, 1);
    world.peer(3).way = Way::Fails(Failure::Overloaded, 1);
    let id = world.queries.closest(world.now, 1, contacts(1..=9), by_default()).unwrap();
    let result = world.finish(id);
    // 1 is not asked again although it would answer; 3 is, since it was our own fault.
    assert_eq!(names(&result.closest), [3, 2, 5, 4]);
    let asked = world.asked();
    assert_eq!(asked.iter().filter(|id| **id == 1).count(), 1);
    assert_eq!(asked.iter().filter(|id| **id == 3).count(), 2);
    assert_eq!(world.failures().iter().map(|f| f.1).collect::<Vec<_>>(), [1]);
}

#[test]
fn answers_and_failures_are_told_for_the_routing_table() {
    let mut world = world([1, 2]);
    world.peer(2).way = Way::Fails(Failure::Reset, 9);
    let id = world.queries.closest(world.now, 1, contacts([1, 2]), by_default()).unwrap();
    world.finish(id);
    let answered: Vec<(Contact<Tiny>, Duration)> = world
        .log
        .iter()
        .filter_map(|(_, o)| match o {
            Output::Answered { contact, rtt } => Some((contact.clone(), *rtt)),
            _ => None,
        })
        .collect();
    assert_eq!(answered, [(contact(1), ms(50))]);
    assert!(world.failures().iter().all(|f| (f.1, f.2) == (2, Failure::Reset)));
}

/// A small network of which most have left: they are asked again, for datagrams get lost, but their deadline is not waited for.
#[test]
fn a_few_who_answer_do_not_wait_for_the_dead_until_the_deadline() {
    for live in 1..=4u8 {
        let config = Config { request_timeout: ms(5000), retries: 2, backoff_initial: ms(250), ..small() };
        let mut world = warmed(World::<Tiny>::new(config).with(1..=9));
        for dead in live + 1..=9 {
            world.peer(dead).way = Way::Silent;
        }
        let id = world.queries.closest(world.now, 1, contacts(1..=9), by_default()).unwrap();
        let result = world.finish(id);
        assert_eq!(result.reason, Reason::Complete);
        assert_eq!(result.closest.len(), usize::from(live));
        assert!(result.took < ms(3000), "{live} live: {:?}", result.took);
    }
    // Where nobody answers there is nothing to be had sooner.
    let mut world = World::<Tiny>::new(Config { request_timeout: ms(5000), ..small() }).with(1..=3);
    for dead in 1..=3 {
        world.peer(dead).way = Way::Silent;
    }
    let id = world.queries.closest(world.now, 1, contacts(1..=3), by_default()).unwrap();
    let result = world.finish(id);
    assert_eq!(result.reason, Reason::Exhausted);
    assert!(result.took >= ms(5000), "{:?}", result.took);
}

#[test]
fn while_our_own_line_is_down_a_query_waits_for_it_up_to_its_deadline() {
    for down in [12_000, 30_000, 90_000] {
        let mut world = warmed(world(1..=9));
        for id in 1..=9 {
            world.peer(id).way = Way::Silent;
        }
        let start = world.now.mono;
        let id = world.queries.closest(world.now, 1, contacts(1..=9), by_default()).unwrap();
        world.run_until(start + ms(down));
        let asked = world.sent().len();
        for id in 1..=9 {
            world.peer(id).way = Way::Honest;
        }
        let result = world.finish(id);
        if down > 60_000 {
            assert_eq!((result.reason, result.took), (Reason::Timeout, ms(60_000)));
            // Two every few seconds.
            assert!(asked < 120, "{asked}");
        } else {
            assert_eq!((result.reason, names(&result.closest)), (Reason::Complete, vec![1, 3, 2, 5]));
            assert!(result.took < ms(down + 8000), "{down}: {:?}", result.took);
        }
    }
}
