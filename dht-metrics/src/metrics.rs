//! The sink that counts.
//!
//! One lock around plain numbers, held for some tens of nanoseconds per observation; observers are called outside it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dht_core::{ErrorKind, InvalidConfig, Mono, Now, Observation, Outcome, Overlay, Sink};

use crate::{
    NetworkRequest, Observer, ObserverId, Snapshot, TableChange, TableCounts, TooManyObservers,
    count::{Count, Counts},
    latency::Latencies,
    snapshot::Counted,
    top::Top,
    window::{Rate, Window},
};

/// Options of [`Metrics`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How often observers are given a snapshot. Default 1 min.
    pub interval: Duration,
    /// Peers whose failures are counted one by one. Default 1024.
    pub error_peers: usize,
    /// How many of them a snapshot lists. Default 10.
    pub error_peers_shown: usize,
    /// Observers at once. Default 16.
    pub max_observers: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            error_peers: 1024,
            error_peers_shown: 10,
            max_observers: 16,
        }
    }
}

impl Config {
    /// Whether every option is usable.
    ///
    /// # Errors
    /// Names the first field that is not.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        macro_rules! need {
            ($field:ident, $ok:expr, $rule:literal) => {
                InvalidConfig::require($ok, stringify!($field), self.$field, $rule)?
            };
        }
        need!(interval, self.interval >= Duration::from_secs(1), "at least 1 s");
        need!(error_peers, (1..=1 << 20).contains(&self.error_peers), "from 1 to 2^20");
        need!(error_peers_shown, self.error_peers_shown <= self.error_peers, "at most error_peers");
        need!(max_observers, self.max_observers <= 1024, "at most 1024");
        Ok(())
    }
}

/// Counts what a node's machines observe.
///
/// Share it in an [`Arc`]: the driver holds it as a [`Sink`], a program takes snapshots and text from it. Call
/// [`Metrics::tick`] about once a second; rates are as fine as that.
pub struct Metrics<O: Overlay> {
    config: Config,
    pub(crate) state: Mutex<State<O>>,
    observers: Mutex<Observers<O>>,
}

type List<O> = Arc<[(ObserverId, Arc<dyn Observer<O>>)]>;

struct Observers<O: Overlay> {
    next: u64,
    /// At most [`Config::max_observers`]; replaced as a whole, so that it can be walked without the lock.
    list: List<O>,
}

pub(crate) struct State<O: Overlay> {
    /// Since the node started; never reset, as Prometheus wants it.
    pub(crate) counts: Counts,
    /// What `counts` was at the last reset.
    base: Counts,
    pub(crate) query_latency: Latencies,
    pub(crate) request_latency: Latencies,
    error_peers: Top<O::PeerId>,
    window: Window,
    pub(crate) table: usize,
    pub(crate) connections: usize,
    pub(crate) running: u64,
    since: Option<Mono>,
    updated: Option<Mono>,
}

impl<O: Overlay> Metrics<O> {
    /// Everything at zero.
    ///
    /// # Errors
    /// When an option is not usable.
    pub fn new(config: Config) -> Result<Self, InvalidConfig> {
        config.validate()?;
        let state = State {
            counts: Counts::default(),
            base: Counts::default(),
            query_latency: Latencies::new(),
            request_latency: Latencies::new(),
            error_peers: Top::new(config.error_peers),
            window: Window::new(),
            table: 0,
            connections: 0,
            running: 0,
            since: None,
            updated: None,
        };
        let observers = Observers { next: 0, list: Arc::new([]) };
        Ok(Self { config, state: Mutex::new(state), observers: Mutex::new(observers) })
    }

    /// Says what time it is; what is observed from now on counts into this second. Gives observers their snapshot when the
    /// interval has passed.
    pub fn tick(&self, now: Now) {
        let mut state = self.state();
        state.tell(now.mono);
        let updated = *state.updated.get_or_insert(now.mono);
        if now.mono.since(updated) < self.config.interval {
            return;
        }
        state.updated = Some(now.mono);
        drop(state);
        let observers = self.observers();
        if !observers.is_empty() {
            let snapshot = self.snapshot(now);
            observers.iter().for_each(|(_, observer)| observer.metrics_updated(&snapshot));
        }
    }

    /// The numbers since the start or the last reset.
    pub fn snapshot(&self, now: Now) -> Snapshot<O> {
        let mut state = self.state();
        state.tell(now.mono);
        let counts = state.counts.since(&state.base);
        let counted = Counted::from_counts(&counts);
        Snapshot {
            covers: now.mono.since(state.since.unwrap_or(now.mono)),
            queries: counted.queries,
            queries_by_kind: counted.queries_by_kind,
            queries_running: state.running,
            query_latency: state.query_latency.summary(),
            requests: counted.requests,
            requests_by_kind: counted.requests_by_kind,
            request_latency: state.request_latency.summary(),
            served: counted.served,
            table: TableCounts {
                size: state.table,
                added: counts.get(Count::PeerAdded),
                removed: counts.get(Count::PeerRemoved),
                refreshed: counts.get(Count::BucketRefreshed),
            },
            providers: counted.providers,
            values: counted.values,
            expired: counts.get(Count::Expired),
            errors: counted.errors,
            error_peers: state.error_peers.most(self.config.error_peers_shown),
            rates: state.window.rates(now.mono),
            connections: state.connections,
        }
    }

    /// Starts anew: snapshots count from here. How things stand (table, connections, running queries) stays, and so does
    /// the Prometheus text, whose counters must not go back.
    pub fn reset(&self, now: Now) {
        let mut state = self.state();
        state.base = state.counts.clone();
        state.query_latency.reset();
        state.request_latency.reset();
        state.error_peers.clear();
        state.window.reset(now.mono);
        state.since = Some(now.mono);
        state.updated = Some(now.mono);
    }

    /// Registers an observer.
    ///
    /// # Errors
    /// When [`Config::max_observers`] are registered already.
    pub fn add_observer(&self, observer: Arc<dyn Observer<O>>) -> Result<ObserverId, TooManyObservers> {
        let mut observers = lock(&self.observers);
        if observers.list.len() >= self.config.max_observers {
            return Err(TooManyObservers { limit: self.config.max_observers });
        }
        let id = ObserverId(observers.next);
        observers.next += 1;
        observers.list = observers.list.iter().cloned().chain([(id, observer)]).collect();
        Ok(id)
    }

    /// Removes an observer; says whether it was there.
    pub fn remove_observer(&self, id: ObserverId) -> bool {
        let mut observers = lock(&self.observers);
        let before = observers.list.len();
        observers.list = observers.list.iter().filter(|(other, _)| *other != id).cloned().collect();
        observers.list.len() < before
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State<O>> {
        lock(&self.state)
    }

    fn observers(&self) -> List<O> {
        Arc::clone(&lock(&self.observers).list)
    }
}

impl<O: Overlay> Sink<O> for Metrics<O> {
    fn tick(&self, now: Now) {
        Metrics::tick(self, now);
    }

    fn observe(&self, observation: &Observation<O>) {
        let table = {
            let mut state = self.state();
            state.count(observation);
            state.table
        };
        for (_, observer) in self.observers().iter() {
            notify(&**observer, observation, table);
        }
    }
}

impl<O: Overlay> State<O> {
    fn tell(&mut self, now: Mono) {
        self.since.get_or_insert(now);
        self.window.advance(now);
    }

    fn count(&mut self, observation: &Observation<O>) {
        match observation {
            Observation::QueryStarted { kind } => {
                self.counts.add(Count::QueryStarted(*kind), 1);
                self.running += 1;
            }
            Observation::QueryFinished { kind, outcome, took, .. } => {
                self.counts.add(Count::QueryFinished(*kind, (*outcome).into()), 1);
                self.running = self.running.saturating_sub(1);
                self.window.add(Rate::QueryFinished);
                if *outcome != Outcome::Cancelled {
                    self.query_latency.record(*took);
                }
                if let Outcome::Failed(kind) = outcome {
                    self.failed(*kind, None);
                }
            }
            Observation::RequestSent { kind } => {
                self.counts.add(Count::RequestSent(*kind), 1);
                self.window.add(Rate::RequestSent);
            }
            Observation::RequestAnswered { kind, rtt } => {
                self.counts.add(Count::RequestAnswered(*kind), 1);
                self.window.add(Rate::RequestAnswered);
                self.request_latency.record(*rtt);
            }
            Observation::RequestLate { kind } => self.counts.add(Count::RequestLate(*kind), 1),
            Observation::RequestFailed { kind, peer, why } => {
                self.counts.add(Count::RequestFailed(*kind, why.kind()), 1);
                self.window.add(Rate::RequestFailed);
                // Our own bounds and our own end are nobody else's fault.
                self.failed(why.kind(), (!why.is_own()).then_some(peer));
            }
            Observation::RequestServed { kind, ok } => {
                self.counts.add(Count::RequestServed(*kind, *ok), 1);
                self.window.add(Rate::RequestServed);
            }
            Observation::PeerAdded { table } => {
                self.counts.add(Count::PeerAdded, 1);
                self.table = *table;
            }
            Observation::PeerRemoved { table } => {
                self.counts.add(Count::PeerRemoved, 1);
                self.table = *table;
            }
            Observation::Expired { items } => self.counts.add(Count::Expired, *items as u64),
            Observation::BucketRefreshed => self.counts.add(Count::BucketRefreshed, 1),
            Observation::Stored { kind, plural, items } => {
                self.counts.add(Count::Items(*kind, *plural), *items as u64);
            }
            Observation::Connections { open } => self.connections = *open,
            Observation::Error { kind, peer } => self.failed(*kind, peer.as_ref()),
            // A kind of observation that came after this version has no counter here.
            _ => {}
        }
    }

    fn failed(&mut self, kind: ErrorKind, peer: Option<&O::PeerId>) {
        self.counts.add(Count::Error(kind), 1);
        self.window.add(Rate::Error);
        if let Some(peer) = peer {
            self.error_peers.add(peer);
        }
    }
}

/// Tells one observer what happened, as far as it has a word for it.
fn notify<O: Overlay>(observer: &dyn Observer<O>, observation: &Observation<O>, table: usize) {
    match observation {
        Observation::QueryStarted { kind } => observer.query_started(*kind),
        Observation::QueryFinished { kind, outcome, took, requests } => {
            observer.query_completed(*kind, *outcome, *took, *requests);
        }
        Observation::RequestSent { kind } => {
            observer.network_request(&NetworkRequest::Sent { kind: *kind });
        }
        Observation::RequestAnswered { kind, rtt } => {
            observer.network_request(&NetworkRequest::Answered { kind: *kind, rtt: *rtt });
        }
        Observation::RequestFailed { kind, peer, why } => {
            observer.network_request(&NetworkRequest::Failed { kind: *kind, peer: peer.clone(), why: *why });
        }
        Observation::RequestServed { kind, ok } => {
            observer.network_request(&NetworkRequest::Served { kind: *kind, ok: *ok });
        }
        Observation::PeerAdded { table } => observer.table_updated(TableChange::Added, *table),
        Observation::PeerRemoved { table } => observer.table_updated(TableChange::Removed, *table),
        Observation::BucketRefreshed => observer.table_updated(TableChange::Refreshed, table),
        Observation::Stored { kind, plural: true, items } => observer.provider_operation(*kind, *items),
        _ => {}
    }
}

/// Nothing that can panic runs under these locks, so what a poisoned one guards is sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
