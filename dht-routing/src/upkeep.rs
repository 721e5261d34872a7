//! What the machine does on its own account: it drives refreshes, bootstraps and repairs, keeps their appointments and
//! says what to do next.

use std::{sync::Arc, time::Duration};

use dht_core::{Contact, Failure, Mono, Now, Overlay};

use crate::{
    Action, BootstrapId, BootstrapOptions, Event, LookupId, RefreshId, Routing,
    bootstrap::{self, Bootstrap},
    calendar::Due,
    lookup::Purpose,
    refresh::{self, Refresh},
};

/// How long a contact may take while an empty table recovers. They are asked again and again, so that one that has come back
/// is not waited for until the usual time for those that are gone is over.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(5);

impl<O: Overlay> Routing<O> {
    /// What to do next; to be called until it says [`Action::Wait`]. Its deadline lies in the future.
    pub fn poll(&mut self, now: Now) -> Action<O> {
        if self.out.is_empty() {
            self.work(now);
        }
        self.out.pop_front().unwrap_or_else(|| Action::Wait(self.alarm()))
    }

    /// Refreshes the table: silent peers and a few of the lost ones are checked, then the own key is looked up, then a key
    /// in each bucket that is not full, was idle for the interval and was not met whole by the first lookup, or in every
    /// bucket when `forced`. A refresh that runs already is joined, unless only this one is forced: then it runs next.
    /// [`Event::Refreshed`] carries the id in every case, an empty table included.
    pub fn refresh(&mut self, now: Now, forced: bool) -> RefreshId {
        self.request_refresh(now.mono, forced)
    }

    /// Joins the network through the seeds; the fallback contacts (defaults, persisted peers) are asked when too few
    /// peers were found, or when there are no seeds. Both are remembered for the day the table is empty. With nobody
    /// named and nobody known it succeeds at once: this is the first node. Success is otherwise that anybody answered
    /// or the table holds somebody. [`Event::Bootstrapped`] tells, within the limit; a forced refresh follows a success
    /// unless automatic refreshes are off.
    pub fn bootstrap(
        &mut self,
        now: Now,
        seeds: Vec<Contact<O>>,
        fallback: Vec<Contact<O>>,
        options: BootstrapOptions,
    ) -> BootstrapId {
        if let Some(interval) = options.periodic_refresh_interval {
            Arc::make_mut(&mut self.config).refresh_interval = interval.max(Duration::from_secs(1));
            self.calendar.refreshed(now.mono, &self.config);
        }
        let seeds = self.distinct(seeds.into_iter().map(O::detach));
        let fallback = self.distinct(fallback.into_iter().map(O::detach));
        self.remember(seeds.iter().chain(&fallback).cloned());
        self.last_id += 1;
        let id = BootstrapId(self.last_id);
        self.start_bootstrap(now.mono, Some(id), seeds, fallback, options);
        id
    }

    /// Contacts to turn to when the table is empty or a part of the network seems lost, before those that were remembered
    /// earlier; at most [`Config::max_remembered`](crate::Config::max_remembered) are kept. Nobody is asked now: for a
    /// table that was filled by hand. [`Routing::bootstrap`] remembers on its own.
    pub fn remember(&mut self, contacts: impl IntoIterator<Item = Contact<O>>) {
        let older = std::mem::take(&mut self.remembered);
        self.remembered = self.distinct(contacts.into_iter().map(O::detach).chain(older));
        self.remembered.truncate(self.config.max_remembered);
        self.remembered.shrink_to_fit();
    }

    /// A lookup that the table asked for ended; `found` peers answered in it. Unknown and late ids are ignored.
    pub fn looked_up(&mut self, now: Now, id: LookupId, found: usize) {
        let Some(purpose) = self.lookups.finish(id) else { return };
        match purpose {
            Purpose::Refresh(prefix) => {
                self.bucket_looked_up(now.mono, prefix, found);
                if let Some(refresh) = &mut self.refresh {
                    refresh.looked_up(found, &self.table);
                }
            }
            Purpose::Bootstrap(of, number, prefix) => {
                self.bucket_looked_up(now.mono, prefix, found);
                if let Some((_, bootstrap)) = self.bootstraps.iter_mut().find(|(running, _)| *running == of) {
                    bootstrap.looked_up(now.mono, number);
                }
            }
            // Who answered in it has been heard.
            Purpose::Outside => {}
        }
    }

    /// A lookup that somebody else wanted ran for this key and found somebody: its bucket needs no refresh for a while.
    pub fn note_lookup(&mut self, now: Now, key: &O::Key) {
        if let Some(place) = self.table.place_of(key)
            && place.bucket < self.table.buckets().len()
        {
            self.table.bucket_mut(place.bucket).refresh(now.mono);
        }
    }

    /// Keeps its options where `other` keeps them, if they are the same.
    pub fn share(&mut self, other: &Self) {
        if self.config == other.config {
            self.config = other.config.clone();
        }
    }

    /// Gives back the memory of what has ended, for owners of very many tables that mostly wait.
    pub fn rest(&mut self) {
        if self.out.is_empty() {
            self.out.shrink_to_fit();
        }
        self.checks.rest();
        self.lookups.rest();
    }

    /// Switches the table's own refreshes and repairs on or off. What runs already goes on.
    pub fn set_auto_refresh(&mut self, now: Now, on: bool) {
        Arc::make_mut(&mut self.config).auto_refresh = on;
        self.watch(now.mono);
    }

    fn bucket_looked_up(&mut self, now: Mono, prefix: Option<u32>, found: usize) {
        if let Some(prefix) = prefix.filter(|_| found > 0) {
            self.table.bucket_mut(prefix as usize).refresh(now);
            self.tell(Event::BucketRefreshed { prefix });
        }
    }

    /// Does everything that can be done now. Ends because each step either consumes an appointment or a deadline, or
    /// brings a refresh or bootstrap nearer to its end.
    fn work(&mut self, now: Now) {
        self.notice_sleep(now);
        while let Some(id) = self.checks.lost(now.mono) {
            self.checked(now, id, Err(Failure::Timeout));
        }
        while let Some(id) = self.lookups.lost(now.mono) {
            self.looked_up(now, id, 0);
        }
        loop {
            let mut worked = self.drive_bootstraps(now.mono);
            worked |= self.drive_refresh(now.mono);
            worked |= self.keep_appointments(now.mono);
            if !worked {
                return;
            }
        }
    }

    /// After a sleep nobody seems silent, whoever has gone: everybody is checked and the whole neighbourhood looked up.
    fn notice_sleep(&mut self, now: Now) {
        if self.sleep.noticed(now, self.config.refresh_interval)
            && self.config.auto_refresh
            && !self.table.is_empty()
        {
            self.sleep.doubts = true;
            self.request_refresh(now.mono, true);
        }
    }

    fn watch(&mut self, now: Mono) {
        let lonely = self.table.is_empty() && self.remembered.is_empty() && self.lost.is_empty();
        self.calendar.watch(now, &self.config, self.table.len(), lonely);
    }

    fn alarm(&self) -> Option<Mono> {
        let bootstraps = self.bootstraps.iter().map(|(_, bootstrap)| bootstrap.alarm());
        let others = [self.checks.alarm(), self.lookups.alarm(), self.calendar.alarm()];
        others.into_iter().flatten().chain(bootstraps).min()
    }

    pub(crate) fn slots(&self) -> usize {
        self.config.max_checks.saturating_sub(self.checks.len())
    }

    fn keep_appointments(&mut self, now: Mono) -> bool {
        self.watch(now);
        let busy = !self.bootstraps.is_empty() || self.refresh.is_some();
        match self.calendar.due(now, &self.config, busy) {
            None => return false,
            Some(Due::Repair) if self.table.is_empty() => self.recover(now),
            Some(due) => drop(self.request_refresh(now, due == Due::Repair)),
        }
        true
    }

    /// Bootstraps from what is remembered; the lost peers and the seeds take turns, since either may all be gone.
    fn recover(&mut self, now: Mono) {
        let mut seeds = self.remembered.iter();
        let mut lost = self.lost.iter().rev();
        let mut contacts = Vec::new();
        loop {
            let pair = [seeds.next(), lost.next()];
            if pair == [None, None] {
                break;
            }
            contacts.extend(pair.into_iter().flatten().cloned());
        }
        let contacts = self.distinct(contacts);
        let options = BootstrapOptions { seed_timeout: RECOVERY_TIMEOUT, ..BootstrapOptions::default() };
        self.start_bootstrap(now, None, contacts, Vec::new(), options);
    }

    fn start_bootstrap(
        &mut self,
        now: Mono,
        id: Option<BootstrapId>,
        seeds: Vec<Contact<O>>,
        fallback: Vec<Contact<O>>,
        options: BootstrapOptions,
    ) {
        self.last_id += 1;
        let bootstrap = Bootstrap::new(now, id, seeds, fallback, options, self.config.resiliency);
        self.bootstraps.push((self.last_id, bootstrap));
    }

    fn drive_bootstraps(&mut self, now: Mono) -> bool {
        let mut worked = false;
        let mut i = 0;
        while i < self.bootstraps.len() {
            let slots = self.slots();
            let (number, bootstrap) = &mut self.bootstraps[i];
            let number = *number;
            match bootstrap.next(now, &self.table, slots) {
                bootstrap::Want::Check(contact, timeout) => self.check(now, contact, timeout),
                bootstrap::Want::Lookup(prefix) => {
                    let purpose = Purpose::Bootstrap(number, bootstrap.lookups(), prefix);
                    self.look_up(now, prefix, purpose);
                }
                bootstrap::Want::Nothing => {
                    i += 1;
                    continue;
                }
                bootstrap::Want::Done => self.end_bootstrap(now, i),
            }
            worked = true;
        }
        worked
    }

    fn end_bootstrap(&mut self, now: Mono, i: usize) {
        let (_, bootstrap) = self.bootstraps.remove(i);
        let id = bootstrap.id;
        // Whoever knows nobody has waited long enough when nobody has answered.
        let over = if self.table.is_empty() { bootstrap.took(now) } else { Duration::ZERO };
        let result = bootstrap.result(now, self.table.len());
        let joined = result.is_ok() && !self.table.is_empty();
        self.calendar.rest(now, over);
        match id {
            Some(id) => self.tell(Event::Bootstrapped { id, result }),
            None if !joined => self.tell(Event::BootstrapNeeded),
            None => {}
        }
        if joined && self.config.auto_refresh {
            self.request_refresh(now, true);
        }
    }

    pub(crate) fn request_refresh(&mut self, now: Mono, forced: bool) -> RefreshId {
        self.last_id += 1;
        let id = RefreshId(self.last_id);
        match &mut self.refresh {
            None => self.start_refresh(now, vec![id], forced),
            Some(running) if forced && !running.forced => self.queued.push(id),
            Some(running) => running.ids.push(id),
        }
        id
    }

    fn start_refresh(&mut self, now: Mono, ids: Vec<RefreshId>, forced: bool) {
        let evicted = self.sift();
        let doubted = std::mem::take(&mut self.sleep.doubts);
        let staleness = if doubted { Duration::ZERO } else { self.config.staleness() };
        // Taken from the end: the nearest are checked first.
        let silent = self.table.iter().filter(|entry| now.since(entry.last_seen) >= staleness);
        let silent = silent.map(|entry| entry.contact.peer.clone()).collect();
        let (interval, max_prefix) = (self.config.refresh_interval, self.config.max_refresh_prefix);
        self.refresh = Some(Box::new(Refresh::new(now, ids, forced, interval, max_prefix, silent, evicted)));
        self.probe_lost(now);
        self.promote(now);
    }

    fn drive_refresh(&mut self, now: Mono) -> bool {
        let mut worked = false;
        loop {
            let slots = self.slots();
            let Some(refresh) = &mut self.refresh else { return worked };
            match refresh.next(now, &self.table, slots) {
                refresh::Want::Check(contact) => self.check(now, contact, self.config.check_timeout),
                refresh::Want::Lookup(prefix) => self.look_up(now, prefix, Purpose::Refresh(prefix)),
                refresh::Want::Nothing => return worked,
                refresh::Want::Done => self.end_refresh(now),
            }
            worked = true;
        }
    }

    fn end_refresh(&mut self, now: Mono) {
        let Some(refresh) = self.refresh.take() else { return };
        let report = refresh.report(now, self.table.len());
        for id in refresh.ids {
            self.tell(Event::Refreshed { id, report });
        }
        self.counts.refreshes += 1;
        self.last_refresh = Some(now);
        self.calendar.refreshed(now, &self.config);
        self.calendar.rest(now, Duration::ZERO);
        if !self.queued.is_empty() {
            let queued = std::mem::take(&mut self.queued);
            self.start_refresh(now, queued, true);
        }
    }

    fn look_up(&mut self, now: Mono, prefix: Option<u32>, purpose: Purpose) {
        let target = match prefix {
            None => O::peer_target(self.table.local()),
            Some(prefix) => O::refresh_target(self.table.local_key(), prefix, self.draws.next_u64()),
        };
        let timeout = self.config.lookup_timeout;
        let id = self.lookups.start(now, timeout, purpose);
        self.out.push_back(Action::Lookup { id, target, through: None, timeout });
    }
}
