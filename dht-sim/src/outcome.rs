//! What a run brought, as plain data. It is a function of the scenario; only [`Outcome::wall_seconds`] is not, and is set
//! by whoever has a clock.

use std::time::Duration;

/// What a run brought.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Outcome {
    /// The scenario's name.
    pub name: String,
    /// Its seed.
    pub seed: u64,
    /// Its nodes at the start.
    pub nodes: u32,
    /// Seconds that were simulated, joining included.
    pub simulated_seconds: f64,
    /// The whole run.
    pub total: PhaseOutcome,
    /// Its phases, if it has any.
    pub phases: Vec<PhaseOutcome>,
    /// How things went, sample by sample.
    pub samples: Vec<Sample>,
    /// Events that were delivered: messages and alarms.
    pub events: u64,
    /// The same for every run of the same scenario by the same build.
    pub trace_hash: u64,
    /// What must not be and was, at most 1000 of them.
    pub violations: Vec<Violation>,
    /// How many there were in all.
    pub violation_count: u64,
    /// What became of the scenario's expectations.
    pub verdicts: Vec<Verdict>,
    /// Seconds that the run took, by the clock of whoever ran it.
    pub wall_seconds: Option<f64>,
}

/// What happened in a span of the run.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PhaseOutcome {
    /// What it is called.
    pub name: String,
    /// When it began, in seconds since the scenario's beginning.
    pub from: f64,
    /// When it ended.
    pub until: f64,
    /// What was done, by kind. Operations count where they began.
    pub operations: Vec<Operations>,
    /// Of what an attack aims at, which is not among those: reads of attacked keys, whatever an eclipsed node does, and
    /// what attackers announce.
    pub attacked: Vec<Operations>,
    /// What was sent.
    pub traffic: Traffic,
    /// How many of the truly closest peers lookups named; `None` when nobody looked.
    pub recall: Option<f64>,
    /// Reads of values that brought what had been placed last when they began; `None` when nobody read.
    pub fresh: Option<f64>,
    /// The network at the end of the span.
    pub state: State,
}

/// What an operation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum OpKind {
    /// A newcomer joins.
    Join,
    /// The closest peers of a random key.
    Lookup,
    /// A value is published, or a new version of it.
    Put,
    /// A value is read.
    Get,
    /// A membership is published.
    Provide,
    /// The members under a key are read.
    FindProviders,
    /// What was published is announced again.
    Republish,
}

impl OpKind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Join, Self::Lookup, Self::Put, Self::Get, Self::Provide, Self::FindProviders, Self::Republish];

    /// Its name in snake case, as scenario files have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Lookup => "lookup",
            Self::Put => "put",
            Self::Get => "get",
            Self::Provide => "provide",
            Self::FindProviders => "find_providers",
            Self::Republish => "republish",
        }
    }
}

/// Operations of one kind.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Operations {
    /// Which.
    pub kind: OpKind,
    /// Those that began.
    pub started: u64,
    /// Those that did what was asked: found what was published, stored it somewhere, joined.
    pub succeeded: u64,
    /// Those that ended and did not, or that had not ended long after they should have.
    pub failed: u64,
    /// Those whose node was gone before they ended, or that still ran at the end and were in time.
    pub aborted: u64,
    /// Seconds from start to end, of those that succeeded.
    pub latency: Summary,
    /// Requests sent, of those that ended.
    pub requests: Summary,
    /// How deep they went, of those that succeeded.
    pub hops: Summary,
}

/// A distribution in a few numbers; all of them are 0 where there are no samples, of which checks say that nothing was
/// measured.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Summary {
    /// Samples.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Half are not above.
    pub p50: f64,
    /// 90 of 100 are not above.
    pub p90: f64,
    /// 99 of 100 are not above.
    pub p99: f64,
    /// The greatest.
    pub max: f64,
    /// Shares 0, 1/20, … 1: enough for a curve.
    pub curve: Vec<f64>,
}

impl Summary {
    /// Of these samples, in any order.
    pub(crate) fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let Some(max) = samples.last().copied() else { return Self::default() };
        let at = |share: f64| {
            samples[((samples.len() as f64 * share).ceil() as usize).clamp(1, samples.len()) - 1]
        };
        Self {
            count: samples.len() as u64,
            mean: samples.iter().sum::<f64>() / samples.len() as f64,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max,
            curve: (0..=20).map(|i| at(f64::from(i) / 20.0)).collect(),
        }
    }
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Traffic {
    /// Requests and answers.
    pub messages: u64,
    /// Their estimated bytes.
    pub bytes: u64,
    /// Messages that never arrived.
    pub lost: u64,
    /// Messages that arrived twice.
    pub doubled: u64,
    /// Requests of all nodes, whatever they are for: those of operations, and of nodes for themselves (refreshes, checks).
    /// Also those that never became a message, since nobody could be dialled.
    pub requests: u64,
    /// Requests that failed, as their sender sees it.
    pub failures: u64,
    /// Of these, those that nobody answered in time.
    pub timeouts: u64,
    /// Answers that came after their requests had been given up: a lookup had gone on without them, or the request had been
    /// sent once more.
    pub late: u64,
    /// Requests to an address at which somebody else lives.
    pub misdirected: u64,
}

impl Traffic {
    /// What came after `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            messages: self.messages - earlier.messages,
            bytes: self.bytes - earlier.bytes,
            lost: self.lost - earlier.lost,
            doubled: self.doubled - earlier.doubled,
            requests: self.requests - earlier.requests,
            failures: self.failures - earlier.failures,
            timeouts: self.timeouts - earlier.timeouts,
            late: self.late - earlier.late,
            misdirected: self.misdirected - earlier.misdirected,
        }
    }
}

/// The network at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct State {
    /// Nodes that are up.
    pub up: u64,
    /// Of these, servers.
    pub servers: u64,
    /// Peers in a table, on average over all nodes that keep to the rules.
    pub table_fill: f64,
    /// The smallest of these tables; `None` where there is none.
    pub table_min: Option<u64>,
    /// Entries that name a node which is down, as a share of the tables of at most 1000 of these nodes.
    pub stale: f64,
    /// Entries of these tables that name a node which runs and which nobody can dial or ask, as a share.
    pub misplaced: f64,
    /// Entries of these tables that name a node which does not keep to the rules, as a share.
    pub unruly: f64,
    /// Entries of the eclipsed node's table that name a node which runs and keeps to the rules, as a share; `None` without
    /// such a node, or while it is down or knows nobody.
    pub victim: Option<f64>,
    /// What is published and should be found: its publisher is up.
    pub records: u64,
    /// Of these, what the store of a node that is up holds, other than its publisher's.
    pub alive: u64,
    /// How many such nodes hold it, on average over those that are alive.
    pub holders: f64,
}

/// One point of the time series. Counts are of the time since the sample before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Sample {
    /// Seconds since the scenario's beginning; negative while nodes join.
    pub at: f64,
    /// The network.
    pub state: State,
    /// What was sent.
    pub traffic: Traffic,
    /// Lookups, reads and writes that ended well.
    pub succeeded: u64,
    /// Lookups, reads and writes that did not.
    pub failed: u64,
    /// Events delivered.
    pub events: u64,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Violation {
    /// When, in seconds since the scenario's beginning; negative while nodes join.
    pub at: f64,
    /// Where; `None` where it is no single node's fault.
    pub node: Option<u32>,
    /// What.
    pub kind: ViolationKind,
    /// More of it.
    pub detail: String,
}

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ViolationKind {
    /// A reader was given what nobody wrote.
    Invented,
    /// A holder that acknowledged a record and was up ever since does not have it.
    Lost,
    /// One reader saw an older version after a newer one, although everybody could be reached.
    Regressed,
    /// A reader was given what expired at least one sweep ago.
    Expired,
    /// A node holds more than its bounds allow.
    Bound,
    /// An operation did not end by its deadline, or ended twice.
    Overdue,
    /// A node never waits.
    Busy,
    /// A node waits for the past.
    Past,
}

/// What became of an expectation.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Verdict {
    /// What was expected.
    pub check: crate::scenario::Check,
    /// What was measured; `None` when there was nothing to measure, which is no success.
    pub measured: Option<f64>,
    /// Whether it is as expected.
    pub ok: bool,
}

impl Outcome {
    /// Whether everything is as expected and nothing is that must not be.
    pub fn passed(&self) -> bool {
        self.violation_count == 0 && self.verdicts.iter().all(|verdict| verdict.ok)
    }

    /// Notes how long the run took.
    #[must_use]
    pub fn took(self, wall: Duration) -> Self {
        Self { wall_seconds: Some(wall.as_secs_f64()), ..self }
    }

    /// Events per second of real time, once that is known.
    pub fn events_per_second(&self) -> Option<f64> {
        self.wall_seconds.filter(|wall| *wall > 0.0).map(|wall| self.events as f64 / wall)
    }
}

impl PhaseOutcome {
    /// The operations of a kind, if there were any.
    pub fn operations(&self, kind: OpKind) -> Option<&Operations> {
        self.operations.iter().find(|operations| operations.kind == kind)
    }
}

impl Operations {
    /// Those that did what was asked, of those that ended; `None` when none did.
    pub fn success(&self) -> Option<f64> {
        let ended = self.succeeded + self.failed;
        (ended > 0).then(|| self.succeeded as f64 / ended as f64)
    }
}
