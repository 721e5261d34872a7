//! Each rule of the memory store by itself, on an overlay whose items say everything that a rule can depend on.

use std::{sync::Arc, time::Duration};

use dht_core::{Key, Now, Overlay, Wall};
use futures::executor::block_on;

use super::{MemoryConfig, MemoryStore};
use crate::{Bound, Conflict, Invalid, Lease, Saved, Statistics, Store, StoreError, Stored, Validator};

mod model;

/// A 16-bit overlay: a query is its key, the local peer is 0, so a query's number is its distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wide;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    author: u16,
    version: u16,
    group: Option<u64>,
    weight: usize,
    /// The second from which the judge no longer accepts it.
    valid_until: u64,
}

impl Overlay for Wide {
    type Key = Key<2>;
    type Target = u16;
    type PeerId = u16;
    type Addr = ();
    type Query = u16;
    type Item = Item;
    type Slot = u16;
    type Ticket = std::convert::Infallible;
    const TICKETED: bool = false;

    fn peer_key(peer: &u16) -> Key<2> {
        Key(peer.to_be_bytes())
    }
    fn key_of(target: &u16) -> Key<2> {
        Key(target.to_be_bytes())
    }
    fn peer_target(peer: &u16) -> u16 {
        *peer
    }
    fn target_peer(target: &u16) -> Option<u16> {
        Some(*target)
    }
    // Two kinds of query at each key: odd and even ones, so that places tie.
    fn target_of(query: &u16) -> u16 {
        query & !1
    }
    fn refresh_target(_: &Key<2>, _: u32, seed: u64) -> u16 {
        seed as u16
    }
    fn slot(item: &Item) -> u16 {
        item.author
    }
    fn weight(item: &Item) -> usize {
        item.weight
    }
    fn query_weight(_: &u16) -> usize {
        2
    }
    fn item_group(item: &Item) -> Option<u64> {
        item.group
    }
    fn corrects(_: &u16) -> bool {
        true
    }
}

/// The highest version that is still valid; of equals the first.
pub(super) struct Highest;

impl Validator<Wide> for Highest {
    fn check(&self, _: &u16, item: &Item, now: Now) -> Result<(), Invalid> {
        if now.wall < Wall::from_secs(item.valid_until) { Ok(()) } else { Err(Invalid::Expired) }
    }

    fn best(&self, _: &u16, items: &[Item]) -> Option<usize> {
        (0..items.len()).rev().max_by_key(|i| items[*i].version)
    }
}

const STRANGER: u16 = 7;

fn at(secs: u64) -> Now {
    Now::default().after(Duration::from_secs(secs))
}

fn item(author: u16, version: u16) -> Item {
    Item { author, version, group: None, weight: 10, valid_until: u64::MAX }
}

fn lease(from: u16, now: Now, secs: u64) -> Lease<Wide> {
    Lease { from, received: now.wall, lifetime: Duration::from_secs(secs), own: false }
}

struct Bench {
    store: MemoryStore<Wide>,
}

impl Bench {
    fn new(config: MemoryConfig) -> Self {
        Self { store: MemoryStore::new(&0, config, 1).unwrap() }
    }

    fn save(&self, query: u16, item: Item, now: u64) -> Result<Saved, StoreError> {
        self.save_as(query, item, lease(STRANGER, at(now), 1_000), now)
    }

    fn save_as(&self, query: u16, item: Item, lease: Lease<Wide>, now: u64) -> Result<Saved, StoreError> {
        block_on(self.store.save(&query, item, lease, &Highest, at(now)))
    }

    fn own(&self, query: u16, item: Item, now: u64) -> Result<Saved, StoreError> {
        self.save_as(query, item, Lease { own: true, ..lease(0, at(now), 1_000) }, now)
    }

    fn load(&self, query: u16, now: u64) -> Vec<Stored<Wide>> {
        block_on(self.store.load(&query, at(now))).unwrap()
    }

    fn authors(&self, query: u16, now: u64) -> Vec<u16> {
        self.load(query, now).iter().map(|stored| stored.item.author).collect()
    }

    fn sweep(&self, now: u64) -> usize {
        block_on(self.store.sweep(at(now))).unwrap()
    }

    fn statistics(&self) -> Statistics {
        block_on(self.store.statistics()).unwrap()
    }

    fn scan(&self, own_only: bool, from: Option<(u16, u16)>, limit: usize) -> Vec<(u16, u16)> {
        let page = block_on(self.store.scan(own_only, from, limit)).unwrap();
        page.into_iter().map(|(query, stored)| (query, stored.item.author)).collect()
    }
}

fn full(what: Bound, limit: usize) -> Result<Saved, StoreError> {
    Err(StoreError::Full { what, limit })
}

#[test]
fn peeking_shows_what_a_load_would_find_and_changes_nothing() {
    let bench = Bench::new(MemoryConfig::default());
    bench.save(5, item(1, 1), 100).unwrap();
    let authors =
        |now| bench.store.peek(&5, at(now)).iter().map(|stored| stored.item.author).collect::<Vec<_>>();
    assert_eq!((authors(1_099), authors(1_100)), (vec![1], vec![]));
    // Had either moved the clock of the store or dropped what has expired, it would be gone.
    assert_eq!((bench.statistics().records, bench.authors(5, 1_099)), (1, vec![1]));
    assert_eq!((bench.authors(5, 1_100), bench.statistics().records), (vec![], 0));
}

#[test]
fn save_keeps_the_better_and_renews_the_same() {
    let bench = Bench::new(MemoryConfig::default());
    assert_eq!(bench.save(4, item(1, 5), 100), Ok(Saved::New));
    assert_eq!(bench.save(4, item(1, 5), 110), Ok(Saved::Refreshed));
    assert_eq!(bench.load(4, 110)[0].expires, Wall::from_secs(1_110));
    assert_eq!(bench.load(4, 110)[0].received, Wall::from_secs(110));
    assert_eq!(bench.save(4, item(1, 4), 120), Ok(Saved::Worse(Conflict::Older)));
    let twin = Item { weight: 11, ..item(1, 5) };
    assert_eq!(bench.save(4, twin, 120), Ok(Saved::Worse(Conflict::Older)), "equal, but not the one we have");
    assert_eq!(bench.load(4, 120)[0].expires, Wall::from_secs(1_110), "a refused one renews nothing");
    assert_eq!(bench.save(4, item(1, 6), 130), Ok(Saved::Better));
    assert_eq!(bench.load(4, 130)[0].item, item(1, 6));
    assert_eq!(bench.save(4, item(2, 1), 130), Ok(Saved::New), "another slot stands beside");
    assert_eq!(bench.authors(4, 130), [1, 2]);
    assert_eq!(bench.save(5, item(1, 1), 130), Ok(Saved::New), "another query at the same key");
    assert_eq!(bench.statistics().records, 3);
}

#[test]
fn a_held_item_that_became_invalid_gives_way_to_a_worse_one() {
    let bench = Bench::new(MemoryConfig::default());
    bench.save(4, Item { valid_until: 50, ..item(1, 9) }, 10).unwrap();
    assert_eq!(bench.save(4, item(1, 1), 49), Ok(Saved::Worse(Conflict::Older)));
    assert_eq!(bench.save(4, item(1, 1), 50), Ok(Saved::Better));
}

#[test]
fn leases_end_on_load_and_in_sweeps() {
    let bench = Bench::new(MemoryConfig::default());
    bench.save_as(4, item(1, 1), lease(STRANGER, at(0), 10), 0).unwrap();
    bench.save_as(4, item(2, 1), lease(STRANGER, at(0), 20), 0).unwrap();
    bench.save_as(6, item(1, 1), lease(STRANGER, at(0), 10), 0).unwrap();
    let forever = Lease { lifetime: Duration::MAX, ..lease(STRANGER, at(0), 0) };
    bench.save_as(8, item(1, 1), forever, 0).unwrap();
    assert_eq!(bench.authors(4, 9), [1, 2]);
    assert_eq!(bench.authors(4, 10), [2]);
    assert_eq!(bench.statistics().records, 3, "the load dropped what it found expired");
    assert_eq!(bench.sweep(10), 1);
    assert_eq!(bench.sweep(10), 0);
    assert_eq!(bench.sweep(1 << 33), 1);
    assert_eq!(bench.load(8, 1 << 33)[0].expires, Wall(Duration::MAX));
    let over = lease(STRANGER, at(1 << 33), 0);
    assert_eq!(bench.save_as(4, item(1, 1), over.clone(), 1 << 33), Err(StoreError::Expired));
    assert_eq!(bench.save_as(8, item(1, 1), over, 1 << 33), Err(StoreError::Expired), "nor does it renew");
}

#[test]
fn a_sweep_touches_more_than_one_batch_and_parts_of_seconds() {
    let bench = Bench::new(MemoryConfig::default());
    for i in 0..1_000 {
        let lifetime = Duration::from_millis(5_000 + u64::from(i));
        let lease = Lease { lifetime, ..lease(i, at(0), 0) };
        bench.save_as(i * 2, item(1, 1), lease, 0).unwrap();
    }
    assert_eq!(bench.sweep(5), 1);
    assert_eq!(bench.sweep(6), 999);
    assert_eq!(bench.statistics(), Statistics::default());
}

#[test]
fn received_in_the_future_does_not_live_for_ever() {
    let bench = Bench::new(MemoryConfig::default());
    bench.save_as(4, item(1, 1), lease(STRANGER, at(1 << 40), 100), 1_000).unwrap();
    assert_eq!(bench.load(4, 1_000)[0].received, Wall::from_secs(1_000), "a future reception counts as now");
    assert_eq!(bench.load(4, 1_100), []);
    // The clock was wrong by ten years, and is set right afterwards.
    let years = 315_000_000;
    bench.save_as(6, item(1, 1), lease(STRANGER, at(years), 100), years).unwrap();
    assert_eq!(bench.load(6, 2_000).len(), 1);
    assert_eq!(bench.load(6, 2_000)[0].received, Wall::from_secs(2_000));
    assert_eq!(bench.load(6, 2_099).len(), 1);
    assert_eq!(bench.load(6, 2_100), []);
}

#[test]
fn extreme_clocks_and_leases_neither_overflow_nor_panic() {
    let bench = Bench::new(MemoryConfig::default());
    for (i, wall) in [0, u64::MAX, 1, u64::MAX / 2, 0].into_iter().enumerate() {
        let now = Now { wall: Wall::from_secs(wall), ..Now::default() };
        let lease =
            Lease { from: 1, received: Wall::from_secs(u64::MAX), lifetime: Duration::MAX, own: false };
        assert_eq!(
            block_on(bench.store.save(&(i as u16 * 2), item(1, 1), lease, &Highest, now)),
            Ok(Saved::New)
        );
        assert_eq!(block_on(bench.store.load(&(i as u16 * 2), now)).unwrap().len(), 1);
        block_on(bench.store.sweep(now)).unwrap();
    }
    assert_eq!(bench.statistics().records, 5);
}

#[test]
fn the_farthest_leaves_first_and_a_farther_newcomer_is_refused() {
    let bench = Bench::new(MemoryConfig { max_records: 3, ..MemoryConfig::default() });
    for query in [10, 20, 30] {
        bench.save(query, item(1, 1), 0).unwrap();
    }
    assert_eq!(bench.save(40, item(1, 1), 0), full(Bound::Records, 3));
    assert_eq!(bench.save(30, item(2, 1), 0), full(Bound::Records, 3), "as far is not nearer");
    assert_eq!(bench.save(8, item(1, 1), 0), Ok(Saved::New));
    assert_eq!(bench.scan(false, None, 9), [(8, 1), (10, 1), (20, 1)]);
    assert_eq!(bench.save(20, item(1, 1), 0), Ok(Saved::Refreshed), "renewal works when all is full");
    assert_eq!(bench.save(20, item(1, 2), 0), Ok(Saved::Better));
    // What has expired makes room before what has not.
    bench.save_as(6, item(1, 1), lease(STRANGER, at(0), 5), 0).unwrap();
    assert_eq!(bench.save(40, item(1, 1), 5), Ok(Saved::New));
    assert_eq!(bench.scan(false, None, 9), [(8, 1), (10, 1), (40, 1)]);
}

#[test]
fn bytes_are_bounded_item_by_item_and_in_all() {
    let config = MemoryConfig { max_bytes: 100, max_item_bytes: 60, ..MemoryConfig::default() };
    let bench = Bench::new(config);
    let heavy = |weight| Item { weight, ..item(1, 1) };
    assert_eq!(bench.save(10, heavy(59), 0), Err(StoreError::TooLarge { size: 61, limit: 60 }));
    assert_eq!(bench.save(10, heavy(58), 0), Ok(Saved::New));
    assert_eq!(bench.save(12, heavy(38), 0), Ok(Saved::New));
    assert_eq!(bench.statistics().bytes, 100);
    assert_eq!(bench.save(14, heavy(1), 0), full(Bound::Bytes, 100));
    let grown = Item { weight: 39, version: 2, ..item(1, 2) };
    assert_eq!(bench.save(12, grown.clone(), 0), full(Bound::Bytes, 100), "the farthest cannot grow");
    assert_eq!(bench.load(12, 0)[0].item, heavy(38), "and keeps what it had");
    assert_eq!(bench.save(8, heavy(1), 0), Ok(Saved::New));
    assert_eq!(bench.scan(false, None, 9), [(8, 1), (10, 1)]);
    assert_eq!(bench.statistics().bytes, 63);
    assert_eq!(bench.save(8, Item { weight: 50, ..item(1, 2) }, 0), Ok(Saved::Better));
    assert_eq!(bench.scan(false, None, 9), [(8, 1)], "a nearer one that grows evicts farther ones");
    assert_eq!(bench.statistics().bytes, 52);
}

#[test]
fn own_items_are_never_evicted_and_evict_anybody() {
    let bench = Bench::new(MemoryConfig { max_records: 3, ..MemoryConfig::default() });
    bench.save(10, item(1, 1), 0).unwrap();
    bench.save(10, item(2, 1), 0).unwrap();
    bench.own(1_000, item(0, 1), 0).unwrap();
    assert_eq!(bench.own(2_000, item(0, 1), 0), Ok(Saved::New));
    assert_eq!(bench.own(10, item(0, 1), 0), Ok(Saved::New), "even one under the same query");
    assert_eq!(bench.scan(false, None, 9), [(10, 0), (1_000, 0), (2_000, 0)]);
    assert_eq!(bench.own(12, item(0, 1), 0), full(Bound::Records, 3), "own ones do not evict each other");
    assert_eq!(bench.save(2, item(1, 1), 0), full(Bound::Records, 3));
    assert_eq!(bench.statistics().own, 3);
}

#[test]
fn own_and_strangers_change_places_by_the_judge_only() {
    let bench = Bench::new(MemoryConfig { max_records_per_peer: 1, ..MemoryConfig::default() });
    bench.own(10, item(1, 1), 0).unwrap();
    assert_eq!(bench.save_as(10, item(1, 1), lease(STRANGER, at(0), 5), 0), Ok(Saved::Refreshed));
    assert_eq!(bench.load(10, 0)[0].expires, Wall::from_secs(1_000), "an echo shortens nothing");
    assert_eq!(bench.statistics().own, 1);
    assert_eq!(bench.save(10, item(1, 2), 0), Ok(Saved::Better));
    assert_eq!(bench.statistics().own, 0, "somebody else has written a better one");
    bench.own(12, item(1, 1), 0).unwrap();
    assert_eq!(bench.save(12, item(1, 2), 0), full(Bound::PerPeer, 1), "which counts like a new one");
    assert_eq!(bench.own(10, item(1, 2), 0), Ok(Saved::Refreshed));
    assert_eq!(bench.scan(true, None, 9), [(10, 1), (12, 1)]);
    let shorter = Lease { own: true, ..lease(0, at(0), 5) };
    bench.save_as(12, item(1, 1), shorter, 0).unwrap();
    assert_eq!(bench.load(12, 0)[0].expires, Wall::from_secs(5), "we may shorten our own lease");
}

#[test]
fn one_peer_has_a_quota() {
    let bench = Bench::new(MemoryConfig { max_records_per_peer: 2, ..MemoryConfig::default() });
    bench.save(10, item(1, 1), 0).unwrap();
    bench.save(12, item(1, 1), 0).unwrap();
    assert_eq!(bench.save(14, item(1, 1), 0), full(Bound::PerPeer, 2));
    assert_eq!(bench.save(10, item(1, 1), 0), Ok(Saved::Refreshed));
    assert_eq!(bench.save_as(14, item(1, 1), lease(8, at(0), 9), 0), Ok(Saved::New), "others have their own");
    assert_eq!(block_on(bench.store.remove(&12)), Ok(1));
    assert_eq!(bench.save(16, item(1, 1), 0), Ok(Saved::New), "what went no longer counts");
    assert_eq!(bench.own(18, item(0, 1), 0), Ok(Saved::New));
    for query in [20, 22, 24] {
        assert_eq!(bench.own(query, item(0, 1), 0), Ok(Saved::New), "we have none");
    }
}

/// 16 places, 6 per group, proven after an hour.
fn crowded() -> Bench {
    let bench = Bench::new(MemoryConfig {
        max_items_per_query: 16,
        max_items_per_group: 6,
        proven_after: Duration::from_secs(3_600),
        ..MemoryConfig::default()
    });
    bench.save_as(4, item(0, 1), Lease { own: true, ..lease(0, at(0), 100_000) }, 0).unwrap();
    bench
}

fn provide(bench: &Bench, author: u16, group: impl Into<Option<u64>>, now: u64) -> Result<Saved, StoreError> {
    let lease = lease(author, at(now), 100_000);
    bench.save_as(4, Item { group: group.into(), ..item(author, 1) }, lease, now)
}

#[test]
fn a_flood_displaces_neither_the_first_nor_the_proven() {
    let bench = crowded();
    // Four honest ones, two of them from the same network, announce again and again.
    for now in [0, 1_800, 3_600] {
        for (author, group) in [(1, 1), (2, 2), (3, 3), (4, 3)] {
            provide(&bench, author, group, now).unwrap();
        }
    }
    // A flood from three networks takes what is free, and no more however often it comes.
    for author in 100..10_100u16 {
        let _ = provide(&bench, author, 10 + u64::from(author % 3), 3_600 + u64::from(author));
    }
    let held = bench.authors(4, 20_000);
    assert_eq!(held.len(), 17);
    assert_eq!(held[..5], [0, 1, 2, 3, 4]);
    assert_eq!(held[5..], (100..112).collect::<Vec<_>>(), "the first of the flood, not the last");
    // A late honest one from elsewhere still finds a place, and renewal works for all who are held.
    assert_eq!(provide(&bench, 50, 50, 20_000), Ok(Saved::New));
    assert_eq!(provide(&bench, 50, 50, 20_001), Ok(Saved::Refreshed));
    assert_eq!(bench.authors(4, 20_001).len(), 17);
    // A flood that forges a network for each name displaces the over-represented, not the proven.
    for author in 20_000..30_000u16 {
        let _ = provide(&bench, author, u64::from(author), 20_100);
    }
    assert_eq!(bench.authors(4, 20_100)[..6], [0, 1, 2, 3, 4, 50]);
}

#[test]
fn three_quarters_are_safe_for_the_proven_and_squatters_leave_a_quarter_open() {
    let bench = crowded();
    // Sixteen squatters of four networks prove themselves.
    for now in [0, 3_600] {
        for author in 1..=16 {
            provide(&bench, author, u64::from(author % 4), now).unwrap();
        }
    }
    let full_query = full(Bound::PerQuery, 16);
    let mut taken = 0;
    for author in 100..200 {
        match provide(&bench, author, u64::from(author), 4_000) {
            Ok(saved) => {
                assert_eq!(saved, Saved::New);
                taken += 1;
            }
            refused => assert_eq!(refused, full_query),
        }
    }
    assert_eq!(taken, 4);
    assert_eq!(bench.authors(4, 4_000).iter().filter(|author| **author <= 16).count(), 13, "with our own");
    // The newcomers prove themselves in their turn, and the next ones find a quarter open again.
    for author in 100..104 {
        assert_eq!(provide(&bench, author, u64::from(author), 8_000), Ok(Saved::Refreshed));
    }
    assert_eq!(provide(&bench, 300, 300, 8_000), Ok(Saved::New));
}

#[test]
fn a_group_has_its_cap_before_the_query_is_full() {
    let bench = crowded();
    for author in 1..=6 {
        provide(&bench, author, 1, 0).unwrap();
    }
    assert_eq!(provide(&bench, 7, 1, 0), full(Bound::PerGroup, 6));
    for author in 10..20 {
        assert_eq!(
            provide(&bench, author, None, 0),
            Ok(Saved::New),
            "what tells no group is not capped by group"
        );
    }
    assert_eq!(provide(&bench, 20, None, 0), full(Bound::PerQuery, 16));
    assert_eq!(provide(&bench, 21, 2, 0), Ok(Saved::New));
    assert_eq!(bench.authors(4, 0).last(), Some(&21));
    assert!(
        !bench.authors(4, 0).contains(&10) || !bench.authors(4, 0).contains(&19),
        "of the largest group one left"
    );
}

#[test]
fn pages_are_in_order_and_complete_whatever_goes_in_between() {
    let bench = Bench::new(MemoryConfig::default());
    for query in [3, 2, 500, 40, 41] {
        for author in [2, 1] {
            bench.save(query, item(author, 1), 0).unwrap();
        }
        bench.own(query, item(0, 1), 0).unwrap();
    }
    let whole = bench.scan(false, None, 99);
    assert_eq!(whole.len(), 15);
    assert!(whole.is_sorted_by_key(|(query, _)| query & !1), "{whole:?}: nearest first");
    assert!(whole.chunks(3).all(|row| row.is_sorted() && row[0].0 == row[2].0), "{whole:?}: then by slot");
    for limit in 1..=15 {
        let (mut pages, mut from) = (Vec::new(), None);
        loop {
            let page = bench.scan(false, from, limit);
            let Some(last) = page.last() else { break };
            from = Some(*last);
            pages.extend(page);
        }
        assert_eq!(pages, whole, "in pages of {limit}");
    }
    let own = bench.scan(true, None, 99);
    assert_eq!(own, whole.iter().step_by(3).copied().collect::<Vec<_>>());
    block_on(bench.store.remove(&own[3].0)).unwrap();
    assert_eq!(bench.scan(true, Some(own[3]), 1), [(500, 0)], "the cursor need not be there any more");
    assert_eq!(bench.scan(false, None, 0), []);
}

#[test]
fn removal_statistics_and_clearing() {
    let bench = Bench::new(MemoryConfig::default());
    bench.save(4, item(1, 1), 119).unwrap();
    bench.own(4, item(0, 1), 240).unwrap();
    bench.save(6, item(1, 1), 180).unwrap();
    let statistics = bench.statistics();
    assert_eq!(
        statistics,
        Statistics {
            records: 3,
            own: 1,
            queries: 2,
            bytes: 34,
            oldest: Some(Wall::from_secs(60)),
            newest: Some(Wall::from_secs(240))
        }
    );
    assert_eq!(block_on(bench.store.remove_slot(&4, &0)), Ok(true));
    assert_eq!(block_on(bench.store.remove_slot(&4, &0)), Ok(false));
    assert_eq!(block_on(bench.store.remove(&4)), Ok(1));
    assert_eq!(block_on(bench.store.remove(&4)), Ok(0));
    assert_eq!(bench.statistics().bytes, 12);
    assert_eq!(bench.statistics().newest, Some(Wall::from_secs(180)));
    block_on(bench.store.clear()).unwrap();
    assert_eq!(bench.statistics(), Statistics::default());
    assert_eq!(bench.save(6, item(1, 1), 240), Ok(Saved::New));
}

#[test]
fn of_many_threads_the_best_survives() {
    let store = Arc::new(MemoryStore::<Wide>::new(&0, MemoryConfig::default(), 1).unwrap());
    let mut threads = Vec::new();
    for thread in 0..8u16 {
        let store = Arc::clone(&store);
        threads.push(std::thread::spawn(move || {
            let mut won = 0;
            for round in 0..500u16 {
                // Every thread writes every version of its own once, in an order of its own.
                let version = (u32::from(round) * 167 + u32::from(thread) * 61) % 500 * 8 + u32::from(thread);
                for query in [4, 5, 6] {
                    let saved = block_on(store.save(
                        &query,
                        item(1, version as u16),
                        lease(thread, at(1), 100),
                        &Highest,
                        at(1),
                    ));
                    won += usize::from(matches!(saved, Ok(Saved::New | Saved::Better)));
                }
            }
            won
        }));
    }
    let won: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!(won >= 3);
    for query in [4, 5, 6] {
        let held = block_on(store.load(&query, at(1))).unwrap();
        assert_eq!(held.len(), 1);
        assert_eq!(held[0].item.version, 499 * 8 + 7);
    }
    assert_eq!(block_on(store.statistics()).unwrap().records, 3);
}

/// Found by fuzzing: announced under other addresses, places of one group could outnumber its cap.
#[test]
fn a_place_does_not_move_into_a_group_that_has_all_of_its_own() {
    let bench = crowded();
    for author in 1..=6 {
        provide(&bench, author, 1, 0).unwrap();
    }
    provide(&bench, 7, 2, 0).unwrap();
    let moved = |author, group| {
        let item = Item { group, ..item(author, 2) };
        bench.save_as(4, item, lease(author, at(1), 100_000), 1)
    };
    let full = Err(StoreError::Full { what: Bound::PerGroup, limit: 6 });
    assert_eq!(moved(7, Some(1)), full);
    assert_eq!(moved(0, Some(1)), full, "nor does a place that was ours");
    assert_eq!(moved(1, Some(1)), Ok(Saved::Better), "within its group it may change");
    assert_eq!(moved(2, Some(2)), Ok(Saved::Better), "and leave it");
    assert_eq!(moved(7, Some(1)), Ok(Saved::Better), "which makes room");
}

#[test]
fn a_bound_that_cannot_be_is_named() {
    let bad = |config: MemoryConfig| config.validate().unwrap_err().field;
    let good = MemoryConfig::default();
    good.validate().unwrap();
    assert_eq!(bad(MemoryConfig { max_records: 0, ..good.clone() }), "max_records");
    assert_eq!(bad(MemoryConfig { max_bytes: 1, ..good.clone() }), "max_bytes");
    assert_eq!(bad(MemoryConfig { max_item_bytes: 0, ..good.clone() }), "max_item_bytes");
    assert_eq!(bad(MemoryConfig { max_items_per_query: 0, ..good.clone() }), "max_items_per_query");
    assert_eq!(bad(MemoryConfig { max_items_per_group: 0, ..good.clone() }), "max_items_per_group");
    assert_eq!(bad(MemoryConfig { max_records_per_peer: 0, ..good.clone() }), "max_records_per_peer");
    assert_eq!(bad(MemoryConfig { proven_after: Duration::ZERO, ..good.clone() }), "proven_after");
    assert!(MemoryStore::<Wide>::new(&0, MemoryConfig { max_records: 0, ..good }, 0).is_err());
}
