//! One query from start to end: a goal, the lookup that serves it, and, for stores, the placing that follows.
//!
//! A query hears of outcomes (`answered`, `failed`, `alarm`) and is driven after each: it sends what its window allows,
//! says when it must be woken, or ends. It ends once, by itself or at its deadline at the latest.

mod drive;
mod ending;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use dht_core::{Contact, Failure, KadKey, Mono, Observation, OperationKind, Overlay, RequestId, Response};

use crate::{
    Judge, Output, Progress, QueryId, QueryOptions, Reason, Step, StepOutcome,
    common::Common,
    gather::Gather,
    inflight::Alarm,
    intake::intake,
    lookup::{DistanceOf, Rules},
    paths::Paths,
    place::Place,
};

/// What a query is for.
pub(crate) enum Goal<O: Overlay> {
    Closest,
    FindPeer { peer: O::PeerId, found: Option<Contact<O>> },
    Fetch(Gather<O>),
    Store { query: O::Query, item: O::Item },
}

/// What a request of the query was for.
enum Task {
    Ask { path: usize },
    Put { holder: usize },
}

/// What nobody answering says about our own line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Unsuspected,
    /// Nobody was heard of, by any query.
    Dark,
    /// Somebody was heard of afterwards, so everybody was worth asking anew.
    Back,
}

/// What a query needs next.
pub(crate) enum Driven {
    /// To be driven again then, at the latest.
    Wake(Mono),
    Over(Reason),
}

pub(crate) struct Query<O: Overlay> {
    id: QueryId,
    goal: Goal<O>,
    target: O::Target,
    /// How many of the closest peers are looked for.
    k: usize,
    paths: Paths<O>,
    /// Stores, once their lookup is over.
    place: Option<Place<O>>,
    running: BTreeMap<RequestId, Task>,
    started: Mono,
    deadline: Mono,
    /// When the lookup of a store must make room for the placing.
    lookup_until: Mono,
    /// What we think of our own line.
    line: Line,
    trace: bool,
    requests: u32,
    enough: bool,
    /// How deep the answer was that ended the query.
    hops: Option<u32>,
    pub(crate) wake: Mono,
}

impl<O: Overlay> Query<O> {
    pub(crate) fn new(
        id: QueryId,
        now: Mono,
        goal: Goal<O>,
        target: O::Target,
        seeds: Vec<Contact<O>>,
        options: &QueryOptions,
        common: &mut Common<O>,
    ) -> Self {
        let config = &common.config;
        let k = options.k.unwrap_or(config.k).clamp(1, config.k);
        let rules = Rules {
            k,
            alpha: config.alpha,
            approach: config.approach,
            beta: config.beta,
            retries: config.retries,
            tickets: O::TICKETED && matches!(goal, Goal::Store { .. }),
            max: config.max_candidates,
        };
        let key = O::key_of(&target);
        let count = options.paths.unwrap_or(config.disjoint_paths).clamp(1, config.alpha);
        // Seeds come from the caller: it knows why it offers them, and its transport may know where they are.
        let mut seeds: Vec<_> = seeds
            .into_iter()
            .filter(|seed| seed.peer != common.local)
            .map(|seed| (distance::<O>(&key, &seed), seed))
            .collect();
        seeds.sort_by(|a, b| (a.0, &a.1.peer).cmp(&(b.0, &b.1.peer)));
        seeds.dedup_by(|later, first| later.1.peer == first.1.peer);
        let timeout = options.timeout.unwrap_or(config.query_timeout);
        common.out.push_back(Output::Observed(Observation::QueryStarted { kind: goal.kind() }));
        let mut query = Self {
            id,
            goal,
            target,
            k,
            paths: Paths::new(key, rules, count, seeds),
            place: None,
            running: BTreeMap::new(),
            started: now,
            deadline: now + timeout,
            lookup_until: now + timeout.saturating_sub(reserve(timeout)),
            line: Line::Unsuspected,
            trace: options.trace,
            requests: 0,
            enough: false,
            hops: None,
            wake: now,
        };
        if let Goal::FindPeer { peer, found } = &mut query.goal {
            let known = query.paths.closest(usize::MAX, true);
            *found = known.iter().map(|c| &c.contact).find(|c| c.peer == *peer && c.is_located()).cloned();
            query.enough = found.is_some();
        }
        query
    }

    /// Takes what this node holds itself.
    pub(crate) fn take_local(&mut self, items: Vec<O::Item>, common: &mut Common<O>) {
        if let Goal::Fetch(gather) = &mut self.goal {
            for item in gather.take_local(items) {
                common.out.push_back(Output::Progress(self.id, Progress::Item(item)));
            }
            self.enough = gather.is_enough();
        }
    }

    /// Makes a store start with its placing.
    pub(crate) fn place_at(&mut self, peers: Vec<(Contact<O>, Option<O::Ticket>)>, common: &Common<O>) {
        let mut named = BTreeSet::new();
        let peers = peers.into_iter().filter(|(contact, ticket)| {
            contact.peer != common.local
                && (ticket.is_some() || !O::TICKETED)
                && named.insert(contact.peer.clone())
        });
        self.place =
            Some(Place::new(peers.collect::<Vec<_>>(), drive::parallel(common), common.config.retries));
    }

    /// A request of this query was answered.
    pub(crate) fn answered(
        &mut self,
        now: Mono,
        id: RequestId,
        from: &Contact<O>,
        response: Response<O>,
        judge: &dyn Judge<O>,
        common: &mut Common<O>,
    ) {
        match self.running.remove(&id) {
            Some(Task::Ask { path }) => self.learned(now, path, from, response, judge, common),
            Some(Task::Put { holder }) => {
                if self.place.as_mut().is_some_and(|place| place.stored(holder)) {
                    let stored = Progress::Stored(from.peer.clone());
                    common.out.push_back(Output::Progress(self.id, stored));
                }
                self.forget_others(&from.peer, common);
            }
            None => {}
        }
    }

    fn learned(
        &mut self,
        now: Mono,
        path: usize,
        from: &Contact<O>,
        response: Response<O>,
        judge: &dyn Judge<O>,
        common: &mut Common<O>,
    ) {
        let Response { closer, items, ticket } = response;
        let mut valid = 0;
        match &mut self.goal {
            Goal::Fetch(gather) => {
                let news;
                (valid, news) = gather.take(&from.peer, items, judge);
                for item in news {
                    common.out.push_back(Output::Progress(self.id, Progress::Item(item)));
                }
                self.enough = gather.is_enough();
            }
            Goal::FindPeer { peer, found } => {
                *found = closer.iter().find(|c| c.peer == *peer && c.is_located()).cloned().map(O::detach);
                self.enough = found.is_some();
            }
            Goal::Closest | Goal::Store { .. } => {}
        }
        let wanted = match &self.goal {
            Goal::FindPeer { peer, .. } => Some(peer),
            _ => None,
        };
        let key = O::key_of(&self.target);
        let max = common.config.max_closer;
        let closer = intake(closer, &key, &common.local, wanted, common.filter.as_ref(), max);
        let newcomers = self.paths.answered(path, &from.peer, closer, ticket);
        if self.line == Line::Dark {
            self.line = Line::Back;
            self.paths.forgive();
        }
        if self.enough {
            self.hops = Some(self.paths.place(path, &from.peer).0);
        }
        self.forget_others(&from.peer, common);
        self.step(now, path, &from.peer, StepOutcome::Answered { newcomers, items: valid }, common);
    }

    /// Of several requests to one peer one was enough.
    fn forget_others(&mut self, peer: &O::PeerId, common: &mut Common<O>) {
        let same = |id: &RequestId| common.requests.get(*id).is_some_and(|request| request.to.peer == *peer);
        let others: Vec<_> = self.running.keys().copied().filter(same).collect();
        for id in others {
            self.running.remove(&id);
            common.forget(id);
        }
    }

    /// A request of this query failed.
    pub(crate) fn failed(
        &mut self,
        now: Mono,
        id: RequestId,
        peer: &O::PeerId,
        why: Failure,
        common: &mut Common<O>,
    ) {
        match self.running.remove(&id) {
            Some(Task::Ask { path }) => {
                // Others can answer in this peer's place, so it is not tried again; unless it was never asked because
                // we had too much to do, which says nothing about the peer.
                if why == Failure::Overloaded {
                    let when = common.retry_at(now, self.paths.attempts(path, peer));
                    self.paths.postponed(path, peer, why, when);
                } else {
                    self.paths.failed(path, peer, why);
                }
                self.step(now, path, peer, StepOutcome::Failed(why), common);
            }
            Some(Task::Put { holder }) => {
                if let Some(place) = &mut self.place {
                    place.failed(holder, why, |attempt| common.retry_at(now, attempt));
                }
            }
            None => {}
        }
    }

    /// A request of this query takes longer than usual.
    pub(crate) fn alarm(
        &mut self,
        now: Mono,
        id: RequestId,
        peer: &O::PeerId,
        alarm: Alarm,
        common: &mut Common<O>,
    ) {
        match (self.running.get(&id), alarm) {
            (Some(&Task::Ask { path }), Alarm::Overdue) => {
                if self.paths.overdue(path, peer) {
                    self.step(now, path, peer, StepOutcome::Overdue, common);
                }
            }
            (Some(&Task::Ask { path }), _) => self.paths.given_up(path, peer),
            (Some(&Task::Put { holder }), _) => {
                if let Some(place) = &mut self.place {
                    place.overdue(holder, now);
                }
            }
            (None, _) => {}
        }
    }

    fn step(&self, now: Mono, path: usize, peer: &O::PeerId, outcome: StepOutcome, common: &mut Common<O>) {
        if self.trace {
            let (hop, distance) = self.paths.place(path, peer);
            let step = Step { at: now.since(self.started), peer: peer.clone(), distance, hop, outcome };
            common.out.push_back(Output::Progress(self.id, Progress::Step(step)));
        }
    }
}

impl<O: Overlay> Goal<O> {
    fn kind(&self) -> OperationKind {
        match self {
            Self::Closest | Self::FindPeer { .. } => OperationKind::Closest,
            Self::Fetch(_) => OperationKind::Fetch,
            Self::Store { .. } => OperationKind::Store,
        }
    }

    /// Whether it looks for items, which any of the k nearest may have, and not for peers, of whom each counts; as long as
    /// nothing was found, those that are late may be all that have it.
    fn is_hasty(&self) -> bool {
        matches!(self, Self::Fetch(gather) if gather.has_found())
    }
}

fn distance<O: Overlay>(key: &O::Key, contact: &Contact<O>) -> DistanceOf<O> {
    key.distance(&contact.key())
}

/// Time that the lookup of a store leaves for the placing: a tenth, a second at least, but not more than half.
fn reserve(timeout: Duration) -> Duration {
    (timeout / 10).max(Duration::from_secs(1)).min(timeout / 2)
}
