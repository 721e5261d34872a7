//! The pool of queries: what the node calls, and the one outlet.

use std::{collections::VecDeque, time::Duration};

use dht_core::{
    Contact, Failure, InvalidConfig, Now, Overlay, Request, RequestId, Response, Rng, rand_core::SeedableRng,
};

use crate::{Config, Filter, Judge, Output, QueryId, QueryOptions, StartError, Statistics};

/// Every query and every lone request of a node. See the crate's first page for the contract.
pub struct Queries<O: Overlay> {
    local: O::PeerId,
    config: Config,
    rng: Rng,
    filter: Option<Filter<O>>,
    out: VecDeque<Output<O>>,
    last: u64,
}

impl<O: Overlay> Queries<O> {
    /// No queries yet. `local` is never asked; `seed` feeds the jitter of retries.
    ///
    /// # Errors
    /// When the configuration contradicts itself.
    pub fn new(local: O::PeerId, config: Config, seed: u64) -> Result<Self, InvalidConfig> {
        config.validate()?;
        Ok(Self { local, config, rng: Rng::seed_from_u64(seed), filter: None, out: VecDeque::new(), last: 0 })
    }

    /// The same, asking only those peers of an answer that pass the filter. Seeds and the peer that a `find_peer` looks
    /// for are exempt.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter<O>) -> Self {
        self.filter = Some(filter);
        self
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
        let _ = (now, target, seeds, options);
        self.start()
    }

    /// Looks for a peer's address; ends as soon as an answer has one.
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
        let _ = (now, peer, seeds, options);
        self.start()
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
        let _ = (now, query, local, seeds, options);
        self.start()
    }

    /// Looks up the k closest peers and puts the item there.
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
        let _ = (now, query, item, seeds, options);
        self.start()
    }

    /// Puts the item at these peers, without a lookup.
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
        let _ = (now, query, item, peers, options);
        self.start()
    }

    /// Sends one request outside of any lookup; [`Output::Lone`] tells how it ended, at the latest after `timeout`.
    pub fn request(&mut self, now: Now, to: Contact<O>, request: Request<O>, timeout: Duration) -> RequestId {
        let _ = (now, to, request, timeout);
        self.last += 1;
        RequestId(self.last)
    }

    /// An answer arrived. Unknown and late ids are counted and ignored.
    pub fn on_response(&mut self, now: Now, id: RequestId, response: Response<O>, judge: &dyn Judge<O>) {
        let _ = (now, id, response, judge);
    }

    /// A request failed. Unknown and late ids are counted and ignored.
    pub fn on_failure(&mut self, now: Now, id: RequestId, why: Failure) {
        let _ = (now, id, why);
    }

    /// Ends a query: its running requests are forgotten, its result says cancelled. Unknown ids are ignored.
    pub fn cancel(&mut self, now: Now, id: QueryId) {
        let _ = (now, id);
    }

    /// Ends a lone request without a result. Unknown ids are ignored.
    pub fn forget(&mut self, id: RequestId) {
        let _ = id;
    }

    /// Ends everything: queries as cancelled, lone requests as closed.
    pub fn close(&mut self, now: Now) {
        let _ = now;
    }

    /// The next thing to do or to know; `Wait` when there is nothing.
    pub fn poll(&mut self, now: Now) -> Output<O> {
        let _ = (now, &self.local, &self.rng, &self.config);
        self.out.pop_front().unwrap_or(Output::Wait(None))
    }

    /// Where things stand.
    pub fn statistics(&self) -> Statistics {
        Statistics::default()
    }

    fn start(&mut self) -> Result<QueryId, StartError> {
        self.last += 1;
        Ok(QueryId(self.last))
    }
}
