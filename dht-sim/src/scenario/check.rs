//! What is expected of a run: a measure of its outcome and its bounds. And what makes a scenario none.

use dht_core::InvalidConfig;
use thiserror::Error;

use super::Scenario;
use crate::outcome::OpKind;

/// An expectation.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Check {
    /// What is measured.
    pub measure: Measure,
    /// Of which phase; `None` for the whole run.
    #[cfg_attr(feature = "serde", serde(default))]
    pub phase: Option<String>,
    /// Divided by the same measure of this phase.
    #[cfg_attr(feature = "serde", serde(default))]
    pub relative_to: Option<String>,
    /// The least that is right.
    #[cfg_attr(feature = "serde", serde(default))]
    pub at_least: Option<f64>,
    /// The most that is right.
    #[cfg_attr(feature = "serde", serde(default))]
    pub at_most: Option<f64>,
}

impl Check {
    /// A measure of the whole run, without bounds yet.
    pub fn of(measure: Measure) -> Self {
        Self { measure, phase: None, relative_to: None, at_least: None, at_most: None }
    }

    /// The same of one phase.
    #[must_use]
    pub fn in_phase(self, phase: &str) -> Self {
        Self { phase: Some(phase.to_owned()), ..self }
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
pub enum Measure {
    /// Operations that did what was asked, of those that ended.
    Success {
        /// Which operations.
        of: OpKind,
    },
    /// The same of what an attack aims at and [`Measure::Success`] leaves out: reads of attacked keys, whatever an eclipsed
    /// node does, memberships that attackers announce. Stricter there: a read must bring what the publisher itself wrote,
    /// of a value the version that was announced last when it began; a lookup must name most of the truly closest honest
    /// nodes.
    Attacked {
        /// Which operations.
        of: OpKind,
    },
    /// Median of the requests that one operation sent.
    Requests {
        /// Which operations.
        of: OpKind,
    },
    /// Median of how deep they went.
    Hops {
        /// Which operations.
        of: OpKind,
    },
    /// Median of how long they took, in seconds.
    Latency {
        /// Which operations.
        of: OpKind,
    },
    /// The same for the slowest in a hundred.
    LatencyP99 {
        /// Which operations.
        of: OpKind,
    },
    /// How many operations did what was asked.
    Count {
        /// Which operations.
        of: OpKind,
    },
    /// How many of the truly closest peers lookups named.
    Recall,
    /// Reads of values that brought what had been placed last when they began, of those that brought anything.
    Fresh,
    /// Published records that a live node holds at the end, of those whose publisher is up.
    RecordsAlive,
    /// The same at the worst of all samples.
    RecordsAliveAlways,
    /// Live nodes that hold a published record at the end, on average over those that are alive.
    Holders,
    /// Peers in a table at the end, on average.
    TableFill,
    /// Peers in the smallest table at the end.
    SmallestTable,
    /// Entries of tables that name a node which is down, at the end.
    StaleEntries,
    /// Entries of tables that name a node which runs and which nobody can dial or ask, at the end.
    Misplaced,
    /// Entries of tables that name a node which does not keep to the rules, at the end.
    Unruly,
    /// Entries of the eclipsed node's table that name a node which runs and keeps to the rules, at the end.
    HonestContacts,
    /// Requests to an address at which somebody else lives, of all.
    Misdirected,
    /// Requests that nobody answered in time, of all.
    Timeouts,
    /// Messages per node and second.
    MessageRate,
    /// Violations of invariants and histories; of the whole run.
    Violations,
}

/// Faults, phases and checks that a scenario may have of each.
const MANY: usize = 1000;

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
    /// Whether it can be run.
    ///
    /// # Errors
    /// Names the field that is wrong. Options of the engine are judged when the run begins.
    pub fn validate(&self) -> Result<(), Invalid> {
        let share = |field: &str, x: f64| require((0.0..=1.0).contains(&x), field, "from 0 to 1");
        let span = |field: &str, x: f64| require((0.0..=1e9).contains(&x), field, "from 0 to 1e9 seconds");
        let rate = |field: &str, x: f64| require((0.0..=1e6).contains(&x), field, "from 0 to 1e6 per second");
        require(self.name.len() <= 200, "name", "at most 200 bytes")?;
        require((2..1 << 24).contains(&self.nodes), "nodes", "from 2 to 16,777,215")?;
        span("duration", self.duration)?;
        require(self.sample_interval >= 1.0, "sample_interval", "at least 1 second")?;
        span("sample_interval", self.sample_interval)?;
        if let super::Start::Join { over, settle } = self.start {
            span("start.over", over)?;
            span("start.settle", settle)?;
        }
        links("links", &self.links)?;
        let people = &self.population;
        let kinds = [people.clients, people.falsely_public, people.silent, people.slow];
        kinds.iter().try_for_each(|x| share("population", *x))?;
        share("population", kinds.iter().sum())?;
        span("population.slow_by", people.slow_by)?;
        span("population.recheck", people.recheck)?;
        span("stores.sync_interval", self.stores.sync_interval)?;
        if let Some(churn) = &self.churn {
            require(churn.median_session >= 1.0, "churn.median_session", "at least 1 second")?;
            require(churn.median_gap >= 1.0, "churn.median_gap", "at least 1 second")?;
            span("churn.median_session", churn.median_session)?;
            span("churn.median_gap", churn.median_gap)?;
            require((0.0..=5.0).contains(&churn.sigma), "churn.sigma", "from 0 to 5")?;
            share("churn.crashes", churn.crashes)?;
        }
        self.validate_size()?;
        let work = &self.workload;
        require(work.values <= 1 << 24, "workload.values", "at most 2^24")?;
        require(work.providers <= 1 << 24, "workload.providers", "at most 2^24")?;
        span("workload.publish_from", work.publish_from)?;
        span("workload.publish_over", work.publish_over)?;
        rate("workload.updates", work.updates)?;
        rate("workload.reads", work.reads)?;
        rate("workload.lookups", work.lookups)?;
        require((0.0..=10.0).contains(&work.zipf), "workload.zipf", "from 0 to 10")?;
        require(self.faults.len() <= MANY, "faults", "at most 1,000")?;
        require(self.phases.len() <= MANY, "phases", "at most 1,000")?;
        require(self.checks.len() <= MANY, "checks", "at most 1,000")?;
        for fault in &self.faults {
            let field = |rest: &str| format!("faults.{}.{rest}", fault.what.name());
            span(&field("at"), fault.at)?;
            fault.lasts.map_or(Ok(()), |lasts| span(&field("lasts"), lasts))?;
            let passes = fault.what.passes() || fault.lasts.is_none();
            require(passes, &field("lasts"), "none: what it does does not pass")?;
            fault.what.shares().into_iter().try_for_each(|x| share(&field("share"), x))?;
            self.validate_fault(&fault.what, &field)?;
        }
        let mut last = 0.0;
        for phase in &self.phases {
            span("phases.from", phase.from)?;
            require(phase.from >= last, "phases.from", "in order of time")?;
            last = phase.from;
        }
        self.checks.iter().try_for_each(|check| self.validate_check(check))
    }

    /// How many nodes there ever can be: those of the start, those that churn holds back, and crowds.
    fn validate_size(&self) -> Result<(), Invalid> {
        let absent = self.churn.map_or(0.0, |churn| churn.median_gap / churn.median_session);
        let mut places = f64::from(self.nodes) * (1.0 + absent);
        for fault in &self.faults {
            if let super::What::Crowd { share, .. } = fault.what {
                places *= 1.0 + share.max(0.0);
            }
        }
        require(places < f64::from(1 << 24), "nodes", "fewer than 16,777,216 with all that come later")?;
        let attacked = self.faults.iter().any(|fault| fault.what.brings_attackers());
        let few = !attacked || places < f64::from(1 << 21);
        require(
            few,
            "nodes",
            "fewer than 2,097,152 with all that come later, where attackers choose their ids",
        )
    }

    fn validate_fault(&self, what: &super::What, field: &dyn Fn(&str) -> String) -> Result<(), Invalid> {
        use super::What;
        let span =
            |name: &str, x: f64| require((0.0..=1e9).contains(&x), &field(name), "from 0 to 1e9 seconds");
        match what {
            What::Partition { sides } => {
                let right = sides.len() >= 2 && sides.iter().all(|side| *side > 0.0 && side.is_finite());
                require(right, &field("sides"), "two or more, above 0")
            }
            What::Weather { links: weather } => links(&field("links"), weather),
            What::Crowd { share, over } => {
                require((0.0..=100.0).contains(share), &field("share"), "from 0 to 100")?;
                span("over", *over)
            }
            What::Sybils { each, keys, .. } => {
                require((1..=10_000).contains(each), &field("each"), "from 1 to 10,000")?;
                require((1..=1000).contains(keys), &field("keys"), "from 1 to 1,000")
            }
            What::Spam { ids, keys, networks, over } => {
                require((1..=1 << 20).contains(ids), &field("ids"), "from 1 to 1,048,576")?;
                require((1..=1000).contains(keys), &field("keys"), "from 1 to 1,000")?;
                require(networks.is_none_or(|n| n >= 1), &field("networks"), "at least 1")?;
                span("over", *over)
            }
            What::Eclipse { per_bucket, restart_after, .. } => {
                require((1..=256).contains(per_bucket), &field("per_bucket"), "from 1 to 256")?;
                restart_after.map_or(Ok(()), |after| span("restart_after", after))
            }
            What::Crash { restart_after, .. } => span("restart_after", *restart_after),
            What::Slow { by, .. } => span("by", *by),
            What::ClockStep { by, .. } => require(by.abs() <= 1e9, &field("by"), "at most 1e9 seconds"),
            What::ClockDrift { ppm, .. } => require(ppm.abs() <= 500_000, &field("ppm"), "at most 500,000"),
            _ => Ok(()),
        }
    }

    fn validate_check(&self, check: &Check) -> Result<(), Invalid> {
        let named = |name: &String| self.phases.iter().any(|phase| phase.name == *name);
        require(check.phase.as_ref().is_none_or(named), "checks.phase", "the name of a phase")?;
        let other = check.relative_to.as_ref().is_none_or(named);
        require(other, "checks.relative_to", "the name of a phase")?;
        let bounded = check.at_least.is_some() || check.at_most.is_some();
        require(bounded, "checks", "`at_least` or `at_most`")?;
        let recalls = check.measure != Measure::Recall || self.workload.recall;
        require(recalls, "checks.measure", "no recall unless `workload.recall`")
    }
}

fn require(ok: bool, field: &str, rule: &'static str) -> Result<(), Invalid> {
    if ok { Ok(()) } else { Err(Invalid::Field { field: field.to_owned(), rule }) }
}

fn links(field: &str, links: &crate::link::Links) -> Result<(), Invalid> {
    use crate::link::Latency;
    let share =
        |name: &str, x: f64| require((0.0..=1.0).contains(&x), &format!("{field}.{name}"), "from 0 to 1");
    let times =
        |name: &str, x: f64| require((0.0..=1e6).contains(&x), &format!("{field}.{name}"), "from 0 to 1e6");
    share("loss", links.loss)?;
    share("duplicate", links.duplicate)?;
    require((0.0..=5.0).contains(&links.jitter), &format!("{field}.jitter"), "from 0 to 5")?;
    match links.latency {
        Latency::Constant { ms } => times("latency.ms", ms)?,
        Latency::Lognormal { median_ms, sigma } => {
            times("latency.median_ms", median_ms)?;
            require((0.0..=5.0).contains(&sigma), &format!("{field}.latency.sigma"), "from 0 to 5")?;
        }
        Latency::Regions => {}
    }
    if let Some(burst) = links.burst {
        share("burst.loss", burst.loss)?;
        let right = |x: f64| x > 0.0 && x <= 1e9;
        require(
            right(burst.every) && right(burst.lasts),
            &format!("{field}.burst"),
            "times above 0, up to 1e9 seconds",
        )?;
    }
    if let Some(reorder) = links.reorder {
        share("reorder.share", reorder.share)?;
        times("reorder.by", reorder.by)?;
    }
    let bandwidth = links.bandwidth.is_none_or(|rate| rate >= 1.0);
    require(bandwidth, &format!("{field}.bandwidth"), "at least 1 byte per second")
}
