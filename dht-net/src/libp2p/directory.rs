//! Who is connected, being dialled or protected, and what waits for them. Plain data under the hub's lock.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use derive_where::derive_where;
use dht_core::{Failure, Overlay};
use libp2p::swarm::ConnectionId;

use super::{
    budget::Budget,
    hub::Command,
    mailbox::{Job, Mailbox},
};

/// How far connecting to a peer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Dial {
    #[default]
    None,
    Queued,
    Running(ConnectionId),
}

/// A peer that is connected, wanted or protected.
#[derive_where(Debug)]
pub(super) struct Peer<O: Overlay> {
    pub(super) connections: Vec<Arc<Mailbox<O>>>,
    /// Jobs that wait for a connection; at most `requests_per_peer`.
    pub(super) parked: Vec<Job<O>>,
    pub(super) dial: Dial,
    /// Where it was last said to be.
    pub(super) addr: O::Addr,
    /// Whether it serves our protocol, once it said so.
    pub(super) serves: Option<bool>,
    pub(super) protected: bool,
    /// Bytes and streams that this peer makes us hold, over all its connections.
    pub(super) bytes: Arc<Budget>,
    pub(super) streams: Arc<Budget>,
}

impl<O: Overlay> Default for Peer<O> {
    fn default() -> Self {
        Self {
            connections: Vec::new(),
            parked: Vec::new(),
            dial: Dial::None,
            addr: O::Addr::default(),
            serves: None,
            protected: false,
            bytes: Arc::default(),
            streams: Arc::default(),
        }
    }
}

impl<O: Overlay> Peer<O> {
    pub(super) fn is_unused(&self) -> bool {
        self.connections.is_empty() && self.parked.is_empty() && self.dial == Dial::None && !self.protected
    }

    /// Gives the job to the least loaded connection; back when there is none.
    pub(super) fn deliver(&mut self, mut job: Job<O>, limit: usize) -> Result<Option<Job<O>>, Failure> {
        self.connections.sort_by_key(|mailbox| mailbox.load());
        for mailbox in &self.connections {
            match mailbox.push(job, limit) {
                Ok(()) => return Ok(None),
                Err((_, Some(why))) => return Err(why),
                Err((back, None)) => job = back,
            }
        }
        Ok(Some(job))
    }
}

/// Peers: bounded by the connections, the requests that wait, and the peers that the driver protects.
#[derive_where(Debug, Default)]
pub(super) struct Directory<O: Overlay> {
    pub(super) peers: HashMap<O::PeerId, Peer<O>>,
    /// Peers to dial, in the order they were wanted.
    pub(super) wanted: VecDeque<O::PeerId>,
    pub(super) dialing: usize,
    pub(super) commands: VecDeque<Command<O>>,
}
