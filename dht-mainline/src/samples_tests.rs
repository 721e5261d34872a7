use std::collections::BTreeSet;

use dht_core::{Key, Wall};
use dht_records::{MemoryConfig, MemoryStore};
use futures::executor::block_on;

use super::*;
use crate::{Item, ItemKey, NodeId, Peer, Records};

type Sampled = SampleStore<MemoryStore<Mainline>>;

const HOUR: u64 = 3600;

fn at(seconds: u64) -> Now {
    Now { mono: Mono(Duration::from_secs(seconds)), wall: Wall::from_secs(1_000_000 + seconds) }
}

fn store(seed: u64) -> Sampled {
    let store = MemoryStore::new(&NodeId([0; 20]), MemoryConfig::default(), 1).unwrap();
    SampleStore::new(store, SampleConfig::default(), seed).unwrap()
}

fn announce(store: &Sampled, swarm: u8, now: u64) {
    let peer = Peer { addr: "9.8.7.6:6881".parse().unwrap(), seed: false, implied_port: false };
    let lifetime = Duration::from_secs(2700);
    let lease = Lease { from: NodeId([swarm; 20]), received: at(now).wall, lifetime, own: false };
    let query = Query::from(InfoHash([swarm; 20]));
    block_on(store.save(&query, Record::Peer(peer), lease, &Records::default(), at(now))).unwrap();
}

fn sample(store: &Sampled, now: u64) -> Samples {
    let query = Query::Samples(Key([9; 20]));
    let found = block_on(store.load(&query, at(now))).unwrap();
    let mut again = Vec::new();
    assert!(store.load_now(&query, at(now), &mut again));
    assert_eq!(found, again);
    let [Stored { item: Record::Samples(samples), .. }] = &found[..] else { panic!("{found:?}") };
    (**samples).clone()
}

#[test]
fn an_empty_store_says_so() {
    assert_eq!(sample(&store(1), 0), Samples { hashes: vec![], num: 0, interval: 21_600 });
}

#[test]
fn few_swarms_are_all_told_as_they_come_and_go() {
    let store = store(1);
    announce(&store, 1, 0);
    let item = Item::immutable(&"x".into()).unwrap();
    let key = Query::Item(ItemKey::new(item.target()));
    let lease = Lease {
        from: NodeId([1; 20]),
        received: at(0).wall,
        lifetime: Duration::from_secs(7200),
        own: false,
    };
    block_on(store.save(&key, Record::Item(item, None), lease, &Records::default(), at(0))).unwrap();
    assert_eq!(sample(&store, 0), Samples { hashes: vec![InfoHash([1; 20])], num: 1, interval: 21_600 });
    announce(&store, 2, 600);
    assert_eq!(sample(&store, 601).num, 2);
    announce(&store, 3, 601);
    assert_eq!(sample(&store, 601).num, 2, "not drawn twice in a second");
    assert_eq!(sample(&store, 602).num, 3);
    let left: BTreeSet<_> = sample(&store, 2701).hashes.into_iter().collect();
    assert_eq!(left, [2, 3].map(|swarm| InfoHash([swarm; 20])).into(), "one expired");
    block_on(store.clear()).unwrap();
    assert_eq!(sample(&store, 2702).num, 0);
    assert_eq!(block_on(store.statistics()).unwrap().records, 0);
}

#[test]
fn a_sample_of_many_stays_for_its_interval() {
    let store = store(1);
    (0..100).for_each(|swarm| announce(&store, swarm, 0));
    let first = sample(&store, 1);
    assert_eq!((first.hashes.len(), first.num), (20, 100));
    assert_eq!(first.hashes.iter().collect::<BTreeSet<_>>().len(), 20);
    (100..200).for_each(|swarm| announce(&store, swarm, 2));
    assert_eq!(sample(&store, 2), first);
    assert_eq!(sample(&store, 6 * HOUR), first);
    (0..200).for_each(|swarm| announce(&store, swarm, 6 * HOUR));
    let second = sample(&store, 6 * HOUR + 1);
    assert_eq!(second.num, 200);
    assert_ne!(second.hashes, first.hashes);
}

#[test]
fn the_seed_decides() {
    let drawn = |seed| {
        let store = store(seed);
        (0..100).for_each(|swarm| announce(&store, swarm, 0));
        sample(&store, 1).hashes
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn everything_else_goes_through() {
    let store = store(1);
    announce(&store, 1, 0);
    let query = Query::from(InfoHash([1; 20]));
    let mut found = Vec::new();
    assert!(store.load_now(&query, at(1), &mut found));
    assert_eq!(block_on(store.load(&query, at(1))).unwrap(), found);
    assert_eq!(block_on(store.scan(false, None, 9)).unwrap().len(), 1);
    assert!(block_on(store.remove_slot(&query, &found[0].item.slot())).unwrap());
    announce(&store, 1, 0);
    assert_eq!(block_on(store.remove(&query)).unwrap(), 1);
    announce(&store, 1, 0);
    assert_eq!(block_on(store.sweep(at(3000))).unwrap(), 1);
    assert_eq!(block_on(store.inner().statistics()).unwrap().records, 0);
    assert!(format!("{store:?}").contains("21600s"));
}

#[test]
fn options_keep_to_the_specification() {
    let default = SampleConfig::default();
    let names = |config: SampleConfig| config.validate().map_err(|error| error.field);
    assert_eq!(names(SampleConfig { count: 21, ..default }), Err("count"));
    assert_eq!(names(SampleConfig { interval: Duration::from_secs(21_601), ..default }), Err("interval"));
    assert_eq!(names(SampleConfig { count: 0, interval: Duration::ZERO }), Ok(()));
}
