//! The driver as its users hold it: cheap to clone, every call a future that ends by its deadline.
//!
//! Dropping the future of a query, ping or dial cancels it; dropping the last handle closes the node.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use derive_where::derive_where;
use dht_core::{Contact, ErrorKind, Failure, Now, Overlay, Request, Response};
use dht_protocol::{Node, Rules};
use dht_query::{Finished, QueryOptions, StartError};
use dht_records::{Store, Validator};
use dht_routing::{BootstrapFailed, BootstrapOptions, BootstrapReport, RefreshReport};
use thiserror::Error;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};

use crate::{
    Clock, Mode, NodeEvent, Order, Role, Search,
    command::{Caller, Command, Goal},
};

/// Progress items that wait for a slow reader; the query is cancelled when more come.
const PROGRESS_BACKLOG: usize = 1024;

/// Why a call into the driver did not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The node was closed, before or while the call ran.
    #[error("the node is closed")]
    Closed,
    /// Too many queries run already.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl RunError {
    /// The shared kind.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::Closed => ErrorKind::Closed,
            Self::Start(error) => error.kind(),
        }
    }
}

/// How a question to one peer ended.
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub struct Answered<O: Overlay> {
    /// The answer and its round-trip time, or why there is none.
    pub result: Result<(Response<O>, Duration), Failure>,
    /// Tries, the first one included.
    pub attempts: u32,
}

/// Wakes the driver when a caller loses interest.
pub(crate) struct Interest(pub(crate) Arc<Notify>);

impl Drop for Interest {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// What all handles of one driver share.
pub(crate) struct Shared<O: Overlay> {
    pub(crate) commands: mpsc::Sender<Command<O>>,
    pub(crate) store: Arc<dyn Store<O>>,
    pub(crate) validator: Arc<dyn Validator<O>>,
    pub(crate) rules: Arc<dyn Rules<O>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) lost_interest: Arc<Notify>,
    pub(crate) events: broadcast::Sender<NodeEvent<O>>,
    pub(crate) role: watch::Receiver<Role>,
    pub(crate) local: watch::Receiver<Contact<O>>,
}

/// A running node.
#[derive_where(Clone)]
pub struct Handle<O: Overlay> {
    pub(crate) shared: Arc<Shared<O>>,
}

/// A handle that does not keep the node running.
#[derive_where(Clone)]
pub struct WeakHandle<O: Overlay> {
    shared: Weak<Shared<O>>,
}

impl<O: Overlay> WeakHandle<O> {
    /// The handle, as long as somebody else holds the node.
    pub fn upgrade(&self) -> Option<Handle<O>> {
        self.shared.upgrade().map(|shared| Handle { shared })
    }
}

impl<O: Overlay> Handle<O> {
    /// The same node for tasks that are to end with it.
    pub fn downgrade(&self) -> WeakHandle<O> {
        WeakHandle { shared: Arc::downgrade(&self.shared) }
    }

    /// Who this node is and where it can be reached.
    pub fn local(&self) -> Contact<O> {
        self.shared.local.borrow().clone()
    }

    /// Follows the own addresses.
    pub fn watch_local(&self) -> watch::Receiver<Contact<O>> {
        self.shared.local.clone()
    }

    /// Client or server, at the moment and from now on.
    pub fn role(&self) -> watch::Receiver<Role> {
        self.shared.role.clone()
    }

    /// What happens in lookups and the table from now on. A reader that is more than 1024 events behind loses the
    /// oldest and is told how many.
    pub fn events(&self) -> broadcast::Receiver<NodeEvent<O>> {
        self.shared.events.subscribe()
    }

    /// The node's own store.
    pub fn store(&self) -> &Arc<dyn Store<O>> {
        &self.shared.store
    }

    /// The validator this node judges by.
    pub fn validator(&self) -> &Arc<dyn Validator<O>> {
        &self.shared.validator
    }

    /// The time as the node sees it.
    pub fn now(&self) -> Now {
        self.shared.clock.now()
    }

    /// Whether the node was closed.
    pub fn is_closed(&self) -> bool {
        self.shared.commands.is_closed()
    }

    pub(crate) async fn command(&self, command: Command<O>) -> Result<(), RunError> {
        self.shared.commands.send(command).await.map_err(|_| RunError::Closed)
    }

    pub(crate) async fn call<R>(
        &self,
        command: impl FnOnce(oneshot::Sender<R>) -> Command<O>,
    ) -> Result<R, RunError> {
        let (done, answer) = oneshot::channel();
        self.command(command(done)).await?;
        answer.await.map_err(|_| RunError::Closed)
    }

    async fn run(&self, goal: Goal<O>, options: QueryOptions) -> Result<Finished<O>, RunError> {
        let (done, finished) = oneshot::channel();
        let placing = match &goal {
            Goal::Store(query, item) => Some((query.clone(), O::slot(item))),
            _ => None,
        };
        let _interest = Interest(self.shared.lost_interest.clone());
        self.command(Command::Start { goal, options, caller: Caller { done, progress: None, placing } })
            .await?;
        // Bound last, so that it is dropped before `_interest` wakes the driver to look.
        let finished = finished;
        Ok(finished.await.map_err(|_| RunError::Closed)??)
    }

    async fn follow(&self, goal: Goal<O>, options: QueryOptions) -> Result<Search<O>, RunError> {
        let (done, finished) = oneshot::channel();
        let (sender, progress) = mpsc::channel(PROGRESS_BACKLOG);
        let caller = Caller { done, progress: Some(sender), placing: None };
        self.command(Command::Start { goal, options, caller }).await?;
        Ok(Search { progress, finished, _interest: Interest(self.shared.lost_interest.clone()) })
    }

    /// The k peers closest to `target`.
    ///
    /// # Errors
    /// When the node is closed or too many queries run.
    pub async fn closest(&self, target: O::Target, options: QueryOptions) -> Result<Finished<O>, RunError> {
        self.run(Goal::Closest(target), options).await
    }

    /// The same, step by step.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn trace_closest(
        &self,
        target: O::Target,
        options: QueryOptions,
    ) -> Result<Search<O>, RunError> {
        self.follow(Goal::Closest(target), QueryOptions { trace: true, ..options }).await
    }

    /// One peer's addresses, by lookup.
    ///
    /// # Errors
    /// When the node is closed or too many queries run.
    pub async fn find_peer(&self, peer: O::PeerId, options: QueryOptions) -> Result<Finished<O>, RunError> {
        self.run(Goal::FindPeer(peer), options).await
    }

    /// The items under `query`; what the own store holds counts as one answer.
    ///
    /// # Errors
    /// When the node is closed or too many queries run.
    pub async fn fetch(&self, query: O::Query, options: QueryOptions) -> Result<Finished<O>, RunError> {
        self.run(Goal::Fetch(query), options).await
    }

    /// The items under `query`, beginning with one peer that is likely to hold them itself; the own store is not asked.
    ///
    /// # Errors
    /// When the node is closed or too many queries run.
    pub async fn fetch_through(
        &self,
        query: O::Query,
        first: Contact<O>,
        options: QueryOptions,
    ) -> Result<Finished<O>, RunError> {
        self.run(Goal::FetchThrough(query, first), options).await
    }

    /// The items under `query` as they are found.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn search(&self, query: O::Query, options: QueryOptions) -> Result<Search<O>, RunError> {
        self.follow(Goal::Fetch(query), options).await
    }

    /// Stores an item on the k closest peers; the receipt says who took it.
    ///
    /// # Errors
    /// When the node is closed or too many queries run.
    pub async fn offer(
        &self,
        query: O::Query,
        item: O::Item,
        options: QueryOptions,
    ) -> Result<Finished<O>, RunError> {
        self.run(Goal::Store(query, item), options).await
    }

    /// Asks one peer one thing, connecting first when need be. [`Request::Ping`] measures the round trip.
    ///
    /// # Errors
    /// When the node is closed; the result inside is the peer's.
    pub async fn ask(
        &self,
        to: Contact<O>,
        request: Request<O>,
        timeout: Duration,
    ) -> Result<Answered<O>, RunError> {
        let _interest = Interest(self.shared.lost_interest.clone());
        self.call(|done| Command::Ask { to, request, timeout, done }).await
    }

    /// Connects to a peer; how long that took.
    ///
    /// # Errors
    /// When the node is closed; the inner result is the peer's.
    pub async fn dial(
        &self,
        to: Contact<O>,
        timeout: Duration,
    ) -> Result<Result<Duration, Failure>, RunError> {
        let _interest = Interest(self.shared.lost_interest.clone());
        let met = self.call(|done| Command::Dial { to, timeout, done }).await?;
        Ok(met.map(|met| met.took))
    }

    /// Who is at this place: how a network is joined where only an address is known, and no name.
    ///
    /// # Errors
    /// When the node is closed; the inner result is the peer's, [`Failure::Unsupported`] where the network has no such
    /// question.
    pub async fn greet(
        &self,
        addr: O::Addr,
        timeout: Duration,
    ) -> Result<Result<Contact<O>, Failure>, RunError> {
        let _interest = Interest(self.shared.lost_interest.clone());
        let met = self.call(|done| Command::Greet { addr, timeout, done }).await?;
        Ok(met.and_then(|met| met.contact.ok_or(Failure::Malformed)))
    }

    /// Refreshes the table; ends when the refresh has.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn refresh(&self, forced: bool) -> Result<RefreshReport, RunError> {
        self.call(|done| Command::Refresh { forced, done }).await
    }

    /// Joins the network.
    ///
    /// # Errors
    /// When the node is closed; the inner result is that of the bootstrap.
    pub async fn bootstrap(
        &self,
        seeds: Vec<Contact<O>>,
        fallback: Vec<Contact<O>>,
        options: BootstrapOptions,
    ) -> Result<Result<BootstrapReport<O>, BootstrapFailed<O>>, RunError> {
        self.call(|done| Command::Bootstrap { seeds, fallback, options, done }).await
    }

    /// Looks at the node, or changes it, between two of its turns.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn visit<R: Send + 'static>(
        &self,
        visit: impl FnOnce(&mut Node<O>, Now) -> R + Send + 'static,
    ) -> Result<R, RunError> {
        self.call(|done| {
            Command::Visit(Box::new(move |node, now| {
                // The caller may have lost interest.
                let _ = done.send(visit(node, now));
            }))
        })
        .await
    }

    /// Tells the transport something.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn order(&self, order: Order<O>) -> Result<(), RunError> {
        self.command(Command::Order(order)).await
    }

    /// Changes the mode; when this returns the node has its new role, and others are being told.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn set_mode(&self, mode: Mode) -> Result<(), RunError> {
        self.call(|done| Command::SetMode { mode, done }).await
    }

    /// Ends tasks, connections and timers within 2 s. Another node may take its place at once. Closing twice is fine.
    pub async fn close(&self) {
        // An error says that it is closed.
        let _ = self.call(Command::Close).await;
    }
}
