//! What is counted: one name per counter, with its labels. The set is closed, so the map of counts is bounded by it.

use std::collections::BTreeMap;

use dht_core::{ErrorKind, OperationKind, Outcome, RequestKind, StoreKind};

/// How an operation ended, without the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    Ok,
    NotFound,
    Failed,
    Cancelled,
}

impl From<Outcome> for Ending {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Ok => Self::Ok,
            Outcome::NotFound => Self::NotFound,
            Outcome::Failed(_) => Self::Failed,
            Outcome::Cancelled => Self::Cancelled,
        }
    }
}

/// A counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Count {
    QueryStarted(OperationKind),
    QueryFinished(OperationKind, Ending),
    RequestSent(RequestKind),
    RequestAnswered(RequestKind),
    RequestLate(RequestKind),
    RequestFailed(RequestKind, ErrorKind),
    RequestServed(RequestKind, bool),
    PeerAdded,
    PeerRemoved,
    BucketRefreshed,
    /// The flag: whether the items stand side by side, as providers do.
    Items(StoreKind, bool),
    Expired,
    Error(ErrorKind),
}

/// The value of every counter that ever moved.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(BTreeMap<Count, u64>);

impl Counts {
    pub(crate) fn add(&mut self, count: Count, n: u64) {
        let value = self.0.entry(count).or_default();
        *value = value.saturating_add(n);
    }

    pub(crate) fn get(&self, count: Count) -> u64 {
        self.0.get(&count).copied().unwrap_or(0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Count, u64)> {
        self.0.iter().map(|(count, value)| (*count, *value))
    }

    /// What was counted since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self(self.0.iter().map(|(count, value)| (*count, value - earlier.get(*count))).collect())
    }
}

/// A kind's name in snake case.
pub(crate) fn operation(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Closest => "closest",
        OperationKind::Fetch => "fetch",
        OperationKind::Store => "store",
    }
}

/// A kind's name in snake case.
pub(crate) fn request(kind: RequestKind) -> &'static str {
    match kind {
        RequestKind::Ping => "ping",
        RequestKind::FindNode => "find_node",
        RequestKind::Get => "get",
        RequestKind::Put => "put",
    }
}

/// A kind's name in snake case.
pub(crate) fn store(kind: StoreKind) -> &'static str {
    match kind {
        StoreKind::Saved => "saved",
        StoreKind::Refused => "refused",
        StoreKind::Loaded => "loaded",
    }
}

/// An ending's name in snake case.
pub(crate) fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::Ok => "ok",
        Ending::NotFound => "not_found",
        Ending::Failed => "failed",
        Ending::Cancelled => "cancelled",
    }
}
