//! From a scenario to its outcome: sets the world up, lets time pass, and does what is due.
//!
//! Everything that is left to chance has a stream of the scenario's seed; nothing reads a clock. What is due besides
//! messages and alarms stands in the same queue as they do, as cues.

mod attacks;
mod churn;
mod collect;
mod cue;
mod faults;
mod judge;
mod reach;
mod setup;
#[cfg(test)]
mod tests;
mod watch;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use dht_core::Overlay;
use dht_query::Reason;

use crate::{
    clock::nanos,
    dice::{Dice, Quantiles, Zipf},
    history::History,
    network::{CompactNetwork, IpfsNetwork, Network, seconds_of},
    outcome::{OpKind, Outcome, Sample, Traffic},
    scenario::{Invalid, OverlayKind, Scenario},
    world::{Done, Ended, Op, Step, World},
};
use collect::{Collector, Result as OpResult};
use cue::Cue;

pub use watch::{Happening, Watch, Watching};

/// Nodes that newcomers join through: they never churn.
pub(crate) const DOORS: u32 = 4;

impl Scenario {
    /// Runs it on the shipped network that it names.
    ///
    /// # Errors
    /// When a field or an option of the engine has a value that it must not have, or spammers find too few ids.
    pub fn run(&self) -> Result<Outcome, Invalid> {
        self.watch(&mut ())
    }

    /// The same, telling what happens as it happens.
    ///
    /// # Errors
    /// As [`Scenario::run`].
    pub fn watch(&self, watch: &mut dyn Watch) -> Result<Outcome, Invalid> {
        match self.overlay {
            OverlayKind::Ipfs => {
                let network = IpfsNetwork::new().map_err(|error| Invalid::Network(error.to_string()))?;
                simulate(self, network, watch)
            }
            OverlayKind::Mainline => simulate(self, crate::network::MainlineNetwork::default(), watch),
            OverlayKind::Compact => simulate(self, CompactNetwork::default(), watch),
        }
    }
}

/// Runs a scenario on a network of one's own; what the scenario says about the overlay does not matter.
///
/// # Errors
/// As [`Scenario::run`]; options of the engine are judged on this network.
pub fn simulate<O: Overlay>(
    scenario: &Scenario,
    network: impl Network<O> + 'static,
    watch: &mut dyn Watch,
) -> std::result::Result<Outcome, Invalid> {
    scenario.validate_on(&network)?;
    let mut run = Run::new(scenario, Arc::new(network), watch)?;
    run.gather()?;
    run.schedule();
    run.play(run.at(scenario.duration))?;
    Ok(run.finish())
}

struct Run<'a, O: Overlay> {
    scenario: &'a Scenario,
    watch: &'a mut dyn Watch,
    world: World<O>,
    history: History<O>,
    collector: Collector,
    k: usize,
    /// Deadline of callers' queries.
    query_timeout: Duration,
    choices: Dice,
    churning: Dice,
    sessions: Quantiles,
    gaps: Quantiles,
    popularity: Zipf,
    /// Who publishes, and stays when churn says so, in the order in which they were drawn.
    publishers: Vec<u32>,
    /// The same in the order of their numbers, to look somebody up.
    publishing: BTreeSet<u32>,
    /// Who is silent or slow by nature, whatever passes.
    mute: BTreeSet<u32>,
    late: BTreeSet<u32>,
    /// Who will be eclipsed.
    victim: Option<u32>,
    /// Whom each fault that passes concerns.
    concerned: Vec<Vec<u32>>,
    /// What lookups aim at, for their recall.
    targets: BTreeMap<u32, O::Target>,
    lookups: u32,
    samples: Vec<Sample>,
    partitioned: bool,
    /// The fault that keeps publishers away, while one does.
    keeps_away: Option<usize>,
    ordinary: crate::link::Links,
    spans: Vec<judge::Span>,
    /// Violations that the watch was told.
    told: usize,
    /// Traffic, ended operations and events at the last sample.
    last_sample: (Traffic, (u64, u64), u64),
}

impl<'a, O: Overlay> Run<'a, O> {
    /// The true time of a moment of the scenario.
    fn at(&self, seconds: f64) -> u64 {
        self.world.origin.saturating_add(nanos(seconds_of(seconds)))
    }

    /// Notes what is due so many nanoseconds from now.
    fn cue_in(&mut self, wait: u64, cue: Cue) {
        self.world.cue(self.world.now().saturating_add(wait), cue.write());
    }

    /// The life of a node as cues name it.
    fn life(&self, node: u32) -> u32 {
        self.world.life(node) % cue::LIVES
    }

    /// Lets time pass up to a moment.
    fn play(&mut self, until: u64) -> std::result::Result<(), Invalid> {
        loop {
            let step = self.world.step(until);
            self.follow();
            match step {
                Step::Event => {}
                Step::Cue(cue) => {
                    self.on_cue(Cue::read(cue))?;
                    self.follow();
                }
                Step::Nothing => return Ok(()),
            }
        }
    }

    /// Takes note of what the world did.
    fn follow(&mut self) {
        if !self.world.taken.is_empty() {
            let mut taken = std::mem::take(&mut self.world.taken);
            for one in taken.drain(..) {
                // What attackers write is nothing that anybody is owed.
                if let Some(mark) = self.world.network().mark(&one.item)
                    && !self.world.is_false(mark.writer)
                {
                    self.history.taken(self.world.now(), &one, mark);
                }
            }
            self.world.taken = taken;
        }
        while !self.world.done.is_empty() {
            for done in std::mem::take(&mut self.world.done) {
                self.on_done(done);
            }
        }
    }

    fn on_done(&mut self, done: Done<O>) {
        let Done { op, node, result } = done;
        let attacked = self.is_aimed_at(op, node);
        let late = self.world.is_overdue(node, op, self.query_timeout);
        let result = match result {
            None => OpResult::unfinished(late),
            // A join that failed is one; the node's table goes on trying.
            Some(Ended::Joined(ok)) => OpResult::Ended { ok, requests: None, hops: None },
            Some(Ended::Query(finished)) => {
                let ok = match op.kind {
                    OpKind::Lookup if attacked => self.named_the_honest(op, node, &finished),
                    OpKind::Get | OpKind::FindProviders if attacked => {
                        self.history.has_told(&self.world, (op.key, op.started), &finished.items)
                    }
                    OpKind::Lookup => matches!(finished.reason, Reason::Complete | Reason::Enough),
                    OpKind::Put | OpKind::Provide | OpKind::Republish => !finished.receipt.stored.is_empty(),
                    OpKind::Get | OpKind::FindProviders => !finished.items.is_empty(),
                    OpKind::Join => false,
                };
                self.follow_up(op, node, ok, &finished);
                OpResult::Ended { ok, requests: Some(finished.requests), hops: Some(finished.hops) }
            }
        };
        let took = (self.world.now() - op.started) as f64 / 1e9;
        let phase = self.phase_of(op.started);
        self.collector.ended(phase, (op.kind, attacked), result, took);
        let (kind, key) = (op.kind, told_key(op));
        self.tell(match result {
            OpResult::Ended { ok, requests, hops } => {
                let (requests, hops) = (requests.unwrap_or(0), hops.unwrap_or(0));
                Happening::Ended { kind, node, key, ok, took, requests, hops }
            }
            _ => Happening::Aborted { kind, node, key },
        });
    }

    fn tell(&mut self, happening: Happening) {
        let at = self.world.seconds();
        self.watch.happened(at, &happening);
    }

    /// The phase that a moment belongs to: 0 is the time before the first.
    fn phase_of(&self, at: u64) -> usize {
        self.scenario
            .phases
            .iter()
            .filter(|phase| at >= self.world.origin && self.at(phase.from) <= at)
            .count()
    }
}

/// What an operation is told to be about; the key of the others says nothing.
fn told_key(op: Op) -> Option<u32> {
    (!matches!(op.kind, OpKind::Join | OpKind::Republish)).then_some(op.key)
}
