//! The end of a query: what still runs is let go, what was learned becomes the result.

use dht_core::{ErrorKind, Mono, Observation, OperationKind, Outcome, Overlay};

use crate::{Finished, Output, Reason, Receipt, common::Common, lookup::State, place::Place};

use super::{Goal, Query};

impl<O: Overlay> Query<O> {
    /// The query is over: what still runs is dropped and the result goes out.
    pub(crate) fn finish(mut self, now: Mono, reason: Reason, common: &mut Common<O>) {
        for (id, _) in std::mem::take(&mut self.running) {
            match reason {
                Reason::Cancelled => common.forget(id),
                _ => common.disown(id),
            }
        }
        let k = self.k;
        let confirmed_only = matches!(reason, Reason::Complete | Reason::Exhausted);
        let closest = self.paths.closest(k, !confirmed_only);
        let took = now.since(self.started);
        let kind = self.goal.kind();
        let outdated = match &self.goal {
            Goal::Fetch(gather) => {
                let answered = self.paths.closest(k, false);
                let lacking = answered.into_iter().filter(|c| gather.is_outdated(&c.contact.peer));
                lacking.map(|c| (c.contact.clone(), c.ticket.clone())).collect()
            }
            _ => Vec::new(),
        };
        let nearest = self.paths.closest(1, false).first().map_or(0, |candidate| candidate.hop);
        let mut finished = Finished {
            reason,
            confirmed: closest.iter().filter(|c| c.state == State::Queried).count(),
            closest: closest.into_iter().map(|c| c.contact.clone()).collect(),
            items: Vec::new(),
            outdated,
            receipt: self.place.as_ref().map_or_else(Receipt::default, Place::receipt),
            found: None,
            requests: self.requests,
            hops: self.hops.unwrap_or(nearest),
            took,
        };
        match self.goal {
            Goal::Fetch(gather) => finished.items = gather.into_items(),
            Goal::FindPeer { found, .. } => finished.found = found,
            Goal::Closest | Goal::Store { .. } => {}
        }
        let outcome = outcome(kind, &finished);
        let requests = self.requests;
        common.out.push_back(Output::Observed(Observation::QueryFinished { kind, outcome, took, requests }));
        common.out.push_back(Output::Finished(self.id, finished));
    }
}

/// What the end of a query means to whoever counts.
fn outcome<O: Overlay>(kind: OperationKind, finished: &Finished<O>) -> Outcome {
    let reached = match kind {
        OperationKind::Closest => matches!(finished.reason, Reason::Complete | Reason::Enough),
        OperationKind::Fetch => !finished.items.is_empty(),
        OperationKind::Store => !finished.receipt.stored.is_empty(),
    };
    match finished.reason {
        Reason::Cancelled => Outcome::Cancelled,
        _ if reached => Outcome::Ok,
        Reason::Timeout => Outcome::Failed(ErrorKind::Timeout),
        Reason::NoPeers => Outcome::Failed(ErrorKind::Routing),
        Reason::Complete if kind == OperationKind::Fetch => Outcome::NotFound,
        _ => Outcome::Failed(ErrorKind::Query),
    }
}
