//! Who leaves when a total is reached: only planned here, so that a newcomer that finds no room changes nothing.

use dht_core::Overlay;

use super::Shelf;
use crate::{Bound, StoreError};

/// What asks for room.
pub(super) struct Newcomer<'a, O: Overlay> {
    pub(super) own: bool,
    pub(super) distance: u64,
    /// Its query's row, which stays when it is emptied.
    pub(super) row: Option<u32>,
    /// The slot it takes over, which is not to be evicted.
    pub(super) slot: Option<&'a O::Slot>,
}

impl<O: Overlay> Shelf<O> {
    /// Whom to evict so that `records` and `bytes` fit: the farthest first, of one row the least proven first.
    pub(super) fn victims(
        &self,
        records: usize,
        bytes: usize,
        newcomer: &Newcomer<'_, O>,
    ) -> Result<Vec<(u32, O::Slot)>, StoreError> {
        let over_records = records.saturating_sub(self.config.max_records);
        let over_bytes = bytes.saturating_sub(self.config.max_bytes);
        let (mut victims, mut freed) = (Vec::new(), 0);
        for place in self.strangers.iter().rev() {
            let enough = victims.len() >= over_records && freed >= over_bytes;
            if enough || !newcomer.own && place.distance <= newcomer.distance {
                break;
            }
            let row = &self.rows[place.id as usize];
            let beside = newcomer.row == Some(place.id);
            let mut order: Vec<_> = row
                .strangers()
                .map(|(_, entry)| (entry.standing(), entry))
                .filter(|(_, entry)| {
                    !(beside && newcomer.slot.is_some_and(|slot| O::slot(&entry.item) == *slot))
                })
                .collect();
            order.sort_by_key(|(standing, _)| *standing);
            let taken = victims.len();
            for (_, entry) in order {
                if victims.len() >= over_records && freed >= over_bytes {
                    break;
                }
                freed += O::weight(&entry.item);
                victims.push((place.id, O::slot(&entry.item)));
            }
            if victims.len() - taken == row.entries.len() && !beside {
                freed += O::query_weight(&row.query);
            }
        }
        if victims.len() < over_records {
            return Err(StoreError::Full { what: Bound::Records, limit: self.config.max_records });
        }
        if freed < over_bytes {
            return Err(StoreError::Full { what: Bound::Bytes, limit: self.config.max_bytes });
        }
        Ok(victims)
    }
}
