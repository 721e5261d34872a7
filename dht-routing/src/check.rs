//! Lookup checks in flight: at most one per peer. Whether a peer deserves one, and what its outcome means, is decided
//! elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use dht_core::{Contact, Failure, Mono, Overlay};

use crate::CheckId;

/// The owner of requests arms their deadlines. A check or lookup that is still silent so long after its own is taken
/// for lost, so that no refresh or bootstrap can hang on a report that never comes.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// Whether a failure says something about the peer, rather than about this node.
pub(crate) fn blames_peer(why: Failure) -> bool {
    !why.is_own()
}

/// One check in flight.
pub(crate) struct Check<O: Overlay> {
    pub(crate) contact: Contact<O>,
    /// The bucket that expects its peer; `None` when the peer was in the table already.
    pub(crate) bucket: Option<usize>,
    /// The peer was withdrawn meanwhile: it does not enter whatever it answers.
    pub(crate) barred: bool,
    alarm: Mono,
}

/// The checks in flight.
pub(crate) struct Checks<O: Overlay> {
    last: u64,
    running: BTreeMap<CheckId, Check<O>>,
    peers: BTreeMap<O::PeerId, CheckId>,
    alarms: BTreeSet<(Mono, CheckId)>,
}

impl<O: Overlay> Checks<O> {
    pub(crate) fn new() -> Self {
        Self { last: 0, running: BTreeMap::new(), peers: BTreeMap::new(), alarms: BTreeSet::new() }
    }

    /// Gives back the memory of what is over.
    pub(crate) fn rest(&mut self) {
        if self.running.is_empty() {
            // Empty maps keep a node each.
            self.running.clear();
            self.peers.clear();
            self.alarms.clear();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    pub(crate) fn contains(&self, peer: &O::PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    /// Begins a check of a peer that is not being checked.
    pub(crate) fn start(
        &mut self,
        now: Mono,
        contact: Contact<O>,
        timeout: Duration,
        bucket: Option<usize>,
    ) -> CheckId {
        debug_assert!(!self.contains(&contact.peer));
        self.last += 1;
        let id = CheckId(self.last);
        let alarm = now + timeout + GRACE;
        self.peers.insert(contact.peer.clone(), id);
        self.alarms.insert((alarm, id));
        self.running.insert(id, Check { contact, bucket, barred: false, alarm });
        id
    }

    /// Ends a check; `None` when it ended before.
    pub(crate) fn finish(&mut self, id: CheckId) -> Option<Check<O>> {
        let check = self.running.remove(&id)?;
        self.peers.remove(&check.contact.peer);
        self.alarms.remove(&(check.alarm, id));
        Some(check)
    }

    /// All of them, in the order in which they began.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Check<O>> {
        self.running.values_mut()
    }

    /// Keeps the peer of a running check from entering.
    pub(crate) fn bar(&mut self, peer: &O::PeerId) {
        if let Some(check) = self.peers.get(peer).and_then(|id| self.running.get_mut(id)) {
            check.barred = true;
        }
    }

    /// A check that was never reported.
    pub(crate) fn lost(&self, now: Mono) -> Option<CheckId> {
        self.alarms.first().filter(|(alarm, _)| *alarm <= now).map(|(_, id)| *id)
    }

    pub(crate) fn alarm(&self) -> Option<Mono> {
        self.alarms.first().map(|(alarm, _)| *alarm)
    }
}
