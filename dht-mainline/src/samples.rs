//! Samples of the swarms that a node knows (BEP 51), beside whatever store knows them.
//!
//! The sample is drawn rarely and stays what it is in between, so that who asks often learns no more than who asks once.
//! One that holds every swarm there is has nothing to hide and is drawn again when a swarm was added.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use dht_core::{
    InvalidConfig, Mono, Now, Rng,
    rand_core::{Rng as _, SeedableRng},
};
use dht_records::{Lease, Saved, Statistics, Store, StoreError, Stored, Validator};
use parking_lot::Mutex;

use crate::{InfoHash, Mainline, Query, Record, Samples, Slot, codec::MAX_SAMPLES};

/// Records that are looked at between two points where others may run.
const PAGE: usize = 1024;
/// An incomplete sample is drawn again no sooner, however much is added.
const PAUSE: Duration = Duration::from_secs(1);
/// After so long it is drawn again even if nothing was added, for swarms end too.
const CHECK: Duration = Duration::from_secs(60);
/// How long an answer may be kept: it is made anew for everybody.
const KEPT: Duration = Duration::from_secs(1);

/// What is told of the swarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleConfig {
    /// Swarms in a sample, `0..=20`. Default 20, as libtorrent has it.
    pub count: usize,
    /// How long a sample stays, and how long who has it is asked to wait: at most six hours. Default six hours.
    pub interval: Duration,
}

impl Default for SampleConfig {
    fn default() -> Self {
        Self { count: MAX_SAMPLES, interval: Duration::from_secs(6 * 3600) }
    }
}

impl SampleConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the field that is wrong and what would be right.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require(self.count <= MAX_SAMPLES, "count", self.count, "at most 20")?;
        let longest = Duration::from_secs(6 * 3600);
        InvalidConfig::require(self.interval <= longest, "interval", self.interval, "at most six hours")
    }
}

/// A store that answers [`Query::Samples`] out of what another one keeps; everything else goes through.
pub struct SampleStore<S> {
    store: S,
    config: SampleConfig,
    state: Mutex<State>,
}

struct State {
    rng: Rng,
    sample: Samples,
    drawn: Option<Mono>,
    /// Whether a swarm may have been added since.
    grown: bool,
}

impl<S: Store<Mainline>> SampleStore<S> {
    /// Samples of what `store` keeps, drawn by a generator of this seed. Strangers must not know it.
    ///
    /// # Errors
    /// Names the option that has a value it must not have.
    pub fn new(store: S, config: SampleConfig, seed: u64) -> Result<Self, InvalidConfig> {
        config.validate()?;
        let rng = Rng::seed_from_u64(seed);
        let state = State { rng, sample: Samples::default(), drawn: None, grown: true };
        Ok(Self { store, config, state: Mutex::new(state) })
    }

    /// The store itself.
    pub fn inner(&self) -> &S {
        &self.store
    }

    /// The sample if it is not to be drawn again yet.
    fn current(&self, now: Now) -> Option<Stored<Mainline>> {
        let state = self.state.lock();
        let age = now.mono.since(state.drawn?);
        let complete = state.sample.hashes.len() >= self.config.count;
        let due = match (complete, state.grown) {
            (true, _) => age >= self.config.interval,
            (false, true) => age >= PAUSE,
            (false, false) => age >= CHECK,
        };
        (!due).then(|| stored(state.sample.clone(), now))
    }

    async fn draw(&self, now: Now) -> Result<Stored<Mainline>, StoreError> {
        // What is added from here on may be missed by the walk, and then makes the sample due again.
        self.state.lock().grown = false;
        let mut swarms = match self.swarms(now).await {
            Ok(swarms) => swarms,
            Err(error) => {
                self.state.lock().grown = true;
                return Err(error);
            }
        };
        let num = u32::try_from(swarms.len()).unwrap_or(u32::MAX);
        let mut state = self.state.lock();
        let count = swarms.len().min(self.config.count);
        for i in 0..count {
            let other = i + (state.rng.next_u64() % (swarms.len() - i) as u64) as usize;
            swarms.swap(i, other);
        }
        swarms.truncate(count);
        let interval = u32::try_from(self.config.interval.as_secs()).unwrap_or(u32::MAX);
        state.sample = Samples { hashes: swarms, num, interval };
        state.drawn = Some(now.mono);
        Ok(stored(state.sample.clone(), now))
    }

    /// Every swarm that has a peer, in the order of their names.
    async fn swarms(&self, now: Now) -> Result<Vec<InfoHash>, StoreError> {
        let mut swarms = Vec::new();
        let mut from = None;
        loop {
            let page = self.store.scan(false, from, PAGE).await?;
            let Some((query, last)) = page.last() else { break };
            from = Some((query.clone(), last.item.slot()));
            for (query, stored) in &page {
                if let Query::Peers(swarm) = query
                    && stored.expires > now.wall
                    && swarms.last() != Some(&swarm.info_hash)
                {
                    swarms.push(swarm.info_hash);
                }
            }
        }
        swarms.sort_unstable();
        swarms.dedup();
        Ok(swarms)
    }
}

fn stored(sample: Samples, now: Now) -> Stored<Mainline> {
    Stored { item: Record::Samples(Box::new(sample)), received: now.wall, expires: now.wall + KEPT }
}

impl<S> fmt::Debug for SampleStore<S> {
    /// Not the generator.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleStore").field("config", &self.config).finish_non_exhaustive()
    }
}

#[async_trait]
impl<S: Store<Mainline>> Store<Mainline> for SampleStore<S> {
    async fn load(&self, query: &Query, now: Now) -> Result<Vec<Stored<Mainline>>, StoreError> {
        if !matches!(query, Query::Samples(_)) {
            return self.store.load(query, now).await;
        }
        Ok(vec![match self.current(now) {
            Some(sample) => sample,
            None => self.draw(now).await?,
        }])
    }

    fn load_now(&self, query: &Query, now: Now, found: &mut Vec<Stored<Mainline>>) -> bool {
        if !matches!(query, Query::Samples(_)) {
            return self.store.load_now(query, now, found);
        }
        let sample = self.current(now);
        let known = sample.is_some();
        found.extend(sample);
        known
    }

    async fn save(
        &self,
        query: &Query,
        item: Record,
        lease: Lease<Mainline>,
        judge: &dyn Validator<Mainline>,
        now: Now,
    ) -> Result<Saved, StoreError> {
        let saved = self.store.save(query, item, lease, judge, now).await;
        if matches!((query, &saved), (Query::Peers(_), Ok(Saved::New))) {
            self.state.lock().grown = true;
        }
        saved
    }

    async fn remove(&self, query: &Query) -> Result<usize, StoreError> {
        self.store.remove(query).await
    }

    async fn remove_slot(&self, query: &Query, slot: &Slot) -> Result<bool, StoreError> {
        self.store.remove_slot(query, slot).await
    }

    async fn sweep(&self, now: Now) -> Result<usize, StoreError> {
        self.store.sweep(now).await
    }

    async fn scan(
        &self,
        own_only: bool,
        from: Option<(Query, Slot)>,
        limit: usize,
    ) -> Result<Vec<(Query, Stored<Mainline>)>, StoreError> {
        self.store.scan(own_only, from, limit).await
    }

    async fn statistics(&self) -> Result<Statistics, StoreError> {
        self.store.statistics().await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        let cleared = self.store.clear().await;
        self.state.lock().drawn = None;
        cleared
    }
}

#[cfg(test)]
#[path = "samples_tests.rs"]
mod tests;
