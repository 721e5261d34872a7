//! What nodes want: draining, waking, and what their events mean to whoever asked for something.

use std::sync::Arc;

use dht_core::{Failure, Mono, Observation, Overlay};
use dht_protocol::{Event as NodeEvent, Node, Output};
use dht_records::Store;
use dht_routing::Event as TableEvent;

use super::{Done, Ended, Event, World};
use crate::{clock::nanos, dice::hash, now_or_never, outcome::ViolationKind, store::SimStore};

/// Outputs after which a node that still does not wait never will.
const PATIENCE: usize = 1_000_000;

impl<O: Overlay> World<O> {
    /// Drains a node after an input and puts it back; when it wants to be woken is noted.
    pub(super) fn settle(&mut self, i: u32, mut node: Box<Node<O>>) {
        let now = self.clock(i);
        self.announce(i, &mut node, now);
        let mut waits = None;
        for left in (0..PATIENCE).rev() {
            match node.poll_output(now) {
                Output::Send { id, to, request } => self.send(i, id, &to, request),
                // The transport has nothing to free; a late answer is the node's to ignore.
                Output::Forget(_) => {}
                Output::Event(event) => self.on_event(i, &mut node, event),
                Output::Observed(Observation::RequestFailed { why, .. }) => {
                    self.traffic.failures += 1;
                    self.traffic.timeouts += u64::from(why == Failure::Timeout);
                }
                Output::Observed(Observation::RequestLate { .. }) => self.traffic.late += 1,
                Output::Observed(_) => {}
                Output::Wait(until) => {
                    waits = until;
                    break;
                }
            }
            if left == 0 {
                self.violate(Some(i), ViolationKind::Busy, || format!("{PATIENCE} outputs without a wait"));
            }
        }
        if waits.is_some_and(|at| at <= now.mono) {
            self.violate(Some(i), ViolationKind::Past, || format!("waits for {waits:?} at {:?}", now.mono));
        }
        // What ended may have made room for the next announcement, which is then due at once.
        let until = waits.into_iter().chain(self.announcer_wake(i)).min();
        node.rest();
        self.members[i as usize].node = Some(node);
        self.arm(i, until);
    }

    /// The queue wakes a node once; when it wants to sleep longer by then, it is armed anew.
    fn arm(&mut self, i: u32, until: Option<Mono>) {
        let due = match until {
            None => u64::MAX,
            Some(until) => self.true_time(i, until).max(self.now + 1),
        };
        let member = &mut self.members[i as usize];
        member.due = due;
        if due < member.armed {
            member.armed = due;
            self.queue.push(due, Event::Wake(i));
        }
    }

    pub(super) fn true_time(&self, i: u32, mono: Mono) -> u64 {
        match self.members[i as usize].extra.as_ref().and_then(|extra| extra.clock) {
            Some(clock) => clock.when(mono),
            None => nanos(mono.0),
        }
    }

    pub(super) fn wake(&mut self, i: u32) {
        let member = &mut self.members[i as usize];
        member.armed = u64::MAX;
        if member.asleep {
            return;
        }
        if member.due > self.now {
            let due = member.due;
            if due < u64::MAX && member.node.is_some() {
                member.armed = due;
                self.queue.push(due, Event::Wake(i));
            }
            return;
        }
        if let Some(node) = member.node.take() {
            self.events += 1;
            self.settle(i, node);
        }
    }

    fn on_event(&mut self, i: u32, node: &mut Node<O>, event: NodeEvent<O>) {
        match event {
            NodeEvent::Finished(id, finished) => {
                if self.announced(i, node, id, &finished) {
                    return;
                }
                let life = self.members[i as usize].life;
                match self.running.remove(&(i, life, id.0)) {
                    Some(op) => {
                        let result = Some(Ended::Query(Box::new(finished)));
                        self.done.push(Done { op, node: i, result });
                    }
                    None => self.violate(Some(i), ViolationKind::Overdue, || {
                        format!("{id:?} ended twice, or was never started")
                    }),
                }
            }
            NodeEvent::Table(TableEvent::Bootstrapped { result, .. }) => {
                if let Some(op) = self.joining.remove(&i) {
                    let result = Some(Ended::Joined(result.is_ok()));
                    self.done.push(Done { op, node: i, result });
                }
            }
            _ => {}
        }
    }

    /// A node's store to write to, made when it is needed first.
    pub(super) fn store(&mut self, i: u32) -> Arc<SimStore<O>> {
        if let Some(store) = &self.members[i as usize].store {
            store.at(self.now);
            return store.clone();
        }
        let store = self.new_store(i);
        store.at(self.now);
        let member = &mut self.members[i as usize];
        member.store = Some(store.clone());
        if !std::mem::replace(&mut member.sweeping, true) {
            // Not all at the same time.
            let wait = hash(self.seed, i.into(), 6) % self.sweep_interval + 1;
            self.queue.push(self.now + wait, Event::Sweep(i));
        }
        store
    }

    pub(super) fn new_store(&self, i: u32) -> Arc<SimStore<O>> {
        let member = &self.members[i as usize];
        let seed = hash(self.seed, i.into(), 7);
        let store = SimStore::new(&member.contact.peer, self.store_bounds(), &self.stores, seed)
            .expect("the bounds of a network's stores are usable, and a record is the least");
        if let Some(extra) = &member.extra {
            store.set_failing(extra.store_fails);
            store.set_full(extra.store_full);
        }
        Arc::new(store)
    }

    pub(super) fn sweep(&mut self, i: u32) {
        let now = self.clock(i);
        let member = &mut self.members[i as usize];
        let (true, Some(store)) = (member.node.is_some(), &member.store) else {
            member.sweeping = false;
            return;
        };
        if !member.asleep {
            // A store that gives way to others is called again until it is done, up to a bound far above its batches.
            for _ in 0..1000 {
                if now_or_never(store.sweep(now)).is_some() {
                    break;
                }
            }
        }
        self.queue.push(self.now + self.sweep_interval, Event::Sweep(i));
    }
}
