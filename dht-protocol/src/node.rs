//! The node: one pure machine over routing and queries, with the answers to strangers as return values.
//!
//! The contract: after any call that takes `&mut Node`, drain [`Node::poll_output`] until it says [`Output::Wait`], then
//! sleep no later than it says. The node touches no store: what a request needs from it is handed out as
//! [`Load`](crate::Load) or [`Save`](crate::Save).

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use dht_core::{Contact, Failure, InvalidConfig, Now, Overlay, Request, RequestId, Response};
use dht_query::{Queries, QueryId, QueryOptions, StartError};
use dht_records::Validator;
use dht_routing::{BootstrapId, BootstrapOptions, CheckId, RefreshId, Routing};

use crate::{
    Config, Output, Parts, Rules,
    book::Book,
    drive::{Asked, Errand},
    judge::Judged,
    size::{NetworkSize, SizeEstimate},
};

/// One Kademlia node without its I/O.
pub struct Node<O: Overlay> {
    pub(crate) local: Contact<O>,
    pub(crate) config: Config,
    pub(crate) routing: Routing<O>,
    pub(crate) queries: Queries<O>,
    pub(crate) validator: Arc<dyn Validator<O>>,
    pub(crate) rules: Arc<dyn Rules<O>>,
    pub(crate) book: Book<O>,
    pub(crate) serving: bool,
    pub(crate) checks: BTreeMap<RequestId, CheckId>,
    pub(crate) errands: BTreeMap<QueryId, Errand<O>>,
    /// What callers' queries aim at; bounded by the queries that may run.
    pub(crate) asked: BTreeMap<QueryId, Asked<O>>,
    pub(crate) out: VecDeque<Output<O>>,
    pub(crate) size: SizeEstimate,
    /// The memory of the last answer.
    pub(crate) spare: Response<O>,
}

impl<O: Overlay> Node<O> {
    /// A node that knows nobody yet.
    ///
    /// # Errors
    /// Names the option that has a value it must not have.
    pub fn new(local: Contact<O>, parts: Parts<O>) -> Result<Self, InvalidConfig> {
        parts.config.validate()?;
        let routing = Routing::new(local.peer.clone(), parts.routing, parts.admit, parts.seed)?;
        let mut queries = Queries::new(local.peer.clone(), parts.queries, parts.seed.wrapping_add(1))?;
        if let Some(filter) = parts.filter {
            queries = queries.with_filter(filter);
        }
        Ok(Self {
            book: Book::new(parts.config.max_known_peers),
            serving: parts.config.serve,
            config: parts.config,
            validator: parts.validator,
            rules: parts.rules,
            local,
            routing,
            queries,
            checks: BTreeMap::new(),
            errands: BTreeMap::new(),
            asked: BTreeMap::new(),
            out: VecDeque::new(),
            size: SizeEstimate::default(),
            spare: Response::default(),
        })
    }

    // ── What the owner asks for ─────────────────────────────────────────────────────────────────────────────────

    /// Looks up the k peers closest to `target`.
    ///
    /// # Errors
    /// When too many queries run already.
    pub fn closest(
        &mut self,
        now: Now,
        target: O::Target,
        options: QueryOptions,
    ) -> Result<QueryId, StartError> {
        let key = O::key_of(&target);
        let seeds = self.seeds(&key);
        let id = self.queries.closest(now, target, seeds, options)?;
        self.asked.insert(id, Asked { key, exact: true, correct: None });
        Ok(id)
    }

    /// Looks up one peer; ends as soon as somebody names it with an address.
    ///
    /// # Errors
    /// When too many queries run already.
    pub fn find_peer(
        &mut self,
        now: Now,
        peer: O::PeerId,
        options: QueryOptions,
    ) -> Result<QueryId, StartError> {
        let seeds = self.seeds(&O::peer_key(&peer));
        self.queries.find_peer(now, peer, seeds, options)
    }

    /// Looks up items; `local` are those that the own store holds, already valid. Holders of worse items are corrected
    /// afterwards.
    ///
    /// # Errors
    /// When too many queries run already.
    pub fn fetch(
        &mut self,
        now: Now,
        query: O::Query,
        local: Vec<O::Item>,
        options: QueryOptions,
    ) -> Result<QueryId, StartError> {
        let key = O::key_of(&O::target_of(&query));
        let seeds = self.seeds(&key);
        let id = self.queries.fetch(now, query.clone(), local, seeds, options)?;
        self.asked.insert(id, Asked { key, exact: false, correct: O::corrects(&query).then_some(query) });
        Ok(id)
    }

    /// The same, beginning with one peer that is likely to hold the items itself.
    ///
    /// # Errors
    /// When too many queries run already.
    pub fn fetch_through(
        &mut self,
        now: Now,
        query: O::Query,
        first: Contact<O>,
        options: QueryOptions,
    ) -> Result<QueryId, StartError> {
        self.queries.fetch(now, query, Vec::new(), vec![first], options)
    }

    /// Stores an item on the k closest peers.
    ///
    /// # Errors
    /// When too many queries run already.
    pub fn store(
        &mut self,
        now: Now,
        query: O::Query,
        item: O::Item,
        options: QueryOptions,
    ) -> Result<QueryId, StartError> {
        let key = O::key_of(&O::target_of(&query));
        let seeds = self.seeds(&key);
        let id = self.queries.store(now, query, item, seeds, options)?;
        self.asked.insert(id, Asked { key, exact: true, correct: None });
        Ok(id)
    }

    /// Asks one peer one thing; [`Event::Answered`](crate::Event::Answered) follows.
    pub fn ask(&mut self, now: Now, to: Contact<O>, request: Request<O>, timeout: Duration) -> RequestId {
        self.queries.request(now, to, request, timeout)
    }

    /// Ends a question of which nobody wants to know any more; no event follows.
    pub fn forget(&mut self, id: RequestId) {
        self.queries.forget(id);
    }

    /// Ends a query early; its [`Event::Finished`](crate::Event::Finished) still comes.
    pub fn cancel(&mut self, now: Now, id: QueryId) {
        self.queries.cancel(now, id);
    }

    /// Refreshes the table; `dht_routing::Event::Refreshed` follows with this id.
    pub fn refresh(&mut self, now: Now, forced: bool) -> RefreshId {
        self.routing.refresh(now, forced)
    }

    /// Joins the network through `seeds`, then `fallback`; `dht_routing::Event::Bootstrapped` follows with this id.
    pub fn bootstrap(
        &mut self,
        now: Now,
        seeds: Vec<Contact<O>>,
        fallback: Vec<Contact<O>>,
        options: BootstrapOptions,
    ) -> BootstrapId {
        for contact in &seeds {
            self.book.note(contact.clone(), None, None);
        }
        self.routing.bootstrap(now, seeds, fallback, options)
    }

    /// Contacts to turn to when the table is empty or a part of the network seems lost, beside those of
    /// [`Node::bootstrap`]; nobody is asked now.
    pub fn remember(&mut self, contacts: impl IntoIterator<Item = Contact<O>>) {
        self.routing.remember(contacts);
    }

    // ── What the world tells ────────────────────────────────────────────────────────────────────────────────────

    /// A request of this node was answered.
    pub fn on_response(&mut self, now: Now, id: RequestId, response: Response<O>) {
        let judge = Judged { validator: &*self.validator, now };
        self.queries.on_response(now, id, response, &judge);
    }

    /// A request of this node failed.
    pub fn on_failure(&mut self, now: Now, id: RequestId, why: Failure) {
        self.queries.on_failure(now, id, why);
    }

    /// A connected peer said who it is and whether it serves the protocol; a server becomes a candidate for the table,
    /// a peer that serves no longer leaves it.
    pub fn on_peer(&mut self, now: Now, contact: Contact<O>, serves: bool) {
        if contact.peer == self.local.peer {
            return;
        }
        self.book.note(contact.clone(), Some(true), Some(serves));
        if serves {
            self.routing.relocate(&contact);
            self.routing.heard(now, contact);
        } else {
            self.routing.remove(now, &contact.peer);
        }
    }

    /// A peer asked us something, and says that it serves. Where asking proves nothing else it becomes a candidate for the
    /// table, and no more than that.
    pub fn on_asker(&mut self, now: Now, contact: Contact<O>) {
        if contact.peer != self.local.peer {
            self.routing.heard(now, contact);
        }
    }

    /// The last connection to a peer ended. It stays in the table until it fails to answer.
    pub fn on_disconnected(&mut self, peer: &O::PeerId) {
        self.book.disconnected(peer);
    }

    /// Where this node can be reached from now on, and under which name. Another name than before sorts the table anew.
    pub fn set_local(&mut self, now: Now, local: Contact<O>) {
        if local.peer != self.local.peer {
            self.routing.rename(now, local.peer.clone());
            self.queries.rename(local.peer.clone());
        }
        self.local = local;
    }

    /// Serves strangers from now on, or refuses them.
    pub fn set_serving(&mut self, serving: bool) {
        self.serving = serving;
    }

    /// Enters a peer by hand, without a lookup check.
    ///
    /// # Errors
    /// Why the table has no use for it.
    pub fn add_peer(&mut self, now: Now, contact: Contact<O>) -> Result<(), dht_routing::Rejected> {
        self.book.note(contact.clone(), None, None);
        self.routing.insert(now, contact)
    }

    /// Takes a peer out of the table; whether it was there.
    pub fn remove_peer(&mut self, now: Now, peer: &O::PeerId) -> bool {
        self.routing.remove(now, peer)
    }

    /// Keeps the options of table and queries where `other` keeps them, if they are the same. For owners of very many nodes.
    pub fn share(&mut self, other: &Self) {
        self.routing.share(&other.routing);
        self.queries.share(&other.queries);
    }

    /// Gives back the memory of what has ended. For owners of very many nodes that mostly wait; to be called when the outlet
    /// says [`Output::Wait`].
    pub fn rest(&mut self) {
        if self.out.is_empty() {
            self.out.shrink_to_fit();
        }
        if self.errands.is_empty() {
            // Empty maps keep a node each.
            self.errands.clear();
        }
        if self.checks.is_empty() {
            self.checks.clear();
        }
        if self.asked.is_empty() {
            self.asked.clear();
        }
        self.queries.rest();
        self.routing.rest();
    }

    // ── What can be read ────────────────────────────────────────────────────────────────────────────────────────

    /// Who this node is and where it can be reached.
    pub fn local(&self) -> &Contact<O> {
        &self.local
    }

    /// Switches the table's own refreshes and repairs on or off.
    pub fn set_auto_refresh(&mut self, now: Now, on: bool) {
        self.routing.set_auto_refresh(now, on);
    }

    /// Whether requests are served.
    pub fn is_serving(&self) -> bool {
        self.serving
    }

    /// The routing table.
    pub fn routing(&self) -> &Routing<O> {
        &self.routing
    }

    /// How large the network is, as far as the lookups of this node tell; `None` before there were enough.
    pub fn network_size(&self) -> Option<NetworkSize> {
        self.size.estimate()
    }

    /// The rules this node serves by.
    pub fn rules(&self) -> &Arc<dyn Rules<O>> {
        &self.rules
    }

    /// The validator this node judges by.
    pub fn validator(&self) -> &Arc<dyn Validator<O>> {
        &self.validator
    }

    /// A peer whose address is known without asking anybody: ourselves, from the table, or met lately.
    pub fn known(&self, peer: &O::PeerId) -> Option<Contact<O>> {
        if *peer == self.local.peer {
            return Some(self.local.clone());
        }
        if let Some(addr) = self.book.addr(peer) {
            return Some(Contact::new(peer.clone(), addr.clone()));
        }
        self.routing.get(peer).map(|entry| entry.contact.clone()).filter(Contact::is_located)
    }

    /// Whether a connection to this peer is open.
    pub fn is_connected(&self, peer: &O::PeerId) -> bool {
        self.book.is_connected(peer)
    }

    /// The peers of the table closest to `key`, at most `n`, nearest first.
    pub fn closest_known(&self, key: &O::Key, n: usize) -> Vec<Contact<O>> {
        let mut closest = Vec::with_capacity(n);
        self.routing.closest(key, n, &mut closest);
        closest
    }

    /// The closest of the table, twice as many as an answer names: those beyond are only asked when nearer ones are silent,
    /// and a neighbourhood of the dead must not be the end of a lookup. When the table is empty, connected servers that still
    /// wait for their lookup check.
    pub(crate) fn seeds(&self, key: &O::Key) -> Vec<Contact<O>> {
        let seeds = self.closest_known(key, self.config.closer_per_answer.saturating_mul(2));
        if seeds.is_empty() { self.book.connected_servers() } else { seeds }
    }
}
