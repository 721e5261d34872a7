//! [`Dht`]: a running node, generic over its network; what both networks' users call lives here, the rest in their modules.

use std::{sync::Arc, time::Duration};

use derive_where::derive_where;
use dht_core::{Contact, Failure, Overlay, Request, Response};
use dht_metrics::{Metrics, Snapshot};
use dht_net::{Answered, Handle, Mode, NodeEvent, Role, RunError};
use dht_protocol::NetworkSize;
use dht_query::{Finished, QueryOptions};
use dht_routing::{BootstrapOptions, BootstrapReport};
use futures::future::BoxFuture;
use tokio::sync::{broadcast, watch};

use crate::{BootstrapError, LocalStore, PeerError, QueryError, Table, Trace};

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

/// Whom to join through. Asked at every bootstrap; on a network where only places are known it asks there who is at home.
/// When nobody is, it says how many places were asked.
pub(crate) type Seeds<O> =
    Arc<dyn Fn(Handle<O>) -> BoxFuture<'static, Result<Vec<Contact<O>>, usize>> + Send + Sync>;

pub(crate) struct Shared<O: Network> {
    pub(crate) metrics: Arc<Metrics<O>>,
    pub(crate) seeds: Seeds<O>,
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
        let found = (self.shared.seeds)(self.handle.clone()).await;
        let seeds = others(found.map_err(|asked| BootstrapError::NobodyThere { asked })?);
        let fallback = others(self.shared.fallback.clone());
        let joined = self.handle.bootstrap(seeds, fallback, options).await?;
        let tried = match &joined {
            Ok(report) => &report.tried,
            Err(failed) => &failed.tried,
        };
        for seed in tried {
            if let Err(why) = seed.outcome {
                tracing::warn!(peer = %seed.peer, %why, "a bootstrap peer failed");
            }
        }
        joined.map_err(BootstrapError::Failed)
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
        let (to, rest) = self.locate(peer).await?;
        rest.ping_at(to).await
    }

    /// The same at a known place.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ping_at(&self, to: Contact<O>) -> Result<Duration, PeerError<O>> {
        Ok(self.ask(to, Request::Ping).await?.1)
    }

    /// Asks one peer one thing; its answer and the round-trip time.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(
        &self,
        to: Contact<O>,
        request: Request<O>,
    ) -> Result<(Response<O>, Duration), PeerError<O>> {
        let timeout = self.call.timeout.unwrap_or(self.shared.request_timeout);
        let Answered { result, attempts } = self.handle.ask(to.clone(), request, timeout).await?;
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
        let (to, rest) = self.locate(peer).await?;
        rest.dial_at(to).await
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

    /// Where a peer is, and this node with what is left of the call's deadline.
    pub(crate) async fn locate(&self, peer: O::PeerId) -> Result<(Contact<O>, Self), PeerError<O>> {
        let started = self.handle.now().mono;
        let contact = match self.find_peer(peer.clone()).await {
            Ok(Some(contact)) => contact,
            Err(QueryError::Run(error)) => return Err(error.into()),
            _ => return Err(PeerError::Unknown { peer }),
        };
        let spent = self.handle.now().mono.since(started);
        let timeout = self.call.timeout.map(|timeout| timeout.saturating_sub(spent));
        Ok((contact, self.with(CallOptions { timeout, ..self.call })))
    }

    /// How large the network is, as far as finished lookups tell; `None` before there were enough.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn network_size(&self) -> Result<Option<NetworkSize>, RunError> {
        self.handle.visit(|node, _| node.network_size()).await
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
