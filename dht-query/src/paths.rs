//! The lookups of one query side by side: one, or several that share no peer (S/Kademlia).
//!
//! A path asks only peers it heard of itself, and a peer belongs to the first path that asks it. What it answers counts
//! for that path only, so liars on one path cannot lead the others astray; the other paths take it as asked and go on.
//! The seeds are dealt out in turn, the window is shared, the results are merged.

use std::collections::BTreeMap;

use dht_core::{Contact, Failure, Mono, Overlay};

use crate::lookup::{Candidate, DistanceOf, Lookup, Next, Rules, State, Wants};

pub(crate) struct Paths<O: Overlay> {
    lookups: Vec<Lookup<O>>,
    /// Which path asked a peer; empty when there is only one.
    asked: BTreeMap<O::PeerId, usize>,
    /// The path whose turn it is.
    turn: usize,
}

/// What the paths want together.
pub(crate) enum Step<O: Overlay> {
    Ask { path: usize, contact: Contact<O> },
    Wait(Option<Mono>),
    Done,
}

impl<O: Overlay> Paths<O> {
    pub(crate) fn new(
        target: O::Key,
        rules: Rules,
        paths: usize,
        seeds: Vec<(DistanceOf<O>, Contact<O>)>,
    ) -> Self {
        let paths = paths.max(1);
        let rules = Rules {
            alpha: (rules.alpha / paths).max(1),
            approach: (rules.approach / paths).max(1),
            max: (rules.max / paths).max(rules.k),
            ..rules
        };
        let mut lookups: Vec<_> = (0..paths).map(|_| Lookup::new(target, rules)).collect();
        for (i, (distance, contact)) in seeds.into_iter().enumerate() {
            lookups[i % paths].hear(distance, contact, 1);
        }
        Self { lookups, asked: BTreeMap::new(), turn: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lookups.iter().all(|lookup| lookup.candidates().is_empty())
    }

    /// The next step; a candidate to ask counts as asked. `retry` says when a peer that was asked that often may be
    /// asked again.
    pub(crate) fn next(&mut self, now: Mono, wants: Wants, mut retry: impl FnMut(u32) -> Mono) -> Step<O> {
        let paths = self.lookups.len();
        let (mut done, mut wake) = (0, None::<Mono>);
        for _ in 0..paths {
            let path = self.turn;
            self.turn = (path + 1) % paths;
            loop {
                let lookup = &mut self.lookups[path];
                match lookup.next(now, wants) {
                    Next::Ask(at) => {
                        let contact = lookup.candidate(at).contact.clone();
                        if paths > 1 && *self.asked.entry(contact.peer.clone()).or_insert(path) != path {
                            lookup.elsewhere(at);
                            if self.is_lost(&contact.peer) {
                                self.lookups[path].failed_elsewhere(&contact.peer);
                            }
                            continue;
                        }
                        lookup.asked(at);
                        return Step::Ask { path, contact };
                    }
                    Next::Starved => lookup.revive(&mut retry),
                    Next::Wait(when) => {
                        wake = wake.into_iter().chain(when).min();
                        break;
                    }
                    Next::Done => {
                        done += 1;
                        break;
                    }
                }
            }
        }
        if done == paths { Step::Done } else { Step::Wait(wake) }
    }

    /// A peer answered; how many of those it named were news to its path.
    pub(crate) fn answered(
        &mut self,
        path: usize,
        peer: &O::PeerId,
        named: Vec<(DistanceOf<O>, Contact<O>)>,
        ticket: Option<O::Ticket>,
    ) -> usize {
        let lookup = &mut self.lookups[path];
        if !lookup.answered(peer, ticket) {
            return 0;
        }
        let hop = lookup.get(peer).map_or(1, |candidate| candidate.hop.saturating_add(1));
        let mut from = 0;
        let news = |(distance, contact)| usize::from(lookup.hear_after(&mut from, distance, contact, hop));
        named.into_iter().map(news).sum()
    }

    pub(crate) fn failed(&mut self, path: usize, peer: &O::PeerId, why: Failure) {
        self.lookups[path].failed(peer, why);
        self.tell_others(path, peer);
    }

    pub(crate) fn postponed(&mut self, path: usize, peer: &O::PeerId, why: Failure, when: Mono) {
        self.lookups[path].postponed(peer, why, when);
    }

    pub(crate) fn attempts(&self, path: usize, peer: &O::PeerId) -> u32 {
        self.lookups[path].attempts(peer)
    }

    pub(crate) fn overdue(&mut self, path: usize, peer: &O::PeerId) -> bool {
        self.lookups[path].overdue(peer)
    }

    pub(crate) fn given_up(&mut self, path: usize, peer: &O::PeerId) {
        self.lookups[path].given_up(peer);
        self.tell_others(path, peer);
    }

    /// Asks a few of those that did not answer again at `when`, though they were asked as often as they may; `false` when
    /// there are too few to tell anything.
    pub(crate) fn probe(&mut self, when: Mono) -> bool {
        self.lookups.iter_mut().fold(false, |any, lookup| lookup.probe(when) | any)
    }

    /// Those that did not answer are as if never asked; `false` when they are too few to tell anything.
    pub(crate) fn forgive(&mut self) -> bool {
        self.lookups.iter_mut().fold(false, |any, lookup| lookup.forgive() | any)
    }

    /// When a peer is of no use to the path that asked it, neither is it to the others.
    fn tell_others(&mut self, path: usize, peer: &O::PeerId) {
        if self.lookups.len() > 1 && self.is_lost(peer) {
            for (_, other) in self.lookups.iter_mut().enumerate().filter(|(i, _)| *i != path) {
                other.failed_elsewhere(peer);
            }
        }
    }

    fn is_lost(&self, peer: &O::PeerId) -> bool {
        self.asked
            .get(peer)
            .and_then(|owner| self.lookups[*owner].get(peer))
            .is_some_and(|owner| matches!(owner.state, State::Unreachable(_) | State::GivenUp))
    }

    /// How many answers deep a peer was found, and how far it is.
    pub(crate) fn place(&self, path: usize, peer: &O::PeerId) -> (u32, DistanceOf<O>) {
        let lookup = &self.lookups[path];
        (lookup.get(peer).map_or(0, |candidate| candidate.hop), lookup.distance(peer))
    }

    /// The k nearest that answered, of all paths; with `expected` also those that may still do.
    pub(crate) fn closest(&self, k: usize, expected: bool) -> Vec<&Candidate<O>> {
        let mut all: Vec<&Candidate<O>> = self
            .lookups
            .iter()
            .flat_map(|lookup| lookup.candidates())
            .filter(|candidate| match candidate.state {
                State::Queried => true,
                State::Heard(_) | State::Waiting => expected && !self.is_lost(&candidate.contact.peer),
                _ => false,
            })
            .collect();
        // Of a peer that several paths know, the one that answered comes first.
        all.sort_by(|a, b| {
            let rank = |candidate: &Candidate<O>| candidate.state != State::Queried;
            (a.distance, &a.contact.peer, rank(a)).cmp(&(b.distance, &b.contact.peer, rank(b)))
        });
        all.dedup_by(|later, first| later.contact.peer == first.contact.peer);
        all.truncate(k);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dht_core::{Failure, Key, testing::Tiny};
    use proptest::{collection, prelude::*};

    const RULES: Rules = Rules { k: 4, alpha: 6, approach: 3, beta: 2, retries: 0, tickets: false, max: 90 };

    fn contacts(peers: &[u8]) -> Vec<(DistanceOf<Tiny>, Contact<Tiny>)> {
        use dht_core::KadKey;
        peers.iter().map(|peer| (Key([0]).distance(&Key([*peer])), Contact::new(*peer, 1))).collect()
    }

    proptest! {
        /// Paths ask disjoint sets of peers, only such as they heard of themselves, and end together.
        #[test]
        fn paths_share_no_peer(
            count in 1..4usize,
            seeds in collection::btree_set(any::<u8>(), 1..30),
            events in collection::vec((any::<usize>(), any::<bool>(), collection::vec(any::<u8>(), 0..30)), 0..99),
        ) {
            let seeds: Vec<u8> = seeds.into_iter().collect();
            let mut paths = Paths::<Tiny>::new(Key([0]), RULES, count, contacts(&seeds));
            let mut heard: Vec<Vec<u8>> = vec![Vec::new(); count];
            for (i, seed) in seeds.iter().enumerate() {
                heard[i % count].push(*seed);
            }
            let (mut owner, mut running) = (BTreeMap::new(), Vec::new());
            let mut events = events.into_iter();
            loop {
                match paths.next(Mono::default(), Wants::default(), |_| Mono::default()) {
                    Step::Ask { path, contact } => {
                        prop_assert!(heard[path].contains(&contact.peer));
                        prop_assert_eq!(owner.insert(contact.peer, path), None);
                        running.push((path, contact.peer));
                        prop_assert!(running.len() <= RULES.alpha);
                        continue;
                    }
                    Step::Done => break,
                    Step::Wait(_) => prop_assert!(!running.is_empty(), "it waits for nobody"),
                }
                let (which, ok, named) = events.next().unwrap_or((0, true, vec![]));
                let (path, peer) = running.remove(which % running.len());
                if ok {
                    paths.answered(path, &peer, contacts(&named), None);
                    heard[path].extend(named);
                } else {
                    paths.failed(path, &peer, Failure::Reset);
                }
            }
            let closest: Vec<u8> = paths.closest(RULES.k, false).iter().map(|c| c.contact.peer).collect();
            prop_assert!(closest.windows(2).all(|two| two[0] < two[1]));
            prop_assert!(closest.len() <= RULES.k && closest.iter().all(|peer| owner.contains_key(peer)));
        }
    }
}
