//! Counts operations while they run, and turns the counts into an outcome's words.

use std::collections::BTreeMap;

use crate::outcome::{OpKind, Operations, Summary};

/// How an operation ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Result {
    /// Its node is gone, or it could not be started.
    Aborted,
    Ended {
        ok: bool,
        requests: Option<u32>,
        hops: Option<u32>,
    },
}

impl Result {
    /// Of what was never said to have ended: what should have ended long before has failed, and not been unlucky.
    pub(super) fn unfinished(late: bool) -> Self {
        if late { Self::Ended { ok: false, requests: None, hops: None } } else { Self::Aborted }
    }
}

#[derive(Clone, Debug, Default)]
struct Tally {
    succeeded: u64,
    failed: u64,
    aborted: u64,
    latency: Vec<f64>,
    requests: Vec<f64>,
    hops: Vec<f64>,
}

fn mean(sums: &BTreeMap<usize, (f64, u64)>, phase: Option<usize>) -> Option<f64> {
    let of = sums.iter().filter(|(i, _)| phase.is_none_or(|phase| phase == **i));
    let (sum, count) = of.fold((0.0, 0), |(sum, count), (_, one)| (sum + one.0, count + one.1));
    (count > 0).then(|| sum / count as f64)
}

/// Counts by phase and kind, of what an attack aims at apart from all else.
#[derive(Debug, Default)]
pub(super) struct Collector {
    tallies: BTreeMap<(usize, OpKind, bool), Tally>,
    /// Sums of shares and how many there are, by phase.
    recall: BTreeMap<usize, (f64, u64)>,
    /// Reads that brought the newest, and how many there are, by phase.
    fresh: BTreeMap<usize, (f64, u64)>,
    /// Lookups, reads and writes that ended well, and those that did not.
    pub(super) ended: (u64, u64),
}

impl Collector {
    pub(super) fn ended(
        &mut self,
        phase: usize,
        (kind, attacked): (OpKind, bool),
        result: Result,
        took: f64,
    ) {
        let tally = self.tallies.entry((phase, kind, attacked)).or_default();
        let Result::Ended { ok, requests, hops } = result else {
            tally.aborted += 1;
            return;
        };
        tally.requests.extend(requests.map(f64::from));
        if ok {
            tally.succeeded += 1;
            tally.latency.push(took);
            tally.hops.extend(hops.map(f64::from));
        } else {
            tally.failed += 1;
        }
        if !matches!(kind, OpKind::Join | OpKind::Republish) {
            self.ended.0 += u64::from(ok);
            self.ended.1 += u64::from(!ok);
        }
    }

    pub(super) fn recalled(&mut self, phase: usize, share: f64) {
        let recall = self.recall.entry(phase).or_default();
        recall.0 += share;
        recall.1 += 1;
    }

    pub(super) fn freshness(&mut self, phase: usize, newest: bool) {
        let fresh = self.fresh.entry(phase).or_default();
        fresh.0 += f64::from(newest);
        fresh.1 += 1;
    }

    /// Of one phase, or of all.
    pub(super) fn recall(&self, phase: Option<usize>) -> Option<f64> {
        mean(&self.recall, phase)
    }

    /// Of one phase, or of all.
    pub(super) fn fresh(&self, phase: Option<usize>) -> Option<f64> {
        mean(&self.fresh, phase)
    }

    /// Of one phase, or of all: of what an attack aims at, or of all else.
    pub(super) fn operations(&self, phase: Option<usize>, attacked: bool) -> Vec<Operations> {
        let of = |kind: OpKind| {
            let mut all = Tally::default();
            let tallies = self
                .tallies
                .iter()
                .filter(|((i, k, a), _)| *k == kind && *a == attacked && phase.is_none_or(|p| p == *i));
            for (_, tally) in tallies {
                all.succeeded += tally.succeeded;
                all.failed += tally.failed;
                all.aborted += tally.aborted;
                all.latency.extend(&tally.latency);
                all.requests.extend(&tally.requests);
                all.hops.extend(&tally.hops);
            }
            Operations {
                kind,
                started: all.succeeded + all.failed + all.aborted,
                succeeded: all.succeeded,
                failed: all.failed,
                aborted: all.aborted,
                latency: Summary::of(all.latency),
                requests: Summary::of(all.requests),
                hops: Summary::of(all.hops),
            }
        };
        OpKind::ALL.into_iter().map(of).filter(|operations| operations.started > 0).collect()
    }
}
