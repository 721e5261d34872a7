//! Requests and responses as both networks know them, after decoding and before encoding.

use derive_where::derive_where;

use crate::{Contact, Overlay, RequestKind};

/// Names one request of this node for as long as it waits for its answer; never used twice by one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What one peer asks of another.
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub enum Request<O: Overlay> {
    /// Are you there?
    Ping,
    /// Who is closest to this target?
    FindNode {
        /// What the lookup aims at.
        target: O::Target,
    },
    /// What do you hold under this query, and who is closest to it?
    Get {
        /// What is asked for.
        query: O::Query,
    },
    /// Keep this.
    Put {
        /// What it is kept under.
        query: O::Query,
        /// What is to be kept.
        item: O::Item,
        /// The proof that this peer may store, where the network asks for one.
        ticket: Option<O::Ticket>,
    },
}

impl<O: Overlay> Request<O> {
    /// What the request aims at; `None` for a ping.
    pub fn target(&self) -> Option<O::Target> {
        match self {
            Self::Ping => None,
            Self::FindNode { target } => Some(target.clone()),
            Self::Get { query } | Self::Put { query, .. } => Some(O::target_of(query)),
        }
    }

    /// The request's kind, for counting.
    pub fn kind(&self) -> RequestKind {
        match self {
            Self::Ping => RequestKind::Ping,
            Self::FindNode { .. } => RequestKind::FindNode,
            Self::Get { .. } => RequestKind::Get,
            Self::Put { .. } => RequestKind::Put,
        }
    }
}

/// The answer to a [`Request`]; what a request of some kind does not ask for stays empty.
///
/// An answer to [`Request::Put`] means that the peer took the item; a refusal arrives as a
/// [`Failure`](crate::Failure) instead.
#[derive_where(Clone, Debug, PartialEq, Eq, Default)]
pub struct Response<O: Overlay> {
    /// Peers close to the target, in the answerer's order.
    pub closer: Vec<Contact<O>>,
    /// What the answerer holds (Get) or took (Put).
    pub items: Vec<O::Item>,
    /// What to present when storing there later.
    pub ticket: Option<O::Ticket>,
}
