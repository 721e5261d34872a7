//! How a node is doing: what every network asks; whether its store works is the network's to try.

use std::time::Duration;

use crate::{Dht, Network};

/// How a node is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// Peers in the routing table.
    pub table: usize,
    /// Whether a lookup for the own id finds anybody.
    pub can_find_self: bool,
    /// Whether the own store takes and returns items.
    pub can_store: bool,
    /// What is wrong, in words; empty when nothing is.
    pub errors: Vec<String>,
    /// The short of it, in words.
    pub verdict: &'static str,
}

impl<O: Network> Dht<O> {
    pub(crate) async fn health_with(&self, can_store: bool) -> Health {
        let mut errors = Vec::new();
        let table = match self.handle.visit(|node, _| node.routing().len()).await {
            Ok(table) => table,
            Err(error) => {
                errors.push(error.to_string());
                0
            }
        };
        let own = O::peer_target(&self.local().peer);
        let patience = self.shared.query_timeout.min(Duration::from_secs(10));
        let patience = self.call.timeout.map_or(patience, |timeout| timeout.min(patience));
        let found = self.timeout(patience).closest_to(own).await;
        let can_find_self = found.as_ref().is_ok_and(|peers| !peers.is_empty());
        if let Err(error) = found {
            errors.push(format!("looking up the own id: {error}"));
        }
        if !can_store {
            errors.push("the own store did not return what was put into it".into());
        }
        let verdict = if self.is_closed() {
            "closed"
        } else if table == 0 {
            "alone: the routing table is empty"
        } else if !can_find_self || !can_store {
            "ailing: see the errors"
        } else if table < self.shared.resiliency {
            "fragile: fewer peers than the resiliency asks for"
        } else {
            "healthy"
        };
        Health { table, can_find_self, can_store, errors, verdict }
    }
}
