//! How nodes come and go: a place in the world, a process that starts, stops, dies and comes back.

use dht_core::{Contact, InvalidConfig, Overlay};
use dht_routing::BootstrapOptions;

use super::{Done, Op, Role, World, member::Member};

/// Members of whom one that runs is looked for, to share its options.
const ALIKE: usize = 16;

impl<O: Overlay> World<O> {
    /// A place for one more node; its number.
    pub(crate) fn place(&mut self, role: Role) -> u32 {
        let i = self.members.len() as u32;
        let contact = self.network.contact(i);
        self.members.push(Member::new(contact, role, self.manners.connections));
        i
    }

    /// Starts a node, with what its store kept. It knows nobody.
    ///
    /// # Errors
    /// When an option of the engine is not usable.
    pub(crate) fn start_node(&mut self, i: u32) -> Result<(), InvalidConfig> {
        let mut node = Box::new(self.parts_of(i)?);
        let role = self.members[i as usize].role;
        node.set_serving(role.serves);
        if let Some(first) = self.members.iter().take(ALIKE).find_map(|member| member.node.as_ref()) {
            node.share(first);
        }
        let now = self.clock(i);
        if let Some(old) = self.members[i as usize].store.take() {
            let store = self.new_store(i);
            store.recover(&old, &**node.validator(), now);
            let member = &mut self.members[i as usize];
            member.store = Some(store);
            if !std::mem::replace(&mut member.sweeping, true) {
                self.queue.push(self.now + self.sweep_interval, super::Event::Sweep(i));
            }
            self.restore_announcements(i, now);
        }
        let member = &mut self.members[i as usize];
        member.refuses = false;
        if let Some(extra) = &mut member.extra {
            extra.failed_dials = 0;
        }
        self.settle(i, node);
        Ok(())
    }

    /// Joins the network through these nodes, and through whom the node knew before, where that is kept.
    pub(crate) fn join(&mut self, i: u32, op: Op, through: &[u32]) {
        let now = self.clock(i);
        let seeds = through.iter().map(|seed| self.members[*seed as usize].contact.clone());
        let mut seeds: Vec<Contact<O>> = seeds.collect();
        let member = &mut self.members[i as usize];
        seeds.extend(member.extra.as_mut().map(|extra| std::mem::take(&mut extra.saved)).unwrap_or_default());
        let node = if member.asleep { None } else { member.node.take() };
        let Some(mut node) = node else {
            self.done.push(Done { op, node: i, result: None });
            return;
        };
        if let Some(op) = self.joining.insert(i, op) {
            self.done.push(Done { op, node: i, result: None });
        }
        node.bootstrap(now, seeds, Vec::new(), BootstrapOptions::default());
        self.settle(i, node);
    }

    /// Ends a node's process: with a farewell, or without a word.
    pub(crate) fn stop_node(&mut self, i: u32, farewell: bool) {
        self.end_sleep(i);
        let announcing: Vec<Op> = self.announcing(i).collect();
        let member = &mut self.members[i as usize];
        let Some(node) = member.node.take() else { return };
        member.life += 1;
        member.refuses = farewell;
        (member.due, member.armed) = (u64::MAX, u64::MAX);
        let life = member.life - 1;
        if self.stores.durable {
            member.extra().saved =
                node.routing().iter().take(32).map(|entry| entry.contact.clone()).collect();
            if let Some(store) = &member.store {
                store.cut(self.now);
            }
        } else {
            member.store = None;
        }
        if let Some(extra) = &mut member.extra {
            extra.announcer = None;
        }
        let peers = member.part_all();
        let gone = member.contact.peer.clone();
        let ended: Vec<_> =
            self.running.range((i, life, 0)..=(i, life, u64::MAX)).map(|(key, _)| *key).collect();
        for key in ended {
            if let Some(op) = self.running.remove(&key) {
                self.done.push(Done { op, node: i, result: None });
            }
        }
        for op in self.joining.remove(&i).into_iter().chain(announcing) {
            self.done.push(Done { op, node: i, result: None });
        }
        if !farewell {
            return;
        }
        for peer in peers {
            // Beyond a cut nobody hears it.
            if !self.is_joined(i, peer) {
                continue;
            }
            let other = &mut self.members[peer as usize];
            if !other.asleep
                && other.part(i)
                && let Some(mut node) = other.node.take()
            {
                node.on_disconnected(&gone);
                self.settle(peer, node);
            }
        }
    }

    /// Whether a node runs and is awake.
    pub(crate) fn is_up(&self, i: u32) -> bool {
        self.members.get(i as usize).is_some_and(Member::is_up)
    }

    /// Whether a node runs, awake or asleep.
    pub(crate) fn runs(&self, i: u32) -> bool {
        self.members[i as usize].node.is_some()
    }

    /// How often a node has stopped.
    pub(crate) fn life(&self, i: u32) -> u32 {
        self.members[i as usize].life
    }

    /// Whether a node is in the middle of its join and has met nobody yet: whatever it asks for ends at once.
    pub(crate) fn is_arriving(&self, i: u32) -> bool {
        let node = &self.members[i as usize].node;
        self.joining.contains_key(&i) && node.as_ref().is_some_and(|node| node.routing().is_empty())
    }

    pub(crate) fn is_silent(&self, i: u32) -> bool {
        self.members[i as usize].silent
    }

    #[cfg(test)]
    pub(crate) fn late_by(&self, i: u32) -> u64 {
        self.members[i as usize].slow()
    }

    pub(crate) fn role(&self, i: u32) -> Role {
        self.members[i as usize].role
    }

    /// Nodes that run and are awake.
    pub(crate) fn up(&self) -> Vec<u32> {
        (0..self.len()).filter(|i| self.is_up(*i)).collect()
    }
}
