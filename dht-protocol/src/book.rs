//! Addresses of peers met lately, connected or not, clients included: what a lookup for a peer is answered with when the
//! table does not know it. Not a routing table: nobody is asked anything because he stands here.

use std::{cmp::Reverse, collections::BTreeMap};

use derive_where::derive_where;
use dht_core::{Contact, Overlay};

#[derive_where(Clone, Debug)]
struct Entry<O: Overlay> {
    addr: O::Addr,
    connected: bool,
    serves: Option<bool>,
    seen: u64,
}

/// A bounded map from peer to address; the peers not seen for longest leave first, a sixteenth of them at a time. So
/// their order need not be kept: an id stands here once, and finding the oldest costs a few steps for each that came.
#[derive_where(Debug)]
pub(crate) struct Book<O: Overlay> {
    entries: BTreeMap<O::PeerId, Entry<O>>,
    turn: u64,
    limit: usize,
}

impl<O: Overlay> Book<O> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { entries: BTreeMap::new(), turn: 0, limit }
    }

    /// Notes a contact, if there is a place; an unknown address does not overwrite a known one.
    pub(crate) fn note(&mut self, contact: Contact<O>, connected: Option<bool>, serves: Option<bool>) {
        if self.limit == 0 {
            return;
        }
        let contact = O::detach(contact);
        self.turn += 1;
        let entry = self.entries.entry(contact.peer).or_insert(Entry {
            addr: O::Addr::default(),
            connected: false,
            serves: None,
            seen: 0,
        });
        entry.seen = self.turn;
        entry.connected = connected.unwrap_or(entry.connected);
        entry.serves = serves.or(entry.serves);
        if contact.addr != O::Addr::default() {
            entry.addr = contact.addr;
        }
        if self.entries.len() > self.limit {
            self.forget_oldest((self.limit / 16).max(1));
        }
    }

    /// `count` is less than there are.
    fn forget_oldest(&mut self, count: usize) {
        let mut seen: Vec<u64> = self.entries.values().map(|entry| entry.seen).collect();
        let oldest_kept = *seen.select_nth_unstable(count).1;
        self.entries.retain(|_, entry| entry.seen >= oldest_kept);
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
        let serving = self.entries.iter().filter(|(_, e)| e.connected && e.serves == Some(true));
        let mut newest_first: Vec<_> = serving.collect();
        newest_first.sort_unstable_by_key(|(_, entry)| Reverse(entry.seen));
        newest_first.into_iter().map(|(peer, e)| Contact::new(peer.clone(), e.addr.clone())).collect()
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
    }

    #[test]
    fn a_full_book_forgets_a_sixteenth_and_keeps_the_rest() {
        let mut book = Book::<Tiny>::new(64);
        for peer in 0..64 {
            book.note(Contact::new(peer, peer.into()), None, None);
        }
        book.note(Contact::new(0, 7), None, None);
        book.note(Contact::new(100, 1), None, None);
        let gone: Vec<u8> = (0..64).filter(|peer| book.addr(peer).is_none()).collect();
        assert_eq!(gone, [1, 2, 3, 4], "0 was seen again");
        assert_eq!(book.addr(&100), Some(&1));
        assert!(book.entries.len() <= 64);
    }

    #[test]
    fn a_book_without_a_place_stays_empty() {
        let mut book = Book::<Tiny>::new(0);
        book.note(Contact::new(1, 10), Some(true), Some(true));
        assert_eq!((book.addr(&1), book.is_connected(&1), book.entries.len()), (None, false, 0));
    }

    #[test]
    fn connected_servers_are_told_newest_first() {
        let mut book = Book::<Tiny>::new(8);
        for peer in [3, 1, 2] {
            book.note(Contact::new(peer, 5), Some(true), Some(true));
        }
        book.note(Contact::new(3, 5), None, None);
        let peers: Vec<u8> = book.connected_servers().iter().map(|contact| contact.peer).collect();
        assert_eq!(peers, [3, 2, 1]);
    }
}
