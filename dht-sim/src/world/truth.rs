//! What only the simulator knows: who is truly closest, how tables really are, who holds what.

use dht_core::{KadKey, Overlay};
use dht_records::Store;

use super::World;
use crate::{dice::Dice, now_or_never, outcome::ViolationKind};

/// Tables that are looked at for averages.
const LOOKED_AT: usize = 1000;

/// How tables are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) fill: f64,
    pub(crate) min: u64,
    pub(crate) stale: f64,
    pub(crate) misplaced: f64,
    pub(crate) unruly: f64,
}

impl<O: Overlay> World<O> {
    /// The servers closest to a target that run, nearest first.
    pub(crate) fn closest(&self, target: &O::Target, k: usize) -> Vec<u32> {
        let key = O::key_of(target);
        let running =
            self.members.iter().enumerate().filter(|(_, m)| m.is_up() && m.role.serves && !m.role.nat);
        let mut near: Vec<_> = running.map(|(i, m)| (key.distance(&m.contact.key()), i as u32)).collect();
        let k = k.min(near.len());
        if k < near.len() {
            near.select_nth_unstable(k);
            near.truncate(k);
        }
        near.sort_unstable();
        near.into_iter().map(|(_, i)| i).collect()
    }

    /// Which node a contact is.
    pub(crate) fn number_of(&self, contact: &dht_core::Contact<O>) -> Option<u32> {
        self.locate(contact)
    }

    /// What the tables of some nodes hold. Bounds are checked on the way.
    pub(crate) fn tables(&mut self, up: &[u32], dice: &mut Dice) -> Tables {
        let mut some = up.to_vec();
        dice.draw(LOOKED_AT, &mut some);
        some.truncate(LOOKED_AT);
        let (mut entries, mut stale, mut misplaced, mut unruly) = (0u64, 0u64, 0u64, 0u64);
        let mut min = u64::MAX;
        for i in &some {
            let Some(node) = &self.members[*i as usize].node else { continue };
            if self.conduct(*i).is_some() {
                continue;
            }
            let table = node.routing();
            let len = table.len() as u64;
            let limit = table.config().max_size as u64;
            entries += len;
            min = min.min(len);
            for entry in table.iter() {
                match self.locate(entry.contact).filter(|peer| self.is_up(*peer)) {
                    None => stale += 1,
                    Some(peer) => {
                        let role = self.role(peer);
                        misplaced += u64::from(role.nat || !role.serves);
                        unruly += u64::from(self.conduct(peer).is_some());
                    }
                }
            }
            if len > limit {
                self.violate(Some(*i), ViolationKind::Bound, || format!("{len} peers, {limit} allowed"));
            }
        }
        let count = some.iter().filter(|i| self.conduct(**i).is_none()).count().max(1) as f64;
        Tables {
            fill: entries as f64 / count,
            min: if some.is_empty() { 0 } else { min },
            stale: stale as f64 / (entries as f64).max(1.0),
            misplaced: misplaced as f64 / (entries as f64).max(1.0),
            unruly: unruly as f64 / (entries as f64).max(1.0),
        }
    }

    /// The items that a node's store holds under a query, whatever their time.
    pub(crate) fn held(&self, i: u32, query: &O::Query) -> Vec<O::Item> {
        let Some(store) = &self.members[i as usize].store else { return Vec::new() };
        let found = now_or_never(store.peek(query, self.clock(i)));
        found.unwrap_or_default().into_iter().map(|stored| stored.item).collect()
    }

    /// Checks that no store holds more than it may; says how many records all hold.
    pub(crate) fn audit_stores(&mut self) -> u64 {
        let memory = self.network.memory();
        let limit = self.stores.max_records.unwrap_or(memory.max_records).max(1);
        let mut records = 0;
        for i in 0..self.len() {
            let Some(store) = self.members[i as usize].store.clone() else { continue };
            let Some(Ok(statistics)) = now_or_never(store.statistics()) else { continue };
            records += statistics.records as u64;
            if statistics.bytes > memory.max_bytes {
                let (bytes, limit) = (statistics.bytes, memory.max_bytes);
                self.violate(Some(i), ViolationKind::Bound, || format!("{bytes} bytes, {limit} allowed"));
            }
            if statistics.records > limit {
                let records = statistics.records;
                self.violate(Some(i), ViolationKind::Bound, || format!("{records} records, {limit} allowed"));
            }
        }
        records
    }

    /// Checks that no store holds more under a query than it may. The own item of a node is beside the others.
    pub(crate) fn audit_query(&mut self, query: &O::Query) {
        let limit = self.network.memory().max_items_per_query;
        for i in 0..self.len() {
            let items = self.held(i, query).len();
            if items > limit + 1 {
                self.violate(Some(i), ViolationKind::Bound, || {
                    format!("{items} items under one query, {limit} allowed")
                });
            }
        }
    }

    /// Whether a node's store may have given a record of this query up for want of room.
    pub(crate) fn is_crowded(&self, i: u32, query: &O::Query) -> bool {
        let most = self.network.memory().max_items_per_query;
        if !O::corrects(query) && self.held(i, query).len() >= most {
            return true;
        }
        let memory = self.network.memory();
        let limit = self.stores.max_records.unwrap_or(memory.max_records);
        let Some(store) = &self.members[i as usize].store else { return false };
        let Some(Ok(statistics)) = now_or_never(store.statistics()) else { return false };
        statistics.records + 1 >= limit || statistics.bytes + memory.max_item_bytes >= memory.max_bytes
    }
}
