//! [`Dht`]: a running node, generic over its network; what both networks' users call lives here, the rest in their modules.

use std::{sync::Arc, time::Duration};

use derive_where::derive_where;
use dht_core::{Contact, Failure, Mono, Overlay};
use dht_metrics::{Metrics, Snapshot};
use dht_net::{Handle, Mode, NodeEvent, Order, Pong, Role, RunError, Search};
use dht_query::{Finished, Progress, QueryOptions, Reason, Step};
use dht_records::{Statistics as StoreStatistics, Store, StoreError, Stored};
use dht_routing::{BootstrapOptions, BootstrapReport, RefreshReport, Rejected};
use tokio::sync::{broadcast, watch};

use crate::{BootstrapError, PeerError, QueryError};

/// A network that [`Dht`] can run on, and what its nodes keep beside the engine.
pub trait Network: Overlay {
    /// What a node of this network keeps for its own calls.
    type State: Send + Sync + 'static;
}

/// What one call wants different from the node's options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallOptions {
    /// Deadline of the whole call; the configured query timeout otherwise.
    pub timeout: Option<Duration>,
    /// Answers with a valid value that are enough for a get; 0 or none looks everywhere.
    pub quorum: Option<usize>,
    /// Lookup paths that share no peer.
    pub paths: Option<usize>,
    /// Answer from what this node knows, without asking anybody.
    pub local_only: bool,
}

pub(crate) struct Shared<O: Network> {
    pub(crate) metrics: Arc<Metrics<O>>,
    pub(crate) seeds: Arc<dyn Fn() -> Vec<Contact<O>> + Send + Sync>,
    pub(crate) fallback: Vec<Contact<O>>,
    pub(crate) bootstrap: BootstrapOptions,
    pub(crate) query_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) resiliency: usize,
    pub(crate) state: O::State,
}

/// A running node. Cheap to clone; dropping the last clone closes the node.
#[derive_where(Clone)]
pub struct Dht<O: Network> {
    pub(crate) handle: Handle<O>,
    pub(crate) call: CallOptions,
    pub(crate) shared: Arc<Shared<O>>,
}

/// How a node is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// Peers in the routing table.
    pub table: usize,
    /// Whether a lookup for the own id finds anybody.
    pub can_find_self: bool,
    /// Whether the own store takes and returns items.
    pub can_store: bool,
    /// What is wrong, in words; empty when nothing is.
    pub errors: Vec<String>,
    /// The short of it, in words.
    pub verdict: &'static str,
}

impl<O: Network> Dht<O> {
    /// The same node with other options for the calls made through this clone.
    #[must_use]
    pub fn with(&self, call: CallOptions) -> Self {
        Self { call, ..self.clone() }
    }

    /// The same node with a deadline for each call made through this clone.
    #[must_use]
    pub fn timeout(&self, timeout: Duration) -> Self {
        self.with(CallOptions { timeout: Some(timeout), ..self.call })
    }

    pub(crate) fn query_options(&self) -> QueryOptions {
        QueryOptions {
            timeout: self.call.timeout,
            quorum: self.call.quorum,
            paths: self.call.paths,
            ..QueryOptions::default()
        }
    }

    /// Who this node is and where it can be reached.
    pub fn local(&self) -> Contact<O> {
        self.handle.local()
    }

    /// The engine's handle, for what this type does not offer.
    pub fn handle(&self) -> &Handle<O> {
        &self.handle
    }

    /// Switches the table's upkeep on and joins the network in the background. Starting twice is fine.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn start(&self) -> Result<(), RunError> {
        let idle = self
            .handle
            .visit(|node, now| {
                let idle = !node.routing().health().bootstrapping && node.routing().is_empty();
                node.set_auto_refresh(now, true);
                idle
            })
            .await?;
        if idle {
            let this = self.clone();
            tokio::spawn(async move {
                if let Err(error) = this.bootstrap(this.shared.bootstrap.clone()).await {
                    tracing::warn!(%error, "joining the network failed; the table keeps trying");
                }
            });
        }
        Ok(())
    }

    /// Joins the network through the configured peers: connect, verify, discover, recover. The options of the node apply
    /// where `options` has its defaults.
    ///
    /// # Errors
    /// When nobody answered within the limit; says who was tried.
    #[tracing::instrument(skip_all)]
    pub async fn bootstrap(
        &self,
        options: BootstrapOptions,
    ) -> Result<BootstrapReport<O>, BootstrapError<O>> {
        let configured = &self.shared.bootstrap;
        let mut options = if options == BootstrapOptions::default() { configured.clone() } else { options };
        if let Some(timeout) = self.call.timeout {
            options.limit = options.limit.min(timeout);
        }
        let local = self.local().peer;
        let others = |contacts: Vec<Contact<O>>| contacts.into_iter().filter(|c| c.peer != local).collect();
        let seeds = others((self.shared.seeds)());
        let fallback = others(self.shared.fallback.clone());
        self.handle.bootstrap(seeds, fallback, options).await?.map_err(BootstrapError::Failed)
    }

    /// Ends tasks, streams and timers within 2 s; every later call says that the node is closed. Closing twice is fine.
    pub async fn close(&self) {
        self.handle.close().await;
    }

    /// Whether the node was closed.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// A peer's addresses: at once when it is known or connected, by lookup otherwise. `None`: nobody knows it.
    ///
    /// # Errors
    /// When the lookup could not run or nobody answered.
    #[tracing::instrument(skip_all, fields(%peer))]
    pub async fn find_peer(&self, peer: O::PeerId) -> Result<Option<Contact<O>>, QueryError> {
        let wanted = peer.clone();
        if let Some(known) = self.handle.visit(move |node, _| node.known(&wanted)).await? {
            return Ok(Some(known));
        }
        if self.call.local_only {
            return Ok(None);
        }
        let finished = self.handle.find_peer(peer, self.query_options()).await?;
        let found = finished.found.clone();
        if found.is_none()
            && let Some(error) = end_error(&finished)
        {
            return Err(error);
        }
        Ok(found)
    }

    /// The k peers closest to a target, nearest first.
    ///
    /// # Errors
    /// When the lookup could not run or nobody answered.
    #[tracing::instrument(skip_all)]
    pub async fn closest_to(&self, target: O::Target) -> Result<Vec<Contact<O>>, QueryError> {
        if self.call.local_only {
            let key = O::key_of(&target);
            let closest = self.handle.visit(move |node, _| {
                let k = node.routing().config().k;
                node.closest_known(&key, k)
            });
            return Ok(closest.await?);
        }
        let finished = self.handle.closest(target, self.query_options()).await?;
        match end_error(&finished) {
            Some(error) if finished.closest.is_empty() => Err(error),
            _ => Ok(finished.closest),
        }
    }

    /// A lookup of the closest peers, step by step.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn trace(&self, target: O::Target) -> Result<Trace<O>, QueryError> {
        Ok(Trace(self.handle.trace_closest(target, self.query_options()).await?))
    }

    /// The round-trip time to a peer, looking it up and connecting first when need be.
    ///
    /// # Errors
    /// Why there is none.
    #[tracing::instrument(skip_all, fields(%peer))]
    pub async fn ping(&self, peer: O::PeerId) -> Result<Duration, PeerError<O>> {
        let to = self.locate(peer).await?;
        self.ping_at(to).await
    }

    /// The same at a known place.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ping_at(&self, to: Contact<O>) -> Result<Duration, PeerError<O>> {
        let timeout = self.call.timeout.unwrap_or(self.shared.request_timeout);
        let Pong { result, attempts } = self.handle.ping(to.clone(), timeout).await?;
        result.map_err(|why| peer_error(to.peer, why, attempts, timeout))
    }

    /// Whether a ping is answered.
    pub async fn is_reachable(&self, peer: O::PeerId) -> bool {
        self.ping(peer).await.is_ok()
    }

    /// Connects to a peer, looking it up first when need be; how long connecting took.
    ///
    /// # Errors
    /// Why there is no connection.
    #[tracing::instrument(skip_all, fields(%peer))]
    pub async fn dial(&self, peer: O::PeerId) -> Result<Duration, PeerError<O>> {
        let to = self.locate(peer).await?;
        self.dial_at(to).await
    }

    /// The same at a known place.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn dial_at(&self, to: Contact<O>) -> Result<Duration, PeerError<O>> {
        let timeout = self.call.timeout.unwrap_or(self.shared.request_timeout);
        let dialled = self.handle.dial(to.clone(), timeout).await?;
        dialled.map_err(|why| peer_error(to.peer, why, 1, timeout))
    }

    async fn locate(&self, peer: O::PeerId) -> Result<Contact<O>, PeerError<O>> {
        match self.find_peer(peer.clone()).await {
            Ok(Some(contact)) => Ok(contact),
            Err(QueryError::Run(error)) => Err(error.into()),
            _ => Err(PeerError::Unknown { peer }),
        }
    }

    /// What this node did so far.
    pub fn metrics(&self) -> Snapshot<O> {
        self.shared.metrics.snapshot(self.handle.now())
    }

    /// The counters themselves: for observers, reset and Prometheus text.
    pub fn metrics_registry(&self) -> &Arc<Metrics<O>> {
        &self.shared.metrics
    }

    /// What happens in lookups and the table from now on. A listener more than 1024 events behind loses the oldest and is
    /// told how many.
    pub fn events(&self) -> broadcast::Receiver<NodeEvent<O>> {
        self.handle.events()
    }

    /// Client or server, at the moment and from now on.
    pub fn mode(&self) -> watch::Receiver<Role> {
        self.handle.role()
    }

    /// Changes who decides about client or server; others see the change within 100 ms.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn set_mode(&self, mode: Mode) -> Result<(), RunError> {
        self.handle.set_mode(mode).await
    }

    /// The routing table.
    pub fn table(&self) -> Table<'_, O> {
        Table(self)
    }

    /// The own store.
    pub fn datastore(&self) -> LocalStore<'_, O> {
        LocalStore(self)
    }

    pub(crate) async fn health_with(&self, can_store: bool) -> Health {
        let mut errors = Vec::new();
        let table = match self.handle.visit(|node, _| node.routing().len()).await {
            Ok(table) => table,
            Err(error) => {
                errors.push(error.to_string());
                0
            }
        };
        let own = O::peer_target(&self.local().peer);
        let found =
            self.timeout(self.shared.query_timeout.min(Duration::from_secs(10))).closest_to(own).await;
        let can_find_self = found.as_ref().is_ok_and(|peers| !peers.is_empty());
        if let Err(error) = found {
            errors.push(format!("looking up the own id: {error}"));
        }
        if !can_store {
            errors.push("the own store did not return what was put into it".into());
        }
        let verdict = if self.is_closed() {
            "closed"
        } else if table == 0 {
            "alone: the routing table is empty"
        } else if !can_find_self || !can_store {
            "ailing: see the errors"
        } else if table < self.shared.resiliency {
            "fragile: fewer peers than the resiliency asks for"
        } else {
            "healthy"
        };
        Health { table, can_find_self, can_store, errors, verdict }
    }
}

fn peer_error<O: Overlay>(peer: O::PeerId, why: Failure, attempts: u32, timeout: Duration) -> PeerError<O> {
    match why {
        Failure::Closed => PeerError::Run(RunError::Closed),
        why if attempts > 1 => PeerError::RetriesExhausted { peer, attempts, last: why },
        Failure::Timeout => PeerError::Timeout { peer, after: timeout },
        why => PeerError::Failed { peer, why },
    }
}

pub(crate) fn end_error<O: Overlay>(finished: &Finished<O>) -> Option<QueryError> {
    QueryError::of_end(finished.reason, finished.requests, finished.took)
}

/// A running lookup that tells its steps. Dropping it ends the lookup.
pub struct Trace<O: Overlay>(Search<O>);

impl<O: Overlay> Trace<O> {
    /// The next step; `None` when the lookup is over.
    pub async fn next(&mut self) -> Option<Step<O>> {
        loop {
            match self.0.next().await? {
                Progress::Step(step) => return Some(step),
                _ => continue,
            }
        }
    }

    /// How it ended: the reason and the closest peers.
    ///
    /// # Errors
    /// When the node was closed meanwhile.
    pub async fn finish(self) -> Result<(Reason, Vec<Contact<O>>), QueryError> {
        let finished = self.0.finish().await?;
        Ok((finished.reason, finished.closest))
    }
}

/// One peer of the routing table, as it was when the table was read.
#[derive_where(Clone, Debug)]
pub struct TableEntry<O: Overlay> {
    /// Who and where.
    pub contact: Contact<O>,
    /// Its bucket: leading bits that its key shares with ours.
    pub bucket: u32,
    /// Smoothed round-trip time.
    pub rtt: Option<Duration>,
    /// Since its last answer.
    pub silent_for: Duration,
    /// Since it entered.
    pub age: Duration,
}

/// The routing table of a [`Dht`].
pub struct Table<'a, O: Network>(&'a Dht<O>);

impl<O: Network> Table<'_, O> {
    /// Peers in the table.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn len(&self) -> Result<usize, RunError> {
        self.0.handle.visit(|node, _| node.routing().len()).await
    }

    /// Whether it is empty.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn is_empty(&self) -> Result<bool, RunError> {
        Ok(self.len().await? == 0)
    }

    /// All peers, farthest bucket first.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn peers(&self) -> Result<Vec<TableEntry<O>>, RunError> {
        let since = |now: Mono, then: Mono| now.since(then);
        self.0
            .handle
            .visit(move |node, now| {
                let entries = node.routing().iter();
                entries
                    .map(|entry| TableEntry {
                        contact: entry.contact.clone(),
                        bucket: entry.bucket,
                        rtt: entry.rtt,
                        silent_for: since(now.mono, entry.last_seen),
                        age: since(now.mono, entry.added),
                    })
                    .collect()
            })
            .await
    }

    /// Enters a peer by hand, without a lookup check; it leaves again when it fails to answer.
    ///
    /// # Errors
    /// When the node is closed; the inner error says why the table does not take it.
    pub async fn add(&self, contact: Contact<O>) -> Result<Result<(), Rejected>, RunError> {
        self.0.handle.visit(move |node, now| node.add_peer(now, contact)).await
    }

    /// Takes a peer out; whether it was there.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn remove(&self, peer: O::PeerId) -> Result<bool, RunError> {
        self.0.handle.visit(move |node, now| node.remove_peer(now, &peer)).await
    }

    /// Refreshes every bucket now; ends when that is done.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn refresh(&self) -> Result<RefreshReport, RunError> {
        self.0.handle.refresh(true).await
    }

    /// Switches periodic refreshes and repairs on or off.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn set_auto_refresh(&self, on: bool) -> Result<(), RunError> {
        self.0.handle.visit(move |node, now| node.set_auto_refresh(now, on)).await
    }

    /// How the table is doing.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn health(&self) -> Result<dht_routing::Health, RunError> {
        self.0.handle.visit(|node, _| node.routing().health()).await
    }

    /// Counts since the start, and the buckets as they are.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn statistics(&self) -> Result<dht_routing::Statistics, RunError> {
        self.0.handle.visit(|node, _| node.routing().statistics()).await
    }

    /// Keeps the connection to a peer through trimming and idling, or no longer.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn protect(&self, peer: O::PeerId, on: bool) -> Result<(), RunError> {
        self.0.handle.order(Order::Protect { peer, on }).await
    }
}

/// The own store of a [`Dht`]: what it holds for itself and for others.
pub struct LocalStore<'a, O: Network>(&'a Dht<O>);

impl<O: Network> LocalStore<'_, O> {
    fn store(&self) -> &Arc<dyn Store<O>> {
        self.0.handle.store()
    }

    /// What is held under a query and has not expired.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn get(&self, query: &O::Query) -> Result<Vec<Stored<O>>, StoreError> {
        self.store().load(query, self.0.handle.now()).await
    }

    /// Whether anything is held under a query.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn has(&self, query: &O::Query) -> Result<bool, StoreError> {
        Ok(!self.get(query).await?.is_empty())
    }

    /// Removes everything under a query; how many items.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove(&self, query: &O::Query) -> Result<usize, StoreError> {
        self.0.handle.unkeep(query.clone()).await
    }

    /// Removes everything.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn clear(&self) -> Result<(), StoreError> {
        self.0.handle.unkeep_all().await
    }

    /// How much is held.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn statistics(&self) -> Result<StoreStatistics, StoreError> {
        self.store().statistics().await
    }

    /// At most `limit` queries that something is held under, after `from`; an empty page is the last.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn keys(
        &self,
        from: Option<(O::Query, O::Slot)>,
        limit: usize,
    ) -> Result<Vec<(O::Query, O::Slot)>, StoreError> {
        let page = self.store().scan(false, from, limit).await?;
        Ok(page.into_iter().map(|(query, stored)| (query, O::slot(&stored.item))).collect())
    }
}
