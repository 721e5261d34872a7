//! What is expected of a run: a measure of its outcome and its bounds.

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
    /// The same at the worst of all samples.
    MisplacedAlways,
    /// Entries of tables that name a node which does not keep to the rules, at the end.
    Unruly,
    /// Entries of the eclipsed node's table that name a node which runs and keeps to the rules, at the end.
    HonestContacts,
    /// Requests to an address at which somebody else lives, of all.
    Misdirected,
    /// Requests that nobody answered in time, of all; one that is sent again is one more, and no timeout before the last.
    Timeouts,
    /// Requests whose answer came after they had been given up, of all: the patience that adapts to the network was too short.
    Late,
    /// Messages per node and second; of nodes that were up, on average over the samples of the phase.
    MessageRate,
    /// Violations of invariants and histories; of the whole run.
    Violations,
}
