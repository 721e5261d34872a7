//! The rules of rust-libp2p (libp2p-kad 0.49.0, `query/peers/closest.rs` and `closest/disjoint.rs`): a few requests in flight
//! until the k nearest have answered, k of them while answers bring nobody nearer; and the same on paths that share no peer.
//!
//! Its own timeout for a peer is left out: it is as long as the one after which whoever drives a lookup reports a
//! request as failed. Where a path waits it out for a peer whose answer came when the path that had asked was over, the
//! peer is passed over at once instead.

use std::collections::BTreeMap;

use super::{Next, Walk};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Heard,
    Waiting,
    Answered,
    Failed,
}

/// Requests in flight, and paths of a lookup on disjoint ones.
const PARALLEL: usize = 3;

/// One lookup by the rule of rust-libp2p.
#[derive(Clone, Debug)]
pub struct Rust<D> {
    k: usize,
    parallel: usize,
    /// Grows by what one answer names for every peer that is asked.
    peers: BTreeMap<D, State>,
    waiting: usize,
    /// Answers in a row that brought nobody among the k nearest; from `parallel` on the lookup is stalled.
    idle: usize,
    done: bool,
}

impl<D: Copy + Ord> Rust<D> {
    /// With the shipped parallelism of 3, from the k nearest of the own table.
    pub fn new(k: usize, seeds: &[D]) -> Self {
        Self {
            k,
            parallel: PARALLEL,
            peers: seeds.iter().take(k).map(|seed| (*seed, State::Heard)).collect(),
            waiting: 0,
            idle: 0,
            done: false,
        }
    }

    fn is_full(&self) -> bool {
        let room = if self.idle >= self.parallel { self.k.max(self.parallel) } else { self.parallel };
        self.waiting >= room
    }

    /// Takes an outcome; whether it was awaited.
    fn settle(&mut self, peer: D, outcome: State, named: &[D]) -> bool {
        match self.peers.get_mut(&peer) {
            Some(state) if !self.done && *state == State::Waiting => *state = outcome,
            _ => return false,
        }
        self.waiting -= 1;
        if outcome == State::Answered {
            self.hear(named);
        }
        true
    }

    fn hear(&mut self, named: &[D]) {
        let mut progress = self.peers.len() < self.k;
        let range = self.peers.keys().take(self.k).next_back().copied();
        for other in named {
            let new = !self.peers.contains_key(other);
            if new {
                self.peers.insert(*other, State::Heard);
            }
            progress |= new && Some(*other) < range;
        }
        self.idle = if progress { 0 } else { self.idle + 1 };
    }
}

impl<D: Copy + Ord> Walk<D> for Rust<D> {
    fn next(&mut self) -> Next<D> {
        if self.done {
            return Next::Done;
        }
        let full = self.is_full();
        // `None` from the nearest peer on that is awaited: what comes behind it does not end the lookup.
        let mut answered = Some(0);
        for (peer, state) in &mut self.peers {
            match state {
                State::Heard | State::Waiting if full => return Next::Wait,
                State::Heard => {
                    *state = State::Waiting;
                    self.waiting += 1;
                    return Next::Ask(*peer);
                }
                State::Waiting => answered = None,
                State::Answered => {
                    answered = answered.map(|count| count + 1);
                    if answered.is_some_and(|count| count >= self.k) {
                        self.done = true;
                        return Next::Done;
                    }
                }
                State::Failed => {}
            }
        }
        self.done = self.waiting == 0;
        if self.done { Next::Done } else { Next::Wait }
    }

    fn answered(&mut self, peer: D, named: &[D]) {
        self.settle(peer, State::Answered, named);
    }

    fn failed(&mut self, peer: D) {
        self.settle(peer, State::Failed, &[]);
    }

    fn closest(&self) -> Vec<D> {
        let answered = self.peers.iter().filter(|(_, state)| **state == State::Answered);
        answered.take(self.k).map(|(peer, _)| *peer).collect()
    }
}

/// One lookup by the same rule on disjoint paths: who is named on one of them is not told to the others, and nobody is asked
/// twice.
#[derive(Clone, Debug)]
pub struct Disjoint<D> {
    paths: Vec<Rust<D>>,
    /// The path whose turn it is.
    turn: usize,
    /// On which path each peer was asked, and what came of it.
    asked: BTreeMap<D, (usize, State)>,
}

impl<D: Copy + Ord> Disjoint<D> {
    /// Three paths, as many as the shipped parallelism; all begin with the same seeds.
    pub fn new(k: usize, seeds: &[D]) -> Self {
        Self { paths: vec![Rust::new(k, seeds); PARALLEL], turn: 0, asked: BTreeMap::new() }
    }

    /// Only the path that asked learns whom the answer names; the others that wait for the same peer learn what came of it.
    fn outcome(&mut self, peer: D, outcome: State, named: &[D]) {
        let Some((asker, state)) = self.asked.get_mut(&peer) else { return };
        // An answer to a path that is over by then is lost on whoever wants that peer later.
        *state = if self.paths[*asker].settle(peer, outcome, named) { outcome } else { State::Failed };
        for (_, path) in self.paths.iter_mut().enumerate().filter(|(i, _)| i != asker) {
            path.settle(peer, outcome, &[]);
        }
    }

    /// Whom one path wants to ask, besides those whom another path asked.
    fn next_on(&mut self, i: usize) -> Next<D> {
        loop {
            let peer = match self.paths[i].next() {
                Next::Ask(peer) => peer,
                other => return other,
            };
            match self.asked.get(&peer) {
                None => {
                    self.asked.insert(peer, (i, State::Waiting));
                    return Next::Ask(peer);
                }
                Some((_, State::Answered)) => self.paths[i].answered(peer, &[]),
                Some((_, State::Failed)) => self.paths[i].failed(peer),
                // It hears of the outcome together with the path that asked.
                Some(_) => {}
            }
        }
    }
}

impl<D: Copy + Ord> Walk<D> for Disjoint<D> {
    fn next(&mut self) -> Next<D> {
        let mut over = true;
        for _ in 0..self.paths.len() {
            let i = self.turn;
            self.turn = (i + 1) % self.paths.len();
            match self.next_on(i) {
                Next::Ask(peer) => return Next::Ask(peer),
                Next::Wait => over = false,
                Next::Done => {}
            }
        }
        if over { Next::Done } else { Next::Wait }
    }

    fn answered(&mut self, peer: D, named: &[D]) {
        self.outcome(peer, State::Answered, named);
    }

    fn failed(&mut self, peer: D) {
        self.outcome(peer, State::Failed, &[]);
    }

    /// Those of all paths, which are more than k when a path was led elsewhere.
    fn closest(&self) -> Vec<D> {
        let mut closest: Vec<D> = self.paths.iter().flat_map(Walk::closest).collect();
        closest.sort_unstable();
        closest.dedup();
        closest
    }
}
