//! The memory store against a list that is searched from end to end: any sequence of calls, the same answers.

use std::{cmp::Reverse, collections::BTreeSet, time::Duration};

use dht_core::{Overlay, Wall};
use proptest::prelude::*;

use super::{Bench, Highest, Item, Wide, at};
use crate::{Bound, Conflict, Lease, MemoryConfig, Saved, StoreError, Validator};

#[derive(Clone, Debug)]
enum Step {
    Save { query: u16, item: Item, from: u16, own: bool, age: u64, lifetime: u64 },
    Load(u16),
    Remove(u16),
    RemoveSlot(u16, u16),
    Sweep,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let query = || 0..8u16;
    let item = (0..6u16, 0..4u16, prop::option::of(0..3u64), 1..30usize, 1..200u64).prop_map(
        |(author, version, group, weight, valid_until)| Item { author, version, group, weight, valid_until },
    );
    let save = (query(), item, 0..4u16, prop::bool::weighted(0.15), 0..5u64, 0..60u64).prop_map(
        |(query, item, from, own, age, lifetime)| Step::Save { query, item, from, own, age, lifetime },
    );
    let step = prop_oneof![
        12 => save,
        3 => query().prop_map(Step::Load),
        1 => query().prop_map(Step::Remove),
        1 => (query(), 0..6u16).prop_map(|(query, slot)| Step::RemoveSlot(query, slot)),
        1 => Just(Step::Sweep),
        3 => (0..15u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..120)
}

#[derive(Clone, Debug)]
struct Record {
    query: u16,
    item: Item,
    from: u16,
    own: bool,
    since: u64,
    received: u64,
    expires: u64,
}

impl Record {
    fn name(&self) -> (u16, u16) {
        (self.query, self.item.author)
    }

    fn standing(&self) -> u64 {
        self.received.saturating_sub(self.since)
    }
}

struct Model {
    config: MemoryConfig,
    records: Vec<Record>,
}

impl Model {
    fn bytes(records: &[Record]) -> usize {
        let queries: BTreeSet<u16> = records.iter().map(|record| record.query).collect();
        records.iter().map(|record| Wide::weight(&record.item)).sum::<usize>() + queries.len() * 2
    }

    fn expire(&mut self, only: Option<u16>, now: u64) -> usize {
        let before = self.records.len();
        self.records.retain(|record| record.expires > now || only.is_some_and(|query| query != record.query));
        before - self.records.len()
    }

    fn strangers(&self, query: u16) -> Vec<&Record> {
        self.records.iter().filter(|record| record.query == query && !record.own).collect()
    }

    fn quota(&self, from: u16) -> Result<(), StoreError> {
        let limit = self.config.max_records_per_peer;
        let count = self.records.iter().filter(|record| !record.own && record.from == from).count();
        if count < limit { Ok(()) } else { Err(StoreError::Full { what: Bound::PerPeer, limit }) }
    }

    fn save(&mut self, mut new: Record, now: u64) -> Result<Saved, StoreError> {
        if self.records.len() >= self.config.max_records
            || Self::bytes(&self.records) >= self.config.max_bytes
        {
            self.expire(None, now);
        }
        let (size, limit) = (new.item.weight + 2, self.config.max_item_bytes);
        if size > limit {
            return Err(StoreError::TooLarge { size, limit });
        }
        if new.expires <= now {
            return Err(StoreError::Expired);
        }
        self.expire(Some(new.query), now);
        let held = self.records.iter().find(|record| record.name() == new.name()).cloned();
        let Some(held) = held else { return self.admit(new) };
        if held.item == new.item {
            new.since = held.since;
            if !new.own {
                new.own = held.own;
                new.from = held.from;
                new.received = new.received.max(held.received);
                new.expires = new.expires.max(held.expires);
            }
            self.put(new, Vec::new());
            return Ok(Saved::Refreshed);
        }
        if Highest.check(&new.query, &held.item, at(now)).is_ok() {
            if new.item.version <= held.item.version {
                return Ok(Saved::Worse(Conflict::Older));
            }
            new.since = held.since;
        }
        if !new.own {
            if held.own {
                self.quota(new.from)?;
                let limit = self.config.max_items_per_query;
                if self.strangers(new.query).len() >= limit {
                    return Err(StoreError::Full { what: Bound::PerQuery, limit });
                }
            } else {
                new.from = held.from;
            }
            let limit = self.config.max_items_per_group;
            let others =
                self.strangers(new.query).into_iter().filter(|record| record.item.author != new.item.author);
            if new.item.group.is_some()
                && others.filter(|record| record.item.group == new.item.group).count() >= limit
            {
                return Err(StoreError::Full { what: Bound::PerGroup, limit });
            }
        }
        let victims = self.victims(&new, None)?;
        self.put(new, victims);
        Ok(Saved::Better)
    }

    fn admit(&mut self, new: Record) -> Result<Saved, StoreError> {
        let mut leaves = None;
        if !new.own {
            self.quota(new.from)?;
            leaves = self.displaced(&new)?;
        }
        let mut victims = self.victims(&new, leaves)?;
        victims.extend(leaves);
        self.put(new, victims);
        Ok(Saved::New)
    }

    fn displaced(&self, new: &Record) -> Result<Option<(u16, u16)>, StoreError> {
        let strangers = self.strangers(new.query);
        let of = |group| strangers.iter().filter(|record| record.item.group == group).count();
        let (per_query, per_group) = (self.config.max_items_per_query, self.config.max_items_per_group);
        if new.item.group.is_some() && of(new.item.group) >= per_group {
            return Err(StoreError::Full { what: Bound::PerGroup, limit: per_group });
        }
        if strangers.len() < per_query {
            return Ok(None);
        }
        let proven = |record: &Record| record.standing() >= self.config.proven_after.as_secs();
        let unproven = strangers.iter().filter(|record| !proven(record)).count();
        let mut candidates: Vec<_> = strangers
            .iter()
            .filter(|record| of(record.item.group) >= of(new.item.group) + 2)
            .filter(|record| !proven(record) || unproven < per_query / 4)
            .collect();
        candidates.sort_by_key(|record| {
            let crowd = Reverse(of(record.item.group));
            (proven(record), crowd, record.standing(), Reverse(record.since), record.item.author)
        });
        let first = candidates.first().ok_or(StoreError::Full { what: Bound::PerQuery, limit: per_query })?;
        Ok(Some(first.name()))
    }

    /// Takes one after the other out of a copy until the newcomer fits.
    fn victims(&self, new: &Record, leaves: Option<(u16, u16)>) -> Result<Vec<(u16, u16)>, StoreError> {
        let mut after = self.records.clone();
        after.retain(|record| record.name() != new.name() && Some(record.name()) != leaves);
        after.push(Record { own: true, ..new.clone() });
        let mut victims = Vec::new();
        // Bounds hold for what is there already, so only room for more is asked for.
        loop {
            let full = if after.len() > self.config.max_records {
                StoreError::Full { what: Bound::Records, limit: self.config.max_records }
            } else if Self::bytes(&after) > self.config.max_bytes {
                StoreError::Full { what: Bound::Bytes, limit: self.config.max_bytes }
            } else {
                return Ok(victims);
            };
            let distance = |query: u16| query & !1;
            let farthest = after
                .iter()
                .filter(|record| !record.own && (new.own || distance(record.query) > distance(new.query)))
                .max_by_key(|record| {
                    (
                        distance(record.query),
                        record.query,
                        Reverse(record.standing()),
                        Reverse(record.item.author),
                    )
                });
            let Some(victim) = farthest.map(Record::name) else { return Err(full) };
            after.retain(|record| record.name() != victim);
            victims.push(victim);
        }
    }

    fn put(&mut self, new: Record, victims: Vec<(u16, u16)>) {
        self.records.retain(|record| record.name() != new.name() && !victims.contains(&record.name()));
        self.records.push(new);
        self.records.sort_by_key(Record::name);
    }
}

fn config() -> impl Strategy<Value = MemoryConfig> {
    (4..20usize, 60..250usize, 2..5usize, 1..4usize, 2..9usize, 5..40u64).prop_map(
        |(max_records, max_bytes, per_query, per_group, per_peer, proven)| MemoryConfig {
            max_records,
            max_bytes,
            max_item_bytes: 30,
            max_items_per_query: per_query,
            max_items_per_group: per_group,
            max_records_per_peer: per_peer,
            proven_after: Duration::from_secs(proven),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_store_answers_as_the_list_does(config in config(), steps in steps()) {
        // Rows at one distance tie by a keyed hash; the model orders them by query, so each distance gets one kind only.
        let query = |query: u16| query * 2;
        let bench = Bench::new(config.clone());
        let mut model = Model { config: config.clone(), records: Vec::new() };
        let mut now = 100;
        for step in steps {
            match step {
                Step::Save { query: q, item, from, own, age, lifetime } => {
                    let received = now - age;
                    let lease =
                        Lease { from, received: Wall::from_secs(received), lifetime: Duration::from_secs(lifetime), own };
                    let new = Record {
                        query: query(q), item: item.clone(), from, own, since: received, received,
                        expires: received + lifetime,
                    };
                    let before: Vec<_> = model.records.clone();
                    prop_assert_eq!(bench.save_as(query(q), item, lease, now), model.save(new, now));
                    for lost in before.iter().filter(|record| record.own && record.expires > now) {
                        prop_assert!(model.records.iter().any(|record| record.name() == lost.name()), "own record lost");
                    }
                }
                Step::Load(q) => {
                    model.expire(Some(query(q)), now);
                    let held = bench.load(query(q), now);
                    prop_assert!(held.iter().all(|stored| stored.expires > at(now).wall), "expired");
                    let expected: Vec<_> = model.records.iter().filter(|record| record.query == query(q)).collect();
                    prop_assert_eq!(held.len(), expected.len());
                    for (stored, record) in held.iter().zip(expected) {
                        prop_assert_eq!(&stored.item, &record.item);
                        prop_assert_eq!(stored.received, Wall::from_secs(record.received));
                        prop_assert_eq!(stored.expires, Wall::from_secs(record.expires));
                    }
                }
                Step::Remove(q) => {
                    let before = model.records.len();
                    model.records.retain(|record| record.query != query(q));
                    let removed = futures::executor::block_on(crate::Store::remove(&bench.store, &query(q)));
                    prop_assert_eq!(removed, Ok(before - model.records.len()));
                }
                Step::RemoveSlot(q, slot) => {
                    let before = model.records.len();
                    model.records.retain(|record| record.name() != (query(q), slot));
                    let removed = futures::executor::block_on(crate::Store::remove_slot(&bench.store, &query(q), &slot));
                    prop_assert_eq!(removed, Ok(before != model.records.len()));
                }
                Step::Sweep => prop_assert_eq!(bench.sweep(now), model.expire(None, now)),
                Step::Wait(secs) => now += secs,
            }
            let statistics = bench.statistics();
            prop_assert_eq!(statistics.records, model.records.len());
            prop_assert_eq!(statistics.own, model.records.iter().filter(|record| record.own).count());
            prop_assert_eq!(statistics.bytes, Model::bytes(&model.records));
            prop_assert_eq!(statistics.oldest, model.records.iter().map(|r| Wall::from_secs(r.received / 60 * 60)).min());
            prop_assert_eq!(statistics.newest, model.records.iter().map(|r| Wall::from_secs(r.received / 60 * 60)).max());
            prop_assert!(statistics.records <= config.max_records && statistics.bytes <= config.max_bytes);
            for q in 0..8 {
                let strangers = model.strangers(query(q));
                prop_assert!(strangers.len() <= config.max_items_per_query);
                for group in 0..3 {
                    let count = strangers.iter().filter(|record| record.item.group == Some(group)).count();
                    prop_assert!(count <= config.max_items_per_group);
                }
            }
            for from in 0..4 {
                let count = model.records.iter().filter(|record| !record.own && record.from == from).count();
                prop_assert!(count <= config.max_records_per_peer);
            }
            let names: Vec<_> = model.records.iter().map(Record::name).collect();
            prop_assert_eq!(bench.scan(false, None, 1_000), names);
            let own: Vec<_> = model.records.iter().filter(|record| record.own).map(Record::name).collect();
            prop_assert_eq!(bench.scan(true, None, 1_000), own);
        }
    }
}
