//! Values: put, get and search, with a receipt for what was stored and correction of who holds worse.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use dht_ipfs::{Ipfs, Item, Query, Record, ValueKey};
use dht_net::Search;
use dht_query::{Finished, Progress, Receipt};
use dht_records::{Invalid, Saved};
use futures::Stream;

use crate::{Dht, PutError, QueryError, node::end_error};

/// A value that was stored, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Put {
    /// What became of it in the own store.
    pub local: Saved,
    /// Who stored it, who refused, who failed.
    pub receipt: Receipt<Ipfs>,
}

impl Dht<Ipfs> {
    pub(crate) fn value_key(&self, key: &str) -> Result<Bytes, Invalid> {
        let key = ValueKey::parse(key, self.shared.state.bare_keys).map_err(|_| Invalid::InvalidKey)?;
        Ok(key.as_bytes().clone())
    }

    /// Stores a value under a key such as `/ipns/k51…`, `/pk/12D3Koo…` or, in a private network, `/v/name`: validated,
    /// compared with what is stored here, kept and announced again while this node runs, and sent to the k closest peers.
    ///
    /// # Errors
    /// When the value is invalid, worse than what is stored here, or nobody took it.
    #[tracing::instrument(skip_all, fields(key))]
    pub async fn put_value(&self, key: &str, value: impl Into<Bytes>) -> Result<Put, PutError<Ipfs>> {
        let key = self.value_key(key).map_err(PutError::Invalid)?;
        self.put_record(key, value.into()).await
    }

    /// The same under a binary key.
    ///
    /// # Errors
    /// As [`Dht::put_value`].
    pub async fn put_record(&self, key: Bytes, value: Bytes) -> Result<Put, PutError<Ipfs>> {
        let query = Query::Value(key.clone());
        let item = Item::Value(Record::new(key, value));
        self.handle.validator().check(&query, &item, self.handle.now()).map_err(PutError::Invalid)?;
        let local = self.handle.keep(query.clone(), item.clone(), true).await?;
        if matches!(local, Saved::Worse(_)) {
            return Err(PutError::Worse);
        }
        if self.call.local_only {
            return Ok(Put { local, receipt: Receipt::default() });
        }
        let finished =
            self.handle.offer(query, item, self.query_options()).await.map_err(QueryError::from)?;
        let receipt = stored(finished)?;
        Ok(Put { local, receipt })
    }

    /// The best valid value under a key; `None` when the whole neighbourhood has none. Holders of a worse value, or of
    /// none, are sent the best one afterwards.
    ///
    /// # Errors
    /// When the key is malformed, or nobody could be asked.
    #[tracing::instrument(skip_all, fields(key))]
    pub async fn get_value(&self, key: &str) -> Result<Option<Bytes>, QueryError> {
        let key = self.value_key(key).map_err(QueryError::Key)?;
        Ok(self.get_record(key).await?.map(|record| record.value))
    }

    /// The same under a binary key, with the time at which its holder received it.
    ///
    /// # Errors
    /// When the key is empty, or nobody could be asked.
    pub async fn get_record(&self, key: Bytes) -> Result<Option<Record>, QueryError> {
        not_empty(&key)?;
        let query = Query::Value(key);
        if self.call.local_only {
            return self.local_value(&query).await;
        }
        let finished = self.handle.fetch(query, self.query_options()).await?;
        let error = end_error(&finished);
        match finished.items.into_iter().find_map(into_value) {
            Some(record) => Ok(Some(record)),
            None => error.map_or(Ok(None), Err),
        }
    }

    pub(crate) async fn local_value(&self, query: &Query) -> Result<Option<Record>, QueryError> {
        let now = self.handle.now();
        let held = self.handle.store().load(query, now).await?;
        let valid = |item: &Item| self.handle.validator().check(query, item, now).is_ok();
        Ok(held.into_iter().map(|stored| stored.item).filter(valid).find_map(into_value))
    }

    /// Values under a key as they are found, each better than the one before; a local one comes first.
    ///
    /// # Errors
    /// When the key is malformed or the node is closed.
    pub async fn search_value(&self, key: &str) -> Result<Improving, QueryError> {
        let query = Query::Value(self.value_key(key).map_err(QueryError::Key)?);
        Ok(Improving(self.handle.search(query, self.query_options()).await?))
    }
}

/// Values of one key, each better than the one before. Dropping it ends the search.
pub struct Improving(Search<Ipfs>);

impl Improving {
    /// The next better value; `None` when the search is over.
    pub async fn next(&mut self) -> Option<Bytes> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Improving {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match std::task::ready!(self.0.poll_next(cx)) {
                Some(Progress::Item(Item::Value(record))) => return Poll::Ready(Some(record.value)),
                Some(_) => continue,
                None => return Poll::Ready(None),
            }
        }
    }
}

/// Every server resets the stream of a request without a key, and would leave the table for that.
pub(super) fn not_empty(key: &[u8]) -> Result<(), QueryError> {
    if key.is_empty() { Err(QueryError::Key(Invalid::InvalidKey)) } else { Ok(()) }
}

pub(super) fn into_value(item: Item) -> Option<Record> {
    match item {
        Item::Value(record) => Some(record),
        Item::Provider(_) => None,
    }
}

/// The receipt of a store, or why nobody has the item.
pub(crate) fn stored(finished: Finished<Ipfs>) -> Result<Receipt<Ipfs>, PutError<Ipfs>> {
    if !finished.receipt.stored.is_empty() {
        return Ok(finished.receipt);
    }
    match end_error(&finished) {
        Some(error) if finished.receipt == Receipt::default() => Err(PutError::Query(error)),
        _ => Err(PutError::NotStored { receipt: finished.receipt }),
    }
}
