//! A handful of whole nodes that talk to one another in virtual time: no transport, no tasks, stores that answer at once.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use dht_core::{
    Contact, Failure, Now, Observation, Request, RequestId, Response,
    testing::{Tiny, TinyItem, TinyQuery},
};
use dht_protocol::{Config, Event, Node, Output, Parts, Refusal, Rules, Served};
use dht_records::{Invalid, MemoryConfig, MemoryStore, Store, Stored, Validator};
use dht_routing::AdmitAll;
use futures::executor::block_on;

/// Versions above zero are valid, the highest is best.
pub struct Versions;

impl Validator<Tiny> for Versions {
    fn check(&self, _: &TinyQuery, item: &TinyItem, _: Now) -> Result<(), Invalid> {
        if item.version == 0 { Err(Invalid::Signature) } else { Ok(()) }
    }

    fn best(&self, _: &TinyQuery, items: &[TinyItem]) -> Option<usize> {
        (0..items.len()).max_by_key(|i| (items[*i].version, std::cmp::Reverse(*i)))
    }
}

/// Shows everybody whose address is known; keeps items for two hours.
pub struct Open;

impl Rules<Tiny> for Open {
    fn admit(&self, _: &Contact<Tiny>, _: &Request<Tiny>, _: Now) -> Result<(), Refusal> {
        Ok(())
    }
    fn show(&self, contact: &Contact<Tiny>, _: &Contact<Tiny>) -> Option<u16> {
        contact.is_located().then_some(contact.addr)
    }
    fn ticket(&self, _: &Contact<Tiny>, _: &TinyQuery, _: usize, _: Now) -> Option<std::convert::Infallible> {
        None
    }
    fn redeem(
        &self,
        _: &Contact<Tiny>,
        _: &TinyQuery,
        _: Option<&std::convert::Infallible>,
        _: Now,
    ) -> Result<(), Refusal> {
        Ok(())
    }
    fn lifetime(&self, _: &TinyQuery, _: &TinyItem) -> Duration {
        Duration::from_secs(7200)
    }
    fn receive(&self, item: TinyItem, _: Now) -> TinyItem {
        item
    }
    fn present(&self, stored: &Stored<Tiny>, _: Now) -> Option<TinyItem> {
        Some(stored.item)
    }
    fn renew(&self, item: TinyItem, _: &Contact<Tiny>) -> TinyItem {
        item
    }
}

/// Where a peer of the tests can be reached; never the unknown address 0.
pub fn at(peer: u8) -> Contact<Tiny> {
    Contact::new(peer, 1000 + u16::from(peer))
}

/// A node of the tests with small buckets.
pub fn node(peer: u8, serve: bool, k: usize) -> Node<Tiny> {
    Node::new(at(peer), parts(peer, serve, k)).expect("the options of the tests are valid")
}

/// What such a node is built from.
pub fn parts(peer: u8, serve: bool, k: usize) -> Parts<Tiny> {
    Parts {
        config: Config { closer_per_answer: k, serve, ..Config::default() },
        routing: dht_routing::Config { k, replacements: k, ..dht_routing::Config::default() },
        queries: dht_query::Config { k, ..dht_query::Config::default() },
        admit: Box::new(AdmitAll),
        filter: None,
        validator: Arc::new(Versions),
        rules: Arc::new(Open),
        seed: u64::from(peer),
    }
}

struct Member {
    node: Node<Tiny>,
    store: MemoryStore<Tiny>,
    events: Vec<Event<Tiny>>,
    observed: Vec<Observation<Tiny>>,
    wake: Option<dht_core::Mono>,
}

enum Packet {
    Request { to: u8, from: u8, id: RequestId, request: Request<Tiny> },
    Answer { to: u8, id: RequestId, result: Result<Response<Tiny>, Failure> },
}

/// The nodes, what is under way between them, and the clock.
pub struct World {
    members: BTreeMap<u8, Member>,
    packets: VecDeque<Packet>,
    /// Pairs that have met: the first exchange introduces both, as a connection does.
    met: BTreeSet<(u8, u8)>,
    /// Peers that take requests and never answer.
    pub silent: BTreeSet<u8>,
    /// The time, the same for all.
    pub now: Now,
    /// Requests that were delivered.
    pub requests: Cell<usize>,
}

impl World {
    pub fn new() -> Self {
        Self {
            members: BTreeMap::new(),
            packets: VecDeque::new(),
            met: BTreeSet::new(),
            silent: BTreeSet::new(),
            now: Now::default().after(Duration::from_secs(1_000_000)),
            requests: Cell::new(0),
        }
    }

    pub fn add(&mut self, peer: u8, serve: bool, k: usize) {
        let store = MemoryStore::new(&peer, MemoryConfig::default(), 0).expect("defaults are valid");
        let member =
            Member { node: node(peer, serve, k), store, events: vec![], observed: vec![], wake: None };
        self.members.insert(peer, member);
    }

    pub fn remove(&mut self, peer: u8) {
        self.members.remove(&peer);
    }

    /// Calls into a node, then lets the network run until nothing is under way at this time.
    pub fn with<R>(&mut self, peer: u8, call: impl FnOnce(&mut Node<Tiny>, Now) -> R) -> R {
        let now = self.now;
        let result = call(&mut self.members.get_mut(&peer).expect("a member").node, now);
        self.drain(peer);
        self.settle();
        result
    }

    pub fn node(&self, peer: u8) -> &Node<Tiny> {
        &self.members[&peer].node
    }

    pub fn events(&mut self, peer: u8) -> Vec<Event<Tiny>> {
        std::mem::take(&mut self.members.get_mut(&peer).expect("a member").events)
    }

    pub fn observed(&mut self, peer: u8) -> Vec<Observation<Tiny>> {
        std::mem::take(&mut self.members.get_mut(&peer).expect("a member").observed)
    }

    pub fn held(&self, peer: u8, query: &TinyQuery) -> Vec<TinyItem> {
        let found = block_on(self.members[&peer].store.load(query, self.now)).expect("a map does not fail");
        found.into_iter().map(|stored| stored.item).collect()
    }

    /// Introduces two peers as a connection does.
    pub fn introduce(&mut self, a: u8, b: u8) {
        self.meet(a, b);
        self.settle();
    }

    /// Cuts a peer's connections; the next exchange introduces it again.
    pub fn disconnect(&mut self, peer: u8) {
        self.met.retain(|(a, b)| *a != peer && *b != peer);
    }

    fn meet(&mut self, a: u8, b: u8) {
        if !self.met.insert((a.min(b), a.max(b))) {
            return;
        }
        let now = self.now;
        for (me, other) in [(a, b), (b, a)] {
            let Some(serves) = self.members.get(&other).map(|member| member.node.is_serving()) else {
                continue;
            };
            if let Some(member) = self.members.get_mut(&me) {
                member.node.on_peer(now, at(other), serves);
            }
            self.drain(me);
        }
    }

    /// Lets time pass, timer by timer.
    pub fn run(&mut self, span: Duration) {
        let end = self.now.after(span);
        loop {
            let due = self.members.values().filter_map(|member| member.wake).min();
            let Some(due) = due.filter(|due| *due <= end.mono) else { break };
            self.now = self.now.after(due.since(self.now.mono));
            let awake: Vec<u8> = self
                .members
                .iter()
                .filter(|(_, m)| m.wake.is_some_and(|at| at <= due))
                .map(|(p, _)| *p)
                .collect();
            for peer in awake {
                self.drain(peer);
            }
            self.settle();
        }
        self.now = end;
    }

    fn drain(&mut self, peer: u8) {
        let now = self.now;
        let Some(member) = self.members.get_mut(&peer) else { return };
        for _ in 0..100_000 {
            match member.node.poll_output(now) {
                Output::Send { id, to, request } => {
                    self.packets.push_back(Packet::Request { to: to.peer, from: peer, id, request });
                }
                Output::Forget(_) => {}
                Output::Event(event) => member.events.push(event),
                Output::Observed(observation) => member.observed.push(observation),
                Output::Wait(wake) => {
                    assert!(wake.is_none_or(|at| at > now.mono), "waits for the past");
                    member.wake = wake;
                    return;
                }
            }
        }
        panic!("the node never waits");
    }

    fn settle(&mut self) {
        while let Some(packet) = self.packets.pop_front() {
            match packet {
                Packet::Request { to, from, id, request } => self.deliver(to, from, id, request),
                Packet::Answer { to, id, result } => {
                    let now = self.now;
                    let Some(member) = self.members.get_mut(&to) else { continue };
                    match result {
                        Ok(response) => member.node.on_response(now, id, response),
                        Err(why) => member.node.on_failure(now, id, why),
                    }
                    self.drain(to);
                }
            }
        }
    }

    fn deliver(&mut self, to: u8, from: u8, id: RequestId, request: Request<Tiny>) {
        self.requests.set(self.requests.get() + 1);
        if self.silent.contains(&to) {
            return;
        }
        if self.members.contains_key(&to) {
            self.meet(from, to);
        }
        let now = self.now;
        let result = match self.members.get_mut(&to) {
            None => Err(Failure::Unreachable),
            Some(member) => match member.node.serve(now, &at(from), request) {
                Served::Answer(response) => Ok(response),
                Served::Load(load) => {
                    let found = block_on(member.store.load(&load.query, now));
                    Ok(load.answer(found.unwrap_or_default(), &Open, &Versions, now).0)
                }
                Served::Save(save) => {
                    let saving =
                        member.store.save(&save.query, save.item, save.lease.clone(), &Versions, now);
                    let saved = block_on(saving);
                    member.node.settle(save, &saved).map_err(|_| Failure::Reset)
                }
                Served::Refused(_) => Err(Failure::Reset),
            },
        };
        self.drain(to);
        self.packets.push_back(Packet::Answer { to: from, id, result });
    }
}
