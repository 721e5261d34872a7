//! What the nodes are asked to do: publishing, updating, reading, looking up; and what follows when that ends.

use dht_core::Overlay;
use dht_query::{Finished, QueryOptions};

use super::{Run, cue::Cue, watch::Happening};
use crate::{
    clock::nanos,
    network::{Content, seconds_of},
    outcome::OpKind,
    world::Op,
};

/// Draws of a node or key before nobody suitable is thought to be there.
const TRIES: usize = 64;

impl<O: Overlay> Run<'_, O> {
    /// Comes again after a memoryless wait, so often per second on average.
    pub(super) fn again(&mut self, rate: f64, cue: Cue) {
        if rate > 0.0 {
            let wait = self.choices.wait(seconds_of(1.0 / rate));
            self.cue_in(nanos(wait), cue);
        }
    }

    fn op(&mut self, kind: OpKind, node: u32, key: u32) -> Op {
        self.tell(Happening::Began { kind, node, key: Some(key) });
        Op { kind, key, version: 0, started: self.world.now() }
    }

    /// Somebody who is up, has met somebody and keeps to the rules; where one node is to be eclipsed, that one in one
    /// case of four.
    fn somebody(&mut self) -> Option<u32> {
        if self.victim.is_some_and(|victim| self.world.is_up(victim)) && self.choices.chance(0.25) {
            return self.victim;
        }
        let all = u64::from(self.world.len());
        (0..TRIES).map(|_| self.choices.below(all) as u32).find(|node| {
            let honest = self.world.conduct(*node).is_none() && !self.world.is_attacker(*node);
            self.world.is_up(*node) && honest && !self.world.is_arriving(*node)
        })
    }

    /// Publishes the next version of something.
    pub(super) fn publish(&mut self, key: u32) {
        let story = &self.history.stories[key as usize];
        let (publisher, version) = (story.publisher, story.version + 1);
        let (content, number) = (story.content, story.number);
        if !self.world.is_up(publisher) {
            if version == 1 {
                // It publishes when it is there.
                self.cue_in(nanos(seconds_of(60.0)), Cue::Publish(key));
            }
            return;
        }
        let query = story.query.clone();
        let now = self.world.clock(publisher);
        let item = self.world.network().item(content, number, publisher, version, now);
        self.history.wrote(self.world.now(), key, version);
        let kind = if content == Content::Value { OpKind::Put } else { OpKind::Provide };
        let op = Op { version, ..self.op(kind, publisher, key) };
        self.world.publish(publisher, op, query, item);
    }

    pub(super) fn update(&mut self) {
        let values = u64::from(self.scenario.workload.values);
        let key = (0..TRIES).map(|_| self.choices.below(values) as u32).find(|key| {
            let story = &self.history.stories[*key as usize];
            story.placed && self.world.is_up(story.publisher)
        });
        if let Some(key) = key {
            self.publish(key);
        }
    }

    /// Which thing has a rank: values and memberships by turns, as long as there are both, so that both are liked alike.
    pub(super) fn ranked(&self, rank: u32) -> u32 {
        let (values, providers) = (self.scenario.workload.values, self.scenario.workload.providers);
        let both = values.min(providers);
        match rank {
            rank if rank < 2 * both => rank / 2 + if rank % 2 == 0 { 0 } else { values },
            rank if values > both => rank - both,
            rank => rank,
        }
    }

    /// Who reads what: something that was published by somebody who is up. A reader that holds it already asks nobody.
    pub(super) fn reading(&mut self, may_hold: bool) -> Option<(u32, u32)> {
        (0..TRIES).find_map(|_| {
            let rank = self.popularity.rank(&mut self.choices) as u32;
            let (key, reader) = (self.ranked(rank), self.somebody()?);
            let story = self.history.stories.get(key as usize)?;
            // Where attackers take everything that is to be kept, nobody else may have it.
            let there = story.placed || story.attacked && story.announced.0 > 0;
            let suits = there && reader != story.publisher && self.world.is_up(story.publisher);
            let has = |node| self.history.holders(&self.world, key).any(|(holder, _)| holder == node);
            let asks = may_hold && self.victim != Some(reader) || !has(reader);
            (suits && asks && self.is_reachable(reader, key)).then_some((reader, key))
        })
    }

    /// Somebody reads something. In a network so small that everybody holds everything it may be something that it holds.
    pub(super) fn read(&mut self) {
        let Some((reader, key)) = self.reading(false).or_else(|| self.reading(true)) else { return };
        let story = &self.history.stories[key as usize];
        let query = story.query.clone();
        let (kind, options) = match story.content {
            Content::Value => (OpKind::Get, QueryOptions::default()),
            Content::Provider => {
                let limit = Some(self.scenario.workload.wanted as usize);
                (OpKind::FindProviders, QueryOptions { limit, ..QueryOptions::default() })
            }
        };
        let op = self.op(kind, reader, key);
        self.world.fetch(reader, op, query, options);
    }

    /// A reader can only find what somebody holds who answers, and while the network is in pieces what its own piece
    /// holds. What nobody holds any more is looked for all the same: it is lost, and that shall show.
    pub(super) fn is_reachable(&self, reader: u32, key: u32) -> bool {
        let mut holders = self.history.holders(&self.world, key).map(|(holder, _)| holder).peekable();
        if self.partitioned {
            let is_cut = |holder| self.world.is_cut(reader, holder) || self.world.is_cut(holder, reader);
            holders.any(|holder| !self.world.is_silent(holder) && !is_cut(holder))
        } else {
            holders.peek().is_none() || holders.any(|holder| !self.world.is_silent(holder))
        }
    }

    pub(super) fn look_up(&mut self) {
        let Some(node) = self.somebody() else { return };
        let number = self.lookups;
        self.lookups += 1;
        let target = self.world.network().target(self.choices.roll());
        if self.scenario.workload.recall || self.victim == Some(node) {
            self.targets.insert(number, target.clone());
        }
        let op = self.op(OpKind::Lookup, node, number);
        self.world.look_up(node, op, target);
    }

    /// What follows when a query ended.
    pub(super) fn follow_up(&mut self, op: Op, node: u32, ok: bool, finished: &Finished<O>) {
        if self.world.is_attacker(node) {
            return;
        }
        if matches!(op.kind, OpKind::Put | OpKind::Provide) {
            self.history.announced(self.world.now(), op.key, op.version);
        }
        match op.kind {
            OpKind::Lookup => {
                if let Some(target) = self.targets.remove(&op.key) {
                    self.recall(op, node, &target, finished);
                }
            }
            OpKind::Put | OpKind::Provide if !ok => {
                let story = &self.history.stories[op.key as usize];
                let now = self.world.clock(node);
                let (content, number, version) = (story.content, story.number, story.version);
                let item = self.world.network().item(content, number, story.publisher, version, now);
                let (query, slot) = (story.query.clone(), O::slot(&item));
                self.world.retry_announcing(node, &query, &slot);
            }
            OpKind::Get | OpKind::FindProviders => {
                let reader = (node, op.started);
                let fresh = self.history.read(&mut self.world, reader, op.key, &finished.items);
                if let Some(newest) = fresh.filter(|_| op.kind == OpKind::Get) {
                    let phase = self.phase_of(op.started);
                    self.collector.freshness(phase, newest);
                }
            }
            _ => {}
        }
    }

    fn recall(&mut self, op: Op, node: u32, target: &O::Target, finished: &Finished<O>) {
        // One more, because whoever looks does not find itself.
        let mut truth = self.world.closest(target, self.k + 1);
        truth.retain(|near| *near != node);
        truth.truncate(self.k);
        if truth.is_empty() {
            return;
        }
        let named = |near: &&u32| {
            finished.closest.iter().any(|contact| self.world.number_of(contact) == Some(**near))
        };
        let share = truth.iter().filter(named).count() as f64 / truth.len() as f64;
        let phase = self.phase_of(op.started);
        self.collector.recalled(phase, share);
    }
}
