//! What a dialect lets others see and store: the policy of a server, as pure functions.
//!
//! Rules decide about requests and answers only. Who may enter the table is `dht_routing::Admit`, whether an item is
//! true is `dht_records::Validator`.

use std::time::Duration;

use dht_core::{Contact, Now, Overlay, Request};
use dht_records::{Conflict, Invalid, Stored};
use thiserror::Error;

/// Why a stranger's request is not served. How the asker learns of it is the dialect's: a stream is reset, an error is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// This node is a client and serves nobody.
    #[error("this node does not serve")]
    NotServing,
    /// The request hook or the rules of the network say no.
    #[error("the request is not admitted")]
    NotAdmitted,
    /// The ticket is missing, expired or was given to somebody else.
    #[error("the ticket does not hold")]
    BadTicket,
    /// The item is not acceptable, and why.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The item must not take the place of what is stored, and why.
    #[error(transparent)]
    Worse(#[from] Conflict),
    /// The store is full or failed.
    #[error("the item could not be stored")]
    Unavailable,
}

/// A dialect's server policy.
pub trait Rules<O: Overlay>: Send + Sync {
    /// Looks at every request before it is served; the request hook of an operator sits here.
    ///
    /// # Errors
    /// The refusal that the stranger gets.
    fn admit(&self, from: &Contact<O>, request: &Request<O>, now: Now) -> Result<(), Refusal>;

    /// Where `contact` may be named to `to`; `None` leaves it out of the answer (a private address on a public network,
    /// a peer whose address is unknown).
    fn show(&self, contact: &Contact<O>, to: &Contact<O>) -> Option<O::Addr>;

    /// What `to` must present to store under `query` later, where `held` items are; `None` where nothing is asked, or
    /// where nothing more is taken.
    fn ticket(&self, to: &Contact<O>, query: &O::Query, held: usize, now: Now) -> Option<O::Ticket>;

    /// Whether this ticket lets `from` store under `query`.
    ///
    /// # Errors
    /// [`Refusal::BadTicket`] when it does not.
    fn redeem(
        &self,
        from: &Contact<O>,
        query: &O::Query,
        ticket: Option<&O::Ticket>,
        now: Now,
    ) -> Result<(), Refusal>;

    /// How long an item is kept from its receipt; `Duration::MAX` for ever.
    fn lifetime(&self, query: &O::Query, item: &O::Item) -> Duration;

    /// The item as it is stored: the receiver's time stamp and whatever else is the receiver's to set.
    fn receive(&self, item: O::Item, now: Now) -> O::Item;

    /// The item as it is shown to others now (an address older than its lifetime left out); `None` hides it.
    fn present(&self, stored: &Stored<O>, now: Now) -> Option<O::Item>;

    /// An item made current before it is shown or announced again: the local node's own provider record with today's
    /// addresses. Items of others stay as they are.
    fn renew(&self, item: O::Item, local: &Contact<O>) -> O::Item;
}
