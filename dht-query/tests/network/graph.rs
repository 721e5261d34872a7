//! A frozen Kademlia network to look things up in: every node has k-buckets of 20, warm and complete, nobody leaves.
//!
//! Tables are not stored: a node's bucket is drawn from a generator seeded by the node and the bucket, so that 10^5 nodes
//! cost an array of ids. Round trips take 50 to 150 ms. The rules of two other implementations run on the same graph, by the
//! machines of the simulator, which are written from what those publish: they count requests, they are not those implementations.

#[allow(dead_code, reason = "a shared file, of which not everybody uses all")]
#[path = "../../../dht-sim/src/policy/mod.rs"]
mod policy;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    time::Duration,
};

use dht_core::{Contact, Key, Mono, Now, Overlay, Request, RequestId, Response};
use dht_query::{Config, Finished, Judge, Output, Queries, QueryOptions};
use policy::{Next, Walk};

/// A 64-bit overlay: peers, targets and queries are their own keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wide;

impl Overlay for Wide {
    type Key = Key<8>;
    type Target = u64;
    type PeerId = u64;
    type Addr = u8;
    type Query = u64;
    type Item = u8;
    type Slot = ();
    type Ticket = std::convert::Infallible;
    const TICKETED: bool = false;

    fn peer_key(peer: &u64) -> Key<8> {
        Key(peer.to_be_bytes())
    }
    fn key_of(target: &u64) -> Key<8> {
        Key(target.to_be_bytes())
    }
    fn peer_target(peer: &u64) -> u64 {
        *peer
    }
    fn target_peer(target: &u64) -> Option<u64> {
        Some(*target)
    }
    fn target_of(query: &u64) -> u64 {
        *query
    }
    fn refresh_target(local: &Key<8>, prefix: u32, seed: u64) -> u64 {
        let flip = 1 << (63 - prefix);
        (u64::from_be_bytes(local.0) ^ flip) & !(flip - 1) | (seed & (flip - 1))
    }
    fn slot(_: &u8) {}
    fn weight(_: &u8) -> usize {
        1
    }
    fn corrects(_: &u64) -> bool {
        false
    }
}

/// Believes everything.
pub struct Trusting;

impl Judge<Wide> for Trusting {
    fn is_valid(&self, _: &u64, _: &u8) -> bool {
        true
    }
    fn best(&self, _: &u64, items: &[u8]) -> Option<usize> {
        (!items.is_empty()).then_some(0)
    }
}

/// A small generator (SplitMix64) for the model, so that it does not depend on how ours is seeded.
#[derive(Clone)]
pub struct Mix(pub u64);

impl Mix {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
}

pub const K: usize = 20;

pub struct Graph {
    /// Sorted.
    ids: Vec<u64>,
    /// Of 1000 nodes, how many never answer.
    silent: u64,
}

impl Graph {
    pub fn new(nodes: usize, seed: u64) -> Self {
        let mut mix = Mix(seed);
        let ids: BTreeSet<u64> = std::iter::repeat_with(|| mix.next()).take(nodes).collect();
        Self { ids: ids.into_iter().collect(), silent: 0 }
    }

    pub fn with_silent(self, per_mille: u64) -> Self {
        Self { silent: per_mille, ..self }
    }

    pub fn is_silent(&self, node: u64) -> bool {
        Mix(node ^ 0xdead).below(1000) < self.silent
    }

    pub fn any(&self, mix: &mut Mix) -> u64 {
        self.ids[mix.below(self.ids.len() as u64) as usize]
    }

    /// The true n nearest that answer at all, nearest first.
    pub fn nearest(&self, target: u64, n: usize) -> Vec<u64> {
        // The nearest share the longest prefix: widen the range until it holds enough.
        for bits in (0..64).rev() {
            let (low, high) = self.range(target, bits);
            let live: Vec<u64> =
                self.ids[low..high].iter().copied().filter(|id| !self.is_silent(*id)).collect();
            if live.len() >= n || bits == 0 {
                return sorted(live, target, n);
            }
        }
        Vec::new()
    }

    /// Where the ids are that share the leading `bits` with `key`.
    fn range(&self, key: u64, bits: u32) -> (usize, usize) {
        if bits == 0 {
            return (0, self.ids.len());
        }
        let low = key & (u64::MAX << (64 - bits));
        let high = low | (u64::MAX.checked_shr(bits).unwrap_or(0));
        (self.ids.partition_point(|id| *id < low), self.ids.partition_point(|id| *id <= high))
    }

    /// The peers in one bucket of a node: those that share exactly `prefix` bits, twenty at most.
    fn bucket(&self, node: u64, prefix: u32, out: &mut Vec<u64>) {
        let (low, high) = self.range(node ^ (1 << (63 - prefix)), prefix + 1);
        let size = (high - low) as u64;
        if size <= K as u64 {
            out.extend_from_slice(&self.ids[low..high]);
            return;
        }
        let mut mix = Mix(node.rotate_left(prefix));
        let mut chosen = BTreeSet::new();
        for j in size - K as u64..size {
            let pick = mix.below(j + 1);
            chosen.insert(if chosen.contains(&pick) { j } else { pick });
        }
        out.extend(chosen.into_iter().map(|i| self.ids[low + i as usize]));
    }

    /// What a node answers: the nearest twenty of its table.
    pub fn answer(&self, node: u64, target: u64) -> Vec<u64> {
        let shared = (node ^ target).leading_zeros().min(63);
        let mut found = Vec::new();
        self.bucket(node, shared, &mut found);
        let mut all = sorted(found, target, K);
        if all.len() < K {
            let mut deeper = Vec::new();
            for prefix in shared + 1..64 {
                self.bucket(node, prefix, &mut deeper);
                if self.range(node, prefix + 1).1 - self.range(node, prefix + 1).0 <= 1 {
                    break;
                }
            }
            let room = K - all.len();
            all.extend(sorted(deeper, target, room));
        }
        for prefix in (0..shared).rev() {
            if all.len() >= K {
                break;
            }
            let mut farther = Vec::new();
            self.bucket(node, prefix, &mut farther);
            let room = K - all.len();
            all.extend(sorted(farther, target, room));
        }
        all
    }

    pub fn recall(&self, target: u64, found: &[u64]) -> f64 {
        let truth = self.nearest(target, K);
        truth.iter().filter(|id| found.contains(id)).count() as f64 / truth.len() as f64
    }
}

fn sorted(mut ids: Vec<u64>, target: u64, n: usize) -> Vec<u64> {
    ids.sort_unstable_by_key(|id| id ^ target);
    ids.truncate(n);
    ids
}

/// What one lookup cost and brought.
#[derive(Clone, Debug)]
pub struct Cost {
    pub requests: u32,
    /// Each peer once, however often it was asked.
    pub asked: u32,
    pub hops: u32,
    pub took: Duration,
    pub recall: f64,
    /// Fetches: whether the item was there.
    pub found: bool,
}

pub fn rtt(mix: &mut Mix) -> Duration {
    Duration::from_micros(50_000 + mix.below(100_000))
}

pub fn contact(id: u64) -> Contact<Wide> {
    Contact::new(id, 1)
}

/// A node of ours on the graph; it keeps its estimate of round-trip times between lookups, as a node does.
pub struct Ours<'a> {
    graph: &'a Graph,
    local: u64,
    queries: Queries<Wide>,
    now: Now,
    mix: Mix,
    /// Answers on their way.
    answers: BinaryHeap<Reverse<(Mono, RequestId)>>,
    asked: BTreeMap<RequestId, (u64, Request<Wide>)>,
    /// Whom the lookup under way has asked.
    peers: BTreeSet<u64>,
    /// Of 1000 requests, how many are lost.
    pub loss: u64,
}

impl<'a> Ours<'a> {
    pub fn new(graph: &'a Graph, local: u64, config: Config) -> Self {
        let queries = Queries::new(local, config, 7).expect("a valid configuration");
        let (answers, asked) = (BinaryHeap::new(), BTreeMap::new());
        let (now, mix, peers) = (Now::default(), Mix(local), BTreeSet::new());
        Self { graph, local, queries, now, mix, answers, asked, peers, loss: 0 }
    }

    fn seeds(&self, target: u64) -> Vec<Contact<Wide>> {
        self.graph.answer(self.local, target).into_iter().map(contact).collect()
    }

    pub fn closest(&mut self, target: u64, options: QueryOptions) -> Cost {
        let seeds = self.seeds(target);
        self.queries.closest(self.now, target, seeds, options).expect("one query at a time");
        self.run(target)
    }

    /// A fetch of an item that the twenty nearest hold.
    pub fn fetch(&mut self, target: u64, options: QueryOptions) -> Cost {
        let seeds = self.seeds(target);
        self.queries.fetch(self.now, target, Vec::new(), seeds, options).expect("one query at a time");
        self.run(target)
    }

    fn run(&mut self, target: u64) -> Cost {
        let finished = self.until_finished(target);
        let found: Vec<u64> = finished.closest.iter().map(|contact| contact.peer).collect();
        Cost {
            requests: finished.requests,
            asked: self.peers.len() as u32,
            hops: finished.hops,
            took: finished.took,
            recall: self.graph.recall(target, &found),
            found: !finished.items.is_empty(),
        }
    }

    fn until_finished(&mut self, target: u64) -> Finished<Wide> {
        let holders = self.graph.nearest(target, K);
        self.peers.clear();
        loop {
            match self.queries.poll(self.now) {
                Output::Send { id, to, request } => {
                    let lost = self.mix.below(1000) < self.loss;
                    if !lost && !self.graph.is_silent(to.peer) {
                        self.answers.push(Reverse((self.now.mono + rtt(&mut self.mix), id)));
                    }
                    self.peers.insert(to.peer);
                    self.asked.insert(id, (to.peer, request));
                }
                Output::Finished(_, finished) => return finished,
                Output::Forget(id) => drop(self.asked.remove(&id)),
                Output::Wait(until) => {
                    let next = self.answers.peek().map(|Reverse((at, _))| *at);
                    let at = next.into_iter().chain(until).min().expect("a query runs");
                    self.now = self.now.after(at.since(self.now.mono));
                    if next != Some(at) {
                        continue;
                    }
                    let Some(Reverse((_, id))) = self.answers.pop() else { continue };
                    let Some((peer, request)) = self.asked.remove(&id) else { continue };
                    let mut response =
                        Response { closer: self.answer(peer, target), items: vec![], ticket: None };
                    if matches!(request, Request::Get { .. }) && holders.contains(&peer) {
                        response.items.push(1);
                    }
                    self.queries.on_response(self.now, id, response, &Trusting);
                }
                _ => {}
            }
        }
    }

    fn answer(&self, peer: u64, target: u64) -> Vec<Contact<Wide>> {
        self.graph.answer(peer, target).into_iter().map(contact).collect()
    }
}

/// The rule of another implementation, as the machine that the simulator drives too.
#[derive(Clone, Copy, Debug)]
pub enum Model {
    /// rust-libp2p.
    Rust,
    /// rust-libp2p with `disjoint_query_paths`.
    RustDisjoint,
    /// go-libp2p-kad-dht.
    Go,
}

impl Model {
    fn walk(self, seeds: &[u64]) -> Box<dyn Walk<u64>> {
        match self {
            Self::Rust => Box::new(policy::Rust::new(K, seeds)),
            Self::RustDisjoint => Box::new(policy::Disjoint::new(K, seeds)),
            Self::Go => Box::new(policy::Go::new(K, seeds)),
        }
    }

    /// A lookup, or with `first_holder` a fetch that ends with the first of the true twenty that answers.
    pub fn run(self, graph: &Graph, local: u64, target: u64, first_holder: bool, mix: &mut Mix) -> Cost {
        let holders = graph.nearest(target, K);
        let seeds: Vec<u64> = graph.answer(local, target).into_iter().map(|id| id ^ target).collect();
        let mut depth: BTreeMap<u64, u32> = seeds.iter().map(|seed| (*seed, 1)).collect();
        let (mut walk, mut asked, mut answered) = (self.walk(&seeds), BTreeSet::new(), BTreeSet::new());
        let mut events: BinaryHeap<Reverse<(Duration, u64)>> = BinaryHeap::new();
        let (mut now, mut requests, mut holder) = (Duration::ZERO, 0, None);
        while holder.is_none() {
            match walk.next() {
                Next::Ask(peer) => {
                    let mute = graph.is_silent(peer ^ target);
                    let after = if mute { Duration::from_secs(10) } else { rtt(mix) };
                    events.push(Reverse((now + after, peer)));
                    requests += 1;
                    asked.insert(peer);
                }
                Next::Wait => {
                    let Some(Reverse((at, peer))) = events.pop() else { break };
                    now = at;
                    let id = peer ^ target;
                    if graph.is_silent(id) {
                        walk.failed(peer);
                        continue;
                    }
                    holder = Some(peer).filter(|_| first_holder && holders.contains(&id));
                    answered.insert(peer);
                    let others = graph.answer(id, target).into_iter().filter(|other| *other != local);
                    let named: Vec<u64> = others.map(|other| other ^ target).collect();
                    let hop = depth.get(&peer).map_or(1, |hop| hop + 1);
                    for other in &named {
                        depth.entry(*other).or_insert(hop);
                    }
                    walk.answered(peer, &named);
                }
                Next::Done => break,
            }
        }
        let found: Vec<u64> = walk.closest().iter().map(|peer| peer ^ target).collect();
        let end = holder.or(answered.first().copied());
        Cost {
            requests,
            asked: asked.len() as u32,
            hops: end.and_then(|peer| depth.get(&peer).copied()).unwrap_or(0),
            took: now,
            recall: graph.recall(target, &found),
            found: holder.is_some(),
        }
    }
}

/// Mean of a figure.
pub fn mean(costs: &[Cost], figure: impl Fn(&Cost) -> f64) -> f64 {
    costs.iter().map(figure).sum::<f64>() / costs.len() as f64
}

/// A percentile of a figure, `0.0..=1.0`.
pub fn percentile(costs: &[Cost], at: f64, figure: impl Fn(&Cost) -> f64) -> f64 {
    let mut all: Vec<f64> = costs.iter().map(figure).collect();
    all.sort_by(f64::total_cmp);
    all[((all.len() - 1) as f64 * at).round() as usize]
}
