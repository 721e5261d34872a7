//! Peers that were lost. A node cannot tell a network that fell apart from peers that died, and what it never asks again it
//! never finds again: two halves that were apart for an hour would stay two networks. So every refresh asks a few of
//! those that failed, and looks for itself through one bootstrap contact that is not in the table: a network that grew
//! around the bootstrap nodes without us knows nobody of ours, and the contact need not have room for us. When all of the few answer, what was lost
//! together is back together: then the others are asked too, and the table is refreshed with what comes of it, at most once
//! in an interval: who comes and goes on purpose shall not make us work.

use dht_core::{Contact, Mono, Overlay};

use crate::{Action, Routing, lookup::Purpose};

/// Lost peers that a refresh asks. One or two that are back are an accident, as many are a network that healed.
const PROBES: usize = 3;

impl<O: Overlay> Routing<O> {
    /// A peer failed and left; the latest are remembered.
    pub(crate) fn lose(&mut self, contact: Contact<O>) {
        self.lost.retain(|lost| lost.peer != contact.peer);
        self.lost.push_back(contact);
        while self.lost.len() > self.config.max_remembered {
            self.lost.pop_front();
        }
    }

    /// Checks a few of the lost peers, neighbours in time, and looks through one of the remembered contacts.
    pub(crate) fn probe_lost(&mut self, now: Mono) {
        self.probes.clear();
        if self.table.is_empty() {
            // Then everybody is asked anyway.
            return;
        }
        let mut contacts = Vec::new();
        if !self.lost.is_empty() {
            let first = self.draws.next_u64() as usize % self.lost.len();
            let some = self.lost.iter().cycle().skip(first).take(PROBES.min(self.lost.len()));
            contacts.extend(some.cloned());
            let rested = self.healed.is_none_or(|at| now.since(at) >= self.config.refresh_interval);
            if contacts.len() == PROBES && rested {
                self.probes.extend(contacts.iter().map(|contact| contact.peer.clone()));
            }
        }
        contacts.truncate(self.slots());
        for contact in contacts {
            self.check(now, contact, self.config.check_timeout);
        }
        self.look_outside(now);
    }

    /// Looks for the nearest peer to us that one of the absent contacts leads to. In a network of one piece it is a
    /// neighbour that the table has, found in a few requests; of another piece, it is one who has room for us and for
    /// whom we have, and the next lookups of the own key, its and ours, join what is around the two.
    fn look_outside(&mut self, now: Mono) {
        let absent = |contact: &&Contact<O>| self.table.get(&contact.peer).is_none();
        let seeds: Vec<&Contact<O>> = self.remembered.iter().filter(absent).collect();
        if seeds.is_empty() || self.lookups.is_outside() {
            return;
        }
        let through = Some(seeds[self.draws.next_u64() as usize % seeds.len()].clone());
        let (target, timeout) = (O::peer_target(self.table.local()), self.config.lookup_timeout);
        let id = self.lookups.start(now, timeout, Purpose::Outside);
        self.out.push_back(Action::Lookup { id, target, through, timeout });
    }

    /// A check ended; perhaps it was one of a lost peer.
    pub(crate) fn probed(&mut self, now: Mono, peer: &O::PeerId, answered: bool) {
        if answered {
            self.lost.retain(|lost| lost.peer != *peer);
        }
        let Some(at) = self.probes.iter().position(|probe| probe == peer) else { return };
        self.probes.swap_remove(at);
        if !answered {
            self.probes.clear();
        } else if self.probes.is_empty() {
            self.healed = Some(now);
            let others: Vec<_> = self.lost.iter().take(self.slots()).cloned().collect();
            for contact in others {
                self.check(now, contact, self.config.check_timeout);
            }
            self.request_refresh(now, true);
        }
    }
}
