//! The own store in this network's words: values under text keys.

use bytes::Bytes;
use dht_core::{Overlay, Wall};
use dht_ipfs::{Ipfs, Item, Query, Record};
use dht_records::{Saved, StoreError};

use crate::{Dht, PutError, QueryError};

/// A value in the own store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalValue {
    /// Its binary key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// When it was received here.
    pub received: Wall,
}

/// Values in the own store of a [`Dht`].
pub struct Values<'a>(&'a Dht<Ipfs>);

impl Dht<Ipfs> {
    /// Values in the own store; nobody is asked and nothing is announced.
    pub fn values(&self) -> Values<'_> {
        Values(self)
    }
}

impl Values<'_> {
    fn query(&self, key: &str) -> Result<Query, QueryError> {
        Ok(Query::Value(self.0.value_key(key).map_err(QueryError::Key)?))
    }

    /// Stores a value here only, for the usual time.
    ///
    /// # Errors
    /// When it is invalid or the store refuses it.
    pub async fn put(&self, key: &str, value: impl Into<Bytes>) -> Result<Saved, PutError<Ipfs>> {
        let query = self.query(key)?;
        let item = Item::Value(Record::new(query.key().clone(), value));
        self.0.handle.validator().check(&query, &item, self.0.handle.now()).map_err(PutError::Invalid)?;
        Ok(self.0.handle.hold(query, item).await?)
    }

    /// The value that is held under a key and still valid.
    ///
    /// # Errors
    /// When the key is malformed.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, QueryError> {
        Ok(self.0.local_value(&self.query(key)?).await?.map(|record| record.value))
    }

    /// Whether a valid value is held under a key.
    ///
    /// # Errors
    /// When the key is malformed.
    pub async fn has(&self, key: &str) -> Result<bool, QueryError> {
        Ok(self.get(key).await?.is_some())
    }

    /// Forgets the value under a key, and no longer announces it; whether there was one.
    ///
    /// # Errors
    /// When the key is malformed or the store fails.
    pub async fn remove(&self, key: &str) -> Result<bool, PutError<Ipfs>> {
        Ok(self.0.handle.unkeep(self.query(key)?).await? > 0)
    }

    /// At most `limit` values, after the key of the last one of the page before; an empty page is the last.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn page(&self, after: Option<Bytes>, limit: usize) -> Result<Vec<LocalValue>, StoreError> {
        let mut values = Vec::new();
        let mut from = after.map(|key| (Query::Value(key), None));
        while values.len() < limit {
            let page = self.0.handle.store().scan(false, from.clone(), limit).await?;
            let Some((query, stored)) = page.last() else { break };
            from = Some((query.clone(), Ipfs::slot(&stored.item)));
            let found = page.into_iter().filter_map(|(query, stored)| match stored.item {
                Item::Value(record) => Some(LocalValue {
                    key: query.key().clone(),
                    value: record.value,
                    received: stored.received,
                }),
                Item::Provider(_) => None,
            });
            values.extend(found.take(limit - values.len()));
        }
        Ok(values)
    }
}
