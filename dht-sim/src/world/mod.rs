//! All nodes, all messages, one clock: the loop that keeps every node's contract.
//!
//! Nodes are the shipped ones. Whatever goes into a node is followed by draining it until it waits, and it is woken no
//! later than it said. Requests, answers and refusals travel as messages over links; stores are called at once, which
//! stores in memory allow. The order of everything is that of the queue, so a seed decides the whole run.
//!
//! This file holds the world's state and its step; how messages are taken is in `deliver`, what nodes want in `drive`,
//! how they come and go in `life`, what they are asked to do in `operate`.

mod announce;
mod conduct;
mod deliver;
mod drive;
mod faults;
mod life;
mod member;
mod operate;
mod packet;
mod policy;
mod reach;
mod sybil;
mod truth;
mod warm;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dht_core::{InvalidConfig, Now, Overlay};
use dht_query::Finished;
use dht_records::Stored;
use dht_routing::BootstrapOptions;

use crate::{
    clock::{self, nanos},
    dice::Dice,
    link::{Links, Wire},
    network::{Engine, Manners, Network, seconds_of},
    outcome::{OpKind, Traffic, Violation, ViolationKind},
    queue::Queue,
    store::Stores,
};
use member::Member;
use packet::{Packet, Packets};
use policy::Lookups;

pub(crate) use member::Role;
pub(crate) use sybil::FIRST as FIRST_ATTACKER;

/// Something that is due.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A message arrives.
    Packet(u32),
    /// A node must be drained.
    Wake(u32),
    /// A node's store is to forget what has expired.
    Sweep(u32),
    /// A request, or a lookup, that went by somebody else's rule has had its time.
    Overdue(u64),
    /// The owner of the world wanted to be told.
    Cue(u64),
}

/// What a step of the world was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Something was delivered.
    Event,
    /// A time that the owner asked for has come.
    Cue(u64),
    /// Nothing is due before the limit.
    Nothing,
}

/// An operation that ended.
#[derive(Debug)]
pub(crate) struct Done<O: Overlay> {
    pub(crate) op: Op,
    pub(crate) node: u32,
    /// `None`: it could not be started, or its node is gone.
    pub(crate) result: Option<Ended<O>>,
}

/// How an operation ended.
#[derive(Debug)]
pub(crate) enum Ended<O: Overlay> {
    Query(Box<Finished<O>>),
    /// A node joined, or did not.
    Joined(bool),
}

/// What an operation was for; `key` is the owner's number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op {
    pub(crate) kind: OpKind,
    pub(crate) key: u32,
    /// The version that is published; 0 where nothing is.
    pub(crate) version: u32,
    pub(crate) started: u64,
}

/// A holder took an item.
pub(crate) struct Taken<O: Overlay> {
    pub(crate) holder: u32,
    pub(crate) query: O::Query,
    pub(crate) item: O::Item,
    /// How long from now.
    pub(crate) lifetime: Duration,
}

/// What a world is made from, besides its network.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) engine: Engine,
    pub(crate) links: Links,
    pub(crate) stores: Stores,
}

/// Violations that are kept in words.
const MAX_VIOLATIONS: usize = 1000;

pub(crate) struct World<O: Overlay> {
    network: Arc<dyn Network<O>>,
    manners: Manners,
    engine: Engine,
    stores: Stores,
    seed: u64,
    /// True time in nanoseconds.
    now: u64,
    /// True time of the scenario's beginning; whatever is told counts from there.
    pub(crate) origin: u64,
    queue: Queue<Event>,
    packets: Packets<O>,
    members: Vec<Member<O>>,
    wire: Wire,
    /// Until when the links were rough; `u64::MAX` while they are.
    rough_until: u64,
    dice: Dice,
    /// What a store found for the request that is being answered; its memory is used again.
    found: Vec<Stored<O>>,
    /// Callers' queries by node, life and query.
    running: BTreeMap<(u32, u32, u64), Op>,
    /// Those that act in concert, in the order of their numbers.
    gang: Vec<u32>,
    attackers: sybil::Attackers<O>,
    /// Peers that an answer names.
    answer_size: usize,
    /// Newcomers that join.
    joining: BTreeMap<u32, Op>,
    /// Callers' queries that go by somebody else's rule.
    lookups: Lookups<O>,
    sweep_interval: u64,
    pub(crate) done: Vec<Done<O>>,
    pub(crate) taken: Vec<Taken<O>>,
    pub(crate) traffic: Traffic,
    pub(crate) events: u64,
    pub(crate) trace: u64,
    pub(crate) violations: Vec<Violation>,
    pub(crate) violation_count: u64,
}

impl<O: Overlay> World<O> {
    pub(crate) fn new(network: Arc<dyn Network<O>>, settings: Settings) -> Self {
        let Settings { seed, engine, links, stores } = settings;
        let manners = network.manners();
        Self {
            rough_until: if links.is_rough() { u64::MAX } else { 0 },
            wire: Wire::new(links, &manners, seed),
            network,
            manners,
            sweep_interval: nanos(seconds_of(engine.sweep_interval.unwrap_or(600.0))).max(1),
            engine,
            stores,
            seed,
            now: 0,
            origin: 0,
            queue: Queue::new(),
            packets: Packets::default(),
            members: Vec::new(),
            dice: Dice::new(seed, 3),
            found: Vec::new(),
            running: BTreeMap::new(),
            gang: Vec::new(),
            attackers: sybil::Attackers::default(),
            answer_size: 20,
            joining: BTreeMap::new(),
            lookups: Lookups::default(),
            done: Vec::new(),
            taken: Vec::new(),
            traffic: Traffic::default(),
            events: 0,
            trace: 0xcbf2_9ce4_8422_2325,
            violations: Vec::new(),
            violation_count: 0,
        }
    }

    /// How many peers an answer names; those that lie name as many.
    pub(crate) fn set_answer_size(&mut self, size: usize) {
        self.answer_size = size;
    }

    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// Seconds since the scenario's beginning; negative while nodes join.
    pub(crate) fn seconds(&self) -> f64 {
        (self.now as f64 - self.origin as f64) / 1e9
    }

    pub(crate) fn network(&self) -> &Arc<dyn Network<O>> {
        &self.network
    }

    /// How many nodes there ever were.
    pub(crate) fn len(&self) -> u32 {
        self.members.len() as u32
    }

    /// Tells the owner when a time has come.
    pub(crate) fn cue(&mut self, at: u64, cue: u64) {
        self.queue.push(at, Event::Cue(cue));
    }

    /// The next thing that happens, up to a time.
    pub(crate) fn step(&mut self, limit: u64) -> Step {
        let Some((at, event)) = self.queue.pop_until(limit) else {
            self.now = self.now.max(limit);
            return Step::Nothing;
        };
        self.now = at;
        match event {
            Event::Packet(handle) => match self.packets.take(handle) {
                Packet::Request { from, to, life, id, meant, request } => {
                    self.events += 1;
                    self.note(1, u64::from(from) << 32 | u64::from(to), id.0);
                    self.on_request((from, to), life, id, meant, request);
                }
                Packet::Answer { from, to, life, id, result } => {
                    self.events += 1;
                    let size =
                        result.as_ref().map_or(u64::MAX, |r| (r.closer.len() + r.items.len() * 64) as u64);
                    self.note(2, u64::from(from) << 32 | u64::from(to), id.0 ^ size << 40);
                    self.on_answer(from, to, life, id, result);
                }
            },
            Event::Wake(node) => {
                if self.members[node as usize].armed == at {
                    self.note(3, node.into(), 0);
                    self.wake(node);
                }
            }
            Event::Sweep(node) => {
                self.events += 1;
                self.note(4, node.into(), 0);
                self.sweep(node);
            }
            Event::Overdue(name) => {
                self.note(6, name, 0);
                self.overdue(name);
            }
            Event::Cue(cue) => {
                self.note(5, cue, 0);
                return Step::Cue(cue);
            }
        }
        Step::Event
    }

    /// Adds an event to the trace: FNV-1a over words, with a rotation so that high bits reach the low ones.
    fn note(&mut self, kind: u64, a: u64, b: u64) {
        for word in [self.now ^ kind << 60, a, b] {
            self.trace = (self.trace ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
    }

    /// What a node's clocks show.
    pub(crate) fn clock(&self, node: u32) -> Now {
        match self.members[node as usize].extra.as_ref().and_then(|extra| extra.clock) {
            Some(clock) => clock.now(self.now),
            None => clock::right(self.now),
        }
    }

    /// Whether a node's wall clock was right all the time: what it keeps and forgets can be held to true time.
    pub(crate) fn has_right_date(&self, node: u32) -> bool {
        self.members[node as usize].has_right_date()
    }

    pub(crate) fn violate(
        &mut self,
        node: Option<u32>,
        kind: ViolationKind,
        detail: impl FnOnce() -> String,
    ) {
        self.violation_count += 1;
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation { at: self.seconds(), node, kind, detail: detail() });
        }
    }

    /// Whether an operation takes longer than any of its kind may, which is noted. Whose clock was ever wrong or stood still
    /// cannot be held to true time. `query` is the deadline of callers' queries.
    pub(crate) fn is_overdue(&mut self, node: u32, op: Op, query: Duration) -> bool {
        let deadline = match op.kind {
            OpKind::Join => BootstrapOptions::default().limit,
            OpKind::Republish => announce::TIMEOUT,
            _ => query,
        };
        // With some slack for rounding.
        let limit = nanos(deadline.mul_f64(1.1)) + nanos(seconds_of(5.0));
        let took = self.now.saturating_sub(op.started);
        let late = took > limit && self.members[node as usize].has_right_clock();
        if late {
            let seconds = took / 1_000_000_000;
            self.violate(Some(node), ViolationKind::Overdue, || format!("{op:?}, {seconds} s"));
        }
        late
    }

    /// Operations that still run, by node: those of callers, joins, announcements.
    pub(crate) fn unfinished(&self) -> Vec<(u32, Op)> {
        let asked = self.running.iter().map(|((node, ..), op)| (*node, *op));
        let joining = self.joining.iter().map(|(node, op)| (*node, *op));
        let announcing = (0..self.len()).flat_map(|i| self.announcing(i).map(move |op| (i, op)));
        asked.chain(joining).chain(announcing).collect()
    }

    fn parts_of(&self, node: u32) -> Result<dht_protocol::Node<O>, InvalidConfig> {
        let member = &self.members[node as usize];
        let seed = crate::dice::hash(self.seed, node.into(), u64::from(member.life) + 16);
        dht_protocol::Node::new(member.contact.clone(), self.network.parts(node, &self.engine, seed))
    }
}
