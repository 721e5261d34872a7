//! One refresh: silent peers are checked, then the own key is looked up, then one key in each bucket that has room and
//! that this did not cover. It decides what comes next and keeps the score; sending, evicting and the calendar are not
//! its business.

use std::{collections::BTreeSet, time::Duration};

use dht_core::{Contact, KadKey, Mono, Overlay};

use crate::{RefreshId, RefreshReport, table::Table};

/// What a refresh wants now.
#[derive(Debug)]
pub(crate) enum Want<O: Overlay> {
    /// Check this peer.
    Check(Contact<O>),
    /// Look up a key with this prefix, or the own one.
    Lookup(Option<u32>),
    /// An outcome that is under way.
    Nothing,
    /// It is over.
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Check,
    Own,
    Prefix(u32),
}

/// A refresh under way.
pub(crate) struct Refresh<O: Overlay> {
    /// Whoever asked for it; signalled together.
    pub(crate) ids: Vec<RefreshId>,
    /// All buckets, not only the idle ones.
    pub(crate) forced: bool,
    started: Mono,
    interval: Duration,
    step: Step,
    /// Silent peers still to be checked.
    silent: Vec<O::PeerId>,
    /// Peers whose outcome is under way.
    waiting: BTreeSet<O::PeerId>,
    looking: bool,
    /// The lookup under way began under an earlier own name.
    outdated: bool,
    /// From this prefix on none is looked up; a gap lowers it, and a lookup of the own key that found its neighbourhood.
    end: u32,
    report: RefreshReport,
}

impl<O: Overlay> Refresh<O> {
    /// Begins a refresh that first checks the `silent` peers; `evicted` ones the filter removed just now.
    pub(crate) fn new(
        now: Mono,
        ids: Vec<RefreshId>,
        forced: bool,
        interval: Duration,
        max_prefix: u32,
        silent: Vec<O::PeerId>,
        evicted: usize,
    ) -> Self {
        Self {
            ids,
            forced,
            started: now,
            interval,
            step: Step::Check,
            silent,
            waiting: BTreeSet::new(),
            looking: false,
            outdated: false,
            end: max_prefix.min(O::Key::BITS - 1) + 1,
            report: RefreshReport { evicted, ..RefreshReport::default() },
        }
    }

    /// What to do next; to be asked until it says `Nothing` or `Done`. `slots`: checks that may be started.
    pub(crate) fn next(&mut self, now: Mono, table: &Table<O>, slots: usize) -> Want<O> {
        if self.step == Step::Check {
            while slots > 0
                && let Some(peer) = self.silent.pop()
            {
                // It may have left since the list was made.
                let Some(entry) = table.get(&peer) else { continue };
                self.waiting.insert(peer);
                return Want::Check(entry.contact.clone());
            }
            if !self.silent.is_empty() || !self.waiting.is_empty() {
                return Want::Nothing;
            }
            self.step = Step::Own;
        }
        if self.looking {
            return Want::Nothing;
        }
        if table.is_empty() {
            return Want::Done;
        }
        match self.step {
            Step::Check | Step::Own => self.lookup(None),
            Step::Prefix(from) => self.next_prefix(now, from, table),
        }
    }

    /// The next prefix that needs a lookup. The bound moves: peers that lookups found enter meanwhile, deeper ones too.
    fn next_prefix(&mut self, now: Mono, from: u32, table: &Table<O>) -> Want<O> {
        let mut prefix = from;
        while prefix < self.end && table.deepest().is_some_and(|deepest| prefix as usize <= deepest) {
            self.step = Step::Prefix(prefix);
            if self.forced || self.needs_lookup(now, prefix, table) {
                return self.lookup(Some(prefix));
            }
            self.leave(prefix, table);
            prefix += 1;
        }
        Want::Done
    }

    /// A full bucket does not: a lookup within it meets three of its peers and twenty for whom it has no room, and the
    /// checks of silent peers, which come first, meet them all (Amino spec, A12: ping the silent ones, refill buckets).
    fn needs_lookup(&self, now: Mono, prefix: u32, table: &Table<O>) -> bool {
        table.buckets().get(prefix as usize).is_none_or(|bucket| {
            bucket.len() < table.k() && bucket.refreshed().is_none_or(|at| now.since(at) >= self.interval)
        })
    }

    fn lookup(&mut self, prefix: Option<u32>) -> Want<O> {
        self.looking = true;
        self.report.lookups += 1;
        Want::Lookup(prefix)
    }

    /// The gap rule: when nobody is found at a prefix, the network is hardly deeper than that, and what lies beyond is
    /// the neighbourhood of one lucky find. Only so many further prefixes are worth a lookup.
    fn leave(&mut self, prefix: u32, table: &Table<O>) {
        if table.is_gap(prefix as usize) {
            self.end = self.end.min(2 * (prefix + 1) + 1);
        }
        self.step = Step::Prefix(prefix + 1);
    }

    /// The neighbourhood rule: the lookup of the own key asks the k nearest. Where a prefix and all beyond it have fewer
    /// than k peers together, it has met every one of them, and another lookup there would meet them again. On a network
    /// of a thousand nodes these are four prefixes of ten.
    fn cover(&mut self, found: usize, table: &Table<O>) {
        let k = table.k();
        if !self.forced && found >= k.min(table.len()) {
            self.end = self.end.min(table.first_with_fewer(k));
        }
    }

    /// The lookup ended; `found` peers answered.
    pub(crate) fn looked_up(&mut self, found: usize, table: &Table<O>) {
        self.looking = false;
        self.report.fruitless += usize::from(found == 0);
        if std::mem::take(&mut self.outdated) {
            return;
        }
        match self.step {
            Step::Check | Step::Own => {
                self.cover(found, table);
                self.step = Step::Prefix(0);
            }
            Step::Prefix(prefix) => self.leave(prefix, table),
        }
    }

    /// The own name changed: what was looked up so far says little about the new neighbourhood.
    pub(crate) fn renamed(&mut self, max_prefix: u32) {
        self.outdated = self.looking;
        self.end = max_prefix.min(O::Key::BITS - 1) + 1;
        if self.step != Step::Check {
            self.step = Step::Own;
        }
    }

    /// A check ended, of whomever. `left`: the peer failed, and is no longer in the table.
    pub(crate) fn resolved(&mut self, peer: &O::PeerId, left: bool) {
        if self.waiting.remove(peer) {
            self.report.checked += 1;
            self.report.evicted += usize::from(left);
        }
    }

    /// The score at the end.
    pub(crate) fn report(&self, now: Mono, peers: usize) -> RefreshReport {
        RefreshReport { peers, took: now.since(self.started), ..self.report }
    }
}
