//! Scenarios put together in Rust.

use super::{Check, Churn, Fault, Measure, OverlayKind, Phase, Population, Scenario, Start, What, Workload};
use crate::{link::Links, network::Engine, store::Stores};

impl Default for Scenario {
    /// A hundred IPFS nodes with warm tables, for ten minutes in which nothing happens.
    fn default() -> Self {
        Self {
            name: "unnamed".into(),
            seed: 1,
            nodes: 100,
            overlay: OverlayKind::default(),
            duration: 600.0,
            start: Start::Warm,
            engine: Engine::default(),
            links: Links::default(),
            population: Population::default(),
            stores: Stores::default(),
            churn: None,
            workload: Workload::default(),
            faults: Vec::new(),
            phases: Vec::new(),
            sample_interval: 60.0,
            checks: Vec::new(),
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident: $type:ty),* $(,)?) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $field(self, $field: $type) -> Self {
            Self { $field, ..self }
        }
    )*};
}

impl Scenario {
    /// A network of this size; the rest as by default.
    pub fn new(name: &str, nodes: u32) -> Self {
        Self { name: name.to_owned(), nodes, ..Self::default() }
    }

    setters! {
        /// Sets the seed.
        seed: u64,
        /// Sets how many nodes there are at the start.
        nodes: u32,
        /// Sets which network it is.
        overlay: OverlayKind,
        /// Sets how many seconds it lasts.
        duration: f64,
        /// Sets how the nodes come together.
        start: Start,
        /// Sets the options of the engine.
        engine: Engine,
        /// Sets how messages travel.
        links: Links,
        /// Sets what kinds of nodes there are.
        population: Population,
        /// Sets what stores outlive.
        stores: Stores,
        /// Sets what the nodes do.
        workload: Workload,
        /// Sets the seconds between samples.
        sample_interval: f64,
    }

    /// Nodes come and go.
    #[must_use]
    pub fn churn(self, churn: Churn) -> Self {
        Self { churn: Some(churn), ..self }
    }

    /// Adds something that happens at a time.
    #[must_use]
    pub fn fault(mut self, at: f64, what: What) -> Self {
        self.faults.push(Fault { at, lasts: None, what });
        self
    }

    /// Adds something that begins at a time and passes.
    #[must_use]
    pub fn passing(mut self, at: f64, lasts: f64, what: What) -> Self {
        self.faults.push(Fault { at, lasts: Some(lasts), what });
        self
    }

    /// Begins a phase.
    #[must_use]
    pub fn phase(mut self, name: &str, from: f64) -> Self {
        self.phases.push(Phase { name: name.to_owned(), from });
        self
    }

    /// Expects at least so much over the whole run.
    #[must_use]
    pub fn at_least(self, measure: Measure, least: f64) -> Self {
        self.check(Check { at_least: Some(least), ..Check::of(measure) })
    }

    /// Expects at most so much over the whole run.
    #[must_use]
    pub fn at_most(self, measure: Measure, most: f64) -> Self {
        self.check(Check { at_most: Some(most), ..Check::of(measure) })
    }

    /// Adds an expectation.
    #[must_use]
    pub fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }
}
