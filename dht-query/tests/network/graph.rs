//! A frozen Kademlia network to look things up in: every node has k-buckets of 20, warm and complete, nobody leaves.
//!
//! Tables are not stored: a node's bucket is drawn from a generator seeded by the node and the bucket, so that 10^5 nodes
//! cost an array of ids. Round trips take 50 to 150 ms. The rules of two other implementations run on the same graph as
//! counting models, written from their published behaviour: they count requests, they are not those implementations.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    time::Duration,
};

use dht_core::{Contact, Key, Mono, Now, Overlay, Request, RequestId, Response};
use dht_query::{Config, Finished, Judge, Output, Queries, QueryOptions};

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

/// The rule of another implementation.
#[derive(Clone, Copy, Debug)]
pub enum Model {
    /// rust-libp2p: `parallelism` in flight until that many answers in a row bring nothing closer, then `K`; over when
    /// the K nearest have answered.
    Rust { parallelism: usize },
    /// go-libp2p-kad-dht: `alpha` in flight until the `beta` nearest have answered; then everybody of the K nearest who
    /// has not answered is asked at once, and what they say is not looked at.
    Go { alpha: usize, beta: usize },
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Heard,
    Waiting,
    Queried,
    Failed,
}

impl Model {
    /// A lookup, or with `first_holder` a fetch that ends with the first of the true twenty that answers.
    pub fn run(self, graph: &Graph, local: u64, target: u64, first_holder: bool, mix: &mut Mix) -> Cost {
        let holders = graph.nearest(target, K);
        let mut peers: BTreeMap<u64, (u64, State, u32)> = BTreeMap::new();
        for id in graph.answer(local, target) {
            peers.insert(id ^ target, (id, State::Heard, 1));
        }
        let mut events: BinaryHeap<Reverse<(Duration, u64)>> = BinaryHeap::new();
        let (mut now, mut requests, mut idle) = (Duration::ZERO, 0u32, 0);
        let done = |peers: &BTreeMap<u64, (u64, State, u32)>, now, requests, hops| {
            let found: Vec<u64> =
                peers.values().filter(|p| p.1 != State::Failed).take(K).map(|p| p.0).collect();
            let asked = peers.values().filter(|p| p.1 != State::Heard).count() as u32;
            Cost { requests, asked, hops, took: now, recall: graph.recall(target, &found), found: false }
        };
        let ask = |id: u64, now: Duration, mix: &mut Mix| {
            let after = if graph.is_silent(id) { Duration::from_secs(10) } else { rtt(mix) };
            (now + after, id ^ target)
        };
        loop {
            let waiting = peers.values().filter(|p| p.1 == State::Waiting).count();
            let mut live = peers.values().filter(|p| p.1 != State::Failed);
            let (limit, over) = match self {
                Self::Rust { parallelism } => {
                    let limit = if idle >= parallelism { K } else { parallelism };
                    (limit, live.by_ref().take(K).all(|p| p.1 == State::Queried))
                }
                Self::Go { alpha, beta } => (alpha, live.by_ref().take(beta).all(|p| p.1 == State::Queried)),
            };
            let hops = peers.values().find(|p| p.1 == State::Queried).map_or(0, |p| p.2);
            if over {
                if let Self::Go { .. } = self {
                    let last: Vec<u64> = peers
                        .values()
                        .filter(|p| p.1 != State::Failed)
                        .take(K)
                        .filter(|p| p.1 != State::Queried)
                        .map(|p| p.0)
                        .collect();
                    requests += last.len() as u32;
                    let heard = peers.values().filter(|p| p.1 != State::Failed).take(K);
                    let heard = heard.filter(|p| p.1 == State::Heard).count() as u32;
                    let end = last.into_iter().map(|id| ask(id, now, mix).0).max().unwrap_or(now);
                    let cost = done(&peers, end, requests, hops);
                    return Cost { asked: cost.asked + heard, ..cost };
                }
                return done(&peers, now, requests, hops);
            }
            // rust-libp2p looks at the K nearest only; Go at everybody it has heard of.
            let reach = if matches!(self, Self::Rust { .. }) { K } else { usize::MAX };
            let next = peers
                .iter()
                .filter(|(_, p)| p.1 != State::Failed)
                .take(reach)
                .find(|(_, p)| p.1 == State::Heard)
                .map(|(distance, p)| (*distance, p.0));
            if let Some((distance, id)) = next.filter(|_| waiting < limit) {
                requests += 1;
                if let Some(peer) = peers.get_mut(&distance) {
                    peer.1 = State::Waiting;
                }
                events.push(Reverse(ask(id, now, mix)));
                continue;
            }
            let Some(Reverse((at, distance))) = events.pop() else {
                return done(&peers, now, requests, hops);
            };
            now = at;
            let nearest = peers.keys().next().copied();
            let Some(peer) = peers.get_mut(&distance) else { continue };
            if graph.is_silent(peer.0) {
                peer.1 = State::Failed;
                continue;
            }
            peer.1 = State::Queried;
            let (id, _, hop) = *peer;
            if first_holder && holders.contains(&id) {
                return Cost { found: true, ..done(&peers, now, requests, hop) };
            }
            for id in graph.answer(id, target).into_iter().filter(|id| *id != local) {
                peers.entry(id ^ target).or_insert((id, State::Heard, hop + 1));
            }
            idle = if peers.keys().next().copied() < nearest { 0 } else { idle + 1 };
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
