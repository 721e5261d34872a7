//! The machine's inputs and its table: what was heard, answered and failed, and whom that lets in or puts out.
//! What it does on its own account is in `upkeep.rs`.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use dht_core::{Contact, Draws, Failure, InvalidConfig, Mono, Now, Overlay};

use crate::{
    Action, Admit, CheckId, Checked, Config, Event, RefreshId, Rejected, Removal, Statistics,
    bootstrap::Bootstrap,
    calendar::Calendar,
    check::{Check, Checks, blames_peer},
    entry::{Entry, Secs, Spare},
    lookup::Lookups,
    refresh::Refresh,
    sleep::Sleep,
    table::{Place, Table},
};

/// The routing table of one node and its upkeep.
///
/// After any call that takes `&mut self`, drain [`Routing::poll`] until it says [`Action::Wait`].
pub struct Routing<O: Overlay> {
    pub(crate) config: Arc<Config>,
    admit: Box<dyn Admit<O>>,
    pub(crate) draws: Draws,
    pub(crate) table: Table<O>,
    pub(crate) checks: Checks<O>,
    pub(crate) lookups: Lookups,
    pub(crate) calendar: Calendar,
    /// Bounded by what the owner drains; each input adds a few at most.
    pub(crate) out: VecDeque<Action<O>>,
    pub(crate) refresh: Option<Box<Refresh<O>>>,
    /// Forced refreshes asked for while a periodic one ran; they run together afterwards.
    pub(crate) queued: Vec<RefreshId>,
    pub(crate) last_refresh: Option<Mono>,
    /// When lost peers were last found to be back together.
    pub(crate) healed: Option<Mono>,
    pub(crate) sleep: Sleep,
    /// Numbered, because those that the table starts itself have no id.
    pub(crate) bootstraps: Vec<(u64, Bootstrap<O>)>,
    pub(crate) last_id: u64,
    /// Bootstrap contacts for the day the table is empty, at most `max_remembered`.
    pub(crate) remembered: Vec<Contact<O>>,
    /// Peers that failed, latest last, at most `max_remembered`: when the fault was the network's, they are the ones to
    /// ask.
    pub(crate) lost: VecDeque<Contact<O>>,
    /// Those of them that the last refresh asked and that have not answered yet; a few.
    pub(crate) probes: Vec<O::PeerId>,
    pub(crate) counts: Statistics,
}

impl<O: Overlay> Routing<O> {
    /// An empty table. `seed` decides which keys its refreshes look up.
    ///
    /// # Errors
    /// When an option is wrong.
    pub fn new(
        local: O::PeerId,
        config: Config,
        admit: Box<dyn Admit<O>>,
        seed: u64,
    ) -> Result<Self, InvalidConfig> {
        config.validate()?;
        Ok(Self {
            table: Table::new(local, &config),
            config: Arc::new(config),
            admit,
            draws: Draws::new(seed),
            checks: Checks::new(),
            lookups: Lookups::default(),
            calendar: Calendar::default(),
            out: VecDeque::new(),
            refresh: None,
            queued: Vec::new(),
            last_refresh: None,
            healed: None,
            sleep: Sleep::default(),
            bootstraps: Vec::new(),
            last_id: 0,
            remembered: Vec::new(),
            lost: VecDeque::new(),
            probes: Vec::new(),
            counts: Statistics::default(),
        })
    }

    /// A server of our protocol was heard of. It becomes a candidate if its bucket has use for it: with room it is
    /// checked, at once and only once at a time; a full bucket keeps it in waiting. Hearing of a peer never lets it in,
    /// and never changes the address of one that is in; at its known address it counts as seen. To be told of peers
    /// that made themselves heard, not of those that others named.
    pub fn heard(&mut self, now: Now, contact: Contact<O>) {
        let Some(place) = self.table.place(&contact.peer) else { return };
        if let Some(entry) = self.table.entry_mut(place, &contact.peer) {
            if entry.contact.addr == contact.addr && contact.is_located() {
                entry.heard(now.mono);
            }
            return;
        }
        if self.checks.contains(&contact.peer) {
            return;
        }
        if !self.admit.admit(&contact) {
            self.refuse(Rejected::Filtered);
            return;
        }
        let preferred = self.admit.prefers(&contact);
        if !self.table.has_group_room(place, &contact) {
            self.refuse(Rejected::Group);
        } else if !self.table.has_use(place.bucket, preferred) {
            self.table.offer(place, Spare { contact: O::detach(contact), verified: None, preferred });
        } else if self.table.occupant(&contact).is_some() {
            self.refuse(Rejected::Place);
            self.doubt_occupant(now.mono, &contact);
        } else if !self.has_candidate_slot() {
            self.counts.dropped += 1;
        } else {
            self.check(now.mono, contact, self.config.check_timeout);
        }
    }

    /// A peer answered one of our requests after `rtt`. One that has become slower than the latency tolerance leaves;
    /// a candidate in waiting counts as verified.
    pub fn alive(&mut self, now: Now, peer: &O::PeerId, rtt: Duration) {
        let Some(place) = self.table.place(peer) else { return };
        let Some(entry) = self.table.entry_mut(place, peer) else {
            return self.table.verify_spare(now.mono, place, peer);
        };
        entry.touch(now.mono, Some(rtt));
        if entry.rtt.get() > Some(self.config.latency_tolerance) {
            self.counts.rejected_latency += 1;
            self.evict(place, peer, Removal::Latency);
            self.promote(now.mono);
        }
    }

    /// A request to a peer failed: it leaves, and the best candidate in waiting is checked for its place. With
    /// [`Config::max_failures`] it may stay until it failed so often without an answer between. Failures of this node
    /// itself ([`Failure::Offline`], [`Failure::Overloaded`], [`Failure::Closed`]) are not held against the peer.
    pub fn failed(&mut self, now: Now, peer: &O::PeerId, why: Failure) {
        if let Some(place) = self.table.place(peer)
            && blames_peer(why)
        {
            self.table.forget_spare(place, peer);
            // A peer that is no longer where it was has no second chance there.
            let most = if why == Failure::WrongPeer { 1 } else { self.config.max_failures };
            if self.table.miss(place, peer, most) {
                self.evict(place, peer, Removal::Failed(why));
            }
            self.promote(now.mono);
        }
    }

    /// The peer no longer serves the protocol, or is taken out by hand. A check that is in flight does not bring it
    /// back. Says whether it was in the table.
    pub fn remove(&mut self, now: Now, peer: &O::PeerId) -> bool {
        let Some(place) = self.table.place(peer) else { return false };
        self.checks.bar(peer);
        self.table.forget_spare(place, peer);
        let was_in = self.evict(place, peer, Removal::Withdrawn);
        self.promote(now.mono);
        was_in
    }

    /// Inserts a peer by hand, or one that the caller verified. One that is in the table already counts as seen now,
    /// and has moved to the given address, if there is one.
    ///
    /// # Errors
    /// Says why it is not kept. For want of room it becomes the first candidate in waiting. A known peer keeps its place
    /// and address when the filter does not admit the new address, somebody else is there, or its network group has its
    /// share of the table already.
    pub fn insert(&mut self, now: Now, contact: Contact<O>) -> Result<(), Rejected> {
        self.insert_measured(now, contact, None)
    }

    /// [`Routing::insert`] for a caller who knows the round trip.
    ///
    /// # Errors
    /// The same, and [`Rejected::Latency`] when the round trip is longer than the tolerance.
    pub fn insert_measured(
        &mut self,
        now: Now,
        contact: Contact<O>,
        rtt: Option<Duration>,
    ) -> Result<(), Rejected> {
        let place = self.table.place(&contact.peer).ok_or(Rejected::Own)?;
        if let Some(entry) = self.table.entry_mut(place, &contact.peer) {
            let moved = contact.is_located() && contact.addr != entry.contact.addr;
            if moved {
                self.relocate_to(place, &contact)?;
            }
            if let Some(entry) = self.table.entry_mut(place, &contact.peer) {
                entry.touch(now.mono, rtt);
            }
            return Ok(());
        }
        self.table.forget_spare(place, &contact.peer);
        self.enter(now.mono, place, O::detach(contact), rtt)
    }

    /// Where a peer of the table (or in waiting) can be reached has changed. Says whether it is in the table. For
    /// addresses that the peer itself vouched for, over an authenticated connection or by answering there. It stays
    /// known at the old address when the filter does not admit it at the new one, when somebody else is there, or when the
    /// network group of that has its share of the table already.
    pub fn relocate(&mut self, contact: &Contact<O>) -> bool {
        let Some(place) = self.table.place(&contact.peer) else { return false };
        let Some(entry) = self.table.entry_mut(place, &contact.peer) else { return false };
        if entry.contact.addr != contact.addr && contact.is_located() {
            // A refusal is counted, and otherwise changes nothing.
            let _ = self.relocate_to(place, contact);
        }
        true
    }

    fn relocate_to(&mut self, place: Place, contact: &Contact<O>) -> Result<(), Rejected> {
        if !self.admit.admit(contact) {
            return Err(self.refuse(Rejected::Filtered));
        }
        let moved = self.table.relocate(place, O::detach(contact.clone()), self.admit.prefers(contact));
        moved.map_err(|rejected| self.refuse(rejected))
    }

    fn refuse(&mut self, rejected: Rejected) -> Rejected {
        self.counts.refused(rejected);
        rejected
    }

    /// A check ended. Unknown and late ids are ignored.
    pub fn checked(&mut self, now: Now, id: CheckId, outcome: Result<Checked, Failure>) {
        let Some(check) = self.checks.finish(id) else { return };
        if let Some(bucket) = check.bucket {
            self.table.expected(bucket);
        }
        let peer = check.contact.peer.clone();
        let outcome = outcome.map(|answer| answer.rtt);
        match outcome {
            Ok(rtt) => {
                self.counts.checks_passed += 1;
                self.passed(now, check, rtt);
            }
            Err(why) => {
                self.counts.checks_failed += 1;
                self.failed(now, &peer, why);
            }
        }
        let left = outcome.is_err_and(blames_peer) && self.table.get(&peer).is_none();
        if let Some(refresh) = &mut self.refresh {
            refresh.resolved(&peer, left);
        }
        for (_, bootstrap) in &mut self.bootstraps {
            bootstrap.resolved(now.mono, &peer, outcome, left);
        }
        self.probed(now.mono, &peer, outcome.is_ok());
        self.promote(now.mono);
    }

    fn passed(&mut self, now: Now, check: Check<O>, rtt: Duration) {
        let peer = &check.contact.peer;
        let Some(place) = self.table.place(peer) else { return };
        if self.table.contains(place, peer) {
            self.alive(now, peer, rtt);
        } else if !check.barred {
            // It may have left the table during its check and be in waiting since.
            self.table.forget_spare(place, peer);
            // Every refusal is counted where it is decided; a checked peer has nobody to tell it to.
            let _ = self.enter(now.mono, place, check.contact, Some(rtt));
        }
    }

    /// Lets a verified peer in, if there is nothing against it.
    fn enter(
        &mut self,
        now: Mono,
        place: Place,
        contact: Contact<O>,
        rtt: Option<Duration>,
    ) -> Result<(), Rejected> {
        let limit = self.config.latency_tolerance;
        if let Some(rtt) = rtt.filter(|rtt| *rtt > limit) {
            return Err(self.refuse(Rejected::Latency { rtt, limit }));
        }
        if !self.admit.admit(&contact) {
            return Err(self.refuse(Rejected::Filtered));
        }
        let preferred = self.admit.prefers(&contact);
        // Most contacts find no room: what costs something is done for the others only.
        let room = match self.table.room(place, &contact, preferred) {
            Ok(room) => room,
            Err(rejected) => {
                match rejected {
                    Rejected::Capacity { .. } => {
                        self.table.offer(place, Spare { contact, verified: Some(Secs::of(now)), preferred });
                    }
                    Rejected::Place => self.doubt_occupant(now, &contact),
                    _ => {}
                }
                return Err(self.refuse(rejected));
            }
        };
        self.lost.retain(|lost| lost.peer != contact.peer);
        let added = Event::Added { contact: contact.clone(), bucket: place.bucket as u32 };
        if let Some(entry) = self.table.insert(place, room, Entry::new(now, contact, rtt, preferred)) {
            self.displaced(now, entry);
        }
        self.counts.added += 1;
        self.tell(added);
        Ok(())
    }

    /// The table put a live peer out in favour of a nearer or preferred one; it is the first of its kind to return.
    fn displaced(&mut self, now: Mono, entry: Entry<O>) {
        self.counts.removed += 1;
        self.tell(Event::Removed { peer: entry.contact.peer.clone(), cause: Removal::Displaced });
        if let Some(place) = self.table.place(&entry.contact.peer) {
            let spare = Spare { verified: Some(Secs::of(now)), ..entry.into_spare() };
            self.table.offer(place, spare);
        }
    }

    /// Puts a peer out, if it is in.
    fn evict(&mut self, place: Place, peer: &O::PeerId, cause: Removal) -> bool {
        let Some(contact) = self.table.remove(place, peer) else { return false };
        if matches!(cause, Removal::Failed(_)) {
            self.lose(contact);
        }
        self.gone(peer.clone(), cause);
        true
    }

    /// A peer left: tells it, and that the table is empty if so.
    pub(crate) fn gone(&mut self, peer: O::PeerId, cause: Removal) {
        self.counts.removed += 1;
        self.tell(Event::Removed { peer, cause });
        if self.table.is_empty() && self.bootstraps.is_empty() {
            self.tell(Event::BootstrapNeeded);
        }
    }

    /// Puts out whom the filter no longer admits; says how many.
    pub(crate) fn sift(&mut self) -> usize {
        let unwanted = self.table.iter().filter(|entry| !self.admit.admit(entry.contact));
        let unwanted: Vec<_> = unwanted.map(|entry| entry.contact.peer.clone()).collect();
        for peer in &unwanted {
            if let Some(place) = self.table.place(peer) {
                self.evict(place, peer, Removal::Filtered);
            }
        }
        unwanted.len()
    }

    /// Checks candidates in waiting for whom there is room now.
    pub(crate) fn promote(&mut self, now: Mono) {
        while self.has_candidate_slot()
            && let Some(contact) = self.table.promotable()
        {
            self.check(now, contact, self.config.check_timeout);
        }
    }

    /// Whether one more candidate may be checked. While the table checks peers for its own purposes, a quarter of the
    /// checks is theirs, so that a flood of candidates cannot hold up a refresh or bootstrap.
    pub(crate) fn has_candidate_slot(&self) -> bool {
        let most = self.config.max_checks;
        let upkeep = self.refresh.is_some() || !self.bootstraps.is_empty();
        let reserved = if upkeep { most.div_ceil(4).min(most - 1) } else { 0 };
        self.checks.len() < most - reserved
    }

    /// Begins a check, or leaves it at the one that is in flight for this peer.
    pub(crate) fn check(&mut self, now: Mono, contact: Contact<O>, timeout: Duration) {
        let Some(place) = self.table.place(&contact.peer) else { return };
        if self.checks.contains(&contact.peer) {
            return;
        }
        let newcomer = !self.table.contains(place, &contact.peer);
        if newcomer {
            self.table.forget_spare(place, &contact.peer);
            self.table.expect(place.bucket);
        }
        let contact = O::detach(contact);
        let id = self.checks.start(now, contact.clone(), timeout, newcomer.then_some(place.bucket));
        self.out.push_back(Action::Check { id, contact, timeout });
    }

    pub(crate) fn tell(&mut self, event: Event<O>) {
        self.out.push_back(Action::Event(event));
    }

    /// Each contact once, without the local peer.
    pub(crate) fn distinct(&self, contacts: impl IntoIterator<Item = Contact<O>>) -> Vec<Contact<O>> {
        let mut known = BTreeSet::from([self.table.local().clone()]);
        contacts.into_iter().filter(|contact| known.insert(contact.peer.clone())).collect()
    }
}
