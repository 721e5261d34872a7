//! Whole Kademlia networks in one process.

mod clock;
mod dice;
mod history;
mod link;
mod network;
mod outcome;
mod policy;
// Not within: the bench that shares the machines by their path would have to run the tests too.
#[cfg(test)]
#[path = "policy/tests.rs"]
mod policy_tests;
mod queue;
mod report;
mod run;
mod scenario;
mod shipped;
mod store;
mod world;

pub use dice::{Dice, Quantiles, Zipf};
pub use link::{Burst, Latency, Links, REGIONS, Region, Reorder};
pub use network::{
    Compact, CompactId, CompactNetwork, Content, Engine, Entry, IpfsNetwork, MainlineNetwork, Manners, Mark,
    Network, Open, Place, Point, Subject, Versions,
};
pub use outcome::{
    OpKind, Operations, Outcome, PhaseOutcome, Sample, State, Summary, Traffic, Verdict, Violation,
    ViolationKind,
};
pub use queue::Queue;
pub use report::report;
pub use run::{Happening, Watch, Watching, simulate};
pub use scenario::{
    Check, Churn, Conduct, Fault, Invalid, Measure, OverlayKind, Phase, Policy, Population, Scenario, Start,
    What, Workload,
};
pub use shipped::shipped;
pub use store::Stores;

/// The result of a call that need not wait: stores in memory answer at once.
fn now_or_never<T>(call: impl Future<Output = T>) -> Option<T> {
    futures::FutureExt::now_or_never(call)
}
