//! The state of a memory store.
use dht_core::{Now, Overlay, Wall};

use super::MemoryConfig;
use crate::{Lease, Saved, Statistics, StoreError, Stored, Validator};

pub(super) struct Shelf<O: Overlay> {
    _local: O::Key,
}
impl<O: Overlay> Shelf<O> {
    pub(super) fn new(local: O::Key, _config: MemoryConfig, _seed: u64) -> Self {
        Self { _local: local }
    }
    pub(super) fn load(&mut self, _query: &O::Query, _wall: Wall) -> Vec<Stored<O>> {
        todo!()
    }
    pub(super) fn save(
        &mut self,
        _query: &O::Query,
        _item: O::Item,
        _lease: &Lease<O>,
        _judge: &dyn Validator<O>,
        _now: Now,
    ) -> Result<Saved, StoreError> {
        todo!()
    }
    pub(super) fn remove(&mut self, _query: &O::Query) -> usize {
        todo!()
    }
    pub(super) fn remove_slot(&mut self, _query: &O::Query, _slot: &O::Slot) -> bool {
        todo!()
    }
    pub(super) fn sweep(&mut self, _wall: Wall, _batch: usize) -> (usize, bool) {
        todo!()
    }
    pub(super) fn scan(
        &self,
        _own_only: bool,
        _from: Option<&(O::Query, O::Slot)>,
        _limit: usize,
    ) -> Vec<(O::Query, Stored<O>)> {
        todo!()
    }
    pub(super) fn statistics(&self) -> Statistics {
        todo!()
    }
    pub(super) fn clear(&mut self) {
        todo!()
    }
}
