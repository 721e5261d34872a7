//! The own store through the handle: what is kept, held, shown and forgotten, and announced meanwhile.

use std::time::Duration;

use dht_core::Overlay;
use dht_records::{Lease, Saved, StoreError};

use crate::{Handle, command::Command};

impl<O: Overlay> Handle<O> {
    /// Keeps an own item in the own store for ever. If `announced` it is announced again and again, also after a restart
    /// on the same store; the announcement now is the caller's ([`Handle::offer`]). If not, the store holds it like a
    /// stranger's item and may evict it when it is full. An announced item that an [`Handle::offer`] finds no taker for is
    /// announced again after the retry time.
    ///
    /// # Errors
    /// When the store refuses it.
    pub async fn keep(&self, query: O::Query, item: O::Item, announced: bool) -> Result<Saved, StoreError> {
        let now = self.now();
        let item = self.shared.rules.receive(item, now);
        let lease =
            Lease { from: self.local().peer, received: now.wall, lifetime: Duration::MAX, own: announced };
        let saved = self.shared.store.save(&query, item.clone(), lease, &*self.shared.validator, now).await?;
        if announced && !matches!(saved, Saved::Worse(_)) {
            // A closed node announces nothing, and says so at the next call.
            let _ = self.command(Command::Kept { query, item }).await;
        }
        Ok(saved)
    }

    /// Holds an item in the own store as if a stranger had sent it: for the usual time, never announced.
    ///
    /// # Errors
    /// When the store refuses it.
    pub async fn hold(&self, query: O::Query, item: O::Item) -> Result<Saved, StoreError> {
        let now = self.now();
        let lifetime = self.shared.rules.lifetime(&query, &item);
        let item = self.shared.rules.receive(item, now);
        let lease = Lease { from: self.local().peer, received: now.wall, lifetime, own: false };
        self.shared.store.save(&query, item, lease, &*self.shared.validator, now).await
    }

    /// What the own store holds under a query, as others would be shown it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn presented(&self, query: &O::Query) -> Result<Vec<O::Item>, StoreError> {
        let now = self.now();
        let held = self.shared.store.load(query, now).await?;
        let local = self.local();
        let rules = &self.shared.rules;
        let current = held.into_iter().filter_map(|mut stored| {
            stored.item = rules.renew(stored.item, &local);
            rules.present(&stored, now)
        });
        Ok(current.collect())
    }

    /// Forgets the item in one slot, locally and for future announcements; whether there was one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn unkeep_slot(&self, query: O::Query, slot: &O::Slot) -> Result<bool, StoreError> {
        self.forget(query.clone(), slot.clone()).await;
        self.shared.store.remove_slot(&query, slot).await
    }

    /// Has the driver announce an item no more. Awaited before the store forgets it: an announcement that ends in between
    /// would bring it back.
    async fn forget(&self, query: O::Query, slot: O::Slot) {
        // A closed node announces nothing any more.
        let _ = self.call(|done| Command::Dropped { query, slot, done }).await;
    }

    /// Forgets everything under a query, locally and for future announcements; how many items.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn unkeep(&self, query: O::Query) -> Result<usize, StoreError> {
        let held = self.shared.store.load(&query, self.now()).await?;
        for stored in held {
            self.forget(query.clone(), O::slot(&stored.item)).await;
        }
        self.shared.store.remove(&query).await
    }

    /// Forgets everything, locally and for future announcements.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn unkeep_all(&self) -> Result<(), StoreError> {
        // A closed node announces nothing any more.
        let _ = self.call(|done| Command::DroppedAll { done }).await;
        self.shared.store.clear().await
    }
}
