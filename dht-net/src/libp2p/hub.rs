//! What the driver's task, the swarm's task and the connections share: who is connected, who is being dialled, and
//! what waits for that.
//!
//! One lock, held for a few map operations, never across a call into libp2p. Order: the directory, then a mailbox.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use derive_where::derive_where;
use dht_core::{Contact, Failure, Overlay, Request, RequestId, Response};
use futures::task::AtomicWaker;
use libp2p::swarm::ConnectionId;
use tokio::sync::mpsc;

use super::{
    Config, HostOverlay,
    budget::{Budget, Purse},
    directory::{Dial, Directory, Peer},
    mailbox::{Job, Mailbox, Return},
};
use crate::Incoming;

/// What the connections and the swarm report to the driver's task.
#[derive_where(Debug)]
pub(super) enum Event<O: Overlay> {
    Answer(RequestId, Response<O>),
    Failure(RequestId, Failure),
    Request(Return<O>, Request<O>),
    Other(Incoming<O>),
}

/// What the swarm's task is told.
#[derive_where(Debug)]
pub(super) enum Command<O: Overlay> {
    Disconnect(O::PeerId),
    Close,
}

/// The budgets of one peer, for the handler of a connection with it.
#[derive(Clone, Debug)]
pub(super) struct Allowance {
    pub(super) bytes: Purse,
    pub(super) streams: Purse,
}

/// See the module.
pub(super) struct Hub<O: Overlay, C> {
    pub(super) codec: C,
    pub(super) config: Config,
    inbox: mpsc::Sender<Event<O>>,
    directory: Mutex<Directory<O>>,
    /// Wakes the swarm's task.
    waker: AtomicWaker,
    serve: AtomicBool,
    bytes: Arc<Budget>,
    streams: Arc<Budget>,
    /// Requests of strangers that wait for our answer.
    pub(super) requests: Budget,
}

impl<O: HostOverlay, C> Hub<O, C> {
    /// The hub, and where its events come out. No event of a request is ever lost for want of room: as many fit as
    /// requests can be under way in both directions.
    pub(super) fn new(codec: C, config: Config) -> (Arc<Self>, mpsc::Receiver<Event<O>>) {
        let (inbox, events) = mpsc::channel(2 * (config.max_requests + config.inbound_requests) + 256);
        let hub = Self {
            serve: AtomicBool::new(config.serve),
            codec,
            config,
            inbox,
            directory: Mutex::default(),
            waker: AtomicWaker::new(),
            bytes: Arc::default(),
            streams: Arc::default(),
            requests: Budget::default(),
        };
        (Arc::new(hub), events)
    }

    fn with<R>(&self, act: impl FnOnce(&mut Directory<O>) -> R) -> R {
        // A panic in another task leaves a directory whose entries are whole.
        act(&mut self.directory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reports without waiting; `false` when there is no room.
    pub(super) fn emit(&self, event: Event<O>) -> bool {
        self.inbox.try_send(event).is_ok()
    }

    /// Reports, waiting for room.
    pub(super) async fn report(&self, incoming: Incoming<O>) {
        // Fails when the driver is gone; then nobody wants to know.
        let _ = self.inbox.send(Event::Other(incoming)).await;
    }

    /// Whether strangers are served now.
    pub(super) fn serves(&self) -> bool {
        self.serve.load(Ordering::Relaxed)
    }

    /// Serves from now on, or no longer; every handler is polled and tells the other side.
    pub(super) fn set_serve(&self, on: bool) {
        self.serve.store(on, Ordering::Relaxed);
        let all: Vec<_> = self.with(|directory| {
            directory.peers.values().flat_map(|peer| peer.connections.iter().cloned()).collect()
        });
        all.iter().for_each(|mailbox| mailbox.wake());
    }

    /// Hands a job to a connection with the peer, or has one made.
    pub(super) fn dispatch(&self, to: Contact<O>, job: Job<O>) -> Result<(), Failure> {
        let limit = self.config.requests_per_peer;
        let wake = self.with(|directory| {
            let peer = directory.peers.entry(to.peer.clone()).or_default();
            // An error comes only of a peer that has connections or parked jobs: no unused entry stays behind.
            let job = match peer.deliver(job, limit)? {
                Some(job) => job,
                None => return Ok(false),
            };
            if to.addr != O::Addr::default() && peer.dial == Dial::None {
                peer.addr = to.addr;
            }
            if peer.parked.len() >= limit {
                return Err(Failure::Overloaded);
            }
            peer.parked.push(job);
            let first = peer.dial == Dial::None;
            if first {
                peer.dial = Dial::Queued;
                directory.wanted.push_back(to.peer);
            }
            Ok(first)
        })?;
        if wake {
            self.waker.wake();
        }
        Ok(())
    }

    /// Tries a job that a dying connection left behind once more, elsewhere.
    pub(super) fn again(&self, peer: &O::PeerId, mut job: Job<O>) {
        let id = job.id;
        let failed = if job.retried {
            Err(Failure::Reset)
        } else {
            job.retried = true;
            self.dispatch(Contact::unlocated(peer.clone()), job)
        };
        if let Err(why) = failed {
            self.emit(Event::Failure(id, why));
        }
    }

    /// Drops a job wherever it waits.
    pub(super) fn forget(&self, peer: &O::PeerId, id: RequestId) {
        self.with(|directory| {
            let Some(entry) = directory.peers.get_mut(peer) else { return };
            let parked = entry.parked.len();
            entry.parked.retain(|job| job.id != id);
            if entry.parked.len() == parked {
                entry.connections.iter().for_each(|mailbox| mailbox.forget(id));
            }
        });
    }

    pub(super) fn protect(&self, peer: &O::PeerId, on: bool) {
        self.with(|directory| {
            let entry = directory.peers.entry(peer.clone()).or_default();
            entry.protected = on;
            entry.connections.iter().for_each(|mailbox| mailbox.protect(on));
            if entry.is_unused() {
                directory.peers.remove(peer);
            }
        });
    }

    pub(super) fn command(&self, command: Command<O>) {
        self.with(|directory| directory.commands.push_back(command));
        self.waker.wake();
    }

    // What follows is called by the swarm's task.

    pub(super) fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }

    pub(super) fn next_command(&self) -> Option<Command<O>> {
        self.with(|directory| directory.commands.pop_front())
    }

    /// The next peer to dial and where, while there is room for another dial; `dialed` must follow.
    pub(super) fn next_dial(&self) -> Option<(O::PeerId, O::Addr)> {
        self.with(|directory| {
            while directory.dialing < self.config.max_dials {
                let id = directory.wanted.pop_front()?;
                let Some(peer) = directory.peers.get_mut(&id) else { continue };
                if peer.dial != Dial::Queued {
                    continue;
                }
                peer.dial = Dial::None;
                if !peer.parked.is_empty() {
                    return Some((id, peer.addr.clone()));
                }
                if peer.is_unused() {
                    directory.peers.remove(&id);
                }
            }
            None
        })
    }

    /// The dial of a peer began, or (`None`) there was nowhere to dial.
    pub(super) fn dialed(&self, id: &O::PeerId, connection: Option<ConnectionId>) {
        let lost = self.with(|directory| {
            let peer = directory.peers.get_mut(id)?;
            if let Some(connection) = connection {
                peer.dial = Dial::Running(connection);
                directory.dialing += 1;
                return None;
            }
            let lost = std::mem::take(&mut peer.parked);
            if peer.is_unused() {
                directory.peers.remove(id);
            }
            Some(lost)
        });
        self.fail(lost, Failure::Unreachable);
    }

    /// A dial of ours failed; what waited for it fails.
    pub(super) fn dial_failed(&self, id: &O::PeerId, connection: ConnectionId, why: Failure) {
        let lost = self.with(|directory| {
            let peer = directory.peers.get_mut(id)?;
            if peer.dial != Dial::Running(connection) {
                return None;
            }
            peer.dial = Dial::None;
            directory.dialing -= 1;
            let lost = std::mem::take(&mut peer.parked);
            if peer.is_unused() {
                directory.peers.remove(id);
            }
            Some(lost)
        });
        self.fail(lost, why);
        self.waker.wake();
    }

    fn fail(&self, lost: Option<Vec<Job<O>>>, why: Failure) {
        for job in lost.into_iter().flatten() {
            self.emit(Event::Failure(job.id, why));
        }
    }

    /// A connection stands; what waited for it goes there. Returns how many connections the peer has now.
    pub(super) fn connected(&self, mailbox: Arc<Mailbox<O>>) -> usize {
        let id = mailbox.peer.clone();
        let (count, parked) = self.with(|directory| {
            let peer = directory.peers.entry(id.clone()).or_default();
            if peer.dial == Dial::Running(mailbox.connection) {
                peer.dial = Dial::None;
                directory.dialing -= 1;
            }
            mailbox.protect(peer.protected);
            mailbox.set_addr(peer.addr.clone());
            peer.connections.push(mailbox);
            (peer.connections.len(), std::mem::take(&mut peer.parked))
        });
        for job in parked {
            let job_id = job.id;
            if let Err(why) = self.dispatch(Contact::unlocated(id.clone()), job) {
                self.emit(Event::Failure(job_id, why));
            }
        }
        self.waker.wake();
        count
    }

    /// A connection ended. Returns how many the peer has left.
    pub(super) fn disconnected(&self, id: &O::PeerId, connection: ConnectionId) -> usize {
        self.with(|directory| {
            let Some(peer) = directory.peers.get_mut(id) else { return 0 };
            peer.connections.retain(|mailbox| mailbox.connection != connection);
            let left = peer.connections.len();
            if left == 0 {
                peer.serves = None;
            }
            if peer.is_unused() {
                directory.peers.remove(id);
            }
            left
        })
    }

    /// The budgets of a peer that a connection is being made with.
    pub(super) fn allowance(&self, id: &O::PeerId) -> Allowance {
        let (bytes, streams) = self.with(|directory| match directory.peers.get(id) {
            Some(peer) => (peer.bytes.clone(), peer.streams.clone()),
            None => {
                let peer = Peer::<O>::default();
                let budgets = (peer.bytes.clone(), peer.streams.clone());
                directory.peers.insert(id.clone(), peer);
                budgets
            }
        });
        let config = &self.config;
        Allowance {
            bytes: Purse::new(bytes, config.bytes_per_peer, self.bytes.clone(), config.bytes),
            streams: Purse::new(
                streams,
                config.inbound_streams_per_peer,
                self.streams.clone(),
                config.inbound_streams,
            ),
        }
    }

    /// A connection that was being made does not come about.
    pub(super) fn abandoned(&self, id: &O::PeerId) {
        self.with(|directory| {
            if directory.peers.get(id).is_some_and(Peer::is_unused) {
                directory.peers.remove(id);
            }
        });
    }

    /// What a connected peer says of itself; a field that is `None` is as before. Returns what is known now, if that
    /// is something new and complete.
    pub(super) fn identified(
        &self,
        id: &O::PeerId,
        addr: Option<O::Addr>,
        serves: Option<bool>,
    ) -> Option<(Contact<O>, bool)> {
        self.with(|directory| {
            let peer = directory.peers.get_mut(id).filter(|peer| !peer.connections.is_empty())?;
            if addr.is_none() && peer.serves.is_none() {
                // A change is told; the beginning is told by identify, with addresses.
                return None;
            }
            let before = (peer.addr.clone(), peer.serves);
            if let Some(addr) = addr {
                peer.connections.iter().for_each(|mailbox| mailbox.set_addr(addr.clone()));
                peer.addr = addr;
            }
            peer.serves = serves.or(peer.serves);
            let known = (Contact::new(id.clone(), peer.addr.clone()), peer.serves?);
            ((peer.addr.clone(), peer.serves) != before).then_some(known)
        })
    }

    /// Every connection there is.
    pub(super) fn mailboxes(&self) -> Vec<Arc<Mailbox<O>>> {
        self.with(|directory| {
            directory.peers.values().flat_map(|peer| peer.connections.iter().cloned()).collect()
        })
    }
}

#[cfg(test)]
mod tests;
