//! One name for each place: whoever has one socket can answer by any number of names, and is one peer to the table.
//!
//! Who was there first stays. A newcomer at its place only has it asked whether it is still there: if it is not, its place
//! is free, and the newcomer will be heard of again. Which addresses are one place is the overlay's to say.

use dht_core::{Contact, Mono, Overlay};

use crate::{Routing, table::Table};

impl<O: Overlay> Table<O> {
    /// The peer that is where the contact is, by another name.
    pub(crate) fn occupant(&self, contact: &Contact<O>) -> Option<&Contact<O>> {
        let known = self.buckets().iter().flat_map(|bucket| bucket.entries());
        known
            .map(|entry| &entry.contact)
            .find(|known| O::same_place(&known.addr, &contact.addr) && known.peer != contact.peer)
    }
}

impl<O: Overlay> Routing<O> {
    /// Asks the peer at the contact's place, if there is one, whether it is still there.
    pub(crate) fn doubt_occupant(&mut self, now: Mono, contact: &Contact<O>) {
        if let Some(occupant) = self.table.occupant(contact).cloned()
            && self.has_candidate_slot()
        {
            self.check(now, occupant, self.config.check_timeout);
        }
    }
}
