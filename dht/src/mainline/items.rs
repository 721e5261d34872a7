//! Items of BEP 44: values under their own hash, and values that the owner of a key replaces.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use dht_core::Key;
use dht_mainline::{Item, ItemError, ItemKey, Mainline, Query, Record, bencode::Tree};
use dht_net::Search;
use dht_query::{Finished, Receipt};
use ed25519_dalek::SigningKey;
use futures::{Stream, future::join_all};

use super::peers::poll_any;
use crate::{Dht, PutError, QueryError, node::end_error};

/// An item that was stored, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Put {
    /// Where it belongs.
    pub target: Key<20>,
    /// What was stored.
    pub item: Item,
    /// Who stored it, who refused (error 301: another sequence number is there, 302: a later one), who failed.
    pub receipt: Receipt<Mainline>,
}

impl Dht<Mainline> {
    /// Stores a value under its own hash, now and every half hour while the node runs.
    ///
    /// # Errors
    /// When it is larger than 1,000 bytes in bencode, or nobody took it.
    #[tracing::instrument(skip_all)]
    pub async fn put_immutable(&self, value: &Tree) -> Result<Put, PutError<Mainline>> {
        let item = Item::immutable(value).map_err(|error| PutError::Invalid(error.into()))?;
        self.put_item(ItemKey::new(item.target()), item, None).await
    }

    /// Stores a value under a key and a salt, now and every half hour while the node runs. `seq` must be higher than that of the
    /// item that is there; with `cas` the item is only taken by nodes whose present one has exactly that number.
    ///
    /// # Errors
    /// When value or salt are too large, `seq` is negative or not higher than what is stored here, or nobody took it.
    #[tracing::instrument(skip_all)]
    pub async fn put_mutable(
        &self,
        key: &SigningKey,
        salt: &[u8],
        seq: i64,
        cas: Option<i64>,
        value: &Tree,
    ) -> Result<Put, PutError<Mainline>> {
        let item = Item::mutable(key, salt, seq, value).map_err(|error| PutError::Invalid(error.into()))?;
        let place = ItemKey::mutable(&key.verifying_key().to_bytes(), Bytes::copy_from_slice(salt));
        self.put_item(place, item, cas).await
    }

    /// Stores an item that is there already, signed or not: who republishes for others has no key.
    ///
    /// # Errors
    /// When the item is invalid or nobody took it.
    pub async fn put_item(
        &self,
        key: ItemKey,
        item: Item,
        cas: Option<i64>,
    ) -> Result<Put, PutError<Mainline>> {
        let target = *key.target();
        item.check(&target).map_err(|error: ItemError| PutError::Invalid(error.into()))?;
        // Its lookup collects tokens: whatever is not later need not be sent.
        let query = Query::Item(match item.seq() {
            Some(seq) => key.later_than(seq),
            None => key,
        });
        let mut stores = Vec::new();
        for node in self.nodes() {
            stores.push(node.put_here(&query, &item, cas));
        }
        let receipt = together(join_all(stores).await)?;
        Ok(Put { target, item, receipt })
    }

    /// Offers an item through one socket. It is kept, and offered again later, once somebody took it: a put that everybody
    /// refused must not be repeated without its condition.
    async fn put_here(
        &self,
        query: &Query,
        item: &Item,
        cas: Option<i64>,
    ) -> Result<Finished<Mainline>, PutError<Mainline>> {
        let offer = Record::Item(item.clone(), cas);
        let held = self.handle.store().load(query, self.handle.now()).await?;
        let validator = self.handle.validator();
        if held.iter().any(|held| validator.supersedes(query, &held.item, &offer).is_err()) {
            return Err(PutError::Worse);
        }
        let finished = self.handle.offer(query.clone(), offer, self.query_options()).await;
        let finished = finished.map_err(QueryError::from)?;
        if !finished.receipt.stored.is_empty() {
            self.handle.keep(query.clone(), Record::Item(item.clone(), None), true).await?;
        }
        Ok(finished)
    }

    /// The value under a hash; `None` when nobody has it. Ends with the first answer: the hash proves it.
    ///
    /// # Errors
    /// When nobody could be asked.
    #[tracing::instrument(skip_all, fields(%target))]
    pub async fn get_immutable(&self, target: Key<20>) -> Result<Option<Item>, QueryError> {
        let mut first = self.clone();
        first.call.quorum = first.call.quorum.or(Some(1));
        first.get_item(ItemKey::new(target)).await
    }

    /// The latest item of a key and a salt that the closest nodes have; `None` when nobody has one.
    ///
    /// # Errors
    /// When nobody could be asked.
    #[tracing::instrument(skip_all)]
    pub async fn get_mutable(&self, key: &[u8; 32], salt: &[u8]) -> Result<Option<Item>, QueryError> {
        self.get_item(ItemKey::mutable(key, Bytes::copy_from_slice(salt))).await
    }

    /// The item under a key, immutable or mutable; the latest one.
    ///
    /// # Errors
    /// When nobody could be asked.
    pub async fn get_item(&self, key: ItemKey) -> Result<Option<Item>, QueryError> {
        let query = Query::Item(key);
        let mut asked = Vec::new();
        for node in self.nodes() {
            asked.push(node.handle.fetch(query.clone(), node.query_options()));
        }
        let (mut best, mut failed) = (None::<Item>, None);
        for finished in join_all(asked).await {
            let finished = finished?;
            failed = failed.or(end_error(&finished));
            for item in finished.items.into_iter().filter_map(into_item) {
                if best.as_ref().is_none_or(|best| item.seq() > best.seq()) {
                    best = Some(item);
                }
            }
        }
        match failed {
            Some(error) if best.is_none() => Err(error),
            _ => Ok(best),
        }
    }

    /// Items of a key and a salt as they are found, each later than the one before.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn search_mutable(&self, key: &[u8; 32], salt: &[u8]) -> Result<MutableItems, QueryError> {
        let query = Query::Item(ItemKey::mutable(key, Bytes::copy_from_slice(salt)));
        let mut searches = Vec::new();
        for node in self.nodes() {
            searches.push(node.handle.search(query.clone(), node.query_options()).await?);
        }
        Ok(MutableItems { searches, latest: None })
    }
}

/// Items of one key, each later than the one before. Dropping it ends the search.
pub struct MutableItems {
    searches: Vec<Search<Mainline>>,
    latest: Option<i64>,
}

impl MutableItems {
    /// The next later item; `None` when the search is over.
    pub async fn next(&mut self) -> Option<Item> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for MutableItems {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let Self { searches, latest } = &mut *self;
        poll_any(searches, cx, |item| {
            let newer = into_item(item).filter(|item| item.seq() > *latest)?;
            *latest = newer.seq();
            Some(newer)
        })
    }
}

fn into_item(record: Record) -> Option<Item> {
    match record {
        Record::Item(item, _) => Some(item),
        _ => None,
    }
}

/// One receipt for all nodes of a [`Dht`]: an error only when none of them found a taker.
pub(super) fn together(
    stores: Vec<Result<Finished<Mainline>, PutError<Mainline>>>,
) -> Result<Receipt<Mainline>, PutError<Mainline>> {
    let (mut all, mut failed) = (Receipt::default(), None);
    for finished in stores {
        match finished {
            Ok(finished) => {
                let error = end_error(&finished).map(PutError::Query);
                failed = failed.or(error.filter(|_| finished.receipt == Receipt::default()));
                all.stored.extend(finished.receipt.stored);
                all.refused.extend(finished.receipt.refused);
                all.failed.extend(finished.receipt.failed);
            }
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        _ if !all.stored.is_empty() => Ok(all),
        Some(error) if all == Receipt::default() => Err(error),
        _ => Err(PutError::NotStored { receipt: all }),
    }
}
