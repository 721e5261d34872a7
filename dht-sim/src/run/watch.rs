//! Following a run: what somebody who draws a progress bar or writes a log is told.

use crate::outcome::{OpKind, Sample, Violation};

/// Something that happened, above the level of messages.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(tag = "event", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Happening {
    /// A node runs from now on.
    Up {
        /// Which.
        node: u32,
    },
    /// A node does not run any more.
    Down {
        /// Which.
        node: u32,
        /// Whether it closed its connections.
        farewell: bool,
    },
    /// Something befalls the network, or passes.
    Fault {
        /// What.
        name: &'static str,
        /// Whether it begins.
        begins: bool,
        /// How many nodes it concerns.
        nodes: u32,
    },
    /// What has just begun or passed concerns this node.
    Struck {
        /// Which.
        node: u32,
        /// What.
        name: &'static str,
        /// Whether it begins.
        begins: bool,
    },
    /// An operation began. Announcing again is told when it ends only.
    Began {
        /// What for.
        kind: OpKind,
        /// By whom.
        node: u32,
        /// What is read or written, or the number of the lookup; nothing for joins.
        key: Option<u32>,
    },
    /// An operation ended.
    Ended {
        /// What for.
        kind: OpKind,
        /// By whom.
        node: u32,
        /// What was read or written, or the number of the lookup; nothing for joins and for announcing again.
        key: Option<u32>,
        /// Whether it did what was asked.
        ok: bool,
        /// Seconds.
        took: f64,
        /// Requests it sent.
        requests: u32,
        /// How deep it went.
        hops: u32,
    },
    /// An operation did not end: its node stopped.
    Aborted {
        /// What for.
        kind: OpKind,
        /// By whom.
        node: u32,
        /// As of one that ended.
        key: Option<u32>,
    },
}

/// Follows a run. The default does nothing.
pub trait Watch {
    /// A sample was taken, out of so many seconds in all.
    fn sampled(&mut self, sample: &Sample, duration: f64) {
        let _ = (sample, duration);
    }

    /// Something happened, at this many seconds since the scenario's beginning.
    fn happened(&mut self, at: f64, happening: &Happening) {
        let _ = (at, happening);
    }

    /// Something was found that must not be; told with the next sample.
    fn violated(&mut self, violation: &Violation) {
        let _ = violation;
    }
}

impl Watch for () {}

/// Takes happenings by a closure.
pub struct Watching<F>(pub F);

impl<F: FnMut(f64, &Happening)> Watch for Watching<F> {
    fn happened(&mut self, at: f64, happening: &Happening) {
        (self.0)(at, happening);
    }
}
