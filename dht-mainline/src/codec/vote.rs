//! What others say of the own address (BEP 42), and the id that follows from it.
//!
//! One answerer may lie, and so may many of one network. Every network has one vote, its latest; what five of them say, and
//! more than half of all that voted lately, is believed. An id changes rarely: whoever knew the node must learn it anew.

use std::{collections::VecDeque, fmt, net::IpAddr};

use dht_core::{
    Rng,
    rand_core::{Rng as _, SeedableRng},
};

use crate::{NodeId, address};

/// Networks whose votes count, and votes between two changes.
const WINDOW: usize = 64;
/// Networks that must agree.
const QUORUM: usize = 5;

pub(super) struct Votes {
    votes: VecDeque<(u64, IpAddr)>,
    rng: Rng,
    /// Votes to come before the id may change again.
    rest: usize,
}

impl Votes {
    pub(super) fn new(seed: u64) -> Self {
        Self { votes: VecDeque::with_capacity(WINDOW), rng: Rng::seed_from_u64(seed), rest: 0 }
    }

    /// Counts what `by` says; the id to take instead of `id` when that does not suit an address which is believed.
    pub(super) fn cast(&mut self, by: IpAddr, us: IpAddr, id: &NodeId) -> Option<NodeId> {
        let group = address::group(by);
        self.rest = self.rest.saturating_sub(1);
        self.votes.retain(|(voter, _)| *voter != group);
        if self.votes.len() == WINDOW {
            self.votes.pop_front();
        }
        self.votes.push_back((group, us));
        let agreeing = self.votes.iter().filter(|(_, ip)| *ip == us).count();
        let believed = agreeing >= QUORUM && agreeing * 2 > self.votes.len();
        if !believed || self.rest > 0 || id.suits(us) {
            return None;
        }
        self.rest = WINDOW;
        let mut random = [0; 20];
        self.rng.fill_bytes(&mut random);
        Some(NodeId::for_ip(us, random))
    }
}

impl fmt::Debug for Votes {
    /// Not the generator: ids to come are nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Votes")
            .field("votes", &self.votes.len())
            .field("rest", &self.rest)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(124, 31, 75, 21));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(84, 124, 73, 14));
    const ID: NodeId = NodeId([7; 20]);

    fn voter(network: usize, host: u8) -> IpAddr {
        IpAddr::from([9, (network >> 8) as u8, network as u8, host])
    }

    #[test]
    fn five_networks_change_an_id_that_does_not_suit() {
        let mut votes = Votes::new(1);
        assert!((0..4).all(|network| votes.cast(voter(network, 1), US, &ID).is_none()));
        assert!((0..200).all(|host| votes.cast(voter(3, host), US, &ID).is_none()), "one network, one vote");
        let id = votes.cast(voter(4, 1), US, &ID).unwrap();
        assert!(id.suits(US));
        assert!((0..200).all(|network| votes.cast(voter(network, 2), US, &id).is_none()), "it suits");
        let again = |seed| {
            let mut votes = Votes::new(seed);
            (0..5).find_map(|network| votes.cast(voter(network, 1), US, &ID))
        };
        assert_eq!(again(1), Some(id));
        assert_ne!(again(2), Some(id));
    }

    #[test]
    fn a_minority_changes_nothing() {
        let mut votes = Votes::new(1);
        let suited = NodeId::for_ip(US, [7; 20]);
        (0..30).for_each(|network| assert!(votes.cast(voter(network, 1), US, &suited).is_none()));
        (100..120).for_each(|network| assert!(votes.cast(voter(network, 1), OTHER, &suited).is_none()));
        // The node moved: what nobody says any more is forgotten.
        let moved = (200..264).find_map(|network| votes.cast(voter(network, 1), OTHER, &suited));
        assert!(moved.unwrap().suits(OTHER));
        assert!(votes.votes.len() <= WINDOW);
    }

    #[test]
    fn changes_have_a_distance() {
        let mut votes = Votes::new(1);
        let mut id = ID;
        let mut changes = Vec::new();
        for turn in 0..640 {
            let us = if turn / 32 % 2 == 0 { US } else { OTHER };
            if let Some(next) = votes.cast(voter(turn % 8, 1), us, &id) {
                id = next;
                changes.push(turn);
            }
        }
        assert!(changes.len() > 2);
        assert!(changes.windows(2).all(|pair| pair[1] - pair[0] >= WINDOW), "{changes:?}");
    }
}
