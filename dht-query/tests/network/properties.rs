//! What holds in every network, with liars, mutes, refusals, late and duplicate answers, and made-up ids (E1, E2, E5).

use std::collections::{BTreeMap, BTreeSet};

use dht_core::{
    Failure, Request, RequestId, Response,
    testing::{Tiny, TinyItem, TinyQuery, TinyTicketed},
};
use dht_query::{Config, Finished, Output, QueryId, QueryOptions, Reason};
use proptest::{collection, option, prelude::*};

use crate::world::{ByVersion, Little, Peer, Way, World, contacts, ms, names};

fn failure() -> impl Strategy<Value = Failure> {
    use Failure::*;
    prop_oneof![
        Just(Timeout),
        Just(Unreachable),
        Just(Unsupported),
        Just(Reset),
        Just(Refused(203)),
        Just(Malformed),
        Just(Overloaded),
        Just(Closed),
    ]
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![
        6 => Just(Way::Honest),
        1 => Just(Way::Twice),
        1 => Just(Way::Silent),
        1 => (1..4u32).prop_map(Way::Deaf),
        2 => collection::vec(any::<u8>(), 0..50).prop_map(Way::Liar),
        1 => (failure(), 1..6u32).prop_map(|(why, times)| Way::Fails(why, times)),
        1 => failure().prop_map(Way::Refuses),
        1 => (1..6u32).prop_map(Way::Forgetful),
    ]
}

fn peer() -> impl Strategy<Value = Peer> {
    let delay = prop_oneof![8 => 5..200u64, 1 => 200..3000u64, 1 => 9_000..12_000u64];
    let item = (option::of(0..4u8), 0..5u8).prop_map(|(author, version)| TinyItem { author, version });
    (
        way(),
        delay,
        option::of(collection::vec(any::<u8>(), 0..30)),
        collection::vec(item, 0..4),
        any::<bool>(),
    )
        .prop_map(|(way, delay, knows, holds, gives_ticket)| Peer {
            way,
            delay: ms(delay),
            knows,
            holds,
            gives_ticket,
        })
}

fn config() -> impl Strategy<Value = Config> {
    let sizes = (1..8usize, 1..6usize, 0..6usize, 0..8usize);
    (sizes, any::<bool>(), 0..4u32, 1..20usize).prop_map(
        |((k, alpha, approach, beta), hedge, retries, closer)| Config {
            k,
            alpha,
            approach: 1 + approach % alpha,
            beta: 1 + beta % k,
            hedge,
            retries,
            max_closer: closer,
            max_candidates: 2 * k + 20,
            ..Config::default()
        },
    )
}

#[derive(Clone, Debug)]
enum Wish {
    Closest(u8),
    FindPeer(u8),
    Fetch(TinyQuery, Option<usize>, Option<usize>),
    Store(TinyQuery),
    StoreAt(TinyQuery, Vec<u8>),
}

fn wish() -> impl Strategy<Value = Wish> {
    let query = || {
        any::<(bool, u8)>().prop_map(|(v, key)| if v { TinyQuery::Value(key) } else { TinyQuery::Crowd(key) })
    };
    prop_oneof![
        any::<u8>().prop_map(Wish::Closest),
        any::<u8>().prop_map(Wish::FindPeer),
        (query(), option::of(0..4usize), option::of(0..4usize)).prop_map(|(q, n, m)| Wish::Fetch(q, n, m)),
        query().prop_map(Wish::Store),
        (query(), collection::vec(any::<u8>(), 0..9)).prop_map(|(q, peers)| Wish::StoreAt(q, peers)),
    ]
}

#[derive(Clone, Debug)]
struct Scene {
    config: Config,
    peers: BTreeMap<u8, Peer>,
    seeds: Vec<u8>,
    paths: usize,
    /// How many of the closest the caller wants.
    k: Option<usize>,
    timeout: Option<u64>,
}

impl Scene {
    fn k(&self) -> usize {
        self.k.unwrap_or(self.config.k).clamp(1, self.config.k)
    }
}

fn scene() -> impl Strategy<Value = Scene> {
    let peers = collection::btree_map(any::<u8>(), peer(), 0..60);
    let timeout = option::of(0..30_000u64);
    (config(), peers, collection::vec(any::<u8>(), 0..12), 1..4usize, option::of(0..6usize), timeout)
        .prop_map(|(config, peers, seeds, paths, k, timeout)| Scene {
            config,
            peers,
            seeds,
            paths,
            k,
            timeout,
        })
}

fn build<O: Little>(scene: &Scene) -> (World<O>, QueryOptions) {
    let mut world = World::new(scene.config.clone());
    world.peers = scene.peers.clone();
    world.peers.remove(&0);
    let timeout = scene.timeout.map(ms);
    let (k, paths) = (scene.k, Some(scene.paths));
    let options = QueryOptions { timeout, paths, k, trace: true, ..QueryOptions::default() };
    (world, options)
}

fn start<O: Little>(world: &mut World<O>, wish: &Wish, seeds: &[u8], options: QueryOptions) -> QueryId {
    let (now, seeds) = (world.now, contacts(seeds.iter().copied()));
    let item = TinyItem::value(3);
    let queries = &mut world.queries;
    match wish.clone() {
        Wish::Closest(target) => queries.closest(now, target, seeds, options),
        Wish::FindPeer(peer) => queries.find_peer(now, peer, seeds, options),
        Wish::Fetch(query, quorum, limit) => {
            queries.fetch(now, query, vec![], seeds, QueryOptions { quorum, limit, ..options })
        }
        Wish::Store(query) => queries.store(now, query, item, seeds, options),
        Wish::StoreAt(query, peers) => {
            let peers = contacts(peers).into_iter().map(|c| (c.clone(), O::ticket(c.peer))).collect();
            queries.store_at(now, query, item, peers, options)
        }
    }
    .expect("few queries run")
}

fn target(wish: &Wish) -> u8 {
    match wish {
        Wish::Closest(target) | Wish::FindPeer(target) => *target,
        Wish::Fetch(query, ..) | Wish::Store(query) | Wish::StoreAt(query, _) => match query {
            TinyQuery::Value(key) | TinyQuery::Crowd(key) => *key,
        },
    }
}

fn sound<O: Little>(scene: &Scene, wish: &Wish, result: &Finished<O>) -> Result<(), TestCaseError> {
    let found = names(&result.closest);
    let target = target(wish);
    prop_assert!(found.len() <= scene.k());
    prop_assert!(
        found.windows(2).all(|two| two[0] ^ target < two[1] ^ target),
        "sorted, each once: {found:?}"
    );
    prop_assert!(!found.contains(&0), "never ourselves");
    prop_assert!(result.confirmed <= found.len());
    if result.reason == Reason::Complete && !matches!(wish, Wish::StoreAt(..)) {
        prop_assert_eq!(result.confirmed, found.len());
    }
    prop_assert!(result.items.iter().all(|item| item.version > 0));
    let slots: BTreeSet<_> = result.items.iter().map(|item| item.author).collect();
    prop_assert_eq!(slots.len(), result.items.len());
    let limit = scene.timeout.map_or(scene.config.query_timeout, ms);
    prop_assert!(result.took <= limit);
    let receipt = &result.receipt;
    let told =
        receipt.stored.iter().chain(receipt.refused.iter().chain(&receipt.failed).map(|(peer, _)| peer));
    let told: Vec<u8> = told.copied().collect();
    prop_assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), told.len(), "one verdict each");
    Ok(())
}

/// Runs one wish alone and checks whatever must hold.
fn alone<O: Little>(scene: &Scene, wish: &Wish) -> Result<(), TestCaseError> {
    let (mut world, options) = build::<O>(scene);
    let id = start(&mut world, wish, &scene.seeds, options);
    let result = world.finish(id);
    sound(scene, wish, &result)?;
    prop_assert!(world.most_in_flight() <= scene.config.alpha);
    prop_assert_eq!(result.requests as usize, world.sent().len());
    // Nothing is left behind, and everything sent has ended in one way.
    let left = world.queries.statistics();
    prop_assert_eq!((left.queries, left.lone, left.in_flight), (0, 0, 0));
    prop_assert_eq!(world.drain(), None);
    // Nobody is asked more often than retries allow, for lookups and stores each.
    let mut asked = BTreeMap::<(u8, bool), u32>::new();
    for (_, to, request) in world.sent() {
        *asked.entry((to, matches!(request, Request::Put { .. }))).or_default() += 1;
    }
    prop_assert!(asked.values().all(|times| *times <= scene.config.retries + 1));
    // What a query remembers bounds whom it asks.
    let paths = scene.paths.min(scene.config.alpha);
    let most = scene.config.max_candidates.max(paths * scene.config.k);
    prop_assert!(asked.keys().filter(|(_, put)| !put).count() <= most.max(scene.seeds.len()));
    // Peers that failed for good are not in the result.
    if scene.config.retries == 0 {
        let failed: BTreeSet<u8> =
            world.failures().iter().filter(|f| f.0 <= world.results(id)[0].0).map(|f| f.1).collect();
        prop_assert!(
            names(&result.closest).iter().all(|peer| !failed.contains(peer))
                || matches!(wish, Wish::Store(_))
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_query_ends_once_and_soundly(scene in scene(), wish in wish()) {
        alone::<Tiny>(&scene, &wish)?;
    }

    #[test]
    fn so_it_does_where_tickets_are_asked_for(scene in scene(), wish in wish()) {
        alone::<TinyTicketed>(&scene, &wish)?;
    }

    #[test]
    fn without_retries_nobody_is_asked_twice(mut scene in scene(), wish in wish()) {
        scene.config.retries = 0;
        alone::<Tiny>(&scene, &wish)?;
    }

    #[test]
    fn queries_side_by_side_end_each_once(
        scene in scene(),
        wishes in collection::vec((wish(), 0..400u64), 1..6),
        noise in collection::vec((0..60u64, any::<bool>()), 0..20),
        cancel in option::of((0..6usize, 0..2000u64)),
    ) {
        let (mut world, options) = build::<Tiny>(&scene);
        let mut ids = Vec::new();
        for (wish, pause) in &wishes {
            ids.push(start(&mut world, wish, &scene.seeds, options.clone()));
            let until = world.now.mono + ms(*pause);
            world.run_until(until);
            world.now.mono = until;
        }
        // Strangers guess ids: some hit, and then the query must cope with it.
        for (id, ok) in noise {
            match ok {
                true => world.queries.on_response(world.now, RequestId(id), Response::default(), &ByVersion),
                false => world.queries.on_failure(world.now, RequestId(id), Failure::Reset),
            }
        }
        if let Some((which, after)) = cancel {
            let until = world.now.mono + ms(after);
            world.run_until(until);
            world.now.mono = until;
            if let Some(id) = ids.get(which) {
                world.queries.cancel(world.now, *id);
            }
        }
        world.run();
        for (id, (wish, _)) in ids.iter().zip(&wishes) {
            let results = world.results(*id);
            prop_assert_eq!(results.len(), 1);
            sound(&scene, wish, &results[0].1)?;
        }
        prop_assert_eq!(world.queries.statistics().in_flight, 0);
    }

    #[test]
    fn where_everybody_is_honest_the_result_is_exact(
        ids in collection::btree_set(1..=255u8, 1..120),
        target in any::<u8>(),
        config in config(),
        paths in 1..4usize,
        pick in collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let config = Config { max_closer: 40, ..config };
        let mut world = World::<Tiny>::new(config.clone()).with(ids.iter().copied());
        let all: Vec<u8> = ids.into_iter().collect();
        let seeds = contacts(pick.iter().map(|index| *index.get(&all)));
        let options = QueryOptions { paths: Some(paths), trace: true, ..QueryOptions::default() };
        let id = world.queries.closest(world.now, target, seeds, options).unwrap();
        let result = world.finish(id);
        prop_assert_eq!(result.reason, Reason::Complete);
        prop_assert_eq!(names(&result.closest), world.nearest(target, config.k));
        prop_assert!(world.most_in_flight() <= config.alpha);
        let mut asked = world.asked();
        asked.sort_unstable();
        prop_assert!(asked.windows(2).all(|two| two[0] != two[1]), "paths share nobody");
        // What still runs when the closest are known is dropped: another path may just have asked somebody farther.
        prop_assert!(world.failures().is_empty());
    }

    #[test]
    fn a_put_value_is_found_again(
        ids in collection::btree_set(1..=255u8, 1..120),
        key in any::<u8>(),
        seed in any::<prop::sample::Index>(),
    ) {
        let config = Config { k: 5, alpha: 3, ..Config::default() };
        let mut world = World::<Tiny>::new(config).with(ids.iter().copied());
        let all: Vec<u8> = ids.into_iter().collect();
        let query = TinyQuery::Value(key);
        let seeds = contacts([*seed.get(&all)]);
        let item = TinyItem::value(9);
        let id = world.queries.store(world.now, query, item, seeds.clone(), QueryOptions::default()).unwrap();
        let stored = world.finish(id).receipt.stored;
        prop_assert_eq!(stored.len(), all.len().min(5));
        for peer in stored {
            world.peer(peer).holds = vec![item];
        }
        let id = world.queries.fetch(world.now, query, vec![], seeds, QueryOptions::default()).unwrap();
        let result = world.finish(id);
        prop_assert_eq!(result.items, vec![item]);
        prop_assert_eq!(result.outdated, vec![]);
    }
}

#[test]
fn every_request_is_answered_failed_or_forgotten() {
    let mut world = World::<Tiny>::new(Config { k: 6, alpha: 4, beta: 2, ..Config::default() }).with(1..=80);
    for id in (1..=80).step_by(7) {
        world.peer(id).way = Way::Silent;
    }
    for target in 0..40 {
        let id = world.queries.closest(world.now, target, contacts(20..30), QueryOptions::default()).unwrap();
        world.finish(id);
    }
    let count = |is: fn(&Output<Tiny>) -> bool| world.log.iter().filter(|(_, o)| is(o)).count();
    let answered = count(|o| matches!(o, Output::Answered { .. }));
    let sent = count(|o| matches!(o, Output::Send { .. }));
    assert_eq!(sent, answered + world.forgotten().len());
    assert_eq!(
        world.failures().len(),
        world.forgotten().len(),
        "all that was forgotten was overdue to the end"
    );
}
