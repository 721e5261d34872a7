//! Who wants to hear of things as they happen, rather than look at numbers later.

use std::time::Duration;

use derive_where::derive_where;
use dht_core::{ErrorKind, Failure, OperationKind, Outcome, Overlay, RequestKind, StoreKind};
use thiserror::Error;

use crate::Snapshot;

/// Hears of what happens. Called on the node's task, so it must neither block nor panic; it may add or remove observers,
/// which counts from the next event.
pub trait Observer<O: Overlay>: Send + Sync {
    /// A new snapshot was taken, once per interval.
    fn metrics_updated(&self, snapshot: &Snapshot<O>) {
        let _ = snapshot;
    }

    /// A lookup or store began.
    fn query_started(&self, kind: OperationKind) {
        let _ = kind;
    }

    /// A lookup or store ended, after `took` and `requests` requests.
    fn query_completed(&self, kind: OperationKind, outcome: Outcome, took: Duration, requests: u32) {
        let _ = (kind, outcome, took, requests);
    }

    /// The routing table changed and has `size` peers now.
    fn table_updated(&self, change: TableChange, size: usize) {
        let _ = (change, size);
    }

    /// Something happened to provider records (or Mainline peers) in the local store.
    fn provider_operation(&self, kind: StoreKind, items: usize) {
        let _ = (kind, items);
    }

    /// A request went out, came back, or was served.
    fn network_request(&self, request: &NetworkRequest<O>) {
        let _ = request;
    }
}

/// What changed in the routing table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableChange {
    /// A peer entered.
    Added,
    /// A peer left.
    Removed,
    /// A bucket was refreshed.
    Refreshed,
}

/// One step of a request.
#[derive_where(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkRequest<O: Overlay> {
    /// Ours went out.
    Sent {
        /// What it asks.
        kind: RequestKind,
    },
    /// Ours was answered.
    Answered {
        /// What it asked.
        kind: RequestKind,
        /// From sending to answer.
        rtt: Duration,
    },
    /// Ours failed.
    Failed {
        /// What it asked.
        kind: RequestKind,
        /// Whom.
        peer: O::PeerId,
        /// Why.
        why: Failure,
    },
    /// A stranger's was answered or refused.
    Served {
        /// What it asked.
        kind: RequestKind,
        /// Whether it was answered.
        ok: bool,
    },
}

/// Names a registered observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObserverId(pub(crate) u64);

/// As many observers as allowed are registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("more than {limit} observers")]
pub struct TooManyObservers {
    /// The limit.
    pub limit: usize,
}

impl TooManyObservers {
    /// The shared kind: [`ErrorKind::Capacity`].
    pub fn kind(self) -> ErrorKind {
        ErrorKind::Capacity
    }
}
