//! Which of our own items are due to be announced again: a pure machine over the age of each.
//!
//! Records fade from the network as their holders leave, so whoever published one announces it again before that. The
//! machine keeps no file and sends nothing: after a restart it is filled again from the store's own items, whose
//! `received` says when they were last announced. A publisher that was away for long has everything overdue at once; it
//! catches up oldest first, at a bounded rate.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use derive_where::derive_where;
use dht_core::{
    InvalidConfig, Mono, Now, Overlay, Rng, Wall,
    rand_core::{Rng as _, SeedableRng},
};
use thiserror::Error;

use crate::{
    Stored,
    clock::{Clock, Moment, nanos},
};

/// Options of a [`Republisher`].
#[derive(Clone, Debug, PartialEq)]
pub struct RepublishConfig {
    /// Items it keeps track of. Default 1 000 000.
    pub max_items: usize,
    /// Up to this share of its interval an item is due early, so that what was published together spreads. Default 0.1.
    pub jitter: f64,
    /// How many times the rate of the steady state is kept to while catching up. Default 2.
    pub catch_up: f64,
    /// Items that may be handed out at once before the rate counts. Default 10.
    pub burst: u32,
    /// After how long an item that could not be announced is due again. Default 10 min.
    pub retry: Duration,
}

impl Default for RepublishConfig {
    fn default() -> Self {
        Self { max_items: 1_000_000, jitter: 0.1, catch_up: 2.0, burst: 10, retry: Duration::from_secs(600) }
    }
}

impl RepublishConfig {
    /// Whether every option is usable.
    ///
    /// # Errors
    /// Names the first field that is not.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        macro_rules! need {
            ($field:ident, $ok:expr, $rule:literal) => {
                InvalidConfig::require($ok, stringify!($field), self.$field, $rule)?
            };
        }
        need!(max_items, self.max_items >= 1, "at least 1");
        need!(jitter, (0.0..=0.5).contains(&self.jitter), "from 0 to 0.5");
        // Items are due up to the jitter early, so the steady state alone needs up to twice the plain rate.
        need!(
            catch_up,
            (1.0 / (1.0 - self.jitter)..=1e6).contains(&self.catch_up),
            "from 1 / (1 - jitter) to 1e6"
        );
        need!(burst, self.burst >= 1, "at least 1");
        need!(retry, self.retry >= Duration::from_secs(1), "at least 1 s");
        Ok(())
    }
}

/// What a [`Republisher`] wants.
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub enum Republish<O: Overlay> {
    /// Announce this now. It is due again one interval from now; [`Republisher::retry`] says that it could not be done.
    Due {
        /// What the item stands under.
        query: O::Query,
        /// The item.
        item: O::Item,
    },
    /// Nothing to do before this; `None`: nothing is tracked.
    Wait(Option<Mono>),
}

/// More items than [`RepublishConfig::max_items`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("more than {limit} items to republish")]
pub struct TooMany {
    /// The limit.
    pub limit: usize,
}

impl TooMany {
    /// The shared kind: [`dht_core::ErrorKind::Capacity`].
    pub fn kind(self) -> dht_core::ErrorKind {
        dht_core::ErrorKind::Capacity
    }
}

/// One tracked item.
struct Tracked<O: Overlay> {
    query: O::Query,
    item: O::Item,
    interval: Duration,
    due: Moment,
}

/// Says which own items are due to be announced again.
///
/// Age counts by the wall clock, so that it goes on across a restart; a clock set back does not postpone anything, see the
/// crate's stores. The rate counts by the monotonic clock.
pub struct Republisher<O: Overlay> {
    config: RepublishConfig,
    rng: Rng,
    clock: Clock,
    items: BTreeMap<u64, Tracked<O>>,
    names: BTreeMap<(O::Query, O::Slot), u64>,
    due: BTreeSet<(Moment, u64)>,
    next_id: u64,
    /// Announcements of the steady state per nanosecond, in units of 2^-80: exact, so that it does not drift.
    pace: u128,
    tokens: f64,
    refilled: Option<Mono>,
}

impl<O: Overlay> Republisher<O> {
    /// Tracks nothing yet.
    ///
    /// # Errors
    /// When an option of `config` is not usable.
    pub fn new(config: RepublishConfig, seed: u64) -> Result<Self, InvalidConfig> {
        config.validate()?;
        Ok(Self {
            tokens: f64::from(config.burst),
            config,
            rng: Rng::seed_from_u64(seed),
            clock: Clock::default(),
            items: BTreeMap::new(),
            names: BTreeMap::new(),
            due: BTreeSet::new(),
            next_id: 0,
            pace: 0,
            refilled: None,
        })
    }

    /// Tracks an item that was last announced at `announced`, or at `Wall::default()` if never: it is due one `interval`
    /// (at least a second) after that. An item in the same slot of the same query is replaced.
    ///
    /// # Errors
    /// When as many items as allowed are tracked already.
    pub fn track(
        &mut self,
        now: Now,
        query: O::Query,
        item: O::Item,
        announced: Wall,
        interval: Duration,
    ) -> Result<(), TooMany> {
        self.clock.read(now.wall);
        let name = (query, O::slot(&item));
        if !self.names.contains_key(&name) && self.items.len() >= self.config.max_items {
            return Err(TooMany { limit: self.config.max_items });
        }
        self.remove(&name.0, &name.1);
        let interval = interval.max(Duration::from_secs(1));
        let due = self.due_after(self.clock.past(announced), interval);
        let id = self.next_id;
        self.next_id += 1;
        self.pace += pace(interval);
        self.due.insert((due, id));
        self.items.insert(id, Tracked { query: name.0.clone(), item, interval, due });
        self.names.insert(name, id);
        Ok(())
    }

    /// Tracks the own items of a store's scan: `received` is when they were last announced, `interval` their interval;
    /// what it gives `None` for is not republished. Says how many are tracked now.
    ///
    /// # Errors
    /// When there are more than allowed; the first ones are tracked.
    pub fn restore(
        &mut self,
        now: Now,
        records: impl IntoIterator<Item = (O::Query, Stored<O>)>,
        interval: impl Fn(&O::Query, &O::Item) -> Option<Duration>,
    ) -> Result<usize, TooMany> {
        for (query, stored) in records {
            if let Some(interval) = interval(&query, &stored.item) {
                self.track(now, query, stored.item, stored.received, interval)?;
            }
        }
        Ok(self.len())
    }

    /// The item could not be announced: it is due again after the retry time.
    pub fn retry(&mut self, now: Now, query: &O::Query, slot: &O::Slot) {
        let due = self.clock.read(now.wall).saturating_add(nanos(self.config.retry));
        if let Some(&id) = self.names.get(&(query.clone(), slot.clone())) {
            self.reschedule(id, due);
        }
    }

    /// Whether the item in a slot of a query is tracked.
    pub fn tracks(&self, query: &O::Query, slot: &O::Slot) -> bool {
        self.names.contains_key(&(query.clone(), slot.clone()))
    }

    /// Forgets the item in a slot of a query; says whether there was one.
    pub fn remove(&mut self, query: &O::Query, slot: &O::Slot) -> bool {
        let Some(id) = self.names.remove(&(query.clone(), slot.clone())) else { return false };
        if let Some(tracked) = self.items.remove(&id) {
            self.due.remove(&(tracked.due, id));
            self.pace -= pace(tracked.interval);
        }
        true
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.items.clear();
        self.names.clear();
        self.due.clear();
        self.pace = 0;
    }

    /// How many items are tracked.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing is tracked.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The next thing to do; call until it says `Wait`.
    pub fn poll(&mut self, now: Now) -> Republish<O> {
        let moment = self.clock.read(now.wall);
        let rate = self.refill(now.mono);
        let Some(&(due, id)) = self.due.first() else { return Republish::Wait(None) };
        if due > moment {
            return Republish::Wait(Some(now.mono + Duration::from_nanos(due - moment)));
        }
        if self.tokens < 1.0 {
            let wait = Duration::try_from_secs_f64((1.0 - self.tokens) / rate).unwrap_or(Duration::MAX);
            // One microsecond more, so that rounding cannot leave the token a hair short at the time promised.
            return Republish::Wait(Some(now.mono + wait.saturating_add(Duration::from_micros(1))));
        }
        self.tokens -= 1.0;
        let Some(tracked) = self.items.get(&id) else { return Republish::Wait(Some(now.mono)) };
        let (query, item, interval) = (tracked.query.clone(), tracked.item.clone(), tracked.interval);
        let next = self.due_after(moment, interval);
        self.reschedule(id, next);
        Republish::Due { query, item }
    }

    /// Adds the tokens of the time since the last call; says at what rate they come, per second.
    fn refill(&mut self, mono: Mono) -> f64 {
        let rate = self.pace as f64 / (1u128 << 80) as f64 * 1e9 * self.config.catch_up;
        let passed = mono.since(self.refilled.unwrap_or(mono));
        self.refilled = Some(mono.max(self.refilled.unwrap_or(mono)));
        self.tokens = (self.tokens + passed.as_secs_f64() * rate).min(f64::from(self.config.burst));
        rate
    }

    /// One interval after `from`, less a random part of the jitter.
    fn due_after(&mut self, from: Moment, interval: Duration) -> Moment {
        let part = f64::from(self.rng.next_u32()) / f64::from(u32::MAX);
        from.saturating_add((nanos(interval) as f64 * (1.0 - self.config.jitter * part)) as u64)
    }

    fn reschedule(&mut self, id: u64, due: Moment) {
        if let Some(tracked) = self.items.get_mut(&id) {
            self.due.remove(&(tracked.due, id));
            tracked.due = due;
            self.due.insert((due, id));
        }
    }
}

/// What one item adds to the pace: one announcement per interval.
fn pace(interval: Duration) -> u128 {
    (1u128 << 80) / u128::from(nanos(interval).max(1))
}

#[cfg(test)]
mod tests;
