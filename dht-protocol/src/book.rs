//! Addresses of peers met lately, connected or not, clients included: what a lookup for a peer is answered with when the
//! table does not know it. Not a routing table: nobody is asked anything because he stands here.

use std::collections::{BTreeMap, HashMap};

use derive_where::derive_where;
use dht_core::{Contact, Overlay};

#[derive_where(Clone, Debug)]
struct Entry<O: Overlay> {
    addr: O::Addr,
    connected: bool,
    serves: Option<bool>,
    seen: u64,
}

/// A bounded map from peer to address; the peer not seen for longest leaves first.
#[derive_where(Debug)]
pub(crate) struct Book<O: Overlay> {
    entries: HashMap<O::PeerId, Entry<O>>,
    by_age: BTreeMap<u64, O::PeerId>,
    turn: u64,
    limit: usize,
}

impl<O: Overlay> Book<O> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { entries: HashMap::new(), by_age: BTreeMap::new(), turn: 0, limit }
    }

    /// Notes a contact; an unknown address does not overwrite a known one.
    pub(crate) fn note(&mut self, contact: Contact<O>, connected: Option<bool>, serves: Option<bool>) {
        let contact = O::detach(contact);
        self.turn += 1;
        let entry = self.entries.entry(contact.peer.clone()).or_insert(Entry {
            addr: O::Addr::default(),
            connected: false,
            serves: None,
            seen: 0,
        });
        self.by_age.remove(&entry.seen);
        entry.seen = self.turn;
        entry.connected = connected.unwrap_or(entry.connected);
        entry.serves = serves.or(entry.serves);
        if contact.addr != O::Addr::default() {
            entry.addr = contact.addr;
        }
        self.by_age.insert(self.turn, contact.peer);
        if self.entries.len() > self.limit
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.entries.remove(&oldest);
        }
    }

    pub(crate) fn disconnected(&mut self, peer: &O::PeerId) {
        if let Some(entry) = self.entries.get_mut(peer) {
            entry.connected = false;
        }
    }

    pub(crate) fn addr(&self, peer: &O::PeerId) -> Option<&O::Addr> {
        self.entries.get(peer).map(|entry| &entry.addr).filter(|addr| **addr != O::Addr::default())
    }

    pub(crate) fn is_connected(&self, peer: &O::PeerId) -> bool {
        self.entries.get(peer).is_some_and(|entry| entry.connected)
    }

    /// Connected peers that serve our protocol, those seen last first; what an empty table is refilled from.
    pub(crate) fn connected_servers(&self) -> Vec<Contact<O>> {
        let newest_first = self.by_age.values().rev();
        newest_first
            .filter_map(|peer| {
                let entry = self.entries.get(peer)?;
                (entry.connected && entry.serves == Some(true))
                    .then(|| Contact::new(peer.clone(), entry.addr.clone()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dht_core::testing::Tiny;

    #[test]
    fn the_longest_unseen_leaves_first_and_known_addresses_stay() {
        let mut book = Book::<Tiny>::new(2);
        book.note(Contact::new(1, 10), Some(true), Some(true));
        book.note(Contact::new(2, 20), Some(true), Some(false));
        book.note(Contact::unlocated(1), None, None);
        assert_eq!(book.addr(&1), Some(&10));
        assert_eq!(book.connected_servers(), vec![Contact::new(1, 10)]);
        book.note(Contact::new(3, 30), None, None);
        assert_eq!((book.addr(&1), book.addr(&2), book.addr(&3)), (Some(&10), None, Some(&30)));
        book.disconnected(&1);
        assert!(!book.is_connected(&1));
        assert_eq!(book.entries.len(), book.by_age.len());
    }
}
