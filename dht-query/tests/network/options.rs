//! Every option is checked, and every option changes behaviour.

use std::time::Duration;

use dht_core::{
    Failure, Mono, Request,
    testing::{Tiny, TinyItem, TinyQuery},
};
use dht_query::{Config, Finished, Queries, QueryOptions, Reason, StartError};

use crate::world::{Way, World, at, contact, contacts, ms, names};

fn small() -> Config {
    Config { k: 4, alpha: 3, approach: 1, beta: 2, backoff_jitter: 0.0, ..Config::default() }
}

/// A traced lookup in a network where everybody answers.
fn lookup(config: Config, options: QueryOptions) -> (World<Tiny>, Finished<Tiny>) {
    let mut world = World::new(config).with(1..=100);
    let options = QueryOptions { trace: true, ..options };
    let id = world.queries.closest(world.now, 1, contacts(80..100), options).expect("the first query");
    let result = world.finish(id);
    (world, result)
}

fn plain(config: Config) -> (World<Tiny>, Finished<Tiny>) {
    lookup(config, QueryOptions::default())
}

fn puts(config: Config, way: Way) -> (World<Tiny>, Finished<Tiny>) {
    let mut world = World::new(config).with([1]);
    world.peer(1).way = way;
    let peers = vec![(contact(1), None)];
    let query = TinyQuery::Value(1);
    let id = world
        .queries
        .store_at(world.now, query, TinyItem::value(1), peers, QueryOptions::default())
        .expect("the first query");
    let result = world.finish(id);
    (world, result)
}

fn times(world: &World<Tiny>) -> Vec<Mono> {
    world.sent().iter().map(|(when, ..)| *when).collect()
}

#[test]
fn wrong_values_are_named() {
    let zero = Duration::ZERO;
    let base = Config::default;
    let wrong = [
        ("k", Config { k: 0, ..base() }),
        ("alpha", Config { alpha: 0, ..base() }),
        ("approach", Config { approach: 0, ..base() }),
        ("approach", Config { approach: 11, ..base() }),
        ("beta", Config { beta: 0, ..base() }),
        ("beta", Config { beta: 21, ..base() }),
        ("request_timeout", Config { request_timeout: zero, ..base() }),
        ("min_timeout", Config { min_timeout: zero, ..base() }),
        ("min_timeout", Config { min_timeout: ms(10_001), ..base() }),
        ("query_timeout", Config { query_timeout: zero, ..base() }),
        ("retries", Config { retries: 101, ..base() }),
        ("backoff_initial", Config { backoff_initial: ms(30_001), ..base() }),
        ("backoff_factor", Config { backoff_factor: 0.9, ..base() }),
        ("backoff_factor", Config { backoff_factor: f64::NAN, ..base() }),
        ("backoff_jitter", Config { backoff_jitter: 1.1, ..base() }),
        ("max_queries", Config { max_queries: 0, ..base() }),
        ("max_lone", Config { max_lone: 0, ..base() }),
        ("max_closer", Config { max_closer: 0, ..base() }),
        ("max_candidates", Config { max_candidates: 39, ..base() }),
        ("max_items", Config { max_items: 0, ..base() }),
        ("max_bytes", Config { max_bytes: 0, ..base() }),
        ("disjoint_paths", Config { disjoint_paths: 0, ..base() }),
        ("disjoint_paths", Config { disjoint_paths: 11, ..base() }),
    ];
    for (field, config) in wrong {
        assert_eq!(config.validate().unwrap_err().field, field);
        assert_eq!(Queries::<Tiny>::new(0, config, 1).err().unwrap().field, field);
    }
    assert_eq!(base().validate(), Ok(()));
}

#[test]
fn k_is_how_many_are_confirmed() {
    for k in [2, 6] {
        assert_eq!(plain(Config { k, ..small() }).1.closest.len(), k);
    }
}

#[test]
fn alpha_bounds_what_is_in_flight() {
    for alpha in [1, 3, 5] {
        let (world, _) = plain(Config { k: 20, alpha, ..small() });
        assert_eq!(world.most_in_flight(), alpha);
    }
}

#[test]
fn approach_is_the_window_of_the_first_hop() {
    for approach in [1, 2, 3] {
        let (world, _) = plain(Config { approach, ..small() });
        assert_eq!(times(&world).iter().filter(|when| **when == at(0)).count(), approach);
    }
}

#[test]
fn beta_answers_that_stay_open_the_window() {
    // The seed leads closer; the answer of the nearest, at 100 ms, is the first that stays.
    let third_wave = |beta| {
        let (world, _) = plain(Config { k: 20, alpha: 7, beta, ..small() });
        times(&world).iter().filter(|when| **when == at(100)).count()
    };
    assert_eq!([1, 2, 6].map(third_wave), [7, 4, 2]);
}

#[test]
fn the_request_timeout_is_the_hard_limit() {
    for limit in [2000, 5000] {
        let config = Config { request_timeout: ms(limit), retries: 0, ..small() };
        let mut world = World::<Tiny>::new(config).with([1]);
        world.peer(1).way = Way::Silent;
        world.queries.closest(world.now, 1, contacts([1]), QueryOptions::default()).unwrap();
        world.run();
        assert_eq!(world.failures(), [(at(limit), 1, Failure::Timeout)]);
    }
}

#[test]
fn nothing_is_overdue_before_the_minimum() {
    let overdue = |min: u64| {
        let mut world = World::<Tiny>::new(Config { min_timeout: ms(min), ..small() }).with([1]);
        world.queries.request(world.now, contact(1), Request::Ping, ms(1000));
        world.run();
        world.queries.statistics()
    };
    assert_eq!(overdue(10).overdue_after, Duration::from_micros(87_500));
    assert_eq!(overdue(800).overdue_after, ms(800));
    assert_eq!(overdue(800).rtt, Some(ms(50)));
}

#[test]
fn the_query_timeout_is_for_those_that_name_none() {
    let run = |options| {
        let mut world = World::<Tiny>::new(Config { query_timeout: ms(900), ..small() }).with([1]);
        world.peer(1).way = Way::Silent;
        let id = world.queries.closest(world.now, 1, contacts([1]), options).unwrap();
        world.finish(id).took
    };
    assert_eq!(run(QueryOptions::default()), ms(900));
    assert_eq!(run(QueryOptions { timeout: Some(ms(300)), ..QueryOptions::default() }), ms(300));
}

#[test]
fn retries_are_as_many_as_said() {
    for retries in [0, 2] {
        let (world, result) = puts(Config { retries, ..small() }, Way::Fails(Failure::Unreachable, 9));
        assert_eq!(world.sent().len(), retries as usize + 1);
        assert_eq!(result.receipt.failed, [(1, Failure::Unreachable)]);
    }
    // A closed node does not try again; one that was refused neither.
    assert_eq!(puts(small(), Way::Fails(Failure::Closed, 9)).0.sent().len(), 1);
    assert_eq!(puts(small(), Way::Refuses(Failure::Refused(301))).0.sent().len(), 1);
    assert_eq!(puts(small(), Way::Fails(Failure::Overloaded, 1)).1.receipt.stored, [1]);
}

#[test]
fn waits_follow_the_backoff_options() {
    let base = || Config { retries: 3, ..small() };
    let waits = |config| {
        let (world, _) = puts(config, Way::Fails(Failure::Unreachable, 9));
        times(&world).windows(2).map(|two| (two[1].since(two[0]) - ms(50)).as_millis()).collect::<Vec<_>>()
    };
    assert_eq!(waits(base()), [500, 1000, 2000]);
    assert_eq!(waits(Config { backoff_initial: ms(100), ..base() }), [100, 200, 400]);
    assert_eq!(waits(Config { backoff_factor: 3.0, ..base() }), [500, 1500, 4500]);
    assert_eq!(waits(Config { backoff_max: ms(700), ..base() }), [500, 700, 700]);
    let jittered = waits(Config { backoff_jitter: 0.5, ..base() });
    assert_ne!(jittered, [500, 1000, 2000]);
    assert!((250..=750).contains(&jittered[0]));
}

#[test]
fn only_so_many_queries_and_lone_requests_run() {
    let mut world = World::<Tiny>::new(Config { max_queries: 2, max_lone: 1, ..small() }).with([1]);
    let mut start = || world.queries.closest(world.now, 1, contacts([1]), QueryOptions::default());
    assert!(start().is_ok() && start().is_ok());
    assert_eq!(start(), Err(StartError::Busy { limit: 2 }));
    let first = world.queries.request(world.now, contact(1), Request::Ping, ms(1000));
    let second = world.queries.request(world.now, contact(1), Request::Ping, ms(1000));
    world.run();
    assert_eq!(world.lone(first), [(at(50), Ok(ms(50)))]);
    assert_eq!(world.lone(second), [(at(0), Err(Failure::Overloaded))]);
    assert!(world.queries.closest(world.now, 1, contacts([1]), QueryOptions::default()).is_ok());
}

#[test]
fn of_an_answer_only_so_many_peers_are_heard() {
    for max_closer in [1, 3] {
        let mut world = World::<Tiny>::new(Config { max_closer, ..small() }).with([1, 2, 3, 4, 5, 9]);
        for id in 1..=5 {
            world.peer(id).knows = Some(vec![]);
        }
        let id = world.queries.closest(world.now, 1, contacts([9]), QueryOptions::default()).unwrap();
        world.finish(id);
        assert_eq!(world.asked().len(), 1 + max_closer);
    }
}

#[test]
fn a_query_remembers_and_asks_only_so_many_peers() {
    // Everybody is unreachable and everybody is known, so only the bound ends it.
    for max_candidates in [8, 30] {
        let mut world = World::<Tiny>::new(Config { max_candidates, retries: 0, ..small() });
        world.queries.closest(world.now, 1, contacts(1..=200), QueryOptions::default()).unwrap();
        world.run();
        let mut nearest: Vec<u8> = (1..=200).collect();
        nearest.sort_by_key(|id| id ^ 1);
        let mut asked = world.asked();
        asked.sort_by_key(|id| id ^ 1);
        assert_eq!(asked, nearest[..max_candidates]);
    }
}

#[test]
fn a_fetch_keeps_only_so_many_items_and_bytes() {
    let crowd = |config| {
        let mut world = World::<Tiny>::new(config).with([1, 2]);
        for id in [1, 2] {
            world.peer(id).holds =
                (1..=100).map(|author| TinyItem { author: Some(author), version: 1 }).collect();
        }
        let query = TinyQuery::Crowd(1);
        let id =
            world.queries.fetch(world.now, query, vec![], contacts([1]), QueryOptions::default()).unwrap();
        world.finish(id).items.len()
    };
    assert_eq!(crowd(small()), 100);
    assert_eq!(crowd(Config { max_items: 7, ..small() }), 7);
    assert_eq!(crowd(Config { max_bytes: 31, ..small() }), 15);
}

#[test]
fn the_closest_are_as_many_as_said_and_one_is_a_walk() {
    let closest = |k| lookup(small(), QueryOptions { k, ..QueryOptions::default() });
    for (k, expected) in [(None, 4), (Some(99), 4), (Some(3), 3), (Some(1), 1), (Some(0), 1)] {
        let (world, found) = closest(k);
        assert_eq!(names(&found.closest), world.nearest(1, expected), "{k:?}");
    }
    let (walk, found) = closest(Some(1));
    assert_eq!(walk.most_in_flight(), 1);
    assert!(found.requests < closest(None).1.requests, "{}", found.requests);
}

#[test]
fn a_walk_from_a_peer_that_is_gone_does_not_ask_it_for_ever() {
    // Whether others answer meanwhile or the own line may be the reason.
    for others in [true, false] {
        let mut world = World::<Tiny>::new(small()).with(1..=100);
        world.peer(90).way = Way::Silent;
        let before = world.queries.closest(world.now, 1, contacts([80]), QueryOptions::default()).unwrap();
        world.finish(before);
        world.run_until(at(60_000));
        world.now.mono = at(60_000);
        let options = QueryOptions { k: Some(1), ..QueryOptions::default() };
        let walk = world.queries.closest(world.now, 1, contacts([90]), options).unwrap();
        if others {
            world.queries.closest(world.now, 7, contacts([80]), QueryOptions::default()).unwrap();
        }
        assert_eq!(world.finish(walk).reason, Reason::Exhausted);
        let asked = world.sent().iter().filter(|(when, to, _)| *to == 90 && *when >= at(60_000)).count();
        assert_eq!(asked as u32, small().retries + 1, "{others}");
    }
}

#[test]
fn stores_go_to_as_many_as_said() {
    let mut world = World::<Tiny>::new(small()).with(1..=100);
    let options = QueryOptions { k: Some(2), ..QueryOptions::default() };
    let query = TinyQuery::Value(1);
    let id = world.queries.store(world.now, query, TinyItem::value(1), contacts(80..100), options).unwrap();
    let mut stored = world.finish(id).receipt.stored;
    stored.sort_by_key(|peer| peer ^ 1);
    assert_eq!(stored, world.nearest(1, 2));
}

#[test]
fn paths_are_as_many_as_said() {
    // With one request in flight per path, the first wave shows how many there are.
    let first_wave = |config, options| {
        let (world, _) = lookup(config, options);
        times(&world).iter().filter(|when| **when == at(0)).count()
    };
    let options = |paths| QueryOptions { paths, ..QueryOptions::default() };
    assert_eq!(first_wave(small(), options(None)), 1);
    assert_eq!(first_wave(Config { disjoint_paths: 2, ..small() }, options(None)), 2);
    assert_eq!(first_wave(Config { disjoint_paths: 2, ..small() }, options(Some(3))), 3);
    assert_eq!(first_wave(small(), options(Some(99))), 3);
}

#[test]
fn steps_are_told_on_demand() {
    use dht_query::{Output, Progress};
    let steps = |trace| {
        let mut world = World::<Tiny>::new(small()).with(1..=9);
        let options = QueryOptions { trace, ..QueryOptions::default() };
        let id = world.queries.closest(world.now, 1, contacts([9]), options).unwrap();
        world.finish(id);
        let is_step = |(_, o): &&(Mono, Output<Tiny>)| matches!(o, Output::Progress(_, Progress::Step(_)));
        world.log.iter().filter(is_step).count()
    };
    assert_eq!(steps(false), 0);
    assert_eq!(steps(true), 2 * 5);
}
