//! Why calls fail: one enum per operation, each with the shared [`ErrorKind`]. Not found is never an error.

use std::time::Duration;

use derive_where::derive_where;
use dht_core::{ErrorKind, Failure, Overlay};
use dht_net::RunError;
use dht_query::{Reason, Receipt};
use dht_records::{Invalid, StoreError};
use dht_routing::BootstrapFailed;
use thiserror::Error;

/// Why a lookup has no result.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The node is closed, or too many queries run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The routing table is empty: bootstrap first.
    #[error("nobody is known yet: the routing table is empty")]
    NoPeers,
    /// Everybody who was asked failed.
    #[error("none of the {asked} requests was answered")]
    Unanswered {
        /// Requests that were sent.
        asked: u32,
    },
    /// The deadline passed before anything was found.
    #[error("nothing was found within {after:?}")]
    Timeout {
        /// How long it ran.
        after: Duration,
    },
    /// The node cancelled it, because its reader was too slow.
    #[error("the lookup was cancelled")]
    Cancelled,
    /// The key is not one of this network.
    #[error("the key is not valid here: {0}")]
    Key(Invalid),
    /// The own store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl QueryError {
    /// The shared kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Run(error) => error.kind(),
            Self::NoPeers => ErrorKind::Routing,
            Self::Unanswered { .. } => ErrorKind::Network,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Cancelled => ErrorKind::Query,
            Self::Key(invalid) => invalid.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    /// The error that a query's end stands for, when it found nothing.
    pub(crate) fn of_end(reason: Reason, asked: u32, took: Duration) -> Option<Self> {
        match reason {
            Reason::NoPeers => Some(Self::NoPeers),
            Reason::Exhausted => Some(Self::Unanswered { asked }),
            Reason::Timeout => Some(Self::Timeout { after: took }),
            Reason::Cancelled => Some(Self::Cancelled),
            _ => None,
        }
    }
}

/// Why a value was not stored.
#[derive_where(Clone, Debug, PartialEq)]
#[derive(Error)]
#[non_exhaustive]
pub enum PutError<O: Overlay> {
    /// The value is not valid under its key.
    #[error("the value is not valid: {0}")]
    Invalid(Invalid),
    /// The own store holds a better one.
    #[error("the value is older than, or worse than, the one stored here")]
    Worse,
    /// The own store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lookup failed.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Nobody took it.
    #[error("nobody stored it: {} refused, {} failed", receipt.refused.len(), receipt.failed.len())]
    NotStored {
        /// Who refused and who failed.
        receipt: Receipt<O>,
    },
}

impl<O: Overlay> PutError<O> {
    /// The shared kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(invalid) => invalid.kind(),
            Self::Worse => ErrorKind::Record,
            Self::Store(error) => error.kind(),
            Self::Query(error) => error.kind(),
            Self::NotStored { .. } => ErrorKind::Query,
        }
    }
}

/// Why content was not provided; the same reasons as for a value.
pub type ProvideError<O> = PutError<O>;

/// Why a peer could not be reached or asked.
#[derive_where(Clone, Debug, PartialEq, Eq)]
#[derive(Error)]
#[non_exhaustive]
pub enum PeerError<O: Overlay> {
    /// The node is closed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// No address of the peer is known, and a lookup found none.
    #[error("no address of {peer} is known")]
    Unknown {
        /// Who.
        peer: O::PeerId,
    },
    /// The request failed for good: trying again does not help.
    #[error("{peer}: {why}")]
    Failed {
        /// Who.
        peer: O::PeerId,
        /// Why.
        why: Failure,
    },
    /// The deadline passed.
    #[error("{peer} did not answer within {after:?}")]
    Timeout {
        /// Who.
        peer: O::PeerId,
        /// The deadline.
        after: Duration,
    },
    /// Every try failed.
    #[error("{peer} failed {attempts} times, last: {last}")]
    RetriesExhausted {
        /// Who.
        peer: O::PeerId,
        /// Tries, the first one included.
        attempts: u32,
        /// Why the last one failed.
        last: Failure,
    },
}

impl<O: Overlay> PeerError<O> {
    /// The shared kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Run(error) => error.kind(),
            Self::Unknown { .. } => ErrorKind::Routing,
            Self::Failed { why, .. } => why.kind(),
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::RetriesExhausted { .. } => ErrorKind::RetriesExhausted,
        }
    }
}

/// Why the node did not join the network.
#[derive_where(Clone, Debug, PartialEq)]
#[derive(Error)]
#[non_exhaustive]
pub enum BootstrapError<O: Overlay> {
    /// The node is closed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Only places were known, and nobody answered there.
    #[error("nobody answered at any of the {asked} places to join through")]
    NobodyThere {
        /// How many were asked.
        asked: usize,
    },
    /// Nobody could be joined through; says who was tried.
    #[error("{0}")]
    Failed(BootstrapFailed<O>),
}

impl<O: Overlay> BootstrapError<O> {
    /// The shared kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Run(error) => error.kind(),
            Self::NobodyThere { .. } => ErrorKind::Bootstrap,
            Self::Failed(failed) => failed.kind(),
        }
    }
}
