//! Whom to ask next: the iterator over the peers of one lookup, pure and fed with outcomes.
//!
//! Candidates are kept nearest first. The nearest that was not asked is always next, among the k nearest that are of use
//! only. How many may be in flight depends on what the answers said: while every answer leads closer, all but a few
//! requests go to peers that the next answer makes irrelevant, so the window is `approach`. A peer that has answered and
//! *still* is among the k nearest knew (almost) nobody closer: the answers converge, and the window opens in proportion,
//! to `alpha` once `beta` such peers have answered. From then on every request asks a peer that has to confirm the
//! result anyway. Failures and overdue requests open it too, one for one: where peers are mute, one more in flight costs
//! less than the silence.
//!
//! The lookup is done when the k nearest of use have answered. Go's rule - the `beta` nearest answered, then a follow-up
//! over the rest of the k nearest - comes to the same peers; here its second half is the open window, so newcomers of
//! the follow-up compete, peers that fail in it leave the result, and the end is judged again after each outcome.
//!
//! Where some of those asked will be silent, as the caller foresees from those lately, as many more beyond the k nearest are
//! asked at the same time: a replacement asked only when its predecessor is overdue costs that time once more, each. The
//! end does not wait for an overdue peer for ever, but until it is given up; a fetch that has found something does not even
//! do that once k others have answered, since it looks for items, which all of the k nearest were given, and not for peers.
//!
//! It knows neither requests nor timers; several of them side by side are [`Paths`](crate::paths::Paths).

use std::collections::VecDeque;

use dht_core::{Contact, Failure, KadKey, Mono, Overlay};

use crate::rtt::Share;

pub(crate) type DistanceOf<O> = <<O as Overlay>::Key as KadKey>::Distance;

/// The numbers of a lookup; see [`Config`](crate::Config) for what they mean.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) k: usize,
    pub(crate) alpha: usize,
    pub(crate) approach: usize,
    pub(crate) beta: usize,
    pub(crate) retries: u32,
    /// Whether only peers that give a ticket are of use: a store on a network that asks for them.
    pub(crate) tickets: bool,
    /// Candidates kept, asked ones included: those are never forgotten, so that nobody is asked twice.
    pub(crate) max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Known, not asked; not to be asked before that time.
    Heard(Mono),
    /// Asked, and an answer is to be expected.
    Waiting,
    /// Asked and overdue: its place in the window and among the k nearest is free, the end still waits for it.
    Overdue,
    /// Asked and so late that the end does not wait for it either.
    GivenUp,
    /// Has answered.
    Queried,
    /// Has failed.
    Unreachable(Failure),
    /// Another path of the same query asked it; `true` once that path knows that it failed.
    Elsewhere(bool),
}

pub(crate) struct Candidate<O: Overlay> {
    pub(crate) distance: DistanceOf<O>,
    pub(crate) contact: Contact<O>,
    pub(crate) state: State,
    /// How many answers deep: 1 for seeds.
    pub(crate) hop: u32,
    pub(crate) ticket: Option<O::Ticket>,
    /// Requests to it that still run: more than one when an overdue one was repeated.
    running: u32,
    attempts: u32,
}

impl<O: Overlay> Candidate<O> {
    /// Whether it did not answer and may do so another time.
    fn is_lost_for_now(&self) -> bool {
        match self.state {
            State::GivenUp => true,
            State::Unreachable(why) => why.is_retryable(),
            _ => false,
        }
    }
}

/// What the caller knows that a lookup does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wants {
    /// No more answers than that can be of use.
    pub(crate) limit: usize,
    /// Whether k answers are enough though nearer peers are overdue: a fetch that has found something, since it looks for
    /// items and not for peers.
    pub(crate) hasty: bool,
    /// Share of those asked who will not answer, as far as can be foreseen.
    pub(crate) silence: Share,
}

impl Default for Wants {
    fn default() -> Self {
        Self { limit: usize::MAX, hasty: false, silence: Share::default() }
    }
}

/// What the lookup wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask this candidate; `asked` follows.
    Ask(usize),
    /// Wait for outcomes, or until then.
    Wait(Option<Mono>),
    /// Nobody is left, and too few answered to trust the result: `revive` may help.
    Starved,
    /// Over.
    Done,
}

pub(crate) struct Lookup<O: Overlay> {
    target: O::Key,
    rules: Rules,
    /// Nearest first; the peer breaks ties, in case two share a key. Most newcomers are near, and here what is before them
    /// makes room, not what is behind.
    candidates: VecDeque<Candidate<O>>,
    waiting: usize,
    answered: usize,
    /// Requests that failed or were overdue.
    setbacks: usize,
    /// Whether a few are asked now and then until somebody answers: none of them is worth waiting for.
    probing: bool,
}

impl<O: Overlay> Lookup<O> {
    pub(crate) fn new(target: O::Key, rules: Rules) -> Self {
        Self {
            target,
            rules,
            candidates: VecDeque::new(),
            waiting: 0,
            answered: 0,
            setbacks: 0,
            probing: false,
        }
    }

    pub(crate) fn distance(&self, peer: &O::PeerId) -> DistanceOf<O> {
        self.target.distance(&O::peer_key(peer))
    }

    /// A peer was named; `false` when it is known already or too far to be kept.
    pub(crate) fn hear(&mut self, distance: DistanceOf<O>, contact: Contact<O>, hop: u32) -> bool {
        self.hear_after(&mut 0, distance, contact, hop)
    }

    /// The same for peers that are named in the order of their distance: the search begins at `from`, which moves on. So an
    /// answer is merged by one walk, and the near ones are found at once.
    pub(crate) fn hear_after(
        &mut self,
        from: &mut usize,
        distance: DistanceOf<O>,
        contact: Contact<O>,
        hop: u32,
    ) -> bool {
        let nearer = |c: &Candidate<O>| (&c.distance, &c.contact.peer) < (&distance, &contact.peer);
        let in_order =
            *from <= self.candidates.len() && from.checked_sub(1).is_none_or(|i| nearer(&self.candidates[i]));
        let start = if in_order { *from } else { 0 };
        let at = start + self.candidates.range(start..).take_while(|c| nearer(c)).count();
        *from = at;
        if self.candidates.get(at).is_some_and(|c| c.contact.peer == contact.peer) {
            return false;
        }
        if self.candidates.len() >= self.rules.max {
            let farthest = self
                .candidates
                .iter()
                .rposition(|c| matches!(c.state, State::Heard(_)) && c.attempts == 0)
                .filter(|farthest| *farthest >= at);
            let Some(farthest) = farthest else { return false };
            self.candidates.remove(farthest);
        }
        let state = State::Heard(Mono::default());
        // Kept for as long as the query runs: it must not hold the message it came in.
        let contact = O::detach(contact);
        self.candidates
            .insert(at, Candidate { distance, contact, state, hop, ticket: None, running: 0, attempts: 0 });
        true
    }

    /// What to do now.
    pub(crate) fn next(&self, now: Mono, wants: Wants) -> Next {
        let k = self.rules.k;
        let (mut useful, mut pending, mut converged) = (0, 0, 0);
        let (mut holding, mut late) = (false, false);
        let (mut ready, mut wake) = (None, None);
        for (at, candidate) in self.candidates.iter().enumerate() {
            match candidate.state {
                State::Heard(when) if when <= now => (ready, pending) = (ready.or(Some(at)), pending + 1),
                State::Heard(when) => {
                    (wake, pending) = (Some(wake.map_or(when, |wake: Mono| wake.min(when))), pending + 1);
                }
                State::Waiting => (holding, pending) = (true, pending + 1),
                State::Queried => {
                    converged += 1;
                    if self.rules.tickets && candidate.ticket.is_none() {
                        continue;
                    }
                }
                State::Elsewhere(false) => {}
                State::Overdue => {
                    late = true;
                    continue;
                }
                State::GivenUp | State::Unreachable(_) | State::Elsewhere(true) => continue,
            }
            useful += 1;
            if useful >= k + wants.silence.of(pending) {
                break;
            }
        }
        holding |= late && !(wants.hasty && useful >= k);
        match ready {
            Some(at) if self.waiting < self.window(converged, wants) => Next::Ask(at),
            None if wake.is_none() && !holding => self.end(useful),
            _ => Next::Wait(wake),
        }
    }

    fn window(&self, converged: usize, wants: Wants) -> usize {
        let Rules { alpha, approach, beta, .. } = self.rules;
        let (limit, approach) = (wants.limit, wants.silence.before(approach).min(alpha));
        let opened = approach + (alpha - approach).saturating_mul(converged.min(beta)) / beta;
        (opened.min(limit.max(approach)) + self.setbacks).min(alpha)
    }

    /// Nothing is left to do among the k nearest, `useful` of them.
    fn end(&self, useful: usize) -> Next {
        if useful >= self.rules.k || self.answered >= self.rules.beta {
            return Next::Done;
        }
        if self.candidates.iter().any(|c| self.can_revive(c)) {
            return Next::Starved;
        }
        // They were asked as often as they may be. Only where nobody answered at all is the last word worth its time.
        let late = self.candidates.iter().any(|c| c.state == State::GivenUp && c.running > 0);
        if late && self.answered == 0 && !self.probing { Next::Wait(None) } else { Next::Done }
    }

    pub(crate) fn candidate(&self, at: usize) -> &Candidate<O> {
        &self.candidates[at]
    }

    pub(crate) fn get(&self, peer: &O::PeerId) -> Option<&Candidate<O>> {
        let at = self.find(&self.distance(peer), peer).ok()?;
        self.candidates.get(at)
    }

    pub(crate) fn candidates(&self) -> &VecDeque<Candidate<O>> {
        &self.candidates
    }

    /// The candidate of [`Next::Ask`] was asked.
    pub(crate) fn asked(&mut self, at: usize) {
        let candidate = &mut self.candidates[at];
        candidate.state = State::Waiting;
        candidate.running += 1;
        candidate.attempts += 1;
        self.waiting += 1;
    }

    /// A peer answered, in time or not; its other requests are over too. `false` when nothing was asked of it.
    pub(crate) fn answered(&mut self, peer: &O::PeerId, ticket: Option<O::Ticket>) -> bool {
        let Some(candidate) = self.asked_one(peer) else { return false };
        let was = std::mem::replace(&mut candidate.state, State::Queried);
        candidate.running = 0;
        candidate.ticket = ticket;
        self.waiting -= usize::from(was == State::Waiting);
        self.answered += 1;
        true
    }

    /// A request to a peer failed.
    pub(crate) fn failed(&mut self, peer: &O::PeerId, why: Failure) {
        let Some(candidate) = self.asked_one(peer) else { return };
        candidate.running -= 1;
        if candidate.running > 0 || matches!(candidate.state, State::Heard(_)) {
            return;
        }
        let was = std::mem::replace(&mut candidate.state, State::Unreachable(why));
        if was == State::Waiting {
            self.waiting -= 1;
            self.setbacks += 1;
        }
    }

    /// A request did not get out for reasons of our own: the candidate is to be asked again at `when`, if it may.
    pub(crate) fn postponed(&mut self, peer: &O::PeerId, why: Failure, when: Mono) {
        self.failed(peer, why);
        let Ok(at) = self.find(&self.distance(peer), peer) else { return };
        if self.can_revive(&self.candidates[at]) {
            self.candidates[at].state = State::Heard(when);
        }
    }

    /// How often a peer was asked.
    pub(crate) fn attempts(&self, peer: &O::PeerId) -> u32 {
        self.get(peer).map_or(0, |candidate| candidate.attempts)
    }

    pub(crate) fn overdue(&mut self, peer: &O::PeerId) -> bool {
        let Some(candidate) = self.asked_one(peer) else { return false };
        if candidate.state != State::Waiting {
            return false;
        }
        candidate.state = State::Overdue;
        self.waiting -= 1;
        self.setbacks += 1;
        true
    }

    pub(crate) fn given_up(&mut self, peer: &O::PeerId) {
        self.overdue(peer);
        if let Some(candidate) = self.asked_one(peer)
            && candidate.state == State::Overdue
        {
            candidate.state = State::GivenUp;
        }
    }

    /// Another path of the query takes care of this candidate.
    pub(crate) fn elsewhere(&mut self, at: usize) {
        self.candidates[at].state = State::Elsewhere(false);
    }

    /// The peer that another path asked has failed.
    pub(crate) fn failed_elsewhere(&mut self, peer: &O::PeerId) {
        if let Ok(at) = self.find(&self.distance(peer), peer)
            && self.candidates[at].state == State::Elsewhere(false)
        {
            self.candidates[at].state = State::Elsewhere(true);
        }
    }

    /// Everybody who failed in a way that may pass, or is given up, may be asked again; `when` says at what time, given
    /// how often it was asked.
    pub(crate) fn revive(&mut self, mut when: impl FnMut(u32) -> Mono) {
        for at in 0..self.candidates.len() {
            if self.can_revive(&self.candidates[at]) {
                let candidate = &mut self.candidates[at];
                candidate.state = State::Heard(when(candidate.attempts));
            }
        }
    }

    fn can_revive(&self, candidate: &Candidate<O>) -> bool {
        candidate.attempts <= self.rules.retries && candidate.is_lost_for_now()
    }

    /// Asks `beta` of those that were asked as often as they may again at `when`, others each time; `false` when there are
    /// not that many.
    pub(crate) fn probe(&mut self, when: Mono) -> bool {
        let lost = self.candidates.iter().enumerate().filter(|(_, c)| c.is_lost_for_now());
        let mut lost: Vec<_> = lost.map(|(at, c)| (c.attempts, at)).collect();
        if lost.len() < self.rules.beta {
            return false;
        }
        self.probing = true;
        lost.sort_unstable();
        for (_, at) in lost.into_iter().take(self.rules.beta) {
            self.candidates[at].state = State::Heard(when);
        }
        true
    }

    /// Everybody who failed in a way that may pass, or is given up, is as if never asked; `false` when they are less than
    /// `beta`.
    pub(crate) fn forgive(&mut self) -> bool {
        self.probing = false;
        let mut forgiven = 0;
        for candidate in self.candidates.iter_mut().filter(|c| c.is_lost_for_now()) {
            (candidate.state, candidate.attempts) = (State::Heard(Mono::default()), 0);
            forgiven += 1;
        }
        forgiven >= self.rules.beta
    }

    fn asked_one(&mut self, peer: &O::PeerId) -> Option<&mut Candidate<O>> {
        let at = self.find(&self.distance(peer), peer).ok()?;
        self.candidates.get_mut(at).filter(|candidate| candidate.running > 0)
    }

    fn find(&self, distance: &DistanceOf<O>, peer: &O::PeerId) -> Result<usize, usize> {
        self.candidates.binary_search_by(|c| c.distance.cmp(distance).then_with(|| c.contact.peer.cmp(peer)))
    }
}

#[cfg(test)]
mod tests;
