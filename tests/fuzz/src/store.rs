//! The memory store under any sequence of calls: its caps hold, its totals are right, what is ours stays.
//!
//! It runs on the IPFS overlay, whose items have sizes and network groups. What exactly is evicted is not judged here; the
//! store's own tests compare that with a model.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use dht_core::{Now, Overlay, Wall};
use dht_ipfs::{AddrList, Ipfs, Item, PeerId, ProviderRecord, Query, Record};
use dht_records::{Invalid, Lease, MemoryConfig, MemoryStore, Saved, Store, Stored, Validator};
use futures::executor::block_on;

use crate::input::Input;

/// Items whose version is not zero; the highest is best.
struct Versions;

fn version(item: &Item) -> u8 {
    match item {
        Item::Value(record) => record.value.first().copied().unwrap_or(0),
        // The last byte of the first address is a port's.
        Item::Provider(record) => record.addrs.as_ref().get(9).copied().unwrap_or(0),
    }
}

impl Validator<Ipfs> for Versions {
    fn check(&self, _: &Query, item: &Item, _: Now) -> Result<(), Invalid> {
        if version(item) == 0 { Err(Invalid::Signature) } else { Ok(()) }
    }

    fn best(&self, _: &Query, items: &[Item]) -> Option<usize> {
        (0..items.len()).max_by_key(|i| (version(&items[*i]), std::cmp::Reverse(*i)))
    }
}

type Slot = (Query, Option<PeerId>);

/// Who is accountable for a kept item: `None` is us.
struct Kept {
    from: Option<PeerId>,
    expires: Wall,
}

struct Run {
    store: MemoryStore<Ipfs>,
    config: MemoryConfig,
    now: Now,
    kept: BTreeMap<Slot, Kept>,
}

/// The first bytes are the caps, then each byte is a call.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let size = |byte: u8, least: usize, most: usize| least + usize::from(byte) % (most - least + 1);
    let config = MemoryConfig {
        max_records: size(input.byte(), 1, 20),
        max_bytes: size(input.byte(), 100, 900),
        max_item_bytes: 100,
        max_items_per_query: size(input.byte(), 1, 6),
        max_items_per_group: size(input.byte(), 1, 4),
        max_records_per_peer: size(input.byte(), 1, 8),
        proven_after: Duration::from_secs(1 + u64::from(input.byte())),
    };
    let store = MemoryStore::new(&peer(0), config.clone(), 7).expect("these caps are usable");
    let now = Now { wall: Wall::from_secs(1_000_000), ..Now::default() };
    let mut run = Run { store, config, now, kept: BTreeMap::new() };
    while !input.is_empty() {
        run.step(&mut input);
        run.check();
    }
}

fn peer(i: u8) -> PeerId {
    PeerId::try_from(&[&[0x12, 32][..], &[i; 32]].concat()[..]).expect("a SHA-256")
}

fn query(byte: u8) -> Query {
    let key = Bytes::from(vec![byte >> 1 & 7]);
    if byte & 1 == 0 { Query::Value(key) } else { Query::Providers(key) }
}

fn item(query: &Query, input: &mut Input<'_>) -> Item {
    let (a, b) = (input.byte(), input.byte());
    match query {
        Query::Value(key) => {
            let mut value = vec![0; usize::from(a) % 90];
            value.insert(0, b % 5);
            Item::Value(Record::new(key.clone(), value))
        }
        Query::Providers(_) => {
            let address = [4, 1 + (a >> 3 & 3), 2, 3, 4, 6, 0, b % 5];
            let addrs = if a & 0x40 == 0 { AddrList::from_raw([&address[..]]) } else { AddrList::default() };
            Item::Provider(ProviderRecord { peer: peer(1 + (a & 7)), addrs })
        }
    }
}

impl Run {
    fn step(&mut self, input: &mut Input<'_>) {
        let call = input.byte();
        match call % 16 {
            0..=8 => self.save(input),
            9 => drop(self.load(&query(input.byte()))),
            10 => {
                let query = query(input.byte());
                let here = self.kept.keys().filter(|slot| slot.0 == query).count();
                assert_eq!(block_on(self.store.remove(&query)), Ok(here));
                self.kept.retain(|slot, _| slot.0 != query);
            }
            11 => {
                let query = query(input.byte());
                let slot = matches!(query, Query::Providers(_)).then(|| peer(1 + (input.byte() & 7)));
                let was = self.kept.remove(&(query.clone(), slot)).is_some();
                assert_eq!(block_on(self.store.remove_slot(&query, &slot)), Ok(was));
            }
            12 => {
                let now = self.now.wall;
                let before = self.kept.len();
                self.kept.retain(|_, kept| kept.expires > now);
                assert_eq!(block_on(self.store.sweep(self.now)), Ok(before - self.kept.len()));
            }
            13 if input.byte() > 250 => {
                block_on(self.store.clear()).expect("memory does not fail");
                self.kept.clear();
            }
            _ => self.now = self.now.after(Duration::from_secs(u64::from(input.byte()))),
        }
    }

    fn save(&mut self, input: &mut Input<'_>) {
        let query = query(input.byte());
        let item = item(&query, input);
        let from = input.byte();
        let own = from > 220;
        let age = Duration::from_secs(u64::from(input.byte() & 7));
        let lease = Lease {
            from: peer(if own { 0 } else { 1 + from % 6 }),
            received: Wall(self.now.wall.0 - age),
            lifetime: match input.byte() {
                255 => Duration::MAX,
                secs => Duration::from_secs(u64::from(secs)),
            },
            own,
        };
        let from = (!own).then_some(lease.from);
        let size = Ipfs::weight(&item) + Ipfs::query_weight(&query);
        let slot = (query.clone(), Ipfs::slot(&item));
        let ends = Wall(lease.received.0.saturating_add(lease.lifetime));
        let saved = block_on(self.store.save(&query, item.clone(), lease, &Versions, self.now));
        let Ok(saved) = saved else { return };
        assert!(size <= self.config.max_item_bytes && ends > self.now.wall);
        if matches!(saved, Saved::Worse(_)) {
            return;
        }
        assert!(self.load(&query).iter().any(|stored| stored.item == item), "what was taken is there");
        let held = self.kept.remove(&slot);
        let renewed = saved == Saved::Refreshed;
        let was_ours = held.as_ref().is_some_and(|held| held.from.is_none());
        let from = match &held {
            // What is ours stays ours, whoever repeats it; a stranger's place stays its first holder's.
            Some(held) if !own && saved != Saved::New && (renewed || !was_ours) => held.from,
            _ => from,
        };
        let expires = match held {
            Some(held) if renewed && !own => held.expires.max(ends),
            _ => ends,
        };
        self.kept.insert(slot, Kept { from, expires });
    }

    fn load(&self, query: &Query) -> Vec<Stored<Ipfs>> {
        let found = block_on(self.store.load(query, self.now)).expect("memory does not fail");
        assert!(
            found.iter().all(|stored| stored.expires > self.now.wall),
            "what has expired is not given out"
        );
        found
    }

    fn pages(&self, own: bool) -> Vec<(Query, Stored<Ipfs>)> {
        let (mut all, mut from) = (Vec::new(), None);
        loop {
            let page = block_on(self.store.scan(own, from, 7)).expect("memory does not fail");
            let Some((query, last)) = page.last() else { return all };
            from = Some((query.clone(), Ipfs::slot(&last.item)));
            all.extend(page);
        }
    }

    fn check(&mut self) {
        let now = self.now.wall;
        let all = self.pages(false);
        let here: BTreeMap<Slot, &Stored<Ipfs>> =
            all.iter().map(|(query, stored)| ((query.clone(), Ipfs::slot(&stored.item)), stored)).collect();
        assert_eq!(here.len(), all.len(), "a scan shows everything once");
        // What is ours leaves when it is removed, replaced or has expired, and never to make room.
        for (slot, kept) in &self.kept {
            assert!(
                kept.from.is_some() || kept.expires <= now || here.contains_key(slot),
                "an own item was evicted"
            );
        }
        self.kept.retain(|slot, _| here.contains_key(slot));
        assert_eq!(self.kept.len(), here.len());
        let ours = self.kept.values().filter(|kept| kept.from.is_none()).count();
        assert_eq!(self.pages(true).len(), ours);
        for (slot, kept) in &self.kept {
            assert_eq!(here[slot].expires, kept.expires);
        }
        self.caps(&here, ours);
    }

    fn caps(&self, here: &BTreeMap<Slot, &Stored<Ipfs>>, ours: usize) {
        let statistics = block_on(self.store.statistics()).expect("memory does not fail");
        let mut queries: BTreeMap<&Query, Vec<&Item>> = BTreeMap::new();
        let mut peers: BTreeMap<PeerId, usize> = BTreeMap::new();
        for (slot, stored) in here {
            let row = queries.entry(&slot.0).or_default();
            if let Some(from) = self.kept[slot].from {
                row.push(&stored.item);
                *peers.entry(from).or_default() += 1;
            }
        }
        let bytes = here.values().map(|stored| Ipfs::weight(&stored.item)).sum::<usize>()
            + queries.keys().map(|query| Ipfs::query_weight(query)).sum::<usize>();
        assert_eq!((statistics.records, statistics.own), (here.len(), ours));
        assert_eq!((statistics.queries, statistics.bytes), (queries.len(), bytes));
        assert!(statistics.records <= self.config.max_records && statistics.bytes <= self.config.max_bytes);
        assert!(peers.values().all(|count| *count <= self.config.max_records_per_peer));
        for strangers in queries.values() {
            assert!(strangers.len() <= self.config.max_items_per_query);
            let mut groups: BTreeMap<u64, usize> = BTreeMap::new();
            for group in strangers.iter().filter_map(|item| Ipfs::item_group(item)) {
                *groups.entry(group).or_default() += 1;
            }
            assert!(groups.values().all(|count| *count <= self.config.max_items_per_group));
        }
    }
}
