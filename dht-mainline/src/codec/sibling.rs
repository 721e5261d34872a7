//! The nodes of the other family: the two families are two networks with a table each, and who is in both may ask one for
//! nodes of the other (BEP 32).

use std::{fmt, net::SocketAddr, sync::Arc};

use dht_core::{Contact, KadKey, Key};
use parking_lot::RwLock;

use super::MAX_NODES;
use crate::{Mainline, NodeId};

/// Who is in the other family's table. Its owner keeps it up to date; clones share it.
#[derive(Clone, Default)]
pub struct Sibling(Arc<RwLock<Vec<(NodeId, SocketAddr)>>>);

/// The nodes closest to a point, nearest first.
#[derive(Default)]
pub(super) struct Closest {
    nodes: [Option<(NodeId, SocketAddr)>; MAX_NODES],
}

impl Sibling {
    /// Contacts that are kept; a table of K = 8 has rarely more than 200.
    pub const MAX: usize = 2048;

    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whoever is in the table now, at most [`Sibling::MAX`] with an address.
    pub fn set(&self, contacts: impl IntoIterator<Item = Contact<Mainline>>) {
        let located = contacts.into_iter().filter_map(|contact| Some((contact.peer, contact.addr.0?)));
        let nodes: Vec<_> = located.take(Self::MAX).collect();
        *self.0.write() = nodes;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.read().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.read().is_empty()
    }

    pub(super) fn closest(&self, target: &Key<20>) -> Closest {
        let mut closest = Closest::default();
        for node in &*self.0.read() {
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
    fn offer(&mut self, target: &Key<20>, mut node: (NodeId, SocketAddr)) {
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

    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, SocketAddr)> + use<'_> {
        self.nodes.iter().filter_map(|node| *node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Endpoint;
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
