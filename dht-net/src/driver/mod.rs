//! The loop between the pure node and the world: one task that owns the node, its transport, timers and store jobs.
//!
//! Every turn takes in what has arrived, then drains the node until it says how long it can wait. Store calls run beside
//! the loop, so a slow store never holds up the node.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dht_core::{Contact, Failure, InvalidConfig, Mono, Now, Overlay, RequestId, Sink};
use dht_protocol::{Event, Node, Output};
use dht_query::QueryId;
use dht_records::{Store, Stored};
use dht_routing::{BootstrapId, RefreshId, RefreshReport};
use futures::FutureExt;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};

use crate::{
    Answered, Clock, Handle, Incoming, Mode, Role, Transport,
    announce::Announcer,
    command::{Bootstrapped, Caller, Command, Met},
    handle::Shared,
    jobs::Jobs,
};

mod callers;
mod config;
mod inward;

pub use config::DriverConfig;

/// Events that wait for a slow listener before it loses the oldest.
const EVENT_BACKLOG: usize = 1024;
/// Commands that wait for the driver; callers wait beyond.
const COMMAND_BACKLOG: usize = 256;
/// Things of one source that are taken in before the node is drained again.
const BATCH: usize = 64;
/// Sinks are told the time this often while there is something to count …
const TICK: Duration = Duration::from_secs(1);
/// … and at least this often.
const IDLE_TICK: Duration = Duration::from_secs(60);
/// Ids of dials have this bit, ids of the node's own requests do not.
const DIAL: u64 = 1 << 63;

/// What is told to those who listen to [`Handle::events`].
pub type NodeEvent<O> = Arc<Event<O>>;

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
    asks: BTreeMap<RequestId, oneshot::Sender<Answered<O>>>,
    dials: BTreeMap<RequestId, Dial<O>>,
    refreshes: BTreeMap<RefreshId, oneshot::Sender<RefreshReport>>,
    bootstraps: BTreeMap<BootstrapId, oneshot::Sender<Bootstrapped<O>>>,
    next_dial: u64,
    next_sweep: Mono,
    next_tick: Mono,
    /// What the store found for the request that is being answered; its memory is used again.
    found: Vec<Stored<O>>,
    /// Who asked for the end, and is told when it has come.
    closing: Vec<oneshot::Sender<()>>,
}

/// What a turn found.
enum Taken {
    Something,
    Nothing,
    /// Nobody holds the node any more, or its transport ended.
    End,
}

struct Dial<O: Overlay> {
    started: Mono,
    deadline: Mono,
    done: oneshot::Sender<Result<Met<O>, Failure>>,
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
        asks: BTreeMap::new(),
        dials: BTreeMap::new(),
        refreshes: BTreeMap::new(),
        bootstraps: BTreeMap::new(),
        next_dial: 0,
        next_sweep: now.mono + config.sweep_interval,
        next_tick: now.mono,
        found: Vec::new(),
        closing: Vec::new(),
        config,
    };
    driver.take_role(role);
    driver.jobs.own(&driver.store, None);
    tokio::spawn(driver.run());
    Ok(Handle { shared: Arc::new(shared) })
}

impl<O: Overlay, T: Transport<O>> Driver<O, T> {
    /// One turn after the other: take in what is there, drain the node, sleep when nothing was there.
    ///
    /// Within a turn the sources have a fixed order and a bound each, so that none starves another and a run on virtual
    /// time repeats.
    async fn run(mut self) {
        let lost_interest = self.lost_interest.clone();
        loop {
            let wait = self.drain();
            if !self.closing.is_empty() {
                break;
            }
            match self.take_ready() {
                Taken::Something => continue,
                Taken::Nothing => {}
                Taken::End => break,
            }
            tokio::select! {
                biased;
                () = lost_interest.notified() => self.drop_lost_callers(),
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => break,
                },
                job = self.jobs.next(), if !self.jobs.is_empty() => self.on_job(job),
                incoming = self.transport.next() => {
                    if incoming == Incoming::Closed {
                        break;
                    }
                    let now = self.clock.now();
                    self.on_incoming(now, incoming);
                }
                () = sleep(wait) => {}
            }
        }
        self.shut_down().await;
    }

    /// Takes in what is there already, a bounded batch from each source.
    fn take_ready(&mut self) -> Taken {
        let mut taken = Taken::Nothing;
        if self.lost_interest.notified().now_or_never().is_some() {
            self.drop_lost_callers();
            taken = Taken::Something;
        }
        for _ in 0..BATCH {
            match self.commands.try_recv() {
                Ok(command) => self.on_command(command),
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => return Taken::End,
            }
            taken = Taken::Something;
        }
        for _ in 0..BATCH {
            let Some(job) = self.jobs.next().now_or_never() else { break };
            self.on_job(job);
            taken = Taken::Something;
        }
        for _ in 0..BATCH {
            let Some(incoming) = self.transport.next().now_or_never() else { break };
            if incoming == Incoming::Closed {
                return Taken::End;
            }
            let now = self.clock.now();
            self.on_incoming(now, incoming);
            taken = Taken::Something;
        }
        taken
    }

    async fn shut_down(mut self) {
        self.commands.close();
        self.transport.close().await;
        let closing = std::mem::take(&mut self.closing);
        // Whoever still waits learns that the node is closed by the end of its channel. All that it held is given back
        // before its end is told: another node may start at the same place at once.
        drop(self);
        for done in closing {
            let _ = done.send(());
        }
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
        while let Some((query, item)) = self.announcer.due(now, !self.node.routing().is_empty()) {
            let item = self.node.rules().renew(item, self.node.local());
            let item = self.node.rules().receive(item, now);
            if self.node.validator().check(&query, &item, now).is_err() {
                // Its time is over: everybody would refuse it, at every retry for ever.
                self.announcer.drop_item(&query, &O::slot(&item));
                continue;
            }
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
}

async fn sleep(wait: Duration) {
    // Past a year nothing is due that an input would not bring about first; tokio's timer has a horizon.
    tokio::time::sleep(wait.min(Duration::from_secs(365 * 86_400))).await;
}
