//! Who says what is true: the trait that a dialect's rules about items implement, and why an item may be refused.
//!
//! A validator is a pure judge. It keeps nothing and knows nothing of who sent an item; whether a sender may store an
//! item at all (only its own provider records, say) is decided where the sender is known.

use dht_core::{ErrorKind, Now, Overlay};
use thiserror::Error;

/// Judges items before they are stored, served or believed.
pub trait Validator<O: Overlay>: Send + Sync {
    /// Whether `item` may stand under `query` at `now`.
    ///
    /// # Errors
    /// Says why not.
    fn check(&self, query: &O::Query, item: &O::Item, now: Now) -> Result<(), Invalid>;

    /// The index of the best of `items`, which compete for one slot; `None` when none of them is acceptable.
    ///
    /// What is known already is listed first, so a judge keeps it by preferring the earlier of two equals, and lets a
    /// renewal through (a provider with new addresses) by preferring the later.
    fn best(&self, query: &O::Query, items: &[O::Item]) -> Option<usize>;

    /// Whether `newcomer` takes the place of another item that is held. The default is to ask which of the two is best.
    ///
    /// # Errors
    /// Says why not.
    fn supersedes(&self, query: &O::Query, held: &O::Item, newcomer: &O::Item) -> Result<(), Conflict> {
        match self.best(query, &[held.clone(), newcomer.clone()]) {
            Some(1) => Ok(()),
            _ => Err(Conflict::Older),
        }
    }
}

/// Why an item must not take the place of the one that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Conflict {
    /// What is held is as good or better.
    #[error("what is stored is better")]
    Older,
    /// The sender wants it to replace something else than what is held.
    #[error("what is stored is not what was to be replaced")]
    Unexpected,
}

/// Why an item is not acceptable under its query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Invalid {
    /// No validator is known for the key's namespace.
    #[error("no validator for this namespace")]
    UnknownNamespace,
    /// The key itself is malformed.
    #[error("the key is malformed")]
    InvalidKey,
    /// The item belongs under another key: a public key of another peer, a hash of other bytes.
    #[error("the item does not belong under this key")]
    KeyMismatch,
    /// The signature is missing or wrong.
    #[error("the signature is wrong")]
    Signature,
    /// The item is no longer valid.
    #[error("the item has expired")]
    Expired,
    /// The item claims to come from the future.
    #[error("the item is dated in the future")]
    Future,
    /// The item is larger than its kind may be.
    #[error("the item is larger than {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// The item cannot be read.
    #[error("malformed item: {0}")]
    Malformed(&'static str),
}

impl Invalid {
    /// The shared kind: always [`ErrorKind::Record`].
    pub fn kind(self) -> ErrorKind {
        ErrorKind::Record
    }
}
