//! What the table asks of its owner and what it tells: actions, events, reports and their ids. Plain values, no logic.

use std::{fmt, time::Duration};

use derive_where::derive_where;
use dht_core::{Contact, ErrorKind, Failure, Mono, Overlay};
use thiserror::Error;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);
    )*};
}
ids! {
    /// Names one [`Action::Check`].
    CheckId,
    /// Names one [`Action::Lookup`].
    LookupId,
    /// Names one refresh; [`Event::Refreshed`] carries it exactly once.
    RefreshId,
    /// Names one bootstrap; [`Event::Bootstrapped`] carries it exactly once.
    BootstrapId
}

/// What [`Routing::poll`](crate::Routing::poll) asks for.
#[derive_where(Clone, Debug, PartialEq)]
pub enum Action<O: Overlay> {
    /// Ask this peer for its own id (FIND_NODE of `peer_target`), then report with
    /// [`Routing::checked`](crate::Routing::checked). Any proper answer is a success, an empty one too.
    Check {
        /// To report with.
        id: CheckId,
        /// Whom.
        contact: Contact<O>,
        /// How long it may take.
        timeout: Duration,
    },
    /// Look up the peers closest to this target, then report with
    /// [`Routing::looked_up`](crate::Routing::looked_up).
    Lookup {
        /// To report with.
        id: LookupId,
        /// What to aim at.
        target: O::Target,
        /// `None`: begin with those of the table that are closest. Otherwise begin with this peer alone, who is not in the
        /// table, and look for the one closest peer that its side of the network has.
        through: Option<Contact<O>>,
        /// How long it may take.
        timeout: Duration,
    },
    /// Something happened.
    Event(Event<O>),
    /// Nothing to do before this time; `None`: before the next call.
    Wait(Option<Mono>),
}

/// What happened to the table.
#[derive_where(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<O: Overlay> {
    /// A peer entered.
    Added {
        /// Who and where.
        contact: Contact<O>,
        /// Its bucket: the length of the prefix shared with the local key.
        bucket: u32,
    },
    /// A peer left.
    Removed {
        /// Who.
        peer: O::PeerId,
        /// Why.
        cause: Removal,
    },
    /// A lookup within this bucket ran and found somebody.
    BucketRefreshed {
        /// Length of the common prefix.
        prefix: u32,
    },
    /// A refresh ended.
    Refreshed {
        /// As [`Routing::refresh`](crate::Routing::refresh) gave it; the table's own refreshes have ids as well.
        id: RefreshId,
        /// What it did.
        report: RefreshReport,
    },
    /// A bootstrap ended.
    Bootstrapped {
        /// As [`Routing::bootstrap`](crate::Routing::bootstrap) gave it.
        id: BootstrapId,
        /// How.
        result: Result<BootstrapReport<O>, BootstrapFailed<O>>,
    },
    /// The table lost its last peer, or an attempt to recover from that failed. The table tries the contacts it
    /// remembers by itself (unless `auto_refresh` is off); an owner that knows further ones may bootstrap with them.
    BootstrapNeeded,
}

/// Why a peer left the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Removal {
    /// A request to it, or a check, failed.
    Failed(Failure),
    /// It no longer serves the protocol, or it was removed by hand.
    Withdrawn,
    /// The table filter no longer admits it.
    Filtered,
    /// Its round trips became longer than the latency tolerance.
    Latency,
    /// Its place went to somebody else: to a nearer, emptier bucket while the table was at its maximum, to a preferred
    /// peer, or to older peers of the bucket that it has under a new own name. Also said of a peer whose name the local one took.
    Displaced,
}

/// Why a contact did not enter the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Rejected {
    /// Its round trip is longer than the latency tolerance.
    #[error("the peer's round trip takes {rtt:?}, more than the tolerated {limit:?}")]
    Latency {
        /// As measured.
        rtt: Duration,
        /// The option.
        limit: Duration,
    },
    /// Its bucket, or the whole table, is full of live peers.
    #[error("bucket {bucket} has no room")]
    Capacity {
        /// Length of the common prefix.
        bucket: u32,
    },
    /// Its network group has as many peers in its bucket, or in the table, as one may have.
    #[error("the peer's network group has its share of the table already")]
    Group,
    /// Another peer of the table is where it is, and only one can be there.
    #[error("another peer of the table is at that place")]
    Place,
    /// The table filter does not admit it.
    #[error("the table filter does not admit the peer")]
    Filtered,
    /// It is the local peer.
    #[error("the local peer is not kept")]
    Own,
}

impl Rejected {
    /// The shared kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Capacity { .. } | Self::Group => ErrorKind::Capacity,
            Self::Latency { .. } | Self::Place | Self::Filtered | Self::Own => ErrorKind::Routing,
        }
    }
}

/// A proper answer to a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// From sending to answer.
    pub rtt: Duration,
    /// How many peers it named; told for the record, an empty answer is proper.
    pub closer: usize,
}

/// What a refresh did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefreshReport {
    /// Silent peers that were checked.
    pub checked: usize,
    /// Peers that left because they were mute or are no longer admitted.
    pub evicted: usize,
    /// Lookups that ran, the one for the own key included; 0 when the table was empty.
    pub lookups: usize,
    /// Lookups that found nobody.
    pub fruitless: usize,
    /// Peers in the table at the end.
    pub peers: usize,
    /// From start to end.
    pub took: Duration,
}

/// One contact that a bootstrap asked, and what came of it.
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub struct Tried<O: Overlay> {
    /// Whom.
    pub peer: O::PeerId,
    /// The round trip, or why there was none.
    pub outcome: Result<Duration, Failure>,
}

/// How a bootstrap went.
#[derive_where(Clone, Debug, PartialEq, Eq, Default)]
pub struct BootstrapReport<O: Overlay> {
    /// Nobody was named and nobody is known: this is the first node of its network.
    pub alone: bool,
    /// Seeds and fallback contacts that were asked.
    pub tried: Vec<Tried<O>>,
    /// Table peers that were verified.
    pub verified: usize,
    /// Table peers that were mute and left.
    pub evicted: usize,
    /// Lookups that ran.
    pub lookups: usize,
    /// Whether the fallback contacts were needed.
    pub recovered: bool,
    /// Peers in the table at the end.
    pub peers: usize,
    /// From start to end.
    pub took: Duration,
}

/// Nobody answered and the table is empty.
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapFailed<O: Overlay> {
    /// Everybody who was asked and why it failed; those not reached in time fail with [`Failure::Timeout`].
    pub tried: Vec<Tried<O>>,
    /// From start to end.
    pub took: Duration,
}

impl<O: Overlay> BootstrapFailed<O> {
    /// The shared kind.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Bootstrap
    }
}

impl<O: Overlay> fmt::Display for BootstrapFailed<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "none of {} bootstrap peers answered within {:?}", self.tried.len(), self.took)?;
        for (i, tried) in self.tried.iter().take(4).enumerate() {
            let separator = if i == 0 { ": " } else { "; " };
            match &tried.outcome {
                Ok(_) => write!(f, "{separator}{} answered too late", tried.peer)?,
                Err(why) => write!(f, "{separator}{}: {why}", tried.peer)?,
            }
        }
        Ok(())
    }
}

impl<O: Overlay> std::error::Error for BootstrapFailed<O> {}
