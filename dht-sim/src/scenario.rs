//! What is simulated, as plain data: a network, its weather, its people, what befalls it, and what is expected of it.
//!
//! Durations are seconds, shares are from 0 to 1. [`Scenario::validate`] names what is wrong; what stands here acts.

mod build;
mod check;
mod fault;
mod validate;
mod words;

use crate::{link::Links, network::Engine, store::Stores};

pub use check::{Check, Measure};
pub use fault::{Conduct, Fault, What};
pub use validate::Invalid;

/// A simulation.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Nodes at the start.
    pub nodes: u32,
    /// Which network.
    pub overlay: OverlayKind,
    /// How it lasts, after the nodes have joined.
    pub duration: f64,
    /// How the nodes come together.
    pub start: Start,
    /// Which options of the engine differ from the shipped ones.
    pub engine: Engine,
    /// How messages travel.
    pub links: Links,
    /// What kinds of nodes there are.
    pub population: Population,
    /// What stores outlive.
    pub stores: Stores,
    /// How nodes come and go.
    pub churn: Option<Churn>,
    /// What they do.
    pub workload: Workload,
    /// What befalls them.
    pub faults: Vec<Fault>,
    /// Spans that are reported apart; each lasts until the next begins. None: the whole run is one.
    pub phases: Vec<Phase>,
    /// Seconds between two samples of the time series, at least 1, and at most 100,000 samples in all. Default 60.
    pub sample_interval: f64,
    /// What is asserted at the end.
    pub checks: Vec<Check>,
}

/// A shipped network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum OverlayKind {
    /// IPFS, streams and provider records.
    #[default]
    Ipfs,
    /// BitTorrent Mainline, datagrams and tokens.
    Mainline,
    /// Ids of 32 bits, for the largest runs.
    Compact,
}

/// How the nodes come together.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
pub enum Start {
    /// Every table holds what a long life would have brought it: up to k random peers of each prefix. Nothing is sent.
    Warm,
    /// They join one after the other, spread over so many seconds, through nodes that are there already.
    Join {
        /// Seconds from the first to the last.
        over: f64,
        /// Seconds to wait afterwards, before the scenario begins.
        settle: f64,
    },
}

/// What kinds of nodes there are, as shares of all. Servers that answer are what remains.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Population {
    /// Clients behind a NAT: they ask, serve nobody, and cannot be dialled.
    pub clients: f64,
    /// Nodes behind a NAT that believe to be reachable and serve; for how long `recheck` says.
    pub falsely_public: f64,
    /// Seconds for which a proof that a node can be dialled is good, or the belief of who just started: then its host has it
    /// dialled, and again half of that later. Who fails twice is a client from then on, and tells its peers. 0, the default:
    /// nobody looks, and the only choice without falsely public nodes and a firewall. The shipped host has 1800.
    pub recheck: f64,
    /// Servers that take requests and never answer.
    pub silent: f64,
    /// Servers that answer late.
    pub slow: f64,
    /// By so many seconds, above 0 where there are any.
    pub slow_by: f64,
}

/// How nodes come and go. Sessions and gaps between them are lognormal.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Churn {
    /// Seconds that half of the sessions stay below.
    pub median_session: f64,
    /// Standard deviation of the logarithm of both.
    pub sigma: f64,
    /// Seconds that half of the gaps stay below.
    pub median_gap: f64,
    /// Sessions that end with a crash rather than a farewell.
    pub crashes: f64,
    /// Whether who publishes stays for the whole run.
    pub publishers_stay: bool,
}

impl Default for Churn {
    /// Sessions as measured on IPFS: half of them up to 2 h, 80 % up to 8 h. As many nodes come as go.
    fn default() -> Self {
        Self { median_session: 7200.0, sigma: 1.647, median_gap: 7200.0, crashes: 0.5, publishers_stay: true }
    }
}

/// What the nodes do. Rates are of the whole network, per second, memoryless; of each at most 1e8 operations in all.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Workload {
    /// Values published at the beginning, each by one node that publishes it again and again.
    pub values: u32,
    /// Memberships (provider records, peers of a swarm) published at the beginning, likewise.
    pub providers: u32,
    /// When that begins, in seconds since the scenario's beginning.
    pub publish_from: f64,
    /// Seconds over which the publishing at the beginning is spread.
    pub publish_over: f64,
    /// New versions of values, of which there must be some.
    pub updates: f64,
    /// Readers, of values and memberships alike; something must be published.
    pub reads: f64,
    /// Memberships that a reader wants; 0 stands for all that a full lookup finds. By default the first one that is found, which
    /// is what most callers want.
    pub wanted: u32,
    /// How much some keys are liked better than others: the exponent of Zipf's law.
    pub zipf: f64,
    /// Lookups of the closest peers of random keys.
    pub lookups: f64,
    /// Whether the closest peers that a lookup names are compared with the truth.
    pub recall: bool,
    /// By whose rule readers and lookups go. Whatever else the nodes do they do as shipped.
    pub policy: Policy,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            values: 0,
            providers: 0,
            publish_from: 0.0,
            publish_over: 60.0,
            updates: 0.0,
            reads: 0.0,
            wanted: 1,
            zipf: 0.8,
            lookups: 0.0,
            recall: false,
            policy: Policy::Shipped,
        }
    }
}

/// By whose rule somebody looks something up. Requests go over the same links to the same nodes, from the same tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Policy {
    /// The shipped engine.
    #[default]
    Shipped,
    /// go-libp2p-kad-dht: ten requests in flight until the three nearest have answered, then the rest of the twenty.
    Go,
    /// rust-libp2p: three requests in flight until the twenty nearest have answered.
    Rust,
    /// The same on three disjoint paths.
    RustDisjoint,
}

/// A span of the run that is reported apart.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Phase {
    /// What it is called.
    pub name: String,
    /// When it begins, in seconds since the scenario's beginning.
    pub from: f64,
}
