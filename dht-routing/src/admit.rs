//! Who may enter the table: the operator's or dialect's filter. It judges a contact by itself; what the bucket and the
//! table have room for is the table's own business.

use dht_core::{Contact, Overlay};

/// Decides whether a contact may be in the routing table.
///
/// Asked before a candidate is checked, before it enters, and again for every peer at each refresh, so a filter that
/// changes its mind empties the table of those it no longer wants.
pub trait Admit<O: Overlay>: Send + Sync {
    /// Whether the contact may be in the table. Must be quick: it is asked for every contact heard of.
    fn admit(&self, contact: &Contact<O>) -> bool;

    /// Whether the contact is worth more than those that are not preferred. A full bucket gives up the peer that is not
    /// preferred and was silent for longest for one that is, once that one answered; among candidates in waiting the
    /// preferred ones have their turn first. Asked when a contact is heard of, enters or moves. As quick as
    /// [`Admit::admit`]; by default everybody is preferred, so that nobody is.
    fn prefers(&self, _contact: &Contact<O>) -> bool {
        true
    }
}

/// Admits everybody.
#[derive(Clone, Copy, Debug, Default)]
pub struct AdmitAll;

impl<O: Overlay> Admit<O> for AdmitAll {
    fn admit(&self, _: &Contact<O>) -> bool {
        true
    }
}
