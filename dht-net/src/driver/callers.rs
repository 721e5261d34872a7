//! What the handles ask for, and what they are told.

use std::{sync::Arc, time::Duration};

use dht_core::{Failure, Now, Overlay, RequestId};
use dht_protocol::Event;
use dht_query::{Finished, Progress, QueryId, StartError};
use tokio::sync::{mpsc, oneshot};

use super::{DIAL, Dial, Driver};
use crate::{
    Answered, Order, Role, Transport,
    command::{Caller, Command, Goal, Met},
};

impl<O: Overlay, T: Transport<O>> Driver<O, T> {
    pub(super) fn on_command(&mut self, command: Command<O>) {
        let now = self.clock.now();
        match command {
            Command::Start { goal, options, caller } => self.start(now, goal, options, caller),
            // Dropped while it waited for its turn.
            Command::Ask { done, .. } if done.is_closed() => {}
            Command::Dial { done, .. } | Command::Greet { done, .. } if done.is_closed() => {}
            Command::Ask { to, request, timeout, done } => {
                let id = self.node.ask(now, to, request, timeout);
                self.asks.insert(id, done);
            }
            Command::Dial { to, timeout, done } => {
                let id = self.dial(now, timeout, done);
                self.transport.order(Order::Dial { id, to });
            }
            Command::Greet { addr, timeout, done } => {
                let id = self.dial(now, timeout, done);
                self.transport.order(Order::Greet { id, addr });
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
            Command::Dropped { query, slot, done } => {
                self.announcer.drop_item(&query, &slot);
                // The caller may have lost interest.
                let _ = done.send(());
            }
            Command::DroppedAll { done } => {
                self.announcer.clear();
                let _ = done.send(());
            }
            Command::Order(order) => self.transport.order(order),
            Command::SetMode { mode, done } => {
                self.mode = mode;
                self.take_role(mode.role(self.reachable));
                // The caller may have lost interest.
                let _ = done.send(());
            }
            Command::Visit(visit) => visit(&mut self.node, now),
            Command::Close(done) => self.closing.push(done),
        }
    }

    fn dial(
        &mut self,
        now: Now,
        timeout: Duration,
        done: oneshot::Sender<Result<Met<O>, Failure>>,
    ) -> RequestId {
        let id = RequestId(DIAL | self.next_dial);
        self.next_dial += 1;
        self.dials.insert(id, Dial { started: now.mono, deadline: now.mono + timeout, done });
        id
    }

    pub(super) fn start(
        &mut self,
        now: Now,
        goal: Goal<O>,
        options: dht_query::QueryOptions,
        caller: Caller<O>,
    ) {
        // Dropped while it waited for its turn. What it was to place is announced all the same, if it is kept.
        if caller.done.is_closed() {
            if let Some((query, slot)) = &caller.placing {
                self.announcer.retry(now, query, slot);
            }
            return;
        }
        let started = match goal {
            Goal::Closest(target) => self.node.closest(now, target, options),
            Goal::FindPeer(peer) => self.node.find_peer(now, peer, options),
            Goal::FetchThrough(query, first) => self.node.fetch_through(now, query, first, options),
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

    pub(super) fn register(&mut self, started: Result<QueryId, StartError>, caller: Caller<O>) {
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

    pub(super) fn drop_lost_callers(&mut self) {
        let now = self.clock.now();
        let lost: Vec<_> =
            self.callers.iter().filter(|(_, caller)| caller.done.is_closed()).map(|(id, _)| *id).collect();
        for id in lost {
            // Its end comes in this turn, and finds the caller still there: see `on_finished`.
            self.node.cancel(now, id);
        }
        let Self { asks, dials, node, transport, .. } = self;
        asks.retain(|id, done| {
            let wanted = !done.is_closed();
            if !wanted {
                node.forget(*id);
            }
            wanted
        });
        dials.retain(|id, dial| {
            let wanted = !dial.done.is_closed();
            if !wanted {
                transport.forget(*id);
            }
            wanted
        });
    }

    pub(super) fn take_role(&mut self, role: Role) {
        let serves = role == Role::Server;
        self.node.set_serving(serves);
        self.transport.order(Order::Serve(serves));
        self.role.send_if_modified(|current| std::mem::replace(current, role) != role);
    }

    pub(super) fn on_event(&mut self, event: Event<O>) {
        match &event {
            Event::Progress(id, progress) => self.on_progress(*id, progress),
            Event::Answered { id, result, attempts } => {
                if let Some(done) = self.asks.remove(id) {
                    // The caller may have lost interest.
                    let _ = done.send(Answered { result: result.clone(), attempts: *attempts });
                }
            }
            Event::Table(table) => self.on_table_event(table),
            _ => {}
        }
        match event {
            Event::Finished(id, finished) => self.on_finished(id, finished),
            event => self.publish(event),
        }
    }

    fn on_finished(&mut self, id: QueryId, finished: Finished<O>) {
        let now = self.clock.now();
        if let Some((query, item)) = self.announcer.finished(now, id, &finished) {
            self.jobs.renew(&self.store, query, item, self.own_lease(now), self.node.validator(), now);
        }
        let Some(caller) = self.callers.remove(&id) else {
            self.publish(Event::Finished(id, finished));
            return;
        };
        if let Some((query, slot)) = &caller.placing
            && finished.receipt.stored.is_empty()
        {
            self.announcer.retry(now, query, slot);
        }
        if self.events.receiver_count() > 0 {
            self.publish(Event::Finished(id, finished.clone()));
        }
        // The caller may have lost interest.
        let _ = caller.done.send(Ok(finished));
    }

    pub(super) fn publish(&self, event: Event<O>) {
        if self.events.receiver_count() > 0 {
            // The last listener may have left in between.
            let _ = self.events.send(Arc::new(event));
        }
    }

    pub(super) fn on_progress(&mut self, id: QueryId, progress: &Progress<O>) {
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

    pub(super) fn on_table_event(&mut self, event: &dht_routing::Event<O>) {
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
