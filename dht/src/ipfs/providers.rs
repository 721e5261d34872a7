//! Content: who provides it, and saying that this node does.

use std::{
    collections::BTreeMap,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use dht_core::Contact;
use dht_ipfs::{ContentKey, Ipfs, Item, PeerId, ProviderRecord, Query};
use dht_net::Search;
use dht_query::{Progress, QueryOptions, Receipt};
use dht_records::{Invalid, Saved};
use futures::Stream;

use crate::{Dht, ProvideError, PutError, QueryError};

/// Content that was announced, and to whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Announced {
    /// What became of the own record.
    pub local: Saved,
    /// Who stored it, who refused, who failed; empty when it was not announced.
    pub receipt: Receipt<Ipfs>,
}

impl Dht<Ipfs> {
    fn own_record(&self) -> Item {
        let Contact { peer, addr } = self.local();
        Item::Provider(ProviderRecord { peer, addrs: addr })
    }

    /// Says that this node provides the content with this multihash: recorded here and, if `announce`, told to the k
    /// closest peers now and every 22 h while this node runs.
    ///
    /// # Errors
    /// When the key is not 1 to 80 bytes, or nobody took the record.
    #[tracing::instrument(skip_all)]
    pub async fn provide(
        &self,
        multihash: impl Into<Bytes>,
        announce: bool,
    ) -> Result<Announced, ProvideError<Ipfs>> {
        let query = Query::Providers(multihash.into());
        let item = self.own_record();
        self.handle.validator().check(&query, &item, self.handle.now()).map_err(PutError::Invalid)?;
        let local = self.handle.keep(query.clone(), item.clone(), announce).await?;
        if !announce {
            return Ok(Announced { local, receipt: Receipt::default() });
        }
        let receipt = self.announce(query, item).await?;
        Ok(Announced { local, receipt })
    }

    /// Announces content once and keeps no record of it; where it is announced again and again is [`Dht::provide`].
    ///
    /// # Errors
    /// As [`Dht::provide`].
    pub async fn provide_once(
        &self,
        multihash: impl Into<Bytes>,
    ) -> Result<Receipt<Ipfs>, ProvideError<Ipfs>> {
        let query = Query::Providers(multihash.into());
        let item = self.own_record();
        self.handle.validator().check(&query, &item, self.handle.now()).map_err(PutError::Invalid)?;
        self.announce(query, item).await
    }

    async fn announce(&self, query: Query, item: Item) -> Result<Receipt<Ipfs>, ProvideError<Ipfs>> {
        let finished =
            self.handle.offer(query, item, self.query_options()).await.map_err(QueryError::from)?;
        super::values::stored(finished)
    }

    /// Stops announcing this content and forgets the own record; whether there was one.
    ///
    /// # Errors
    /// When the own store fails.
    pub async fn stop_providing(&self, multihash: impl Into<Bytes>) -> Result<bool, ProvideError<Ipfs>> {
        let query = Query::Providers(multihash.into());
        Ok(self.handle.unkeep_slot(query, &Some(self.local().peer)).await?)
    }

    /// Providers as they are found, the ones known here first, each peer once until it turns up with addresses; ends after
    /// `count` peers, 0 means all.
    ///
    /// # Errors
    /// When the key is not 1 to 80 bytes, or the node is closed.
    pub async fn find_providers(
        &self,
        multihash: impl Into<Bytes>,
        count: usize,
    ) -> Result<Providers, QueryError> {
        // Every server resets the stream of another key, and would leave the table for that.
        let key = ContentKey::from_bytes(multihash).map_err(|_| QueryError::Key(Invalid::InvalidKey))?;
        let query = Query::from(key);
        let emitted = BTreeMap::new();
        if self.call.local_only {
            let known = self.local_providers(query.key().clone()).await?;
            return Ok(Providers { search: None, known, emitted, left: limit(count) });
        }
        let options = QueryOptions { limit: Some(count), quorum: None, ..self.query_options() };
        let search = self.handle.search(query, options).await?;
        Ok(Providers { search: Some(search), known: Vec::new(), emitted, left: limit(count) })
    }

    /// Records in the own store that a peer provides the content; for those who learned it elsewhere. It is held for the
    /// usual time and not announced: nobody may announce others.
    ///
    /// # Errors
    /// When the store refuses it.
    pub async fn add_provider(
        &self,
        multihash: impl Into<Bytes>,
        provider: Contact<Ipfs>,
    ) -> Result<Saved, ProvideError<Ipfs>> {
        let query = Query::Providers(multihash.into());
        let item = Item::Provider(ProviderRecord { peer: provider.peer, addrs: provider.addr });
        self.handle.validator().check(&query, &item, self.handle.now()).map_err(PutError::Invalid)?;
        Ok(self.handle.hold(query, item).await?)
    }

    /// Providers that the own store knows.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn local_providers(
        &self,
        multihash: impl Into<Bytes>,
    ) -> Result<Vec<Contact<Ipfs>>, QueryError> {
        let query = Query::Providers(multihash.into());
        let held = self.handle.presented(&query).await?;
        Ok(held.into_iter().filter_map(contact).collect())
    }
}

fn limit(count: usize) -> usize {
    if count == 0 { usize::MAX } else { count }
}

fn contact(item: Item) -> Option<Contact<Ipfs>> {
    match item {
        Item::Provider(record) => Some(Contact::new(record.peer, record.addrs)),
        Item::Value(_) => None,
    }
}

/// Providers of one key. Dropping it ends the search.
pub struct Providers {
    search: Option<Search<Ipfs>>,
    known: Vec<Contact<Ipfs>>,
    /// Peers told already, and whether with an address; bounded by the items that one search keeps.
    emitted: BTreeMap<PeerId, bool>,
    left: usize,
}

impl Providers {
    /// The next provider; `None` when there are no more.
    pub async fn next(&mut self) -> Option<Contact<Ipfs>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// All that are left, sorted by id.
    pub async fn collect_all(mut self) -> Vec<Contact<Ipfs>> {
        let mut all = BTreeMap::<PeerId, Contact<Ipfs>>::new();
        while let Some(provider) = self.next().await {
            all.insert(provider.peer, provider);
        }
        all.into_values().collect()
    }
}

impl Stream for Providers {
    type Item = Contact<Ipfs>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Contact<Ipfs>>> {
        let this = &mut *self;
        let Some(search) = &mut this.search else {
            let next = if this.left > 0 { this.known.pop() } else { None };
            this.left = this.left.saturating_sub(1);
            return Poll::Ready(next);
        };
        loop {
            if this.left == 0 {
                return Poll::Ready(None);
            }
            let Some(progress) = std::task::ready!(search.poll_next(cx)) else { return Poll::Ready(None) };
            let Progress::Item(item) = progress else { continue };
            let Some(provider) = contact(item) else { continue };
            match this.emitted.insert(provider.peer, provider.is_located()) {
                None => this.left -= 1,
                // Told before without an address, and now there is one.
                Some(false) if provider.is_located() => {}
                Some(located) => {
                    this.emitted.insert(provider.peer, located);
                    continue;
                }
            }
            return Poll::Ready(Some(provider));
        }
    }
}
