//! Whether the node works: the table, a lookup, and a round trip through the own store.

use dht_mainline::{Item, ItemKey, Mainline, Query, Record};

use crate::{Dht, Health};

impl Dht<Mainline> {
    /// Looks whether the first node finds itself and stores what it is given.
    pub async fn health(&self) -> Health {
        let can_store = self.store_round_trip().await;
        self.health_with(can_store).await
    }

    /// Stores an item that nobody asks for, reads it back and removes it.
    async fn store_round_trip(&self) -> bool {
        let value = self.local().peer.to_string();
        let Ok(item) = Item::immutable(&value.as_str().into()) else { return false };
        let query = Query::Item(ItemKey::new(item.target()));
        if self.handle.hold(query.clone(), Record::Item(item.clone(), None)).await.is_err() {
            return false;
        }
        let held = self.handle.presented(&query).await;
        let found = held.is_ok_and(|items| items.contains(&Record::Item(item, None)));
        let removed = self.handle.store().remove(&query).await;
        found && removed == Ok(1)
    }
}
