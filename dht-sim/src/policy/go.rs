//! The rule of go-libp2p-kad-dht (v0.42.1, `query.go`): alpha requests in flight until the beta nearest have answered, then a
//! follow-up to the rest of the k nearest.
//!
//! What is under way when the walk ends is waited for and teaches the lookup nothing; who had not answered by the end of
//! the walk is asked again by the follow-up. Left out: dials, which the end of the walk cancels, and the records that a
//! read sends to holders of older ones.

use std::collections::BTreeMap;

use super::{Next, Walk};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Heard,
    Waiting,
    Queried,
    Unreachable,
}

#[derive(Clone, Debug)]
enum Stage<D> {
    Walking,
    /// The walk is over, requests of it are not.
    Draining,
    /// Whom to ask still, the nearest last.
    FollowingUp(Vec<D>),
}

/// One lookup by the Go rule.
#[derive(Clone, Debug)]
pub struct Go<D> {
    k: usize,
    alpha: usize,
    beta: usize,
    /// Grows by what one answer may name for every peer that is asked.
    peers: BTreeMap<D, State>,
    in_flight: usize,
    stage: Stage<D>,
}

impl<D: Copy + Ord> Go<D> {
    /// Requests in flight of the walk.
    pub const ALPHA: usize = 10;
    /// The nearest peers whose answers end the walk.
    pub const BETA: usize = 3;

    /// With the shipped alpha and beta, from the k nearest of the own table.
    pub fn new(k: usize, seeds: &[D]) -> Self {
        Self {
            k,
            alpha: Self::ALPHA,
            beta: Self::BETA,
            peers: seeds.iter().take(k).map(|seed| (*seed, State::Heard)).collect(),
            in_flight: 0,
            stage: Stage::Walking,
        }
    }

    fn reachable(&self) -> impl Iterator<Item = (&D, &State)> {
        self.peers.iter().filter(|(_, state)| **state != State::Unreachable)
    }

    /// The beta nearest have answered, or all there are when they are fewer.
    fn has_arrived(&self) -> bool {
        self.reachable().take(self.beta).all(|(_, state)| *state == State::Queried)
    }

    fn walk(&mut self) -> Next<D> {
        if self.has_arrived() {
            self.stage = Stage::Draining;
            return self.next();
        }
        let room = self.in_flight < self.alpha;
        let next = self.peers.iter_mut().find(|(_, state)| room && **state == State::Heard);
        next.map_or(Next::Wait, |(peer, state)| {
            *state = State::Waiting;
            self.in_flight += 1;
            Next::Ask(*peer)
        })
    }

    fn drain(&mut self) -> Next<D> {
        if self.in_flight > 0 {
            return Next::Wait;
        }
        let nearest = self.reachable().take(self.k);
        let mut rest: Vec<D> =
            nearest.filter(|(_, state)| **state != State::Queried).map(|(peer, _)| *peer).collect();
        rest.reverse();
        self.stage = Stage::FollowingUp(rest);
        self.next()
    }

    /// Whether an outcome of this peer is awaited by the walk; requests that are not awaited any more only count.
    fn settles(&mut self, peer: D) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        matches!(self.stage, Stage::Walking) && self.peers.get(&peer) == Some(&State::Waiting)
    }
}

impl<D: Copy + Ord> Walk<D> for Go<D> {
    fn next(&mut self) -> Next<D> {
        match &mut self.stage {
            Stage::Walking => self.walk(),
            Stage::Draining => self.drain(),
            Stage::FollowingUp(rest) => match rest.pop() {
                Some(peer) => {
                    self.in_flight += 1;
                    Next::Ask(peer)
                }
                None if self.in_flight > 0 => Next::Wait,
                None => Next::Done,
            },
        }
    }

    fn answered(&mut self, peer: D, named: &[D]) {
        if self.settles(peer) {
            for other in named.iter().take(2 * self.k) {
                self.peers.entry(*other).or_insert(State::Heard);
            }
            self.peers.insert(peer, State::Queried);
        }
    }

    fn failed(&mut self, peer: D) {
        if self.settles(peer) {
            self.peers.insert(peer, State::Unreachable);
        }
    }

    fn closest(&self) -> Vec<D> {
        self.reachable().take(self.k).map(|(peer, _)| *peer).collect()
    }
}
