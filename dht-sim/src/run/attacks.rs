//! Attackers who come for something: what they aim at, how they come, and whether those they aim at still get what they
//! ask for.
//!
//! What is attacked is known from the beginning, so that the time before can be compared with the time after. Attackers
//! are additional nodes; honest nodes that change their conduct are in `faults`.

use std::collections::BTreeSet;

use dht_core::Overlay;
use dht_query::{Finished, Reason};

use super::{DOORS, Run, cue::Cue};
use crate::{
    clock::nanos,
    network::{Content, seconds_of},
    outcome::OpKind,
    scenario::{Conduct, Invalid, What},
    world::{Op, Role},
};

/// Seconds between two requests of one attacker to the victim of an eclipse.
const PESTER: f64 = 10.0;
/// Seconds for which the victim's process is away.
const AWAY: f64 = 10.0;
/// False memberships in an answer, as many as an honest one names peers.
const LIES: usize = 20;
/// Peers that a spammer is told of by its accomplices.
const BRIEFED: usize = 40;

impl<O: Overlay> Run<'_, O> {
    /// Draws which keys of a content will be attacked at some time, out of so many.
    pub(super) fn choose_attacked(&mut self, content: Content, of: u32) -> BTreeSet<u32> {
        let keys = self.scenario.faults.iter().map(|fault| match fault.what {
            What::Sybils { keys, .. } => keys,
            What::Spam { keys, .. } if content == Content::Provider => keys,
            _ => 0,
        });
        let count = keys.max().unwrap_or(0) as usize;
        if count == 0 {
            // Nothing is left to chance that need not be.
            return BTreeSet::new();
        }
        let mut numbers: Vec<u32> = (0..of).collect();
        self.choices.keep(count, &mut numbers);
        numbers.into_iter().collect()
    }

    /// So many of the attacked keys of a content.
    fn attacked(&self, content: Content, count: u32) -> Vec<u32> {
        let of = |key: &u32| {
            let story = &self.history.stories[*key as usize];
            story.attacked && story.content == content
        };
        (0..self.history.stories.len() as u32).filter(of).take(count as usize).collect()
    }

    /// Draws who will be eclipsed, where somebody will: an honest server that publishes nothing.
    pub(super) fn choose_victim(&mut self) {
        if !self.scenario.faults.iter().any(|fault| matches!(fault.what, What::Eclipse { .. })) {
            return;
        }
        let mut able = self.world.up();
        able.retain(|node| {
            let role = self.world.role(*node);
            let sound = role.serves && !role.nat && !self.world.is_silent(*node);
            sound && *node >= DOORS && !self.publishing.contains(node)
        });
        self.victim = self.choices.pick(&able).copied();
    }

    /// Whether an attack aims at what this node does. Attackers' own doings are told apart with it.
    pub(super) fn is_aimed_at(&self, op: Op, node: u32) -> bool {
        let key = || self.history.stories.get(op.key as usize).is_some_and(|story| story.attacked);
        match op.kind {
            _ if self.world.is_attacker(node) => true,
            OpKind::Join | OpKind::Republish => false,
            OpKind::Get | OpKind::FindProviders => self.victim == Some(node) || key(),
            OpKind::Lookup | OpKind::Put | OpKind::Provide => self.victim == Some(node),
        }
    }

    /// Whether a lookup that an attack aims at named most of the truly closest that keep to the rules.
    pub(super) fn named_the_honest(&mut self, op: Op, node: u32, finished: &Finished<O>) -> bool {
        let Some(target) = self.targets.remove(&op.key) else { return false };
        let mut truth = self.world.closest(&target, usize::MAX);
        truth.retain(|near| *near != node && self.world.conduct(*near).is_none());
        truth.truncate(self.k);
        let named = |near: &&u32| {
            finished.closest.iter().any(|contact| self.world.number_of(contact) == Some(**near))
        };
        let ended = matches!(finished.reason, Reason::Complete | Reason::Enough);
        ended && 2 * truth.iter().filter(named).count() > truth.len()
    }

    /// Attackers come, each around one of the keys.
    pub(super) fn besiege(&mut self, each: u32, keys: u32, conduct: Conduct) -> Result<Vec<u32>, Invalid> {
        let aims = [Content::Value, Content::Provider].map(|content| self.attacked(content, keys)).concat();
        let target = |key: &u32| O::key_of(&O::target_of(&self.history.stories[*key as usize].query));
        let targets: Vec<O::Key> = aims.iter().map(target).collect();
        let found = self.world.grind_around(&targets, each as usize);
        if conduct == Conduct::Bait {
            aims.iter().zip(&found).for_each(|(key, numbers)| self.lay_bait(*key, numbers));
        }
        let numbers: Vec<u32> = found.into_iter().flatten().collect();
        self.invade(&numbers, conduct)
    }

    /// What attackers have for a key: memberships of those who lie in wait there, or the version of the value that is there when
    /// they come.
    fn lay_bait(&mut self, key: u32, numbers: &[u32]) {
        let story = &self.history.stories[key as usize];
        let now = self.world.clock(story.publisher);
        let (content, number) = (story.content, story.number);
        let item = |writer, version| self.world.network().item(content, number, writer, version, now);
        let items = match content {
            Content::Value if story.version == 0 => Vec::new(),
            Content::Value => vec![item(story.publisher, story.version)],
            Content::Provider => numbers.iter().take(LIES).map(|liar| item(*liar, 1)).collect(),
        };
        let query = story.query.clone();
        self.world.bait(query, items);
    }

    /// Attackers come for the victim.
    pub(super) fn eclipse(&mut self, fault: usize, what: &What) -> Result<Vec<u32>, Invalid> {
        let What::Eclipse { per_bucket, conduct, restart_after } = *what else { return Ok(Vec::new()) };
        let Some(victim) = self.victim else { return Ok(Vec::new()) };
        let numbers = self.world.grind_into_buckets(victim, per_bucket as usize);
        self.cue_in(1, Cue::Pester(fault as u32));
        if let Some(after) = restart_after {
            self.cue_in(nanos(seconds_of(after)), Cue::Restart(victim));
        }
        self.invade(&numbers, conduct)
    }

    /// The attackers of an eclipse ask the victim, as long as they are there.
    pub(super) fn pester(&mut self, fault: usize) {
        let Some(victim) = self.victim else { return };
        let attackers = std::mem::take(&mut self.concerned[fault]);
        attackers.iter().for_each(|node| self.world.pester(*node, victim));
        if !attackers.is_empty() {
            self.cue_in(nanos(seconds_of(PESTER)), Cue::Pester(fault as u32));
        }
        self.concerned[fault] = attackers;
    }

    /// A process dies and is back soon; one that is gone stays so.
    pub(super) fn restart(&mut self, node: u32) {
        if self.world.is_up(node) {
            self.stop(node, false);
            self.cue_in(nanos(seconds_of(AWAY)), Cue::Up(node, self.life(node)));
        }
    }

    fn invade(&mut self, numbers: &[u32], conduct: Conduct) -> Result<Vec<u32>, Invalid> {
        let role = Role { serves: true, nat: false };
        let nodes: Vec<u32> = numbers.iter().map(|number| self.world.place_attacker(*number, role)).collect();
        for node in &nodes {
            self.world.set_conduct(*node, Some(conduct));
            self.start(*node)?;
            self.join(*node);
        }
        Ok(nodes)
    }

    /// Clients come that will announce themselves under keys.
    pub(super) fn spam(&mut self, fault: usize, what: &What) -> Result<Vec<u32>, Invalid> {
        let What::Spam { ids, keys, networks, over } = *what else { return Ok(Vec::new()) };
        let network = self.world.network().clone();
        let item = |number| network.item(Content::Provider, 0, number, 1, dht_core::Now::default());
        let aims = self.attacked(Content::Provider, keys);
        let publishers: Vec<u32> =
            aims.iter().map(|key| self.history.stories[*key as usize].publisher).collect();
        let networks = networks.map(|networks| networks as usize);
        let numbers = self.world.grind_in_networks(ids as usize, networks, &publishers, item);
        if numbers.len() < ids as usize {
            let rule = "enough for so many ids, beside those of who truly publishes there";
            return Err(Invalid::Field { field: "faults.spam.networks".into(), rule });
        }
        let mut honest = self.world.up();
        honest.retain(|node| self.world.role(*node).serves && self.world.conduct(*node).is_none());
        let mut nodes = Vec::new();
        for number in numbers {
            let node = self.world.place_attacker(number, Role { serves: false, nat: false });
            self.start(node)?;
            self.choices.draw(BRIEFED, &mut honest);
            self.world.brief(node, &honest[..BRIEFED.min(honest.len())]);
            let wait = (nanos(seconds_of(over)) as f64 * self.choices.unit()) as u64;
            self.cue_in(wait, Cue::Flood(node, fault as u32));
            nodes.push(node);
        }
        Ok(nodes)
    }

    /// A spammer announces itself under the keys that its fault aims at.
    pub(super) fn flood(&mut self, node: u32, fault: usize) {
        let What::Spam { keys, .. } = self.scenario.faults[fault].what else { return };
        for key in self.attacked(Content::Provider, keys) {
            if !self.world.is_up(node) {
                continue;
            }
            let story = &self.history.stories[key as usize];
            let (query, number) = (story.query.clone(), story.number);
            let (writer, now) = (self.world.number(node), self.world.clock(node));
            let item = self.world.network().item(Content::Provider, number, writer, 1, now);
            let op = Op { kind: OpKind::Provide, key, version: 1, started: self.world.now() };
            self.world.publish(node, op, query, item);
        }
    }
}
