//! Attackers who choose their ids: they try numbers that no honest node has until the id lies where they want it.
//!
//! Ids are functions of numbers, and so are addresses; the numbers of honest nodes are their places in the world, those of
//! attackers are beyond all places. What they do once they are there is their conduct; they join, refresh and ask as the
//! others do, so they are met as the network meets newcomers.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use dht_core::{Contact, KadKey, Overlay, Request};

use super::{Role, World, conduct::NOBODY, member::Member};

/// The first number of an attacker: a network with all its attackers is smaller.
pub(crate) const FIRST: u32 = 1 << 22;
/// Ids that one attack tries at most: some seconds of one processor. Sybils who have not found all by then are fewer.
const TRIES: u32 = 4_000_000;
const _: () =
    assert!(TRIES <= NOBODY - FIRST - FIRST, "however many there are, the next ones have all their tries");
/// How long an attacker who only asks to be known waits for the answer.
const PATIENCE: Duration = Duration::from_secs(10);

type Distance<O> = <<O as Overlay>::Key as KadKey>::Distance;

/// Who attacks, and with what.
pub(super) struct Attackers<O: Overlay> {
    /// Their places by their numbers.
    places: BTreeMap<u32, u32>,
    /// Their numbers by their places.
    numbers: BTreeMap<u32, u32>,
    /// The next number to try; after the last one it is the first again.
    next: u32,
    /// How many one attack tries.
    tries: u32,
    /// What is answered under queries where lies pay: memberships, or the first version of a value and a later one that makes
    /// it a lie. A key is here from the beginning of its attack.
    pub(super) bait: BTreeMap<O::Query, Vec<O::Item>>,
    /// The node whose address liars spread.
    pub(super) scapegoat: Option<u32>,
}

impl<O: Overlay> Default for Attackers<O> {
    fn default() -> Self {
        Self {
            places: BTreeMap::new(),
            numbers: BTreeMap::new(),
            next: FIRST,
            tries: TRIES,
            bait: BTreeMap::new(),
            scapegoat: None,
        }
    }
}

impl<O: Overlay> World<O> {
    /// The place of the node that is to be found where a contact says; it may be beyond all places.
    pub(super) fn locate(&self, contact: &Contact<O>) -> Option<u32> {
        let number = self.network.locate(contact)?;
        Some(if number < FIRST { number } else { *self.attackers.places.get(&number).unwrap_or(&number) })
    }

    /// Whether the node came to attack. One that was honest once and changed its conduct is none of these.
    pub(crate) fn is_attacker(&self, i: u32) -> bool {
        self.attackers.numbers.contains_key(&i)
    }

    /// Whether this number is that of an attacker: what it wrote is false.
    pub(crate) fn is_false(&self, writer: u32) -> bool {
        self.attackers.places.contains_key(&writer)
    }

    /// The number that decides an attacker's id.
    pub(crate) fn number(&self, i: u32) -> u32 {
        *self.attackers.numbers.get(&i).unwrap_or(&i)
    }

    /// A place for an attacker; its number was found by trying.
    pub(crate) fn place_attacker(&mut self, number: u32, role: Role) -> u32 {
        let i = self.members.len() as u32;
        let contact = self.network.contact(number);
        self.members.push(Member::new(contact, role, self.manners.connections));
        self.attackers.places.insert(number, i);
        self.attackers.numbers.insert(i, number);
        i
    }

    /// How far the nearest honest server that runs is from a key; `None` without any.
    fn nearest_honest(&self, key: &O::Key) -> Option<Distance<O>> {
        let honest = self.members.iter().enumerate().filter(|(i, member)| {
            member.is_up() && member.role.serves && !member.role.nat && !self.is_attacker(*i as u32)
        });
        honest
            .map(|(_, member)| key.distance(&member.contact.key()))
            .filter(|d| *d != key.distance(key))
            .min()
    }

    /// Tries ids until `take` has had enough, which it says by `false`, or until there were too many. What an earlier attack
    /// had no use for is tried again when there is nothing new.
    fn grind(&mut self, mut take: impl FnMut(u32, &Contact<O>) -> bool) {
        let mut left = self.attackers.tries;
        for _ in FIRST..NOBODY {
            if left == 0 {
                return;
            }
            let number = self.attackers.next;
            self.attackers.next = if number + 1 < NOBODY { number + 1 } else { FIRST };
            if self.is_false(number) {
                continue;
            }
            left -= 1;
            if !take(number, &self.network.contact(number)) {
                return;
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn limit_tries(&mut self, tries: u32) {
        self.attackers.tries = tries;
    }

    /// For each key so many numbers whose ids are nearer to it than any honest node.
    pub(crate) fn grind_around(&mut self, keys: &[O::Key], each: usize) -> Vec<Vec<u32>> {
        let nearest: Vec<_> = keys.iter().map(|key| self.nearest_honest(key)).collect();
        let mut found = vec![Vec::new(); keys.len()];
        let mut missing = keys.len() * each;
        if missing == 0 {
            return found;
        }
        self.grind(|number, contact| {
            let own = contact.key();
            let near = |i: &usize| {
                found[*i].len() < each && nearest[*i].is_none_or(|nearest| keys[*i].distance(&own) < nearest)
            };
            if let Some(i) = (0..keys.len()).find(near) {
                found[i].push(number);
                missing -= 1;
            }
            missing > 0
        });
        found
    }

    /// So many numbers for each bucket of a node in which honest nodes could be, and as many nearer than any honest one.
    pub(crate) fn grind_into_buckets(&mut self, victim: u32, each: usize) -> Vec<u32> {
        let own = self.members[victim as usize].contact.key();
        let Some(nearest) = self.nearest_honest(&own) else { return Vec::new() };
        // One bucket more than halving the network leaves nodes for.
        let depth = (self.members.len() as u32).ilog2() + 1;
        let mut counts = vec![0; depth as usize + 1];
        let mut found = Vec::new();
        self.grind(|number, contact| {
            let key = contact.key();
            let near = own.distance(&key) < nearest;
            let bucket = if near { depth } else { own.common_prefix_len(&key) };
            if let Some(count) = counts.get_mut(bucket as usize).filter(|count| **count < each) {
                *count += 1;
                found.push(number);
            }
            counts.iter().any(|count| *count < each)
        });
        found
    }

    /// So many numbers from so few network groups, none of which is that of `others`; without a limit, or where items tell no
    /// groups, from anywhere.
    pub(crate) fn grind_in_networks(
        &mut self,
        count: usize,
        networks: Option<usize>,
        others: &[u32],
        item: impl Fn(u32) -> O::Item,
    ) -> Vec<u32> {
        let group = |number| O::item_group(&item(number));
        let theirs: BTreeSet<_> = others.iter().filter_map(|number| group(*number)).collect();
        let mut own = BTreeSet::new();
        let mut found = Vec::new();
        self.grind(|number, _| {
            let Some((group, most)) = group(number).zip(networks) else {
                found.push(number);
                return found.len() < count;
            };
            if own.contains(&group) || own.len() < most && !theirs.contains(&group) {
                own.insert(group);
                found.push(number);
            }
            found.len() < count
        });
        found
    }

    /// From now on those who bait have these for a query. Of a value they wait for a later version before they give one.
    pub(crate) fn bait(&mut self, query: O::Query, items: Vec<O::Item>) {
        self.attackers.bait.entry(query).or_insert(items);
    }

    /// Liars spread the address of this node.
    pub(crate) fn set_scapegoat(&mut self, i: u32) {
        self.attackers.scapegoat = Some(i);
    }

    /// One node asks another for itself, so that it is known there.
    pub(crate) fn pester(&mut self, i: u32, victim: u32) {
        if !self.is_up(i) || !self.is_up(victim) {
            return;
        }
        let now = self.clock(i);
        let to = self.members[victim as usize].contact.clone();
        let Some(mut node) = self.members[i as usize].node.take() else { return };
        let target = O::peer_target(&node.local().peer);
        node.ask(now, to, Request::FindNode { target }, PATIENCE);
        self.settle(i, node);
    }

    /// Tells a node whom others know, and lets it do without a table of its own making: attackers share what they know.
    pub(crate) fn brief(&mut self, i: u32, peers: &[u32]) {
        let now = self.clock(i);
        if let Some(node) = &mut self.members[i as usize].node {
            node.set_auto_refresh(now, false);
        }
        self.acquaint(i, peers);
    }

    /// Of a node's table, the part that runs and keeps to the rules; `None` when it is down or knows nobody.
    pub(crate) fn honest_part(&self, i: u32) -> Option<f64> {
        let node = self.members[i as usize].node.as_ref()?;
        let table = node.routing();
        let honest = table.iter().filter(|entry| {
            self.locate(entry.contact).is_some_and(|peer| self.is_up(peer) && self.conduct(peer).is_none())
        });
        (!table.is_empty()).then(|| honest.count() as f64 / table.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        dice::mix,
        network::{Compact, CompactNetwork, IpfsNetwork, Network, Point},
        world::Settings,
    };

    fn world<O: Overlay>(network: impl Network<O> + 'static) -> World<O> {
        let mut world = World::new(Arc::new(network), Settings::default());
        for _ in 0..100 {
            let i = world.place(Role { serves: true, nat: false });
            world.start_node(i).unwrap();
        }
        world
    }

    #[test]
    fn ids_around_keys_are_nearer_than_any_honest_one() {
        let mut world = world::<Compact>(CompactNetwork::default());
        let keys = [1u64 << 40, 1 << 41].map(|key| Point(mix(key)));
        let found = world.grind_around(&keys, 30);
        for (key, numbers) in keys.iter().zip(&found) {
            let nearest = (0..100).map(|i| key.distance(&world.network.contact(i).key())).min().unwrap();
            assert_eq!(numbers.len(), 30);
            assert!(numbers.iter().all(|n| key.distance(&world.network.contact(*n).key()) < nearest));
        }
        let attacker = world.place_attacker(found[0][0], Role::default());
        assert_eq!((attacker, world.number(attacker)), (100, found[0][0]));
        assert_eq!(world.locate(&world.members[100].contact), Some(100));
        assert!(world.is_attacker(100) && world.is_false(found[0][0]) && !world.is_attacker(5));
    }

    #[test]
    fn every_bucket_of_a_victim_has_its_ids() {
        let mut world = world::<Compact>(CompactNetwork::default());
        let own = world.members[7].contact.key();
        let mut shared = [0; 64];
        let found = world.grind_into_buckets(7, 5);
        for number in &found {
            shared[own.common_prefix_len(&world.network.contact(*number).key()) as usize] += 1;
        }
        assert!(shared[..6].iter().all(|count| *count >= 5), "{shared:?}");
        assert_eq!(found.len(), 8 * 5, "seven buckets, and those that are nearest");
    }

    #[test]
    fn attackers_who_come_after_many_others_try_what_these_left() {
        let mut world = world::<Compact>(CompactNetwork::default());
        let key = Point(mix(1 << 40));
        let mut all = BTreeSet::new();
        for next in [FIRST, NOBODY - 1_000, FIRST] {
            world.attackers.next = next;
            let found = world.grind_around(&[key], 30).concat();
            for number in &found {
                world.place_attacker(*number, Role::default());
            }
            all.extend(found);
        }
        assert_eq!(all.len(), 90, "each has its own");
        assert!(all.iter().all(|number| (FIRST..NOBODY).contains(number)));
        assert!(all.last() >= Some(&(NOBODY - 1_000)), "and some had begun near the end");
    }

    #[test]
    fn few_networks_are_few_and_not_those_of_others() {
        let mut world = world(IpfsNetwork::new().unwrap());
        let network = world.network.clone();
        let item = |number| network.item(crate::network::Content::Provider, 0, number, 1, Default::default());
        let found = world.grind_in_networks(50, Some(3), &[1, 2], item);
        let group = |number: u32| dht_ipfs::Ipfs::item_group(&item(number));
        let groups: BTreeSet<_> = found.iter().map(|number| group(*number)).collect();
        assert_eq!((found.len(), groups.len()), (50, 3));
        assert!(!groups.contains(&group(1)) && !groups.contains(&group(2)));
    }
}
