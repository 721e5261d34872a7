//! The nodes of the other family: the two families are two networks with a table each, and who is in both may ask one for
//! nodes of the other (BEP 32).
//!
//! It goes both ways. Others who ask this socket are told of the other family, and what others tell this socket of it is
//! kept for the node there, while that knows too few to get on by itself.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use dht_core::{Contact, KadKey, Key};
use parking_lot::{Mutex, RwLock};

use super::MAX_NODES;
use crate::{Endpoint, Mainline, NodeId};

type Located = (NodeId, SocketAddr);

/// Who is in the other family's table, and what was heard for it. Its owner keeps it up to date; clones share it.
#[derive(Clone, Default)]
pub struct Sibling(Arc<Shared>);

#[derive(Default)]
struct Shared {
    table: RwLock<Vec<Located>>,
    needy: AtomicBool,
    heard: Mutex<Vec<Located>>,
}

/// The nodes closest to a point, nearest first.
#[derive(Default)]
pub(super) struct Closest {
    nodes: [Option<Located>; MAX_NODES],
}

impl Sibling {
    /// Contacts that are kept; a table of K = 8 has rarely more than 200.
    pub const MAX: usize = 2048;
    /// Nodes that were heard of and are kept until somebody takes them.
    pub const MAX_HEARD: usize = 64;

    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whoever is in the table now, at most [`Sibling::MAX`] with an address.
    pub fn set(&self, contacts: impl IntoIterator<Item = Contact<Mainline>>) {
        let located = contacts.into_iter().filter_map(|contact| Some((contact.peer, contact.addr.0?)));
        let nodes: Vec<_> = located.take(Self::MAX).collect();
        *self.0.table.write() = nodes;
    }

    /// Whether the table is so empty that nodes of its family are wanted from whoever this socket asks.
    pub fn need(&self, needy: bool) {
        self.0.needy.store(needy, Relaxed);
    }

    pub(super) fn is_needy(&self) -> bool {
        self.0.needy.load(Relaxed)
    }

    /// Others named these. Nobody believes that they are there before they answered.
    pub(super) fn hear(&self, nodes: impl Iterator<Item = Located>) {
        if !self.is_needy() {
            return;
        }
        let mut heard = self.0.heard.lock();
        for (id, addr) in nodes {
            if heard.len() >= Self::MAX_HEARD {
                return;
            }
            if heard.iter().all(|(_, known)| *known != addr) {
                heard.push((id, addr));
            }
        }
    }

    /// Takes out who was named.
    pub fn take_heard(&self) -> Vec<Contact<Mainline>> {
        let heard = std::mem::take(&mut *self.0.heard.lock());
        heard.into_iter().map(|(id, addr)| Contact::new(id, Endpoint::from(addr))).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.table.read().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.table.read().is_empty()
    }

    pub(super) fn closest(&self, target: &Key<20>) -> Closest {
        let mut closest = Closest::default();
        for node in &*self.0.table.read() {
            closest.offer(target, *node);
        }
        closest
    }
}

impl fmt::Debug for Sibling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sibling").field(&self.len()).finish()
    }
}

impl Closest {
    fn offer(&mut self, target: &Key<20>, mut node: Located) {
        for place in &mut self.nodes {
            let Some(held) = place else {
                *place = Some(node);
                return;
            };
            if node.0.key().distance(target) < held.0.key().distance(target) {
                std::mem::swap(held, &mut node);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Located> + use<'_> {
        self.nodes.iter().filter_map(|node| *node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection, prelude::*};

    proptest! {
        #[test]
        fn the_closest_are_those_that_sorting_finds(ids in collection::btree_set(any::<[u8; 20]>(), 0..40), target in any::<[u8; 20]>()) {
            let sibling = Sibling::new();
            let addr: SocketAddr = "[2a00::1]:1".parse().unwrap();
            sibling.set(ids.iter().map(|id| Contact::new(NodeId(*id), Endpoint::from(addr))));
            let target = Key(target);
            let mut sorted: Vec<_> = ids.into_iter().map(NodeId).collect();
            sorted.sort_by_key(|id| id.key().distance(&target));
            sorted.truncate(MAX_NODES);
            prop_assert_eq!(sibling.closest(&target).iter().map(|node| node.0).collect::<Vec<_>>(), sorted);
        }
    }

    #[test]
    fn what_is_heard_is_kept_while_it_is_needed_each_place_once_and_not_without_end() {
        let node = |n: u16| (NodeId([n as u8; 20]), SocketAddr::from(([9, 8, 7, 6], n)));
        let sibling = Sibling::new();
        sibling.hear([node(1)].into_iter());
        assert!(sibling.take_heard().is_empty());
        sibling.need(true);
        sibling.hear([node(1), (NodeId([9; 20]), node(1).1), node(2)].into_iter());
        let heard = sibling.take_heard();
        assert_eq!(heard, [node(1), node(2)].map(|(id, addr)| Contact::new(id, Endpoint::from(addr))));
        sibling.hear((1..1000).map(node));
        assert_eq!((sibling.take_heard().len(), sibling.take_heard().len()), (Sibling::MAX_HEARD, 0));
    }

    #[test]
    fn who_is_nowhere_or_beyond_the_bound_is_left_out() {
        let sibling = Sibling::new();
        assert!(sibling.is_empty());
        let addr = Endpoint::from("[2a00::1]:1".parse::<SocketAddr>().unwrap());
        sibling.set([Contact::unlocated(NodeId([1; 20])), Contact::new(NodeId([2; 20]), addr)]);
        assert_eq!(format!("{sibling:?}"), "Sibling(1)");
        sibling.set((0..5000).map(|_| Contact::new(NodeId([2; 20]), addr)));
        assert_eq!(sibling.clone().len(), Sibling::MAX);
    }
}
