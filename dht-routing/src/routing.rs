//! The machine: owns the table, its checks and its upkeep, and says what to do next.

use std::{collections::VecDeque, time::Duration};

use dht_core::{Contact, Failure, InvalidConfig, KadKey, Now, Overlay};

use crate::{
    Action, Admit, BootstrapId, BootstrapOptions, BootstrapReport, CheckId, Checked, Config, EntryView,
    Event, Health, LookupId, RefreshId, RefreshReport, Rejected, Removal, Statistics, Verdict,
};

/// The routing table of one node.
pub struct Routing<O: Overlay> {
    local: O::PeerId,
    config: Config,
    admit: Box<dyn Admit<O>>,
    contacts: Vec<Contact<O>>,
    out: VecDeque<Action<O>>,
    ids: u64,
}

impl<O: Overlay> Routing<O> {
    /// An empty table.
    ///
    /// # Errors
    /// When an option is wrong.
    pub fn new(
        local: O::PeerId,
        config: Config,
        admit: Box<dyn Admit<O>>,
        _seed: u64,
    ) -> Result<Self, InvalidConfig> {
        config.validate()?;
        Ok(Self { local, config, admit, contacts: Vec::new(), out: VecDeque::new(), ids: 0 })
    }

    /// A server of our protocol was heard of and is not verified: a candidate.
    pub fn heard(&mut self, _now: Now, contact: Contact<O>) {
        if contact.peer == self.local || self.get(&contact.peer).is_some() || !self.admit.admit(&contact) {
            return;
        }
        self.ids += 1;
        self.out.push_back(Action::Check {
            id: CheckId(self.ids),
            contact,
            timeout: self.config.check_timeout,
        });
    }

    /// A peer answered one of our requests.
    pub fn alive(&mut self, _now: Now, _peer: &O::PeerId, _rtt: Duration) {}

    /// A request to a peer failed.
    pub fn failed(&mut self, now: Now, peer: &O::PeerId, _why: Failure) {
        self.remove(now, peer);
    }

    /// Takes a peer out of the table.
    pub fn remove(&mut self, _now: Now, peer: &O::PeerId) -> bool {
        let Some(i) = self.contacts.iter().position(|c| c.peer == *peer) else { return false };
        self.contacts.remove(i);
        let removed = Event::Removed { peer: peer.clone(), cause: Removal::Withdrawn };
        self.out.push_back(Action::Event(removed));
        true
    }

    /// Inserts a contact that the caller verified.
    ///
    /// # Errors
    /// Says why it is not kept.
    pub fn insert(&mut self, _now: Now, contact: Contact<O>) -> Result<(), Rejected> {
        self.contacts.push(O::detach(contact));
        Ok(())
    }

    /// A check ended.
    pub fn checked(&mut self, _now: Now, _id: CheckId, _outcome: Result<Checked, Failure>) {}

    /// A lookup ended; `found` peers answered in it.
    pub fn looked_up(&mut self, _now: Now, _id: LookupId, _found: usize) {}

    /// Refreshes the table: all buckets when `forced`, else the idle ones.
    pub fn refresh(&mut self, _now: Now, _forced: bool) -> RefreshId {
        self.ids += 1;
        let id = RefreshId(self.ids);
        self.out.push_back(Action::Event(Event::Refreshed { id, report: RefreshReport::default() }));
        id
    }

    /// Joins the network.
    pub fn bootstrap(
        &mut self,
        _now: Now,
        _seeds: Vec<Contact<O>>,
        _fallback: Vec<Contact<O>>,
        _options: BootstrapOptions,
    ) -> BootstrapId {
        self.ids += 1;
        let id = BootstrapId(self.ids);
        let result = Ok(BootstrapReport::default());
        self.out.push_back(Action::Event(Event::Bootstrapped { id, result }));
        id
    }

    /// What to do next; to be called until it says [`Action::Wait`].
    pub fn poll(&mut self, _now: Now) -> Action<O> {
        self.out.pop_front().unwrap_or(Action::Wait(None))
    }

    /// Appends the `n` peers closest to the target, nearest first.
    pub fn closest(&self, target: &O::Key, n: usize, out: &mut Vec<Contact<O>>) {
        self.closest_except(target, n, |_| false, out);
    }

    /// The same without the peers that `skip` names.
    pub fn closest_except(
        &self,
        target: &O::Key,
        n: usize,
        skip: impl Fn(&O::PeerId) -> bool,
        out: &mut Vec<Contact<O>>,
    ) {
        let mut all: Vec<_> = self.contacts.iter().filter(|c| !skip(&c.peer)).cloned().collect();
        all.sort_by_key(|c| c.key().distance(target));
        out.extend(all.into_iter().take(n));
    }

    /// One peer of the table.
    pub fn get(&self, peer: &O::PeerId) -> Option<EntryView<'_, O>> {
        self.iter().find(|entry| entry.contact.peer == *peer)
    }

    /// All peers of the table, farthest bucket first.
    pub fn iter(&self) -> impl Iterator<Item = EntryView<'_, O>> {
        let local = O::peer_key(&self.local);
        self.contacts.iter().map(move |contact| EntryView {
            contact,
            bucket: contact.key().common_prefix_len(&local),
            rtt: None,
            last_seen: Default::default(),
            added: Default::default(),
        })
    }

    /// Peers in the table.
    pub fn len(&self) -> usize {
        self.contacts.len()
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.contacts.is_empty()
    }

    /// Counts since construction and the buckets as they are.
    pub fn statistics(&self) -> Statistics {
        Statistics { peers: self.len(), ..Statistics::default() }
    }

    /// How the table is doing.
    pub fn health(&self) -> Health {
        Health {
            verdict: if self.is_empty() { Verdict::Empty } else { Verdict::Healthy },
            peers: self.len(),
            buckets: 0,
            refreshing: false,
            bootstrapping: false,
            last_refresh: None,
        }
    }

    /// Switches the table's own refreshes and repairs on or off.
    pub fn set_auto_refresh(&mut self, _now: Now, on: bool) {
        self.config.auto_refresh = on;
    }
}
