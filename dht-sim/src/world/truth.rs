//! What only the simulator knows: who is truly closest, how tables really are, who holds what.

use dht_core::{KadKey, Overlay};
use dht_records::{MemoryConfig, Store};

use super::World;
use crate::{dice::Dice, now_or_never, outcome::ViolationKind};

/// Tables of which the entries are looked at, for averages; how long they are is known of all.
const LOOKED_AT: usize = 1000;

/// How tables are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) fill: f64,
    /// `None`: nobody who keeps to the rules runs.
    pub(crate) min: Option<u64>,
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

    /// What the tables of these nodes hold, of those that keep to the rules. Bounds are checked on the way.
    pub(crate) fn tables(&mut self, up: &[u32], dice: &mut Dice) -> Tables {
        let (count, sum, min) = self.table_lengths(up);
        let mut some = up.to_vec();
        dice.keep(LOOKED_AT, &mut some);
        let (mut entries, mut stale, mut misplaced, mut unruly) = (0u64, 0u64, 0u64, 0u64);
        for i in &some {
            let Some(node) = &self.members[*i as usize].node else { continue };
            if self.conduct(*i).is_some() {
                continue;
            }
            for entry in node.routing().iter() {
                entries += 1;
                match self.locate(entry.contact).filter(|peer| self.is_up(*peer)) {
                    None => stale += 1,
                    Some(peer) => {
                        let role = self.role(peer);
                        misplaced += u64::from(role.nat || !role.serves);
                        unruly += u64::from(self.conduct(peer).is_some());
                    }
                }
            }
        }
        Tables {
            fill: sum as f64 / (count as f64).max(1.0),
            min,
            stale: stale as f64 / (entries as f64).max(1.0),
            misplaced: misplaced as f64 / (entries as f64).max(1.0),
            unruly: unruly as f64 / (entries as f64).max(1.0),
        }
    }

    /// How many tables those who keep to the rules have, how many peers are in them, and in the smallest.
    fn table_lengths(&mut self, up: &[u32]) -> (u64, u64, Option<u64>) {
        let (mut count, mut sum, mut min) = (0, 0, None);
        for i in up {
            let Some(node) = &self.members[*i as usize].node else { continue };
            if self.conduct(*i).is_some() {
                continue;
            }
            let (len, limit) = (node.routing().len() as u64, node.routing().config().max_size as u64);
            count += 1;
            sum += len;
            min = Some(min.map_or(len, |min: u64| min.min(len)));
            if len > limit {
                self.violate(Some(*i), ViolationKind::Bound, || format!("{len} peers, {limit} allowed"));
            }
        }
        (count, sum, min)
    }

    /// The items that a node's store would be found to hold under a query.
    pub(crate) fn held(&self, i: u32, query: &O::Query) -> Vec<O::Item> {
        let Some(store) = &self.members[i as usize].store else { return Vec::new() };
        store.peek(query, self.clock(i)).into_iter().map(|stored| stored.item).collect()
    }

    /// The bounds of every store.
    pub(super) fn store_bounds(&self) -> MemoryConfig {
        let bounds = self.network.memory();
        let max_records = self.stores.max_records.unwrap_or(bounds.max_records).max(1);
        MemoryConfig { max_records, ..bounds }
    }

    #[cfg(test)]
    pub(crate) fn bound_records(&mut self, most: usize) {
        self.stores.max_records = Some(most);
    }

    /// Checks that no store holds more than it may.
    pub(crate) fn audit_stores(&mut self) {
        let bounds = self.store_bounds();
        for i in 0..self.len() {
            let Some(store) = self.members[i as usize].store.clone() else { continue };
            let Some(Ok(statistics)) = now_or_never(store.statistics()) else { continue };
            if statistics.bytes > bounds.max_bytes {
                let (bytes, limit) = (statistics.bytes, bounds.max_bytes);
                self.violate(Some(i), ViolationKind::Bound, || format!("{bytes} bytes, {limit} allowed"));
            }
            if statistics.records > bounds.max_records {
                let (records, limit) = (statistics.records, bounds.max_records);
                self.violate(Some(i), ViolationKind::Bound, || format!("{records} records, {limit} allowed"));
            }
        }
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
        let bounds = self.store_bounds();
        if !O::corrects(query) && self.held(i, query).len() >= bounds.max_items_per_query {
            return true;
        }
        let Some(store) = &self.members[i as usize].store else { return false };
        let Some(Ok(statistics)) = now_or_never(store.statistics()) else { return false };
        statistics.records + 1 >= bounds.max_records
            || statistics.bytes + bounds.max_item_bytes >= bounds.max_bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        network::CompactNetwork,
        scenario::Conduct,
        world::{Role, Settings},
    };

    #[test]
    fn the_smallest_table_is_that_of_all_nodes_that_keep_to_the_rules() {
        let mut world = World::new(Arc::new(CompactNetwork::default()), Settings::default());
        let up: Vec<u32> =
            (0..LOOKED_AT as u32 + 20).map(|_| world.place(Role { serves: true, nat: false })).collect();
        up.iter().for_each(|i| world.start_node(*i).unwrap());
        let mut sampled = up.clone();
        Dice::new(1, 1).draw(LOOKED_AT, &mut sampled);
        // Somebody of whom the entries are not looked at knows nobody.
        let lonely = sampled[LOOKED_AT];
        up.iter().filter(|i| **i != lonely).for_each(|i| world.acquaint(*i, &[(i + 1) % 9, (i + 5) % 9]));
        let tables = world.tables(&up, &mut Dice::new(1, 1));
        assert_eq!(tables.min, Some(0));
        assert!(tables.fill > 1.0 && tables.fill < 2.0, "{tables:?}");
        world.set_conduct(lonely, Some(Conduct::Stumble));
        assert!(world.tables(&up, &mut Dice::new(1, 1)).min > Some(0));
        assert_eq!(world.tables(&[lonely], &mut Dice::new(1, 1)).min, None, "nobody was looked at");
    }
}
