//! What machines report about their work: plain values that a driver hands to a [`Sink`].
//!
//! Machines never count anything for people themselves; they say what happened, once, and somebody else counts.

use std::time::Duration;

use derive_where::derive_where;

use crate::{ErrorKind, Failure, Now, Overlay};

/// What a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestKind {
    /// Liveness.
    Ping,
    /// Closest peers.
    FindNode,
    /// Items and closest peers.
    Get,
    /// Store an item.
    Put,
}

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// A stranger asked us.
    Inbound,
    /// We asked a stranger.
    Outbound,
}

/// What a finished operation was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OperationKind {
    /// Closest peers of a target.
    Closest,
    /// Items under a query.
    Fetch,
    /// An item placed on the closest peers.
    Store,
}

/// How an operation ended. A not-found is neither a success nor a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It did what was asked.
    Ok,
    /// It ran to its end and nothing was there.
    NotFound,
    /// It failed.
    Failed(ErrorKind),
    /// The caller lost interest.
    Cancelled,
}

/// What happened in the local store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StoreKind {
    /// An item was stored.
    Saved,
    /// An item was refused.
    Refused,
    /// Items were loaded for an answer.
    Loaded,
}

/// One thing that happened.
#[derive_where(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Observation<O: Overlay> {
    /// A lookup or store began.
    QueryStarted {
        /// What for.
        kind: OperationKind,
    },
    /// A lookup or store ended.
    QueryFinished {
        /// What for.
        kind: OperationKind,
        /// How.
        outcome: Outcome,
        /// From its start.
        took: Duration,
        /// Requests it sent.
        requests: u32,
    },
    /// A request of ours went out.
    RequestSent {
        /// What it asks.
        kind: RequestKind,
    },
    /// A request of ours was answered.
    RequestAnswered {
        /// What it asked.
        kind: RequestKind,
        /// From sending to answer.
        rtt: Duration,
    },
    /// The answer that [`Observation::RequestAnswered`] tells next had been given up: a lookup had gone on without it, or the
    /// request had been sent once more. Many of these mean that the patience does not fit the network.
    RequestLate {
        /// What it asked.
        kind: RequestKind,
    },
    /// A request of ours failed.
    RequestFailed {
        /// What it asked.
        kind: RequestKind,
        /// Whom.
        peer: O::PeerId,
        /// Why.
        why: Failure,
    },
    /// A stranger's request was answered (`true`) or refused (`false`).
    RequestServed {
        /// What it asked.
        kind: RequestKind,
        /// Whether it was answered.
        ok: bool,
    },
    /// A peer entered the routing table.
    PeerAdded {
        /// Peers in the table afterwards.
        table: usize,
    },
    /// A peer left the routing table.
    PeerRemoved {
        /// Peers in the table afterwards.
        table: usize,
    },
    /// A bucket was refreshed.
    BucketRefreshed,
    /// A store operation ended; `items` of them.
    Stored {
        /// What happened.
        kind: StoreKind,
        /// Whether it concerns items that stand side by side (providers, peers) rather than a single value.
        plural: bool,
        /// How many items.
        items: usize,
    },
    /// Items of the local store expired and were removed.
    Expired {
        /// How many.
        items: usize,
    },
    /// The number of open connections changed.
    Connections {
        /// Open now.
        open: usize,
    },
    /// Something failed that no other observation tells.
    Error {
        /// Its kind.
        kind: ErrorKind,
        /// The peer at fault, if any.
        peer: Option<O::PeerId>,
    },
}

/// Takes observations. Called from the driver's task: an implementation must not block.
pub trait Sink<O: Overlay>: Send + Sync {
    /// One thing happened.
    fn observe(&self, observation: &Observation<O>);

    /// Says what time it is, about once a second; for sinks that tell rates.
    fn tick(&self, now: Now) {
        let _ = now;
    }
}

/// Drops every observation.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

impl<O: Overlay> Sink<O> for NoSink {
    fn observe(&self, _: &Observation<O>) {}
}
