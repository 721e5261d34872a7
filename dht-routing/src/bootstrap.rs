//! Joining the network, as one machine per attempt: connect to the seeds, verify who is in the table, discover by
//! lookups, recover through the fallback contacts when too few were found. It decides what comes next and when it is
//! over; sending, evicting and remembering are not its business.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use dht_core::{Contact, Failure, Mono, Overlay};

use crate::{BootstrapFailed, BootstrapId, BootstrapReport, Tried, entry::Secs, table::Table};

/// How long a lookup of the discovery is waited for although enough peers are known. One that meets many who are gone takes
/// several times as long as a dial of one of them; it goes on without being waited for, and the refresh after a join looks
/// up the own key once more.
const PATIENCE: Duration = Duration::from_secs(3);

/// A seed that has not answered for so long does not hold up the next one: most handshakes are done in half of that, and when
/// the first few of a list are gone the rest must not wait for their timeouts.
const OVERDUE: Duration = Duration::from_secs(1);

/// How a bootstrap goes about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapOptions {
    /// Stop after the seeds were asked.
    pub quick_connect_only: bool,
    /// If set, the table's refresh interval from now on (at least one second).
    pub periodic_refresh_interval: Option<Duration>,
    /// How long one seed or fallback contact may take. Default 10 s.
    pub seed_timeout: Duration,
    /// Seeds asked at a time, those who have let a second pass not counted; 0 counts as 1. Default 8.
    pub parallel: usize,
    /// How long one table peer may take. Default 3 s.
    pub verify_timeout: Duration,
    /// How long the verification may take in all. Default 15 s.
    pub verify_limit: Duration,
    /// Lookups of the discovery at most. Default 3.
    pub rounds: usize,
    /// How long the discovery may take. Default 15 s.
    pub discover_limit: Duration,
    /// After an answer, how long stragglers are waited for before it goes on. Default 1 s.
    pub settle: Duration,
    /// How long it may take in all. Default 30 s.
    pub limit: Duration,
}

impl Default for BootstrapOptions {
    fn default() -> Self {
        Self {
            quick_connect_only: false,
            periodic_refresh_interval: None,
            seed_timeout: Duration::from_secs(10),
            parallel: 8,
            verify_timeout: Duration::from_secs(3),
            verify_limit: Duration::from_secs(15),
            rounds: 3,
            discover_limit: Duration::from_secs(15),
            settle: Duration::from_secs(1),
            limit: Duration::from_secs(30),
        }
    }
}

/// What a bootstrap wants now.
#[derive(Debug)]
pub(crate) enum Want<O: Overlay> {
    /// Check this peer.
    Check(Contact<O>, Duration),
    /// Look up a key with this prefix, or the own one.
    Lookup(Option<u32>),
    /// An outcome that is under way, or its alarm.
    Nothing,
    /// It is over.
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connect,
    Verify,
    Discover,
    Recover,
    Done,
}

/// A bootstrap under way.
pub(crate) struct Bootstrap<O: Overlay> {
    /// `None`: the table recovers by itself, nobody waits for a result.
    pub(crate) id: Option<BootstrapId>,
    options: BootstrapOptions,
    resiliency: usize,
    started: Mono,
    phase: Phase,
    /// The phase ends then.
    until: Mono,
    /// Until then the discovery waits for its lookup although enough peers are known; `None` when that time is over.
    patience: Option<Mono>,
    /// Stragglers are waited for until then.
    settled: Option<Mono>,
    /// Contacts this phase has yet to ask.
    queue: VecDeque<Contact<O>>,
    /// Peers this phase has asked and not heard from, and when.
    waiting: BTreeMap<O::PeerId, Mono>,
    /// The next contact of the queue can be asked then although nobody has answered.
    vacancy: Option<Mono>,
    fallback: Vec<Contact<O>>,
    looking: bool,
    rounds: usize,
    answered: usize,
    report: BootstrapReport<O>,
}

impl<O: Overlay> Bootstrap<O> {
    /// Begins. Both lists hold each peer once and never the local one.
    pub(crate) fn new(
        now: Mono,
        id: Option<BootstrapId>,
        mut seeds: Vec<Contact<O>>,
        mut fallback: Vec<Contact<O>>,
        options: BootstrapOptions,
        resiliency: usize,
    ) -> Self {
        if seeds.is_empty() {
            seeds = std::mem::take(&mut fallback);
        }
        fallback.retain(|contact| seeds.iter().all(|seed| seed.peer != contact.peer));
        let limit = options.limit;
        let mut new = Self {
            id,
            options,
            resiliency,
            started: now,
            phase: Phase::Connect,
            until: now + limit,
            patience: None,
            settled: None,
            queue: VecDeque::new(),
            waiting: BTreeMap::new(),
            vacancy: None,
            fallback,
            looking: false,
            rounds: 0,
            answered: 0,
            report: BootstrapReport::default(),
        };
        new.ask(seeds);
        new
    }

    /// When to look again although nothing happened.
    pub(crate) fn alarm(&self) -> Mono {
        let limit = self.until.min(self.started + self.options.limit);
        self.settled.into_iter().chain(self.patience).chain(self.vacancy).fold(limit, Mono::min)
    }

    /// What to do next; to be asked until it says `Nothing` or `Done`. `slots`: checks that may be started.
    pub(crate) fn next(&mut self, now: Mono, table: &Table<O>, slots: usize) -> Want<O> {
        self.vacancy = None;
        loop {
            if now >= self.started + self.options.limit {
                self.phase = Phase::Done;
            }
            let settled = self.settled.is_some_and(|settled| now >= settled);
            let over = match self.phase {
                Phase::Connect | Phase::Recover => settled || now >= self.until || self.has_answers(),
                Phase::Verify => now >= self.until,
                Phase::Discover => match self.discover(now, table, settled) {
                    Some(want) => return want,
                    None => true,
                },
                Phase::Done => return Want::Done,
            };
            if !over {
                let timely = self.waiting.values().map(|asked| *asked + OVERDUE).filter(|end| *end > now);
                if timely.clone().count() < self.parallel()
                    && slots > 0
                    && let Some(contact) = self.queue.pop_front()
                {
                    self.waiting.insert(contact.peer.clone(), now);
                    return Want::Check(contact, self.timeout());
                }
                if !self.queue.is_empty() {
                    self.vacancy = timely.min();
                    return Want::Nothing;
                }
                if !self.waiting.is_empty() {
                    return Want::Nothing;
                }
            }
            self.advance(now, table);
        }
    }

    fn parallel(&self) -> usize {
        if self.phase == Phase::Verify { usize::MAX } else { self.options.parallel.max(1) }
    }

    fn timeout(&self) -> Duration {
        if self.phase == Phase::Verify { self.options.verify_timeout } else { self.options.seed_timeout }
    }

    /// Enough seeds answered: the mute ones need not be waited for.
    fn has_answers(&self) -> bool {
        self.answered >= self.resiliency
    }

    /// The own key, then random ones while too few peers are known. `None`: the phase is over.
    fn discover(&mut self, now: Mono, table: &Table<O>, settled: bool) -> Option<Want<O>> {
        if now >= self.until {
            return None;
        }
        self.patience = self.patience.filter(|patience| now < *patience);
        let enough = self.rounds > 0 && table.len() >= self.resiliency.saturating_mul(2);
        if self.looking {
            let waits = self.patience.is_some() || !enough;
            return waits.then_some(Want::Nothing);
        }
        if table.pending() > 0 && self.settled.is_some() && !settled {
            return Some(Want::Nothing);
        }
        self.settled = None;
        if table.is_empty() || enough || self.rounds >= self.options.rounds {
            return None;
        }
        // The far halves first: that is where most of the network is.
        let prefix = self.rounds.checked_sub(1).map(|prefix| prefix as u32);
        self.rounds += 1;
        self.looking = true;
        self.report.lookups += 1;
        Some(Want::Lookup(prefix))
    }

    /// Leaves the phase for the next one.
    fn advance(&mut self, now: Mono, table: &Table<O>) {
        self.queue.clear();
        self.waiting.clear();
        self.settled = None;
        self.patience = None;
        self.looking = false;
        let limit = match self.phase {
            Phase::Connect if self.options.quick_connect_only => return self.phase = Phase::Done,
            Phase::Connect => {
                let start = Secs::of(self.started).mono();
                let old = table.iter().filter(|entry| entry.last_seen < start);
                self.queue = old.map(|entry| entry.contact.clone()).collect();
                self.phase = Phase::Verify;
                self.options.verify_limit
            }
            Phase::Verify => {
                self.phase = Phase::Discover;
                self.options.discover_limit
            }
            Phase::Discover if table.len() < self.resiliency && !self.fallback.is_empty() => {
                self.phase = Phase::Recover;
                self.report.recovered = true;
                self.answered = 0;
                let fallback = std::mem::take(&mut self.fallback);
                self.ask(fallback);
                self.options.limit
            }
            Phase::Recover => {
                self.phase = Phase::Discover;
                self.rounds = 0;
                self.options.discover_limit
            }
            Phase::Discover | Phase::Done => return self.phase = Phase::Done,
        };
        self.until = now + limit;
        if self.phase == Phase::Discover {
            self.patience = Some(now + PATIENCE);
        }
    }

    fn ask(&mut self, contacts: Vec<Contact<O>>) {
        let silent = contacts
            .iter()
            .map(|contact| Tried { peer: contact.peer.clone(), outcome: Err(Failure::Timeout) });
        self.report.tried.extend(silent);
        self.queue = contacts.into();
    }

    /// Asks no contact from now on that is not to be kept.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Contact<O>) -> bool) {
        self.queue.retain(&keep);
        self.fallback.retain(&keep);
    }

    /// A check ended, of whomever. `left`: the peer failed, and is no longer in the table.
    pub(crate) fn resolved(
        &mut self,
        now: Mono,
        peer: &O::PeerId,
        outcome: Result<Duration, Failure>,
        left: bool,
    ) {
        if let Some(tried) = self.report.tried.iter_mut().find(|tried| tried.peer == *peer) {
            tried.outcome = outcome;
        }
        if self.waiting.remove(peer).is_none() {
            return;
        }
        match (self.phase, outcome) {
            (Phase::Verify, Ok(_)) => self.report.verified += 1,
            (Phase::Verify, Err(_)) if left => {
                self.report.evicted += 1;
                self.report.tried.push(Tried { peer: peer.clone(), outcome });
            }
            (_, Ok(_)) => {
                self.answered += 1;
                self.settled.get_or_insert(now + self.options.settle);
            }
            (_, Err(_)) => {}
        }
    }

    /// How many lookups were wanted so far; names the latest one.
    pub(crate) fn lookups(&self) -> usize {
        self.report.lookups
    }

    /// A lookup ended; late ones of an earlier phase do not count. Whom it found is being checked now, and waited for a little.
    pub(crate) fn looked_up(&mut self, now: Mono, number: usize) {
        if self.looking && self.report.lookups == number {
            self.looking = false;
            self.settled = Some(now + self.options.settle);
        }
    }

    /// How long it has been running.
    pub(crate) fn took(&self, now: Mono) -> Duration {
        now.since(self.started)
    }

    /// How it went, at the end.
    pub(crate) fn result(self, now: Mono, peers: usize) -> Result<BootstrapReport<O>, BootstrapFailed<O>> {
        let took = self.took(now);
        let tried = &self.report.tried;
        let alone = tried.is_empty() && peers == 0;
        if alone || peers > 0 || tried.iter().any(|tried| tried.outcome.is_ok()) {
            Ok(BootstrapReport { alone, peers, took, ..self.report })
        } else {
            Err(BootstrapFailed { tried: self.report.tried, took })
        }
    }
}
