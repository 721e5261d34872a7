//! What makes a scenario none. Whatever passes here runs as it says, and ends. Only whether spammers find all their ids in few
//! networks shows when they come.
//!
//! What could do nothing as it stands is refused too: who wrote it expects something of it. How long a run takes is not
//! judged, only what it must keep in memory and what would never end.

mod faults;
mod links;
mod network;

use std::collections::BTreeSet;

use dht_core::{InvalidConfig, Overlay};
use thiserror::Error;

use super::{Check, Measure, OverlayKind, Scenario, Start, What};
use crate::{
    network::{CompactNetwork, IpfsNetwork, MainlineNetwork, Network},
    world::FIRST_ATTACKER,
};

/// Faults, phases and checks that a scenario may have of each.
const MANY: usize = 1000;
/// Samples of one run.
const SAMPLES: f64 = 1e5;
/// Operations of one kind in one run: what each took is kept.
const OPERATIONS: f64 = 1e8;

/// Buckets in which the most nodes that there can be leave somebody, and what is nearer than anybody.
const BUCKETS: f64 = 26.0;

/// Why a scenario cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Invalid {
    /// A field has a value that it must not have.
    #[error("`{field}`: {rule}")]
    Field {
        /// Which.
        field: String,
        /// What would be right.
        rule: &'static str,
    },
    /// The network cannot be set up.
    #[error("the network says: {0}")]
    Network(String),
    /// An option of the engine has a value that it must not have.
    #[error("the engine says: {0}")]
    Engine(#[from] InvalidConfig),
}

impl Scenario {
    /// Whether it can be run on the shipped network that it names, as it says.
    ///
    /// # Errors
    /// Names the field, or the option of the engine, that is wrong.
    pub fn validate(&self) -> Result<(), Invalid> {
        match self.overlay {
            OverlayKind::Ipfs => {
                let network = IpfsNetwork::new().map_err(|error| Invalid::Network(error.to_string()))?;
                self.validate_on(&network)
            }
            OverlayKind::Mainline => self.validate_on(&MainlineNetwork::default()),
            OverlayKind::Compact => self.validate_on(&CompactNetwork::default()),
        }
    }

    /// The same on any network.
    pub(crate) fn validate_on<O: Overlay>(&self, network: &dyn Network<O>) -> Result<(), Invalid> {
        require(self.name.len() <= 200, "name", "at most 200 bytes")?;
        require((2..1 << 24).contains(&self.nodes), "nodes", "from 2 to 16,777,215")?;
        require(self.faults.len() <= MANY, "faults", "at most 1,000")?;
        require(self.phases.len() <= MANY, "phases", "at most 1,000")?;
        require(self.checks.len() <= MANY, "checks", "at most 1,000")?;
        self.validate_time()?;
        links::validate("links", &self.links, self.length())?;
        self.validate_nodes()?;
        self.validate_churn()?;
        self.validate_size()?;
        self.validate_work()?;
        self.validate_faults()?;
        self.validate_phases()?;
        self.checks.iter().try_for_each(|check| self.validate_check(check))?;
        network::validate_engine(&self.engine, network)?;
        self.validate_nature(network)
    }

    /// Seconds from the first node to the end.
    fn length(&self) -> f64 {
        match self.start {
            Start::Warm => self.duration,
            Start::Join { over, settle } => over + settle + self.duration,
        }
    }

    /// Something begins while the run lasts.
    fn within(&self, field: &str, at: f64) -> Result<(), Invalid> {
        span(field, at)?;
        require(at == 0.0 || at < self.duration, field, "before the end, which is `duration`")
    }

    fn validate_time(&self) -> Result<(), Invalid> {
        span("duration", self.duration)?;
        if let Start::Join { over, settle } = self.start {
            span("start.over", over)?;
            span("start.settle", settle)?;
        }
        let interval = self.sample_interval;
        require((1.0..=1e9).contains(&interval), "sample_interval", "from 1 to 1e9 seconds")?;
        require(self.duration / interval <= SAMPLES, "sample_interval", "at most 100,000 in one `duration`")
    }

    fn validate_nodes(&self) -> Result<(), Invalid> {
        let people = &self.population;
        let kinds = [people.clients, people.falsely_public, people.silent, people.slow];
        kinds.iter().try_for_each(|x| share("population", *x))?;
        share("population", kinds.iter().sum())?;
        span("population.slow_by", people.slow_by)?;
        let late = people.slow == 0.0 || people.slow_by > 0.0;
        require(late, "population.slow_by", "above 0 where nodes are `slow`")?;
        span("population.recheck", people.recheck)?;
        // Clients know what they are.
        let mistaken = people.falsely_public > 0.0
            || self.faults.iter().any(|fault| matches!(fault.what, What::Firewall { .. }));
        let looked_at = people.recheck == 0.0 || mistaken;
        require(looked_at, "population.recheck", "0 without `falsely_public` nodes and `firewall`")?;
        let stores = &self.stores;
        span("stores.sync_interval", stores.sync_interval)?;
        let synced = stores.durable || stores.sync_interval == 0.0;
        require(synced, "stores.sync_interval", "0 unless stores are `durable`")?;
        let room = stores.max_records.is_none_or(|most| (1..1 << 31).contains(&most));
        require(room, "stores.max_records", "from 1 to 2^31 - 1")
    }

    fn validate_churn(&self) -> Result<(), Invalid> {
        let Some(churn) = &self.churn else { return Ok(()) };
        let from_one = |field, x: f64| require((1.0..=1e9).contains(&x), field, "from 1 to 1e9 seconds");
        from_one("churn.median_session", churn.median_session)?;
        from_one("churn.median_gap", churn.median_gap)?;
        require((0.0..=5.0).contains(&churn.sigma), "churn.sigma", "from 0 to 5")?;
        share("churn.crashes", churn.crashes)
    }

    /// How many nodes there ever can be: those of the start, those that churn holds back, attackers, and crowds, which are
    /// shares of all these.
    fn validate_size(&self) -> Result<(), Invalid> {
        let absent = self.churn.map_or(0.0, |churn| churn.median_gap / churn.median_session);
        let attackers: f64 = self.faults.iter().map(|fault| self.attackers(&fault.what)).sum();
        let mut places = f64::from(self.nodes) * (1.0 + absent) + attackers;
        for fault in &self.faults {
            if let What::Crowd { share, .. } = fault.what {
                places *= 1.0 + share.max(0.0);
            }
        }
        require(places < f64::from(1 << 24), "nodes", "fewer than 16,777,216 with all that come later")?;
        let few = attackers == 0.0 || places < f64::from(FIRST_ATTACKER);
        let rule = "fewer than 4,194,304 with attackers and all others that come later, where ids are chosen";
        require(few, "nodes", rule)
    }

    /// How many attackers a fault brings at most.
    fn attackers(&self, what: &What) -> f64 {
        let work = &self.workload;
        match *what {
            What::Sybils { each, keys, .. } => {
                f64::from(each) * (f64::from(keys.min(work.values)) + f64::from(keys.min(work.providers)))
            }
            What::Eclipse { per_bucket, .. } => f64::from(per_bucket) * BUCKETS,
            What::Spam { ids, .. } => f64::from(ids),
            _ => 0.0,
        }
    }

    fn validate_work(&self) -> Result<(), Invalid> {
        let work = &self.workload;
        require(work.values <= 1 << 24, "workload.values", "at most 2^24")?;
        require(work.providers <= 1 << 24, "workload.providers", "at most 2^24")?;
        self.within("workload.publish_from", work.publish_from)?;
        span("workload.publish_over", work.publish_over)?;
        let rates = [
            ("workload.updates", work.updates),
            ("workload.reads", work.reads),
            ("workload.lookups", work.lookups),
        ];
        for (field, rate) in rates {
            require((0.0..=1e6).contains(&rate), field, "from 0 to 1e6 per second")?;
            require(rate * self.duration <= OPERATIONS, field, "at most 1e8 in one `duration`")?;
        }
        require(work.updates == 0.0 || work.values > 0, "workload.updates", "0 without `values`")?;
        let something = work.values > 0 || work.providers > 0;
        require(work.reads == 0.0 || something, "workload.reads", "0 without `values` and `providers`")?;
        require((0.0..=10.0).contains(&work.zipf), "workload.zipf", "from 0 to 10")
    }

    fn validate_phases(&self) -> Result<(), Invalid> {
        let (mut last, mut names) = (-1.0, BTreeSet::new());
        for phase in &self.phases {
            self.within("phases.from", phase.from)?;
            require(phase.from > last, "phases.from", "each later than the one before")?;
            require(names.insert(&phase.name), "phases.name", "a name for each")?;
            last = phase.from;
        }
        Ok(())
    }

    fn validate_check(&self, check: &Check) -> Result<(), Invalid> {
        let named = |name: &String| self.phases.iter().any(|phase| phase.name == *name);
        require(check.phase.as_ref().is_none_or(named), "checks.phase", "the name of a phase")?;
        let other = check.relative_to.as_ref().is_none_or(named);
        require(other, "checks.relative_to", "the name of a phase")?;
        let whole = check.phase.is_none() && check.relative_to.is_none();
        let suits = check.measure != Measure::Violations || whole;
        require(suits, "checks.phase", "none: violations are those of the whole run")?;
        let bounded = check.at_least.is_some() || check.at_most.is_some();
        require(bounded, "checks", "`at_least` or `at_most`")?;
        let numbers = [check.at_least, check.at_most].into_iter().flatten().all(|bound| !bound.is_nan());
        require(numbers, "checks", "numbers as bounds")?;
        let between = check.at_least.zip(check.at_most).is_none_or(|(least, most)| least <= most);
        require(between, "checks.at_least", "not above `at_most`")?;
        let suits = match check.measure {
            Measure::Attacked { .. } => self.faults.iter().any(|fault| fault.what.brings_attackers()),
            Measure::HonestContacts => {
                self.faults.iter().any(|fault| matches!(fault.what, What::Eclipse { .. }))
            }
            _ => true,
        };
        require(suits, "checks.measure", "one that something is measured for: nobody attacks")?;
        let recalls = check.measure != Measure::Recall || self.workload.recall;
        require(recalls, "checks.measure", "no recall unless `workload.recall`")
    }
}

fn require(ok: bool, field: &str, rule: &'static str) -> Result<(), Invalid> {
    if ok { Ok(()) } else { Err(Invalid::Field { field: field.to_owned(), rule }) }
}

fn share(field: &str, x: f64) -> Result<(), Invalid> {
    require((0.0..=1.0).contains(&x), field, "from 0 to 1")
}

fn span(field: &str, x: f64) -> Result<(), Invalid> {
    require((0.0..=1e9).contains(&x), field, "from 0 to 1e9 seconds")
}
