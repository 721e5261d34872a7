//! Nodes that can no longer be dialled, and how they find out: as the shipped host does it, with dial-backs.
//!
//! Who can be dialled is proven by everybody who comes in, so only those who cannot are looked at here. The dial-back itself
//! is not a message: whoever is asked to dial finds what any dialler would find.

use dht_core::Overlay;

use super::World;

/// Failed dial-backs in a row that a host takes for the truth; the same as in `dht-net`'s `libp2p/reach.rs`.
const MAX_FAILURES: u8 = 2;

impl<O: Overlay> World<O> {
    /// Nobody can dial it from now on. Connections that are there stay.
    pub(crate) fn hide(&mut self, i: u32) {
        self.members[i as usize].role.nat = true;
    }

    /// Somebody is asked to dial a node, unless its machine sleeps. When that failed twice in a row it serves no longer; whether
    /// it is to be tried again.
    pub(crate) fn dial_back(&mut self, i: u32) -> bool {
        let member = &mut self.members[i as usize];
        if member.node.is_none() || !member.role.serves || !member.role.nat {
            return false;
        }
        if member.asleep {
            return true;
        }
        let extra = member.extra();
        extra.failed_dials += 1;
        let again = extra.failed_dials < MAX_FAILURES;
        if !again {
            self.withdraw(i);
        }
        again
    }

    /// The node becomes a client, and tells whoever it is connected to and can reach, as identify does when a protocol is withdrawn.
    fn withdraw(&mut self, i: u32) {
        let member = &mut self.members[i as usize];
        member.role.serves = false;
        let contact = member.contact.clone();
        if let Some(node) = &mut member.node {
            node.set_serving(false);
        }
        for peer in 0..self.len() {
            let other = &self.members[peer as usize];
            let connected = other.has_met(i) || self.members[i as usize].has_met(peer);
            if peer == i || !connected || !other.is_up() || !self.is_joined(i, peer) {
                continue;
            }
            let now = self.clock(peer);
            if let Some(mut node) = self.members[peer as usize].node.take() {
                node.on_peer(now, contact.clone(), false);
                self.settle(peer, node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        network::IpfsNetwork,
        world::{Role, Settings},
    };

    #[test]
    fn a_process_knows_nothing_of_the_failures_of_the_one_before() {
        let mut world = World::new(Arc::new(IpfsNetwork::new().unwrap()), Settings::default());
        let node = world.place(Role { serves: true, nat: true });
        world.start_node(node).unwrap();
        assert!(world.dial_back(node));
        world.stop_node(node, false);
        world.start_node(node).unwrap();
        assert!(world.dial_back(node) && world.role(node).serves);
        assert!(!world.dial_back(node) && !world.role(node).serves);
    }

    #[test]
    fn who_is_connected_is_told_unless_packets_get_through_one_way_only() {
        for cut in [false, true] {
            let mut world = World::new(Arc::new(IpfsNetwork::new().unwrap()), Settings::default());
            for i in 0..2 {
                world.place(Role { serves: true, nat: i == 0 });
                world.start_node(i).unwrap();
            }
            world.acquaint(1, &[0]);
            world.members[1].meet(0);
            if cut {
                let draw = (0..).find(|draw| {
                    world.wire.cut_one_way(0.5, *draw);
                    world.is_cut(1, 0) && !world.is_cut(0, 1)
                });
                assert!(draw.is_some());
            }
            assert!(world.dial_back(0) && !world.dial_back(0));
            let table = world.members[1].node.as_ref().unwrap().routing();
            assert_eq!(table.is_empty(), !cut);
        }
    }
}
