//! The own name changes while the machine runs: everybody is sorted anew, and what is in flight goes on. Who decides
//! about the name, and when, is not known here.

use dht_core::{Contact, KadKey, Now, Overlay};

use crate::{Removal, Routing, table::Table};

impl<O: Overlay> Routing<O> {
    /// This node has another name from now on. Every peer moves to the bucket that it has under the new key, with all
    /// that is known of it; nobody is asked for that. Of those who find no room there (the peers that were nearest
    /// become one bucket) the preferred and then the oldest stay, the others leave with [`Removal::Displaced`] and wait as candidates as far
    /// as there is room for that. Checks, lookups and refreshes in flight go on, and what they bring is placed under
    /// the new key. A table that looks after itself then looks up its new neighbourhood.
    pub fn rename(&mut self, now: Now, local: O::PeerId) {
        if *self.table.local() == local {
            return;
        }
        let shared = self.table.local_key().common_prefix_len(&O::peer_key(&local));
        let left = self.table.rename(Table::new(local.clone(), &self.config));
        self.expect_anew();
        self.lookups.renamed(shared);
        if let Some(refresh) = &mut self.refresh {
            refresh.renamed(self.config.max_refresh_prefix);
        }
        let stranger = |contact: &Contact<O>| contact.peer != local;
        for (_, bootstrap) in &mut self.bootstraps {
            bootstrap.retain(stranger);
        }
        self.remembered.retain(stranger);
        self.lost.retain(stranger);
        for peer in left {
            self.gone(peer, Removal::Displaced);
        }
        self.promote(now.mono);
        let busy = self.refresh.is_some() || !self.bootstraps.is_empty();
        if self.config.auto_refresh && !self.table.is_empty() && !busy {
            self.request_refresh(now.mono, false);
        }
    }

    /// Each check is expected by the bucket that its peer has now; nobody waits while being checked.
    fn expect_anew(&mut self) {
        for check in self.checks.iter_mut() {
            let peer = &check.contact.peer;
            let place = self.table.place(peer).filter(|place| !self.table.contains(*place, peer));
            check.bucket = place.map(|place| place.bucket);
            if let Some(place) = place {
                self.table.forget_spare(place, peer);
                self.table.expect(place.bucket);
            }
        }
    }
}
