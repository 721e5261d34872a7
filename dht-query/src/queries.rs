//! The pool of queries: what the node calls, and the one outlet.

mod alarms;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use dht_core::{
    Contact, Draws, Failure, InvalidConfig, Mono, Now, Observation, Overlay, Request, RequestId, Response,
};

use crate::{
    Config, Filter, Judge, Output, QueryId, QueryOptions, Reason, StartError, Statistics,
    common::Common,
    gather::Gather,
    inflight::{Owner, Requests},
    lone::Lone,
    query::{Driven, Goal, Query},
    rtt::RttEstimate,
};

/// Every query and every lone request of a node. See the crate's first page for the contract.
pub struct Queries<O: Overlay> {
    common: Common<O>,
    last: u64,
    /// At most `Config::max_queries`.
    queries: BTreeMap<QueryId, Query<O>>,
    /// At most `Config::max_lone`.
    lone: BTreeMap<RequestId, Lone<O>>,
    /// One per query, and one per lone request that waits for its next attempt.
    wakes: BTreeSet<(Mono, Wake)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    Query(QueryId),
    Lone(RequestId),
}

impl<O: Overlay> Queries<O> {
    /// No queries yet. `local` is never asked; `seed` feeds the jitter of retries.
    ///
    /// # Errors
    /// When the configuration contradicts itself.
    pub fn new(local: O::PeerId, config: Config, seed: u64) -> Result<Self, InvalidConfig> {
        config.validate()?;
        Ok(Self {
            common: Common {
                local,
                config: Arc::new(config),
                draws: Draws::new(seed),
                filter: None,
                requests: Requests::new(),
                rtt: RttEstimate::default(),
                heard: None,
                out: VecDeque::new(),
            },
            last: 0,
            queries: BTreeMap::new(),
            lone: BTreeMap::new(),
            wakes: BTreeSet::new(),
        })
    }

    /// The same, asking only those peers of an answer that pass the filter. Seeds and the peer that a `find_peer` looks
    /// for are exempt.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter<O>) -> Self {
        self.common.filter = Some(filter);
        self
    }

    /// The own name from now on.
    pub fn rename(&mut self, local: O::PeerId) {
        self.common.local = local;
    }

    /// Looks up the k closest peers of a target.
    ///
    /// # Errors
    /// When too many queries run.
    pub fn closest(
        &mut self,
        now: Now,
        target: O::Target,
        seeds: Vec<Contact<O>>,
        options: QueryOptions,
    ) -> Result<QueryId, StartError> {
        self.start(now, Goal::Closest, target, seeds, &options, |_, _| {})
    }

    /// Looks for a peer's address; ends as soon as an answer has one, or at once when a seed has.
    ///
    /// # Errors
    /// When too many queries run.
    pub fn find_peer(
        &mut self,
        now: Now,
        peer: O::PeerId,
        seeds: Vec<Contact<O>>,
        options: QueryOptions,
    ) -> Result<QueryId, StartError> {
        let target = O::peer_target(&peer);
        self.start(now, Goal::FindPeer { peer, found: None }, target, seeds, &options, |_, _| {})
    }

    /// Looks for items. `local` are those the caller holds and believes; they come first and count as one answer.
    ///
    /// # Errors
    /// When too many queries run.
    pub fn fetch(
        &mut self,
        now: Now,
        query: O::Query,
        local: Vec<O::Item>,
        seeds: Vec<Contact<O>>,
        options: QueryOptions,
    ) -> Result<QueryId, StartError> {
        let target = O::target_of(&query);
        let goal = Goal::Fetch(Gather::new(query, &options, &self.common.config));
        self.start(now, goal, target, seeds, &options, |query, common| query.take_local(local, common))
    }

    /// Looks up the k closest peers and puts the item there. The lookup leaves a tenth of the time to the placing, a
    /// second at least but never more than half.
    ///
    /// # Errors
    /// When too many queries run.
    pub fn store(
        &mut self,
        now: Now,
        query: O::Query,
        item: O::Item,
        seeds: Vec<Contact<O>>,
        options: QueryOptions,
    ) -> Result<QueryId, StartError> {
        let target = O::target_of(&query);
        self.start(now, Goal::Store { query, item }, target, seeds, &options, |_, _| {})
    }

    /// Puts the item at these peers, without a lookup. Where the network asks for tickets, peers without one are left
    /// out: they would refuse.
    ///
    /// # Errors
    /// When too many queries run.
    pub fn store_at(
        &mut self,
        now: Now,
        query: O::Query,
        item: O::Item,
        peers: Vec<(Contact<O>, Option<O::Ticket>)>,
        options: QueryOptions,
    ) -> Result<QueryId, StartError> {
        let target = O::target_of(&query);
        let goal = Goal::Store { query, item };
        self.start(now, goal, target, Vec::new(), &options, |query, common| query.place_at(peers, common))
    }

    /// Sends one request outside of any lookup; [`Output::Lone`] tells how it ended, at the latest after `timeout`.
    /// Attempts after the first are sent under names of their own.
    pub fn request(&mut self, now: Now, to: Contact<O>, request: Request<O>, timeout: Duration) -> RequestId {
        let id = self.common.requests.name();
        if self.lone.len() >= self.common.config.max_lone {
            self.common.out.push_back(Output::Lone { id, to, result: Err(Failure::Overloaded), attempts: 0 });
        } else {
            let lone = Lone::start(now.mono, id, to, request, timeout, &mut self.common);
            self.lone.insert(id, lone);
        }
        id
    }

    /// An answer arrived. Unknown and late ids are counted and ignored.
    pub fn on_response(&mut self, now: Now, id: RequestId, response: Response<O>, judge: &dyn Judge<O>) {
        let now = now.mono;
        let common = &mut self.common;
        let Some(request) = common.requests.take(id) else {
            common.requests.ignored += 1;
            return;
        };
        let rtt = now.since(request.sent);
        common.heard = Some(now);
        common.rtt.sample(rtt);
        if request.has_substitutes() && !request.given_up {
            common.rtt.silent(false);
        }
        if request.given_up {
            common.out.push_back(Output::Observed(Observation::RequestLate { kind: request.kind }));
        }
        common.out.push_back(Output::Observed(Observation::RequestAnswered { kind: request.kind, rtt }));
        common.out.push_back(Output::Answered { contact: request.to.clone(), rtt });
        match request.owner {
            Owner::Query(query) => {
                if let Some(query) = self.queries.get_mut(&query) {
                    query.answered(now, id, &request.to, response, judge, common);
                }
                self.drive(now, query);
            }
            Owner::Lone(lone) => self.end_lone(lone, Some(id), Ok((response, rtt))),
            Owner::Nobody => {}
        }
    }

    /// A request failed. Unknown and late ids are counted and ignored.
    pub fn on_failure(&mut self, now: Now, id: RequestId, why: Failure) {
        let now = now.mono;
        let common = &mut self.common;
        let Some(request) = common.requests.take(id) else {
            common.requests.ignored += 1;
            return;
        };
        if request.has_substitutes() && !request.given_up && !why.is_own() {
            common.rtt.silent(true);
        }
        common.report(&request.to, request.kind, why);
        match request.owner {
            Owner::Query(query) => {
                if let Some(query) = self.queries.get_mut(&query) {
                    query.failed(now, id, &request.to.peer, why, common);
                }
                self.drive(now, query);
            }
            Owner::Lone(id_of_lone) => {
                let Some(lone) = self.lone.get_mut(&id_of_lone) else { return };
                if lone.failed(now, id, why, common) {
                    self.end_lone(id_of_lone, None, Err(why));
                } else if let Some(retry) = lone.retry {
                    self.wakes.insert((retry, Wake::Lone(id_of_lone)));
                }
            }
            Owner::Nobody => {}
        }
    }

    /// Ends a query: its running requests are forgotten, its result says cancelled. Unknown ids are ignored.
    pub fn cancel(&mut self, now: Now, id: QueryId) {
        if let Some(query) = self.remove(id) {
            query.finish(now.mono, Reason::Cancelled, &mut self.common);
        }
    }

    /// Ends a lone request without a result. Unknown ids are ignored.
    pub fn forget(&mut self, id: RequestId) {
        if let Some(lone) = self.remove_lone(id) {
            lone.forget(None, &mut self.common);
        }
    }

    /// Ends everything: queries as cancelled, lone requests as closed.
    pub fn close(&mut self, now: Now) {
        while let Some((_, query)) = self.queries.pop_first() {
            query.finish(now.mono, Reason::Cancelled, &mut self.common);
        }
        while let Some((_, lone)) = self.lone.pop_first() {
            lone.finish(None, Err(Failure::Closed), &mut self.common);
        }
        self.wakes.clear();
        for id in self.common.requests.take_nobodys() {
            self.common.out.push_back(Output::Forget(id));
        }
    }

    /// The next thing to do or to know; `Wait` when there is nothing.
    pub fn poll(&mut self, now: Now) -> Output<O> {
        loop {
            if let Some(output) = self.common.out.pop_front() {
                return output;
            }
            if let Some((id, alarm)) = self.common.requests.ring(now.mono) {
                self.alarm(now, id, alarm);
            } else if let Some((at, wake)) = self.wakes.first().copied().filter(|(at, _)| *at <= now.mono) {
                self.wake(now.mono, at, wake);
            } else {
                let wake = self.wakes.first().map(|(at, _)| *at);
                return Output::Wait(wake.into_iter().chain(self.common.requests.next_alarm()).min());
            }
        }
    }

    /// Keeps its options where `other` keeps them, if they are the same.
    pub fn share(&mut self, other: &Self) {
        if self.common.config == other.common.config {
            self.common.config = other.common.config.clone();
        }
    }

    /// Gives back the memory of what has ended, for callers of very many of these that mostly wait.
    pub fn rest(&mut self) {
        self.common.rest();
        if self.queries.is_empty() && self.lone.is_empty() {
            // Empty maps keep a node each.
            self.queries.clear();
            self.lone.clear();
            self.wakes.clear();
        }
    }

    /// Where things stand.
    pub fn statistics(&self) -> Statistics {
        Statistics {
            queries: self.queries.len(),
            lone: self.lone.len(),
            in_flight: self.common.requests.len(),
            ignored: self.common.requests.ignored,
            rtt: self.common.rtt.smoothed(),
            overdue_after: self.common.overdue_after(),
        }
    }

    fn start(
        &mut self,
        now: Now,
        goal: Goal<O>,
        target: O::Target,
        seeds: Vec<Contact<O>>,
        options: &QueryOptions,
        prepare: impl FnOnce(&mut Query<O>, &mut Common<O>),
    ) -> Result<QueryId, StartError> {
        let limit = self.common.config.max_queries;
        if self.queries.len() >= limit {
            return Err(StartError::Busy { limit });
        }
        self.last += 1;
        let id = QueryId(self.last);
        let mut query = Query::new(id, now.mono, goal, target, seeds, options, &mut self.common);
        prepare(&mut query, &mut self.common);
        self.wakes.insert((query.wake, Wake::Query(id)));
        self.queries.insert(id, query);
        self.drive(now.mono, id);
        Ok(id)
    }

    /// Lets a query do what it can, after anything that concerns it.
    fn drive(&mut self, now: Mono, id: QueryId) {
        let Some(query) = self.queries.get_mut(&id) else { return };
        match query.drive(now, &mut self.common) {
            Driven::Wake(at) => {
                if at != query.wake {
                    self.wakes.remove(&(query.wake, Wake::Query(id)));
                    query.wake = at;
                    self.wakes.insert((at, Wake::Query(id)));
                }
            }
            Driven::Over(reason) => {
                if let Some(query) = self.remove(id) {
                    query.finish(now, reason, &mut self.common);
                }
            }
        }
    }

    fn end_lone(
        &mut self,
        id: RequestId,
        answered: Option<RequestId>,
        result: Result<(Response<O>, Duration), Failure>,
    ) {
        if let Some(lone) = self.remove_lone(id) {
            lone.finish(answered, result, &mut self.common);
        }
    }

    fn remove(&mut self, id: QueryId) -> Option<Query<O>> {
        let query = self.queries.remove(&id)?;
        self.wakes.remove(&(query.wake, Wake::Query(id)));
        Some(query)
    }

    fn remove_lone(&mut self, id: RequestId) -> Option<Lone<O>> {
        let lone = self.lone.remove(&id)?;
        if let Some(retry) = lone.retry {
            self.wakes.remove(&(retry, Wake::Lone(id)));
        }
        Some(lone)
    }
}
