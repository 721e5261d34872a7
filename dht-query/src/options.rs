//! What a caller says when it starts a query, and what it brings along: its options, its judge, its filter.

use std::{sync::Arc, time::Duration};

use dht_core::{Contact, ErrorKind, Overlay};
use thiserror::Error;

/// Says what an item is worth. The node adapts its validator and its clock to this.
pub trait Judge<O: Overlay> {
    /// Whether the item may be believed at all; asked once per item of an answer, before the item counts.
    fn is_valid(&self, query: &O::Query, item: &O::Item) -> bool;

    /// Which of these valid items of one slot is best; the first of equals. `None` when none can be told.
    fn best(&self, query: &O::Query, items: &[O::Item]) -> Option<usize>;
}

/// Decides whether a contact that an answer names may be asked; `false` drops it.
pub type Filter<O> = Arc<dyn Fn(&Contact<O>) -> bool + Send + Sync>;

/// What one query wants different from [`Config`](crate::Config).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryOptions {
    /// Ends the query with what it has; [`Config::query_timeout`](crate::Config::query_timeout) otherwise.
    pub timeout: Option<Duration>,
    /// How many of the closest peers are looked for; [`Config::k`](crate::Config::k) otherwise, which is the most.
    /// Clamped to 1 at least: a walk that follows each answer to the nearest peer that it named.
    pub k: Option<usize>,
    /// Fetches end after this many answers with a valid item, the local one included; `None` and 0 look everywhere.
    pub quorum: Option<usize>,
    /// Fetches end after this many distinct slots (providers, say); `None` and 0 want all.
    pub limit: Option<usize>,
    /// Paths that share no peer; [`Config::disjoint_paths`](crate::Config::disjoint_paths) otherwise.
    /// Clamped to `1..=alpha`.
    pub paths: Option<usize>,
    /// Whether to report every step as [`Progress::Step`](crate::Progress::Step).
    pub trace: bool,
}

/// Why a query was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StartError {
    /// As many queries run as may.
    #[error("{limit} queries are running, which is the limit")]
    Busy {
        /// The limit, [`Config::max_queries`](crate::Config::max_queries).
        limit: usize,
    },
}

impl StartError {
    /// The shared kind.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::Busy { .. } => ErrorKind::Capacity,
        }
    }
}
