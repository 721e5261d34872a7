//! The state of a memory store, as plain calls under its lock: rows of records, their indexes, their totals.
//!
//! Rows live in a slab and are found through two ordered sets of places, one of rows with strangers' records (which can be
//! evicted), one of rows with own ones (which cannot). The same sets order scans and evictions.

mod look;
mod room;

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use dht_core::{KadKey, Now, Overlay, Wall};
use slab::Slab;

use super::{
    MemoryConfig, SWEEP_BATCH,
    calendar::{Calendar, Link},
    crowd,
    row::{Entries, Entry, Place, Row},
    totals::Totals,
};
use room::Newcomer;

use crate::{
    Bound, Lease, Saved, StoreError, Stored, Validator,
    clock::{Clock, Moment, SECOND, nanos},
};

/// Everything a memory store holds.
pub(super) struct Shelf<O: Overlay> {
    local: O::Key,
    config: MemoryConfig,
    seed: u64,
    clock: Clock,
    rows: Slab<Row<O>>,
    strangers: BTreeSet<Place>,
    own: BTreeSet<Place>,
    calendar: Calendar,
    totals: Totals,
}

impl<O: Overlay> Shelf<O> {
    pub(super) fn new(local: O::Key, config: MemoryConfig, seed: u64) -> Self {
        Self {
            local,
            config,
            seed,
            clock: Clock::default(),
            rows: Slab::new(),
            strangers: BTreeSet::new(),
            own: BTreeSet::new(),
            calendar: Calendar::default(),
            totals: Totals::default(),
        }
    }

    pub(super) fn load(&mut self, query: &O::Query, wall: Wall, found: &mut Vec<Stored<O>>) {
        let now = self.clock.read(wall);
        let Some(id) = self.find_live(query, now) else { return };
        found.extend(self.rows[id as usize].entries.iter().map(|entry| self.stored(entry)));
    }

    pub(super) fn save(
        &mut self,
        query: &O::Query,
        item: O::Item,
        lease: &Lease<O>,
        judge: &dyn Validator<O>,
        now: Now,
    ) -> Result<Saved, StoreError> {
        let moment = self.clock.read(now.wall);
        if self.totals.records >= self.config.max_records || self.totals.bytes >= self.config.max_bytes {
            // What has expired makes room before anything that has not.
            self.sweep(now.wall, SWEEP_BATCH);
        }
        let (size, limit) = (O::weight(&item) + O::query_weight(query), self.config.max_item_bytes);
        if size > limit {
            return Err(StoreError::TooLarge { size, limit });
        }
        let received = self.clock.past(lease.received);
        let expires = received.saturating_add(nanos(lease.lifetime));
        if expires <= moment {
            return Err(StoreError::Expired);
        }
        let (from, own) = (self.hash(&lease.from), lease.own);
        let since = u32::try_from(received / SECOND).unwrap_or(u32::MAX);
        let entry = Entry { item, own, from, since, received, expires };
        let Some(id) = self.find_live(query, moment) else {
            self.admit(query, None, entry)?;
            return Ok(Saved::New);
        };
        match self.rows[id as usize].position(&O::slot(&entry.item)) {
            Ok(at) => self.compete(id, at, entry, judge, now),
            Err(_) => self.admit(query, Some(id), entry).map(|()| Saved::New),
        }
    }

    pub(super) fn remove(&mut self, query: &O::Query) -> usize {
        self.find(query).map_or(0, |id| self.retain(id, |_| false))
    }

    pub(super) fn remove_slot(&mut self, query: &O::Query, slot: &O::Slot) -> bool {
        self.find(query).is_some_and(|id| self.retain(id, |entry| O::slot(&entry.item) != *slot) > 0)
    }

    /// Looks at no more than `batch` rows; says how many records went and whether nothing is left to do.
    pub(super) fn sweep(&mut self, wall: Wall, batch: usize) -> (usize, bool) {
        let now = self.clock.read(wall);
        let mut swept = 0;
        for _ in 0..batch {
            let Some(id) = self.calendar.expired(now) else { return (swept, true) };
            swept += self.retain(id, |entry| entry.expires > now);
        }
        (swept, false)
    }

    /// Leaves an empty shelf; the full one is the caller's to drop, which takes its time.
    pub(super) fn clear(&mut self) -> Self {
        let empty = Self::new(self.local, self.config.clone(), self.seed);
        let clock = self.clock;
        std::mem::replace(self, Self { clock, ..empty })
    }

    /// Decides between what is held and a newcomer for the same slot.
    fn compete(
        &mut self,
        id: u32,
        at: usize,
        mut entry: Entry<O>,
        judge: &dyn Validator<O>,
        now: Now,
    ) -> Result<Saved, StoreError> {
        let row = &self.rows[id as usize];
        let held = &row.entries[at];
        if held.item == entry.item {
            return self.renew(id, at, entry);
        }
        if judge.check(&row.query, &held.item, now).is_err() {
            return self.replace(id, at, entry);
        }
        if let Err(conflict) = judge.supersedes(&row.query, &held.item, &entry.item) {
            return Ok(Saved::Worse(conflict));
        }
        // The slot's holder has stood here since then, whatever it said.
        entry.since = held.since;
        self.replace(id, at, entry)
    }

    /// The same item again. Strangers only ever prolong a lease; what is ours stays ours, whoever repeats it.
    fn renew(&mut self, id: u32, at: usize, mut entry: Entry<O>) -> Result<Saved, StoreError> {
        let held = &self.rows[id as usize].entries[at];
        entry.since = held.since;
        if !entry.own {
            entry.own = held.own;
            entry.from = held.from;
            entry.received = entry.received.max(held.received);
            entry.expires = entry.expires.max(held.expires);
        }
        self.put(id, at, entry);
        Ok(Saved::Refreshed)
    }

    /// Puts an accepted item in the place of a held one.
    fn replace(&mut self, id: u32, at: usize, mut entry: Entry<O>) -> Result<Saved, StoreError> {
        let row = &self.rows[id as usize];
        let held = &row.entries[at];
        if !entry.own {
            if held.own {
                // An own place becomes a stranger's: it counts toward the strangers' bounds like a new one.
                self.check_quota(entry.from)?;
                let limit = self.config.max_items_per_query;
                if row.strangers().count() >= limit {
                    return Err(StoreError::Full { what: Bound::PerQuery, limit });
                }
            } else {
                // Whoever brought the first one is accountable for the place.
                entry.from = held.from;
            }
            crowd::check_move(row, at, &entry.item, &self.config)?;
        }
        let bytes = (self.totals.bytes - O::weight(&held.item)).saturating_add(O::weight(&entry.item));
        let slot = O::slot(&entry.item);
        let distance = self.distance(&row.query);
        let newcomer = Newcomer { own: entry.own, distance, row: Some(id), slot: Some(&slot) };
        let victims = self.victims(self.totals.records, bytes, &newcomer)?;
        self.evict(victims);
        // Evictions may have moved it within its row.
        let at =
            self.rows[id as usize].position(&slot).expect("victims are never the slot that asks for room");
        self.put(id, at, entry);
        Ok(Saved::Better)
    }

    /// Gives an item a slot of its own, if it has a right to one.
    fn admit(&mut self, query: &O::Query, id: Option<u32>, entry: Entry<O>) -> Result<(), StoreError> {
        let row = id.map(|id| &self.rows[id as usize]);
        let mut records = self.totals.records + 1;
        let mut bytes = self.totals.bytes.saturating_add(O::weight(&entry.item));
        if row.is_none() {
            bytes = bytes.saturating_add(O::query_weight(query));
        }
        let mut leaves = None;
        if !entry.own {
            self.check_quota(entry.from)?;
            if let Some(row) = row
                && let Some(at) = crowd::displaced(row, &entry.item, &self.config)?
            {
                records -= 1;
                bytes -= O::weight(&row.entries[at].item);
                leaves = Some(O::slot(&row.entries[at].item));
            }
        }
        let newcomer = Newcomer { own: entry.own, distance: self.distance(query), row: id, slot: None };
        let mut victims = self.victims(records, bytes, &newcomer)?;
        victims.extend(id.zip(leaves));
        self.evict(victims);
        self.insert(query, entry);
        Ok(())
    }

    fn evict(&mut self, victims: Vec<(u32, O::Slot)>) {
        for (id, slot) in victims {
            self.retain(id, |entry| O::slot(&entry.item) != slot);
        }
    }

    fn check_quota(&self, from: u32) -> Result<(), StoreError> {
        let limit = self.config.max_records_per_peer;
        if self.totals.of_peer(from) < limit {
            Ok(())
        } else {
            Err(StoreError::Full { what: Bound::PerPeer, limit })
        }
    }

    /// Adds a record whose slot is empty.
    fn insert(&mut self, query: &O::Query, entry: Entry<O>) {
        self.totals.count(&entry);
        let id = if let Some(id) = self.find(query) {
            let row = &mut self.rows[id as usize];
            let at = row.position(&O::slot(&entry.item)).unwrap_or_else(|at| at);
            row.entries.insert(at, entry);
            id
        } else {
            self.totals.bytes += O::query_weight(query);
            if self.rows.len() == self.rows.capacity() {
                // Doubling would leave up to half of the largest allocation unused.
                self.rows.reserve_exact((self.rows.len() / 8).max(64));
            }
            let entries = Entries::One(entry);
            self.rows.insert(Row { query: query.clone(), entries, link: Link::none() }) as u32
        };
        self.settle(id);
    }

    /// Overwrites a record.
    fn put(&mut self, id: u32, at: usize, entry: Entry<O>) {
        self.totals.count(&entry);
        let held = std::mem::replace(&mut self.rows[id as usize].entries[at], entry);
        self.totals.discount(&held);
        self.settle(id);
    }

    /// Drops the records of a row that are not to stay; says how many.
    fn retain(&mut self, id: u32, stays: impl Fn(&Entry<O>) -> bool) -> usize {
        let (row, totals) = (&mut self.rows[id as usize], &mut self.totals);
        let before = row.entries.len();
        row.entries.retain(|entry| {
            let stays = stays(entry);
            if !stays {
                totals.discount(entry);
            }
            stays
        });
        let dropped = before - row.entries.len();
        self.settle(id);
        dropped
    }

    /// Brings the indexes in line with a row that changed, and drops it when it is empty.
    fn settle(&mut self, id: u32) {
        let row = &self.rows[id as usize];
        let place = self.place(&row.query, id);
        let own = row.entries.iter().any(|entry| entry.own);
        let strangers = row.entries.iter().any(|entry| !entry.own);
        let expires = row.expires();
        for (set, member) in [(&mut self.own, own), (&mut self.strangers, strangers)] {
            if member {
                set.insert(place);
            } else {
                set.remove(&place);
            }
        }
        if own || strangers {
            self.calendar.enter(&mut self.rows, id, expires);
        } else {
            self.calendar.leave(&mut self.rows, id);
            let row = self.rows.remove(id as usize);
            self.totals.bytes -= O::query_weight(&row.query);
        }
    }

    /// The row of a query, if something in it has not expired; what has is dropped.
    fn find_live(&mut self, query: &O::Query, now: Moment) -> Option<u32> {
        let id = self.find(query)?;
        if self.rows[id as usize].expires() <= now {
            self.retain(id, |entry| entry.expires > now);
        }
        self.rows.contains(id as usize).then_some(id)
    }

    fn find(&self, query: &O::Query) -> Option<u32> {
        let first = self.place(query, 0);
        let last = Place { id: u32::MAX, ..first };
        let is_it = |place: &&Place| self.rows[place.id as usize].query == *query;
        let found = self.strangers.range(first..=last).find(is_it);
        found.or_else(|| self.own.range(first..=last).find(is_it)).map(|place| place.id)
    }

    fn place(&self, query: &O::Query, id: u32) -> Place {
        Place { distance: self.distance(query), hash: self.hash(query), id }
    }

    fn distance(&self, query: &O::Query) -> u64 {
        self.local.prefix64() ^ O::key_of(&O::target_of(query)).prefix64()
    }

    /// A hash that nobody without the seed can find collisions of.
    fn hash(&self, value: &impl Hash) -> u32 {
        let mut hasher = DefaultHasher::new();
        self.seed.hash(&mut hasher);
        value.hash(&mut hasher);
        hasher.finish() as u32
    }

    fn stored(&self, entry: &Entry<O>) -> Stored<O> {
        let received = self.clock.wall(entry.received);
        Stored { item: entry.item.clone(), received, expires: self.clock.wall(entry.expires) }
    }
}
