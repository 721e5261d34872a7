//! A store that several hold is a store.

use std::sync::Arc;

use async_trait::async_trait;
use dht_core::{Now, Overlay};

use crate::{Lease, Saved, Statistics, Store, StoreError, Stored, Validator};

#[async_trait]
impl<O: Overlay, S: Store<O> + ?Sized> Store<O> for Arc<S> {
    async fn load(&self, query: &O::Query, now: Now) -> Result<Vec<Stored<O>>, StoreError> {
        (**self).load(query, now).await
    }

    fn load_now(&self, query: &O::Query, now: Now, found: &mut Vec<Stored<O>>) -> bool {
        (**self).load_now(query, now, found)
    }

    async fn save(
        &self,
        query: &O::Query,
        item: O::Item,
        lease: Lease<O>,
        judge: &dyn Validator<O>,
        now: Now,
    ) -> Result<Saved, StoreError> {
        (**self).save(query, item, lease, judge, now).await
    }

    async fn remove(&self, query: &O::Query) -> Result<usize, StoreError> {
        (**self).remove(query).await
    }

    async fn remove_slot(&self, query: &O::Query, slot: &O::Slot) -> Result<bool, StoreError> {
        (**self).remove_slot(query, slot).await
    }

    async fn sweep(&self, now: Now) -> Result<usize, StoreError> {
        (**self).sweep(now).await
    }

    async fn scan(
        &self,
        own_only: bool,
        from: Option<(O::Query, O::Slot)>,
        limit: usize,
    ) -> Result<Vec<(O::Query, Stored<O>)>, StoreError> {
        (**self).scan(own_only, from, limit).await
    }

    async fn statistics(&self) -> Result<Statistics, StoreError> {
        (**self).statistics().await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        (**self).clear().await
    }
}
