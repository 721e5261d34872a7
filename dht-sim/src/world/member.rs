//! One node's place in the world: the node while it runs, and what outlives it.

use std::sync::Arc;

use dht_core::{Contact, Overlay};
use dht_protocol::Node;

use super::announce::Announcer;
use crate::{clock::Clock, dice::mix, scenario::Conduct, store::SimStore};

/// What a node is by nature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Role {
    /// Whether it serves.
    pub(crate) serves: bool,
    /// Whether nobody can dial it.
    pub(crate) nat: bool,
}

pub(crate) struct Member<O: Overlay> {
    /// `None` while it is down.
    pub(crate) node: Option<Box<Node<O>>>,
    pub(crate) contact: Contact<O>,
    /// From the first item on.
    pub(crate) store: Option<Arc<SimStore<O>>>,
    /// Peers that this node has met lately, each in the slot of its hash.
    met: Box<[u32]>,
    /// What few nodes have.
    pub(crate) extra: Option<Box<Extra<O>>>,
    /// When the queue wakes it; `u64::MAX` for never.
    pub(crate) armed: u64,
    /// When it wants to be woken, not before `armed`.
    pub(crate) due: u64,
    /// How often it was started.
    pub(crate) life: u32,
    pub(crate) role: Role,
    /// Takes requests and never answers.
    pub(crate) silent: bool,
    /// Its machine sleeps.
    pub(crate) asleep: bool,
    /// Its host is still there and refuses connections.
    pub(crate) refuses: bool,
    /// Somebody waits for a sweep of its store.
    pub(crate) sweeping: bool,
}

/// What few nodes have.
pub(crate) struct Extra<O: Overlay> {
    /// From the first published item on.
    pub(crate) announcer: Option<Announcer<O>>,
    /// A clock that is not right.
    pub(crate) clock: Option<Clock>,
    /// How it answers, where it does not keep to the rules.
    pub(crate) conduct: Option<Conduct>,
    /// Answers come so much later.
    pub(crate) slow: u64,
    /// When its machine fell asleep.
    pub(crate) asleep_since: u64,
    /// Whom it knew when it stopped, where that is kept.
    pub(crate) saved: Vec<Contact<O>>,
    /// The share of store calls that fail.
    pub(crate) store_fails: f64,
    pub(crate) store_full: bool,
    /// Dial-backs of this process that failed since the last proof.
    pub(crate) failed_dials: u8,
}

impl<O: Overlay> Default for Extra<O> {
    fn default() -> Self {
        Self {
            announcer: None,
            clock: None,
            conduct: None,
            slow: 0,
            asleep_since: 0,
            saved: Vec::new(),
            store_fails: 0.0,
            store_full: false,
            failed_dials: 0,
        }
    }
}

/// Nobody, in the table of peers met.
const NOBODY: u32 = u32::MAX;

impl<O: Overlay> Member<O> {
    pub(crate) fn new(contact: Contact<O>, role: Role, connections: usize) -> Self {
        Self {
            node: None,
            contact,
            store: None,
            met: vec![NOBODY; connections].into(),
            extra: None,
            armed: u64::MAX,
            due: u64::MAX,
            life: 0,
            role,
            silent: false,
            asleep: false,
            refuses: false,
            sweeping: false,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.node.is_some() && !self.asleep
    }

    pub(crate) fn extra(&mut self) -> &mut Extra<O> {
        self.extra.get_or_insert_with(Box::default)
    }

    /// Whether its clocks were right all the time; while its machine sleeps they are not.
    pub(crate) fn has_right_clock(&self) -> bool {
        !self.asleep && self.extra.as_ref().is_none_or(|extra| extra.clock.is_none())
    }

    /// Whether its wall clock was right all the time.
    pub(crate) fn has_right_date(&self) -> bool {
        self.extra.as_ref().and_then(|extra| extra.clock).is_none_or(|clock| !clock.was_astray())
    }

    pub(crate) fn slow(&self) -> u64 {
        self.extra.as_ref().map_or(0, |extra| extra.slow)
    }

    fn slot(&self, peer: u32) -> usize {
        mix(peer.into()) as usize & (self.met.len() - 1)
    }

    pub(crate) fn has_met(&self, peer: u32) -> bool {
        !self.met.is_empty() && self.met[self.slot(peer)] == peer
    }

    /// Notes a connection; whose it takes the place of.
    pub(crate) fn meet(&mut self, peer: u32) -> Option<u32> {
        let slot = self.slot(peer);
        let before = std::mem::replace(&mut self.met[slot], peer);
        (before != NOBODY && before != peer).then_some(before)
    }

    /// The connection is gone; whether there was one.
    pub(crate) fn part(&mut self, peer: u32) -> bool {
        let met = self.has_met(peer);
        if met {
            let slot = self.slot(peer);
            self.met[slot] = NOBODY;
        }
        met
    }

    /// All connections, which end.
    pub(crate) fn part_all(&mut self) -> Vec<u32> {
        let peers = self.met.iter().copied().filter(|peer| *peer != NOBODY).collect();
        self.met.fill(NOBODY);
        peers
    }
}
