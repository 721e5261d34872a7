//! The own store of a running node, in words that every network shares.

use std::sync::Arc;

use dht_records::{Statistics as StoreStatistics, Store, StoreError, Stored};

use crate::{Dht, Network};

/// The own store of a [`Dht`]: what it holds for itself and for others.
pub struct LocalStore<'a, O: Network>(pub(crate) &'a Dht<O>);

impl<O: Network> LocalStore<'_, O> {
    fn store(&self) -> &Arc<dyn Store<O>> {
        self.0.handle.store()
    }

    /// What is held under a query and has not expired.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn get(&self, query: &O::Query) -> Result<Vec<Stored<O>>, StoreError> {
        self.store().load(query, self.0.handle.now()).await
    }

    /// Whether anything is held under a query.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn has(&self, query: &O::Query) -> Result<bool, StoreError> {
        Ok(!self.get(query).await?.is_empty())
    }

    /// Removes everything under a query; how many items.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove(&self, query: &O::Query) -> Result<usize, StoreError> {
        self.0.handle.unkeep(query.clone()).await
    }

    /// Removes everything.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn clear(&self) -> Result<(), StoreError> {
        self.0.handle.unkeep_all().await
    }

    /// How much is held.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn statistics(&self) -> Result<StoreStatistics, StoreError> {
        self.store().statistics().await
    }

    /// At most `limit` queries that something is held under, after `from`; an empty page is the last.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn keys(
        &self,
        from: Option<(O::Query, O::Slot)>,
        limit: usize,
    ) -> Result<Vec<(O::Query, O::Slot)>, StoreError> {
        let page = self.store().scan(false, from, limit).await?;
        Ok(page.into_iter().map(|(query, stored)| (query, O::slot(&stored.item))).collect())
    }
}
