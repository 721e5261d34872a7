//! Why things fail, in the words that every layer's errors share.

use thiserror::Error;

/// The kind that every error of the stack maps to with its `kind()`; what dashboards and retry rules group by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The node was not started yet.
    NotStarted,
    /// The node was closed.
    Closed,
    /// Joining the network failed.
    Bootstrap,
    /// A peer could not be reached or the connection broke.
    Network,
    /// The routing table refused or has nobody to offer.
    Routing,
    /// A lookup could not do its work.
    Query,
    /// A peer broke the protocol.
    Protocol,
    /// An option has a value it must not have.
    Configuration,
    /// Every retry was used up.
    RetriesExhausted,
    /// A deadline passed.
    Timeout,
    /// A record is invalid, or worse than what is stored.
    Record,
    /// The local store failed.
    Store,
    /// A bound of this node was reached.
    Capacity,
    /// The estimate needs more samples.
    NotEnoughData,
}

impl ErrorKind {
    /// The kind's name in snake case, for labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotStarted => "not_started",
            Self::Closed => "closed",
            Self::Bootstrap => "bootstrap",
            Self::Network => "network",
            Self::Routing => "routing",
            Self::Query => "query",
            Self::Protocol => "protocol",
            Self::Configuration => "configuration",
            Self::RetriesExhausted => "retries_exhausted",
            Self::Timeout => "timeout",
            Self::Record => "record",
            Self::Store => "store",
            Self::Capacity => "capacity",
            Self::NotEnoughData => "not_enough_data",
        }
    }
}

/// Why one request to one peer got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Error)]
#[non_exhaustive]
pub enum Failure {
    /// The deadline of the request passed.
    #[error("no answer in time")]
    Timeout,
    /// No connection could be made, or no address is known.
    #[error("the peer cannot be reached")]
    Unreachable,
    /// The peer is there and does not speak our protocol: a client.
    #[error("the peer does not serve the protocol")]
    Unsupported,
    /// The connection or stream ended before the answer; for some networks also the way a server refuses a request.
    #[error("the peer ended the exchange")]
    Reset,
    /// The peer answered with an error.
    #[error("the peer refused the request (code {0})")]
    Refused(u32),
    /// The answer broke the protocol.
    #[error("the answer is malformed")]
    Malformed,
    /// Somebody else answered: the peer is not where it was.
    #[error("another peer answered")]
    WrongPeer,
    /// This node has no way to the network at the moment; it says nothing about the peer.
    #[error("this node is offline")]
    Offline,
    /// A bound of this node was reached before the request went out.
    #[error("too many requests are under way")]
    Overloaded,
    /// The node was closed.
    #[error("the node is closed")]
    Closed,
}

impl Failure {
    /// Whether the same request may succeed when it is tried again: network faults yes, protocol faults no.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Timeout | Self::Unreachable | Self::Reset | Self::Offline | Self::Overloaded)
    }

    /// Whether the fault is this node's own, and says nothing about the peer.
    pub fn is_own(self) -> bool {
        matches!(self, Self::Offline | Self::Overloaded | Self::Closed)
    }

    /// The shared kind.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::Timeout => ErrorKind::Timeout,
            Self::Unreachable | Self::Reset | Self::Offline => ErrorKind::Network,
            Self::Unsupported | Self::Refused(_) | Self::Malformed | Self::WrongPeer => ErrorKind::Protocol,
            Self::Overloaded => ErrorKind::Capacity,
            Self::Closed => ErrorKind::Closed,
        }
    }
}

/// An option has a value it must not have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{field}` is {value}: {rule}")]
pub struct InvalidConfig {
    /// The field as the `Config` struct spells it.
    pub field: &'static str,
    /// The value that was given.
    pub value: String,
    /// What would be right.
    pub rule: &'static str,
}

impl InvalidConfig {
    /// `Err` naming the field unless `ok`.
    pub fn require(
        ok: bool,
        field: &'static str,
        value: impl std::fmt::Debug,
        rule: &'static str,
    ) -> Result<(), Self> {
        if ok { Ok(()) } else { Err(Self { field, value: format!("{value:?}"), rule }) }
    }
}
