//! Lookups by the rules of other implementations: the machine says whom to ask, the world asks from the reader's node.
//!
//! Links, serving nodes and colluders are those of everybody else; where a lookup begins is the reader's own table. The
//! machines do not tell the table what they learn, and correct nobody: tables and stores are kept by the shipped engine alone,
//! so that rules are compared and not tables. Reads end as those implementations end them: a value when the rule says
//! so, since neither has a quorum unless its caller gives one; a search for members with as many as its caller wants.

use std::{collections::BTreeMap, time::Duration};

use derive_where::derive_where;
use dht_core::{Contact, Failure, KadKey, Mono, Overlay, Request, RequestId, Response};
use dht_query::{Finished, Reason, Receipt};

use super::{Done, Ended, Event, Op, World};
use crate::{
    policy::{Disjoint, Go, Next, Rust, Walk},
    scenario::Policy,
};

/// Names of these requests and lookups have this bit; nodes count theirs from below.
const FOREIGN: u64 = 1 << 63;
/// After this a request has failed: both implementations wait for ten seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// After this a lookup ends with what it has: rust-libp2p's own limit. Go leaves it to its callers, who take as long for a name.
const DEADLINE: Duration = Duration::from_secs(60);
/// Items that one read keeps, as the shipped engine does.
const MAX_ITEMS: usize = 1024;

type Distance<O> = <<O as Overlay>::Key as KadKey>::Distance;

/// Whether somebody else's rule asked this.
pub(super) fn is_foreign(id: RequestId) -> bool {
    id.0 & FOREIGN != 0
}

/// All that run.
#[derive_where(Default)]
pub(super) struct Lookups<O: Overlay> {
    policy: Policy,
    k: usize,
    running: BTreeMap<u64, Lookup<O>>,
    /// For which lookup whom each request asks, and until when.
    asked: BTreeMap<RequestId, (u64, Distance<O>, Mono)>,
    /// What had its time while the reader's machine slept, by reader.
    missed: BTreeMap<u32, Vec<u64>>,
    named: u64,
}

impl<O: Overlay> Lookups<O> {
    fn name(&mut self) -> u64 {
        self.named += 1;
        self.named | FOREIGN
    }
}

struct Lookup<O: Overlay> {
    node: u32,
    life: u32,
    started: u64,
    /// When it ends with what it has, by the reader's clock, as all times that readers wait for.
    until: Mono,
    walk: Box<dyn Walk<Distance<O>>>,
    request: Request<O>,
    key: O::Key,
    /// Everybody it heard of, and how many answers deep. Bounded by what can be heard of before the deadline.
    peers: BTreeMap<Distance<O>, (Contact<O>, u32)>,
    /// The nearest peer that answered.
    nearest: Option<Distance<O>>,
    items: Vec<O::Item>,
    limit: Option<usize>,
    requests: u32,
}

impl<O: Overlay> Lookup<O> {
    /// Keeps a peer that was named, unless it is the reader; how far it is from the target.
    fn hear(&mut self, contact: Contact<O>, local: &O::PeerId, hop: u32) -> Option<Distance<O>> {
        if contact.peer == *local || !contact.is_located() {
            return None;
        }
        let distance = self.key.distance(&contact.key());
        self.peers.entry(distance).or_insert((contact, hop));
        Some(distance)
    }

    fn has_enough(&self) -> bool {
        self.limit.is_some_and(|limit| self.items.len() >= limit)
    }

    fn hop(&self, peer: Option<Distance<O>>) -> u32 {
        peer.and_then(|peer| self.peers.get(&peer)).map_or(0, |(_, hop)| *hop)
    }

    /// What came of it; `last` is the peer whose answer ended it, if one did.
    fn finish(self, reason: Reason, now: u64, last: Option<Distance<O>>) -> Finished<O> {
        let closest: Vec<Contact<O>> =
            self.walk.closest().iter().filter_map(|peer| Some(self.peers.get(peer)?.0.clone())).collect();
        Finished {
            reason,
            confirmed: closest.len(),
            closest,
            hops: self.hop(last.or(self.nearest)),
            items: self.items,
            outdated: Vec::new(),
            receipt: Receipt::default(),
            found: None,
            requests: self.requests,
            took: std::time::Duration::from_nanos(now - self.started),
        }
    }
}

impl<O: Overlay> World<O> {
    pub(crate) fn set_policy(&mut self, policy: Policy, k: usize) {
        (self.lookups.policy, self.lookups.k) = (policy, k);
    }

    /// Whether callers' lookups and reads go by somebody else's rule.
    pub(super) fn goes_elsewhere(&self) -> bool {
        self.lookups.policy != Policy::Shipped
    }

    /// Looks up what a request is about, with what the own store holds of it.
    pub(super) fn walk(
        &mut self,
        i: u32,
        op: Op,
        request: Request<O>,
        own: Vec<O::Item>,
        limit: Option<usize>,
    ) {
        let member = &self.members[i as usize];
        let node = member.node.as_ref().filter(|_| !member.asleep);
        let (Some(node), Some(target)) = (node, request.target()) else {
            self.done.push(Done { op, node: i, result: None });
            return;
        };
        let (key, k) = (O::key_of(&target), self.lookups.k);
        let known = node.closest_known(&key, k).into_iter().filter(Contact::is_located);
        let peers: BTreeMap<_, _> =
            known.map(|contact| (key.distance(&contact.key()), (contact, 1))).collect();
        let seeds: Vec<_> = peers.keys().copied().collect();
        let walk: Box<dyn Walk<Distance<O>>> = match self.lookups.policy {
            Policy::Shipped | Policy::Go => Box::new(Go::new(k, &seeds)),
            Policy::Rust => Box::new(Rust::new(k, &seeds)),
            Policy::RustDisjoint => Box::new(Disjoint::new(k, &seeds)),
        };
        let (node, life, started) = (i, member.life, self.now);
        let mut items = own;
        items.truncate(MAX_ITEMS);
        let (nearest, requests) = (None, 0);
        // As everywhere, no limit is one of 0.
        let limit = limit.filter(|limit| *limit > 0);
        let until = Mono(self.clock(i).mono.0 + DEADLINE);
        let lookup =
            Lookup { node, life, started, until, walk, request, key, peers, nearest, items, limit, requests };
        let name = self.lookups.name();
        self.running.insert((i, life, name), op);
        self.await_overdue(i, until, name);
        self.advance(name, lookup, None);
    }

    /// Asks whom the rule says, or ends the lookup; `last` is who answered just now.
    fn advance(&mut self, name: u64, mut lookup: Lookup<O>, last: Option<Distance<O>>) {
        let reason = loop {
            if lookup.has_enough() {
                break Reason::Enough;
            }
            match lookup.walk.next() {
                Next::Ask(peer) => {
                    let id = RequestId(self.lookups.name());
                    let Some((contact, _)) = lookup.peers.get(&peer) else { continue };
                    lookup.requests += 1;
                    let until = Mono(self.clock(lookup.node).mono.0 + PATIENCE);
                    self.lookups.asked.insert(id, (name, peer, until));
                    self.await_overdue(lookup.node, until, id.0);
                    self.send(lookup.node, id, &contact.clone(), lookup.request.clone());
                }
                Next::Wait => {
                    self.lookups.running.insert(name, lookup);
                    return;
                }
                Next::Done if lookup.peers.is_empty() => break Reason::NoPeers,
                Next::Done if lookup.nearest.is_none() => break Reason::Exhausted,
                Next::Done => break Reason::Complete,
            }
        };
        let last = last.filter(|_| reason == Reason::Enough);
        self.conclude(name, lookup, reason, last);
    }

    fn conclude(&mut self, name: u64, lookup: Lookup<O>, reason: Reason, last: Option<Distance<O>>) {
        let node = lookup.node;
        // Whose process ended has been told so already.
        if let Some(op) = self.running.remove(&(node, lookup.life, name)) {
            let finished = lookup.finish(reason, self.now, last);
            self.done.push(Done { op, node, result: Some(Ended::Query(Box::new(finished))) });
        }
    }

    /// A request of somebody else's rule ended.
    pub(super) fn on_outcome(
        &mut self,
        from: u32,
        to: u32,
        id: RequestId,
        result: Result<Response<O>, Failure>,
    ) {
        let Some((name, peer, _)) = self.lookups.asked.remove(&id) else { return };
        let Some(mut lookup) = self.lookups.running.remove(&name) else { return };
        if !self.running.contains_key(&(to, lookup.life, name)) {
            return;
        }
        match result {
            Ok(response) => {
                let Some(mut node) = self.members[to as usize].node.take() else { return };
                if self.manners.introduces {
                    self.introduce(&mut node, to, from);
                }
                self.keep(&mut lookup, &node, response.items);
                let hop = lookup.hop(Some(peer)) + 1;
                let local = &node.local().peer;
                let named: Vec<_> =
                    response.closer.into_iter().filter_map(|c| lookup.hear(c, local, hop)).collect();
                self.settle(to, node);
                lookup.walk.answered(peer, &named);
                lookup.nearest = Some(lookup.nearest.map_or(peer, |nearest| nearest.min(peer)));
            }
            Err(why) => {
                self.traffic.failures += 1;
                self.traffic.timeouts += u64::from(why == Failure::Timeout);
                lookup.walk.failed(peer);
            }
        }
        self.advance(name, lookup, Some(peer));
    }

    /// Keeps the best item of every slot that is true.
    fn keep(&self, lookup: &mut Lookup<O>, node: &dht_protocol::Node<O>, found: Vec<O::Item>) {
        let Request::Get { query } = &lookup.request else { return };
        let now = self.clock(lookup.node);
        for item in found {
            if node.validator().check(query, &item, now).is_err() {
                continue;
            }
            let slot = O::slot(&item);
            match lookup.items.iter().position(|kept| O::slot(kept) == slot) {
                None if lookup.items.len() < MAX_ITEMS => lookup.items.push(item),
                None => {}
                Some(place) => {
                    let both = [lookup.items[place].clone(), item];
                    if node.validator().best(query, &both) == Some(1) {
                        let [_, better] = both;
                        lookup.items[place] = better;
                    }
                }
            }
        }
    }

    fn await_overdue(&mut self, i: u32, until: Mono, name: u64) {
        self.queue.push(self.true_time(i, until).max(self.now + 1), Event::Overdue(name));
    }

    /// A request or a lookup has had its time, unless it ended before, or the reader's clock stood still meanwhile.
    pub(super) fn overdue(&mut self, name: u64) {
        let asked = self.lookups.asked.get(&RequestId(name)).copied();
        let of = asked.map_or(name, |(lookup, ..)| lookup);
        let Some(lookup) = self.lookups.running.get(&of) else {
            self.lookups.asked.remove(&RequestId(name));
            return;
        };
        let (node, until) = (lookup.node, asked.map_or(lookup.until, |(.., until)| until));
        if self.members[node as usize].asleep {
            self.lookups.missed.entry(node).or_default().push(name);
        } else if self.clock(node).mono < until {
            self.await_overdue(node, until, name);
        } else if asked.is_some() {
            self.events += 1;
            self.on_outcome(node, node, RequestId(name), Err(Failure::Timeout));
        } else if let Some(lookup) = self.lookups.running.remove(&name) {
            self.events += 1;
            self.conclude(name, lookup, Reason::Timeout, None);
        }
    }

    /// The reader's machine is awake again: what it missed goes on.
    pub(super) fn rouse(&mut self, i: u32) {
        for name in self.lookups.missed.remove(&i).unwrap_or_default() {
            self.queue.push(self.now, Event::Overdue(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        network::{Compact, CompactNetwork, Point},
        outcome::OpKind,
        world::{Role, Settings, Step},
    };

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn who_sleeps_asks_nobody_and_goes_on_when_it_wakes() {
        let mut world = World::<Compact>::new(Arc::new(CompactNetwork::default()), Settings::default());
        for i in 0..40 {
            world.place(Role { serves: true, nat: false });
            world.start_node(i).unwrap();
        }
        world.warm(20, 0);
        for i in 0..40 {
            world.brief(i, &[]);
            world.silence(i, true);
        }
        world.set_policy(Policy::Go, 20);
        let op = Op { kind: OpKind::Lookup, key: 0, version: 0, started: 0 };
        world.look_up(7, op, Point(1));
        while world.step(SECOND) != Step::Nothing {}
        let sent = world.traffic.requests;
        assert!(sent > 0);
        world.put_to_sleep(7);
        while world.step(200 * SECOND) != Step::Nothing {}
        assert_eq!((world.traffic.requests, world.done.len()), (sent, 0));
        world.wake_up(7);
        // It had waited for a second.
        while world.step(208 * SECOND) != Step::Nothing {}
        assert_eq!(world.traffic.requests, sent);
        while world.step(300 * SECOND) != Step::Nothing {}
        assert!(world.traffic.requests > sent);
        assert_eq!(world.done.len(), 1);
    }
}
