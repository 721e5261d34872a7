//! The routing table of a running node: reading it, changing it, refreshing it.

use std::time::Duration;

use derive_where::derive_where;
use dht_core::{Contact, Overlay};
use dht_net::{Order, RunError};
use dht_routing::{RefreshReport, Rejected};

use crate::{Dht, Network};

/// One peer of the routing table, as it was when the table was read.
#[derive_where(Clone, Debug)]
pub struct TableEntry<O: Overlay> {
    /// Who and where.
    pub contact: Contact<O>,
    /// Its bucket: leading bits that its key shares with ours.
    pub bucket: u32,
    /// Smoothed round-trip time.
    pub rtt: Option<Duration>,
    /// Since its last answer.
    pub silent_for: Duration,
    /// Since it entered.
    pub age: Duration,
}

/// The routing table of a [`Dht`].
pub struct Table<'a, O: Network>(pub(crate) &'a Dht<O>);

impl<O: Network> Table<'_, O> {
    /// Peers in the table.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn len(&self) -> Result<usize, RunError> {
        self.0.handle.visit(|node, _| node.routing().len()).await
    }

    /// Whether it is empty.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn is_empty(&self) -> Result<bool, RunError> {
        Ok(self.len().await? == 0)
    }

    /// All peers, farthest bucket first.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn peers(&self) -> Result<Vec<TableEntry<O>>, RunError> {
        self.0
            .handle
            .visit(move |node, now| {
                let entries = node.routing().iter();
                entries
                    .map(|entry| TableEntry {
                        contact: entry.contact.clone(),
                        bucket: entry.bucket,
                        rtt: entry.rtt,
                        silent_for: now.mono.since(entry.last_seen),
                        age: now.mono.since(entry.added),
                    })
                    .collect()
            })
            .await
    }

    /// Enters a peer by hand, without a lookup check; it leaves again when it fails to answer.
    ///
    /// # Errors
    /// When the node is closed; the inner error says why the table does not take it.
    pub async fn add(&self, contact: Contact<O>) -> Result<Result<(), Rejected>, RunError> {
        self.0.handle.visit(move |node, now| node.add_peer(now, contact)).await
    }

    /// Takes a peer out; whether it was there.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn remove(&self, peer: O::PeerId) -> Result<bool, RunError> {
        self.0.handle.visit(move |node, now| node.remove_peer(now, &peer)).await
    }

    /// Refreshes every bucket now; ends when that is done.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn refresh(&self) -> Result<RefreshReport, RunError> {
        self.0.handle.refresh(true).await
    }

    /// Switches periodic refreshes and repairs on or off.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn set_auto_refresh(&self, on: bool) -> Result<(), RunError> {
        self.0.handle.visit(move |node, now| node.set_auto_refresh(now, on)).await
    }

    /// How the table is doing.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn health(&self) -> Result<dht_routing::Health, RunError> {
        self.0.handle.visit(|node, _| node.routing().health()).await
    }

    /// Counts since the start, and the buckets as they are.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn statistics(&self) -> Result<dht_routing::Statistics, RunError> {
        self.0.handle.visit(|node, _| node.routing().statistics()).await
    }

    /// Keeps the connection to a peer through trimming and idling, or no longer.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn protect(&self, peer: O::PeerId, on: bool) -> Result<(), RunError> {
        self.0.handle.order(Order::Protect { peer, on }).await
    }
}
