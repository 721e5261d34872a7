//! Whether the node works: the table, a lookup, and a round trip through the own store.

use dht_ipfs::{Ipfs, Item, ProviderRecord, Query};

use crate::{Dht, Health};

impl Dht<Ipfs> {
    /// Looks whether the node finds itself and stores what it is given.
    pub async fn health(&self) -> Health {
        let can_store = self.store_round_trip().await;
        self.health_with(can_store).await
    }

    /// Stores a provider record under a key nobody asks for, reads it back and removes it.
    async fn store_round_trip(&self) -> bool {
        let local = self.local();
        let query = Query::Providers([&b"health/"[..], local.peer.as_ref()].concat().into());
        let item = Item::Provider(ProviderRecord { peer: local.peer, addrs: local.addr });
        if self.handle.hold(query.clone(), item).await.is_err() {
            return false;
        }
        let held = self.handle.presented(&query).await;
        let found = held.is_ok_and(|items| items.iter().any(|item| item.as_provider().is_some()));
        let removed = self.handle.store().remove(&query).await;
        found && removed == Ok(1)
    }
}
