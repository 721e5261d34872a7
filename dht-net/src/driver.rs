//! The loop between the pure node and the world: one task that owns the node, its transport, timers and store jobs.
//!
//! Every turn takes in what has arrived, then drains the node until it says how long it can wait. Store calls run beside
//! the loop, so a slow store never holds up the node.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dht_core::{
    Contact, ErrorKind, Failure, InvalidConfig, Mono, Now, Observation, Overlay, Request, RequestId, Sink,
    StoreKind,
};
use dht_protocol::{Event, Node, Output, Served};
use dht_query::{Progress, QueryId, StartError};
use dht_records::{Lease, Store, TooMany};
use dht_routing::{BootstrapId, RefreshId, RefreshReport};
use futures::FutureExt;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};

use crate::{
    Clock, Handle, Incoming, Mode, Order, Pong, ReplyToken, Role, Transport,
    announce::Announcer,
    command::{Bootstrapped, Caller, Command, Goal},
    handle::Shared,
    jobs::{Job, Jobs, Page},
};

/// Events that wait for a slow listener before it loses the oldest.
const EVENT_BACKLOG: usize = 1024;
/// Commands that wait for the driver; callers wait beyond.
const COMMAND_BACKLOG: usize = 256;
/// Things that arrived and are taken in before the node is drained again.
const BATCH: usize = 64;
/// Sinks are told the time this often while there is something to count …
const TICK: Duration = Duration::from_secs(1);
/// … and at least this often.
const IDLE_TICK: Duration = Duration::from_secs(60);
/// Ids of dials have this bit, ids of the node's own requests do not.
const DIAL: u64 = 1 << 63;

/// What is told to those who listen to [`Handle::events`].
pub type NodeEvent<O> = Arc<Event<O>>;

/// Options of the driver.
#[derive(Clone, Debug, PartialEq)]
pub struct DriverConfig {
    /// Client, server, or decided by reachability.
    pub mode: Mode,
    /// Store calls under way at once; a stranger's request beyond is refused, an own one waits its turn. Default 1024.
    pub max_store_jobs: usize,
    /// How often expired items are removed. Default 10 min.
    pub sweep_interval: Duration,
    /// How long after an announcement own items are announced again. Default 22 h (Amino spec, A21).
    pub republish_interval: Duration,
    /// How announcements are spread and how fast overdue ones are caught up with.
    pub republish: dht_records::RepublishConfig,
    /// Deadline of one announcement. Default 60 s.
    pub announce_timeout: Duration,
}

impl Default for DriverConfig {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            max_store_jobs: 1024,
            sweep_interval: Duration::from_secs(600),
            republish_interval: Duration::from_secs(22 * 3600),
            republish: dht_records::RepublishConfig::default(),
            announce_timeout: Duration::from_secs(60),
        }
    }
}

impl DriverConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the field that is wrong and what would be right.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require(self.max_store_jobs > 0, "max_store_jobs", self.max_store_jobs, "at least 1")?;
        InvalidConfig::require(
            self.sweep_interval >= Duration::from_secs(1),
            "sweep_interval",
            self.sweep_interval,
            "at least 1 s",
        )?;
        InvalidConfig::require(
            self.republish_interval >= Duration::from_secs(1),
            "republish_interval",
            self.republish_interval,
            "at least 1 s",
        )?;
        self.republish.validate()?;
        InvalidConfig::require(
            !self.announce_timeout.is_zero(),
            "announce_timeout",
            self.announce_timeout,
            "more than zero",
        )
    }
}

/// The machine that [`spawn`] runs as a task.
struct Driver<O: Overlay, T> {
    node: Node<O>,
    transport: T,
    store: Arc<dyn Store<O>>,
    sink: Arc<dyn Sink<O>>,
    clock: Arc<dyn Clock>,
    config: DriverConfig,
    commands: mpsc::Receiver<Command<O>>,
    lost_interest: Arc<Notify>,
    events: broadcast::Sender<NodeEvent<O>>,
    role: watch::Sender<Role>,
    local: watch::Sender<Contact<O>>,
    mode: Mode,
    reachable: Option<bool>,
    jobs: Jobs<O>,
    announcer: Announcer<O>,
    callers: BTreeMap<QueryId, Caller<O>>,
    pings: BTreeMap<RequestId, oneshot::Sender<Pong>>,
    dials: BTreeMap<RequestId, Dial>,
    refreshes: BTreeMap<RefreshId, oneshot::Sender<RefreshReport>>,
    bootstraps: BTreeMap<BootstrapId, oneshot::Sender<Bootstrapped<O>>>,
    next_dial: u64,
    next_sweep: Mono,
    next_tick: Mono,
    closing: Option<oneshot::Sender<()>>,
}

struct Dial {
    started: Mono,
    deadline: Mono,
    done: oneshot::Sender<Result<Duration, Failure>>,
}

/// Starts a node on a transport. The task ends when the last handle is dropped or [`Handle::close`] is called.
///
/// # Errors
/// Names the option that has a value it must not have.
///
/// # Panics
/// Outside a tokio runtime.
pub fn spawn<O: Overlay, T: Transport<O>>(
    node: Node<O>,
    transport: T,
    store: Arc<dyn Store<O>>,
    sink: Arc<dyn Sink<O>>,
    clock: Arc<dyn Clock>,
    config: DriverConfig,
    seed: u64,
) -> Result<Handle<O>, InvalidConfig> {
    config.validate()?;
    let (sender, commands) = mpsc::channel(COMMAND_BACKLOG);
    let (events, _) = broadcast::channel(EVENT_BACKLOG);
    let role = config.mode.role(None);
    let (role_sender, role_receiver) = watch::channel(role);
    let (local_sender, local_receiver) = watch::channel(node.local().clone());
    let lost_interest = Arc::new(Notify::new());
    let shared = Shared {
        commands: sender,
        store: store.clone(),
        validator: node.validator().clone(),
        rules: node.rules().clone(),
        clock: clock.clone(),
        lost_interest: lost_interest.clone(),
        events: events.clone(),
        role: role_receiver,
        local: local_receiver,
    };
    let now = clock.now();
    let announcer = Announcer::new(config.republish.clone(), config.republish_interval, seed)?;
    let mut driver = Driver {
        node,
        transport,
        jobs: Jobs::new(config.max_store_jobs),
        store,
        sink,
        clock,
        commands,
        lost_interest,
        events,
        role: role_sender,
        local: local_sender,
        mode: config.mode,
        reachable: None,
        announcer,
        callers: BTreeMap::new(),
        pings: BTreeMap::new(),
        dials: BTreeMap::new(),
        refreshes: BTreeMap::new(),
        bootstraps: BTreeMap::new(),
        next_dial: 0,
        next_sweep: now.mono + config.sweep_interval,
        next_tick: now.mono,
        closing: None,
        config,
    };
    driver.take_role(role);
    driver.jobs.own(&driver.store, None);
    tokio::spawn(driver.run());
    Ok(Handle { shared: Arc::new(shared) })
}

impl<O: Overlay, T: Transport<O>> Driver<O, T> {
    async fn run(mut self) {
        let lost_interest = self.lost_interest.clone();
        loop {
            let wait = self.drain();
            if self.closing.is_some() {
                break;
            }
            tokio::select! {
                incoming = self.transport.next() => {
                    if self.take_batch(incoming).is_break() {
                        break;
                    }
                }
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => break,
                },
                job = self.jobs.next(), if !self.jobs.is_empty() => self.on_job(job),
                () = lost_interest.notified() => self.drop_lost_callers(),
                () = sleep(wait) => {}
            }
        }
        self.shut_down().await;
    }

    async fn shut_down(mut self) {
        self.commands.close();
        self.transport.close().await;
        // Whoever still waits learns that the node is closed by the end of its channel.
        if let Some(done) = self.closing.take() {
            let _ = done.send(());
        }
    }

    /// Takes in what has arrived, up to a bound, so that the node is drained once per batch.
    fn take_batch(&mut self, first: Incoming<O>) -> std::ops::ControlFlow<()> {
        let mut incoming = first;
        for _ in 0..BATCH {
            if incoming == Incoming::Closed {
                return std::ops::ControlFlow::Break(());
            }
            let now = self.clock.now();
            self.on_incoming(now, incoming);
            match self.transport.next().now_or_never() {
                Some(next) => incoming = next,
                None => return std::ops::ControlFlow::Continue(()),
            }
        }
        let now = self.clock.now();
        self.on_incoming(now, incoming);
        std::ops::ControlFlow::Continue(())
    }

    /// Does what the node wants until it waits; for how long the driver may sleep.
    fn drain(&mut self) -> Duration {
        let now = self.clock.now();
        self.expire_dials(now);
        if now.mono >= self.next_sweep {
            self.next_sweep = now.mono + self.config.sweep_interval;
            self.jobs.sweep(&self.store, now);
        }
        if now.mono >= self.next_tick {
            self.next_tick = now.mono + TICK;
            self.sink.tick(now);
        }
        self.announce(now);
        let until = loop {
            match self.node.poll_output(now) {
                Output::Send { id, to, request } => self.transport.send(id, to, request),
                Output::Forget(id) => self.transport.forget(id),
                Output::Event(event) => self.on_event(event),
                Output::Observed(observation) => self.sink.observe(&observation),
                Output::Wait(until) => break until,
            }
        };
        let timers = [
            until,
            Some(self.next_sweep),
            Some(self.next_tick + (IDLE_TICK - TICK)),
            self.announcer.wake_at(),
            self.next_dial_deadline(),
        ];
        let next = timers.into_iter().flatten().min().unwrap_or(Mono(Duration::MAX));
        next.since(now.mono)
    }

    fn next_dial_deadline(&self) -> Option<Mono> {
        self.dials.values().map(|dial| dial.deadline).min()
    }

    fn expire_dials(&mut self, now: Now) {
        let late: Vec<_> =
            self.dials.iter().filter(|(_, dial)| dial.deadline <= now.mono).map(|(id, _)| *id).collect();
        for id in late {
            self.transport.forget(id);
            if let Some(dial) = self.dials.remove(&id) {
                let _ = dial.done.send(Err(Failure::Timeout));
            }
        }
    }

    /// Starts the announcements that are due.
    fn announce(&mut self, now: Now) {
        while let Some((query, item)) = self.announcer.due(now) {
            let item = self.node.rules().renew(item, self.node.local());
            let item = self.node.rules().receive(item, now);
            let options = dht_query::QueryOptions {
                timeout: Some(self.config.announce_timeout),
                ..dht_query::QueryOptions::default()
            };
            match self.node.store(now, query.clone(), item.clone(), options) {
                Ok(id) => self.announcer.started(id, query, item),
                Err(_) => self.announcer.failed(now, &query, &item),
            }
        }
    }

    // ── From the network ────────────────────────────────────────────────────────────────────────────────────────

    fn on_incoming(&mut self, now: Now, incoming: Incoming<O>) {
        match incoming {
            Incoming::Answer { id, response } => match self.dials.remove(&id) {
                Some(dial) => {
                    let _ = dial.done.send(Ok(now.mono.since(dial.started)));
                }
                None => self.node.on_response(now, id, response),
            },
            Incoming::Failure { id, why } => match self.dials.remove(&id) {
                Some(dial) => {
                    let _ = dial.done.send(Err(why));
                }
                None => self.node.on_failure(now, id, why),
            },
            Incoming::Request { token, from, request } => self.on_request(now, token, &from, request),
            Incoming::Peer { contact, serves } => self.node.on_peer(now, contact, serves),
            Incoming::Disconnected(peer) => self.node.on_disconnected(&peer),
            Incoming::Connections(open) => self.sink.observe(&Observation::Connections { open }),
            Incoming::Local(addr) => {
                self.node.set_addr(addr);
                self.local.send_replace(self.node.local().clone());
            }
            Incoming::Reachable(reachable) => {
                self.reachable = Some(reachable);
                self.take_role(self.mode.role(self.reachable));
            }
            Incoming::Closed => {}
        }
    }

    fn on_request(&mut self, now: Now, token: ReplyToken, from: &Contact<O>, request: Request<O>) {
        match self.node.serve(now, from, request) {
            Served::Answer(response) => self.transport.reply(token, Some(response)),
            Served::Refused(_) => self.transport.reply(token, None),
            Served::Load(load) => {
                let job = self.jobs.load(&self.store, token, load, now);
                self.take_or_refuse(token, job);
            }
            Served::Save(save) => {
                let job = self.jobs.save(&self.store, token, save, self.node.validator(), now);
                self.take_or_refuse(token, job);
            }
        }
    }

    /// A job may have ended at once (a store in memory), may run, or found no place.
    fn take_or_refuse(&mut self, token: ReplyToken, job: Result<Option<Job<O>>, StartError>) {
        match job {
            Ok(Some(ended)) => self.on_job(ended),
            Ok(None) => {}
            Err(_) => {
                self.sink.observe(&Observation::Error { kind: ErrorKind::Capacity, peer: None });
                self.transport.reply(token, None);
            }
        }
    }

    // ── From the store ──────────────────────────────────────────────────────────────────────────────────────────

    fn on_job(&mut self, job: Job<O>) {
        let now = self.clock.now();
        match job {
            Job::Loaded { token, load, found } => {
                self.observe_store_error(found.as_ref().err());
                let rules = self.node.rules().clone();
                let validator = self.node.validator().clone();
                let (response, observation) = load.answer(found, &*rules, &*validator, now);
                self.sink.observe(&observation);
                self.transport.reply(token, Some(response));
            }
            Job::Saved { token, save, saved } => {
                self.observe_store_error(saved.as_ref().err());
                let answer = self.node.settle(save, &saved);
                self.transport.reply(token, answer.ok());
            }
            Job::Local { query, options, caller, found } => {
                self.observe_store_error(found.as_ref().err());
                let items = self.believable(&query, found.unwrap_or_default(), now);
                let started = self.node.fetch(now, query, items, options);
                self.register(started, caller);
            }
            Job::Swept(swept) => {
                self.observe_store_error(swept.as_ref().err());
                let items = swept.unwrap_or(0);
                self.sink.observe(&Observation::Stored { kind: StoreKind::Expired, plural: true, items });
            }
            Job::Own(page) => self.on_own_page(now, page),
            Job::Renewed(renewed) => self.observe_store_error(renewed.as_ref().err()),
        }
    }

    /// Own items of a store that outlived a restart: announced when they are due. An empty page is the last.
    fn on_own_page(&mut self, now: Now, page: Page<O>) {
        self.observe_store_error(page.as_ref().err());
        let page = page.unwrap_or_default();
        if let Some((query, stored)) = page.last() {
            self.jobs.own(&self.store, Some((query.clone(), O::slot(&stored.item))));
        }
        let restored = self.announcer.restore(now, page);
        self.observe_too_many(restored);
    }

    fn observe_too_many(&self, result: Result<(), TooMany>) {
        if let Err(error) = result {
            self.sink.observe(&Observation::Error { kind: error.kind(), peer: None });
        }
    }

    fn own_lease(&self, now: Now) -> Lease<O> {
        let from = self.node.local().peer.clone();
        Lease { from, received: now.wall, lifetime: Duration::MAX, own: true }
    }

    fn observe_store_error(&self, error: Option<&dht_records::StoreError>) {
        if let Some(error) = error {
            self.sink.observe(&Observation::Error { kind: error.kind(), peer: None });
        }
    }

    /// What the own store holds and still is true.
    fn believable(&self, query: &O::Query, found: Vec<dht_records::Stored<O>>, now: Now) -> Vec<O::Item> {
        let validator = self.node.validator();
        let rules = self.node.rules();
        found
            .into_iter()
            .filter(|stored| validator.check(query, &stored.item, now).is_ok())
            .filter_map(|mut stored| {
                stored.item = rules.renew(stored.item, self.node.local());
                rules.present(&stored, now)
            })
            .collect()
    }

    // ── From the handles ────────────────────────────────────────────────────────────────────────────────────────

    fn on_command(&mut self, command: Command<O>) {
        let now = self.clock.now();
        match command {
            Command::Start { goal, options, caller } => self.start(now, goal, options, caller),
            Command::Ping { to, timeout, done } => {
                let id = self.node.ping(now, to, timeout);
                self.pings.insert(id, done);
            }
            Command::Dial { to, timeout, done } => {
                let id = RequestId(DIAL | self.next_dial);
                self.next_dial += 1;
                self.dials.insert(id, Dial { started: now.mono, deadline: now.mono + timeout, done });
                self.transport.order(Order::Dial { id, to });
            }
            Command::Refresh { forced, done } => {
                let id = self.node.refresh(now, forced);
                self.refreshes.insert(id, done);
            }
            Command::Bootstrap { seeds, fallback, options, done } => {
                for seed in &seeds {
                    self.transport.order(Order::Protect { peer: seed.peer.clone(), on: true });
                }
                let id = self.node.bootstrap(now, seeds, fallback, options);
                self.bootstraps.insert(id, done);
            }
            Command::Kept { query, item } => {
                let kept = self.announcer.keep(now, query, item);
                self.observe_too_many(kept);
            }
            Command::Dropped { query, slot } => self.announcer.drop_item(&query, &slot),
            Command::DroppedAll => self.announcer.clear(),
            Command::Order(order) => self.transport.order(order),
            Command::SetMode { mode, done } => {
                self.mode = mode;
                self.take_role(mode.role(self.reachable));
                // The caller may have lost interest.
                let _ = done.send(());
            }
            Command::Visit(visit) => visit(&mut self.node, now),
            Command::Close(done) => self.closing = Some(done),
        }
    }

    fn start(&mut self, now: Now, goal: Goal<O>, options: dht_query::QueryOptions, caller: Caller<O>) {
        let started = match goal {
            Goal::Closest(target) => self.node.closest(now, target, options),
            Goal::FindPeer(peer) => self.node.find_peer(now, peer, options),
            Goal::Store(query, item) => self.node.store(now, query, item, options),
            Goal::Fetch(query) => {
                if let Some(ended) = self.jobs.local(&self.store, query, options, caller, now) {
                    self.on_job(ended);
                }
                return;
            }
        };
        self.register(started, caller);
    }

    fn register(&mut self, started: Result<QueryId, StartError>, caller: Caller<O>) {
        match started {
            Ok(id) => {
                self.callers.insert(id, caller);
            }
            Err(error) => {
                // Whoever asked may be gone.
                let _ = caller.done.send(Err(error));
            }
        }
    }

    fn drop_lost_callers(&mut self) {
        let now = self.clock.now();
        let lost: Vec<_> =
            self.callers.iter().filter(|(_, caller)| caller.done.is_closed()).map(|(id, _)| *id).collect();
        for id in lost {
            self.callers.remove(&id);
            self.node.cancel(now, id);
        }
    }

    fn take_role(&mut self, role: Role) {
        let serves = role == Role::Server;
        self.node.set_serving(serves);
        self.transport.order(Order::Serve(serves));
        self.role.send_if_modified(|current| std::mem::replace(current, role) != role);
    }

    // ── From the node ───────────────────────────────────────────────────────────────────────────────────────────

    fn on_event(&mut self, event: Event<O>) {
        match &event {
            Event::Progress(id, progress) => self.on_progress(*id, progress),
            Event::Pinged { id, result, attempts } => {
                if let Some(done) = self.pings.remove(id) {
                    let _ = done.send(Pong { result: *result, attempts: *attempts });
                }
            }
            Event::Table(table) => self.on_table_event(table),
            _ => {}
        }
        if let Event::Finished(id, finished) = event {
            let now = self.clock.now();
            if let Some((query, item)) = self.announcer.finished(now, id, &finished) {
                self.jobs.renew(&self.store, query, item, self.own_lease(now), self.node.validator(), now);
            }
            match self.callers.remove(&id) {
                Some(caller) if self.events.receiver_count() == 0 => {
                    let _ = caller.done.send(Ok(finished));
                }
                caller => {
                    if let Some(caller) = caller {
                        let _ = caller.done.send(Ok(finished.clone()));
                    }
                    self.publish(Event::Finished(id, finished));
                }
            }
        } else {
            self.publish(event);
        }
    }

    fn publish(&self, event: Event<O>) {
        if self.events.receiver_count() > 0 {
            // The last listener may have left in between.
            let _ = self.events.send(Arc::new(event));
        }
    }

    fn on_progress(&mut self, id: QueryId, progress: &Progress<O>) {
        let Some(caller) = self.callers.get_mut(&id) else { return };
        let Some(sender) = &caller.progress else { return };
        match sender.try_send(progress.clone()) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Closed(_)) => caller.progress = None,
            Err(mpsc::error::TrySendError::Full(_)) => {
                let now = self.clock.now();
                self.node.cancel(now, id);
            }
        }
    }

    fn on_table_event(&mut self, event: &dht_routing::Event<O>) {
        match event {
            dht_routing::Event::Refreshed { id, report } => {
                if let Some(done) = self.refreshes.remove(id) {
                    let _ = done.send(*report);
                }
            }
            dht_routing::Event::Bootstrapped { id, result } => {
                if let Some(done) = self.bootstraps.remove(id) {
                    let _ = done.send(result.clone());
                }
            }
            _ => {}
        }
    }
}

async fn sleep(wait: Duration) {
    // Past a year nothing is due that an input would not bring about first; tokio's timer has a horizon.
    tokio::time::sleep(wait.min(Duration::from_secs(365 * 86_400))).await;
}
