//! Tables as a long life would have left them: up to k random peers for each length of common prefix.

use dht_core::Overlay;

use super::World;
use crate::dice::Dice;

impl<O: Overlay> World<O> {
    /// Fills the tables of all nodes that run with servers that run, and lets them remember whom they once joined through.
    /// Nothing is sent.
    pub(crate) fn warm(&mut self, k: usize, doors: u32) {
        let mut dice = Dice::new(self.seed, 9);
        let keys: Vec<u64> =
            self.members.iter().map(|m| dht_core::KadKey::prefix64(&m.contact.key())).collect();
        let servers = (0..self.len()).filter(|i| {
            let member = &self.members[*i as usize];
            member.is_up() && member.role.serves && !member.role.nat
        });
        let mut sorted: Vec<(u64, u32)> = servers.map(|i| (keys[i as usize], i)).collect();
        sorted.sort_unstable();
        let mut chosen = Vec::new();
        let doors: Vec<_> = (0..doors).map(|door| self.members[door as usize].contact.clone()).collect();
        for i in 0..self.len() {
            if self.members[i as usize].is_up() {
                chosen.clear();
                choose(&sorted, keys[i as usize], k, &mut dice, &mut chosen);
                self.acquaint(i, &chosen);
                if let Some(node) = &mut self.members[i as usize].node {
                    node.remember(doors.iter().cloned());
                }
            }
        }
    }

    pub(super) fn acquaint(&mut self, i: u32, peers: &[u32]) {
        let now = self.clock(i);
        let Some(mut node) = self.members[i as usize].node.take() else { return };
        for peer in peers {
            if *peer == i {
                continue;
            }
            // A filter may have its own mind about a peer; a real table would be without it too.
            let _ = node.add_peer(now, self.members[*peer as usize].contact.clone());
            // Drained each time, so that its queues stay as small as in life.
            while !matches!(node.poll_output(now), dht_protocol::Output::Wait(_)) {}
        }
        self.settle(i, node);
    }
}

/// Up to `k` of each length of prefix that is shared with `key`, out of all servers in the order of their keys.
fn choose(sorted: &[(u64, u32)], key: u64, k: usize, dice: &mut Dice, chosen: &mut Vec<u32>) {
    let mut range = sorted;
    for depth in 0..64 {
        let bit = 1u64 << (63 - depth);
        let middle = range.partition_point(|(other, _)| other & bit == 0);
        let (zeros, ones) = range.split_at(middle);
        let (own, others) = if key & bit == 0 { (zeros, ones) } else { (ones, zeros) };
        if others.len() <= k {
            chosen.extend(others.iter().map(|(_, i)| *i));
        } else {
            // Floyd's sample: k different ones, each as likely as any other.
            let from = chosen.len();
            for top in others.len() - k..others.len() {
                let drawn = others[dice.below(top as u64 + 1) as usize].1;
                let fresh = !chosen[from..].contains(&drawn);
                chosen.push(if fresh { drawn } else { others[top].1 });
            }
        }
        range = own;
        if range.len() <= 1 {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_has_its_share_and_nobody_stands_twice() {
        let mut dice = Dice::new(1, 1);
        let mut sorted: Vec<(u64, u32)> = (0..5000).map(|i| (dice.roll(), i)).collect();
        sorted.sort_unstable();
        let (key, own) = sorted[77];
        let mut chosen = Vec::new();
        choose(&sorted, key, 8, &mut dice, &mut chosen);
        let mut shared = [0; 65];
        for i in &chosen {
            let other = sorted.iter().find(|(_, j)| j == i).map_or(0, |(other, _)| *other);
            shared[(key ^ other).leading_zeros() as usize] += 1;
        }
        assert_eq!(shared[..9], [8; 9]);
        assert!(!chosen.contains(&own));
        let count = chosen.len();
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!(chosen.len(), count);
    }
}
