//! Who gets a place under a query that many want to stand under.
//!
//! Whoever may announce may announce a million times under a million names, so neither being new nor being fresh is a
//! merit here. What a flood lacks is spread over networks and having been around: both count, time of announcement never.

use std::{cmp::Reverse, collections::BTreeMap};

use dht_core::Overlay;

use super::{
    MemoryConfig,
    row::{Entry, Row},
};
use crate::{Bound, StoreError};

/// The index in `row` of the record that a stranger's new item takes the place of; `None` when a place is free.
///
/// Once all are taken, only a network group that has at least two places more than the newcomer's own gives one up: the
/// largest such group that has unproven records, and of these the one of least standing. Proven records give way, under
/// the same rule, only while the unproven hold less than a quarter of the places, so that three quarters are safe from any
/// flood and a quarter is open to newcomers even after squatters have proven themselves.
pub(super) fn displaced<O: Overlay>(
    row: &Row<O>,
    newcomer: &O::Item,
    config: &MemoryConfig,
) -> Result<Option<usize>, StoreError> {
    let strangers = row.strangers().count();
    if strangers < config.max_items_per_query.min(config.max_items_per_group) {
        return Ok(None);
    }
    let mut held: BTreeMap<Option<u64>, usize> = BTreeMap::new();
    for (_, entry) in row.strangers() {
        *held.entry(O::item_group(&entry.item)).or_default() += 1;
    }
    let group = O::item_group(newcomer);
    let beside = held.get(&group).copied().unwrap_or(0);
    if group.is_some() && beside >= config.max_items_per_group {
        return Err(StoreError::Full { what: Bound::PerGroup, limit: config.max_items_per_group });
    }
    if strangers < config.max_items_per_query {
        return Ok(None);
    }
    let proven_after = config.proven_after.as_secs();
    let unproven = row.strangers().filter(|(_, entry)| entry.standing() < proven_after).count();
    let open = unproven < config.max_items_per_query / 4;
    row.strangers()
        .filter(|(_, entry)| held[&O::item_group(&entry.item)] >= beside + 2)
        .filter(|(_, entry)| open || entry.standing() < proven_after)
        .min_by_key(|(_, entry)| {
            let crowd = held[&O::item_group(&entry.item)];
            // Of equal standing the one that came last goes: it was not there before the flood.
            (entry.standing() >= proven_after, Reverse(crowd), entry.standing(), Reverse(entry.since))
        })
        .map(|(at, _)| Some(at))
        .ok_or(StoreError::Full { what: Bound::PerQuery, limit: config.max_items_per_query })
}

/// Whether the item in the place `at` of `row` may become `item`: who has a place does not move it into a network group
/// that has all of its own.
pub(super) fn check_move<O: Overlay>(
    row: &Row<O>,
    at: usize,
    item: &O::Item,
    config: &MemoryConfig,
) -> Result<(), StoreError> {
    let Some(group) = O::item_group(item) else { return Ok(()) };
    let in_group = |entry: &Entry<O>| O::item_group(&entry.item) == Some(group);
    let others = row.strangers().filter(|(i, entry)| *i != at && in_group(entry)).count();
    let limit = config.max_items_per_group;
    if others < limit { Ok(()) } else { Err(StoreError::Full { what: Bound::PerGroup, limit }) }
}
