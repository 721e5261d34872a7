//! What all queries of a node share: who we are, how requests go out, what the outlet holds.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use dht_core::{Contact, Draws, Failure, Mono, Observation, Overlay, Request, RequestId, RequestKind};

use crate::{
    Config, Filter, Output, backoff,
    inflight::{Owner, Requests, Times},
    rtt::RttEstimate,
};

/// Overdue requests of finished queries that are left to their deadline at once.
const MAX_DISOWNED: usize = 256;

pub(crate) struct Common<O: Overlay> {
    pub(crate) local: O::PeerId,
    pub(crate) config: Arc<Config>,
    pub(crate) draws: Draws,
    pub(crate) filter: Option<Filter<O>>,
    pub(crate) requests: Requests<O>,
    pub(crate) rtt: RttEstimate,
    /// When the last answer came, to whatever.
    pub(crate) heard: Option<Mono>,
    /// Drained by the caller after every call, so it holds what one call brings about.
    pub(crate) out: VecDeque<Output<O>>,
}

impl<O: Overlay> Common<O> {
    /// How long an answer usually takes at most.
    pub(crate) fn overdue_after(&self) -> Duration {
        self.rtt.overdue_after(self.config.min_timeout, self.config.request_timeout)
    }

    fn given_up_after(&self, patient: bool) -> Duration {
        self.rtt.given_up_after(patient, self.config.min_timeout, self.config.request_timeout)
    }

    /// When the request of a lookup, sent now, stops to matter step by step. Whoever looks for peers gives one up later: the
    /// result is wrong without it, while another of the k nearest has the items as well, if any is known to have them.
    pub(crate) fn times_in_lookup(&self, now: Mono, hasty: bool) -> Times {
        let given_up = self.given_up_after(!hasty);
        let when = |after: Duration| self.config.hedge.then(|| now + after);
        Times {
            overdue: when(self.overdue_after()),
            given_up: when(given_up),
            deadline: now + self.config.request_timeout,
        }
    }

    /// When a request that has no substitute, sent now for the `attempt`th time, is to be repeated, and fails.
    pub(crate) fn times_alone(&mut self, now: Mono, attempt: u32, deadline: Mono) -> Times {
        let patience = self.given_up_after(false).saturating_mul(2);
        let spacing = backoff::delay(&self.config, attempt.saturating_sub(1), self.draws.next_u64());
        let given_up = self.config.hedge.then(|| now + patience.max(spacing));
        Times { overdue: None, given_up, deadline }
    }

    /// When a request that failed for the `attempt`th time may be tried again.
    pub(crate) fn retry_at(&mut self, now: Mono, attempt: u32) -> Mono {
        now + backoff::delay(&self.config, attempt.saturating_sub(1), self.draws.next_u64())
    }

    /// Sends a request under a name of its own.
    pub(crate) fn send(
        &mut self,
        now: Mono,
        id: RequestId,
        owner: Owner,
        to: Contact<O>,
        request: Request<O>,
        times: Times,
    ) {
        let kind = request.kind();
        self.requests.arm(id, owner, to.clone(), kind, now, times);
        self.out.push_back(Output::Send { id, to, request });
        self.out.push_back(Output::Observed(Observation::RequestSent { kind }));
    }

    /// Nobody waits for this request any more.
    pub(crate) fn forget(&mut self, id: RequestId) {
        if self.requests.take(id).is_some() {
            self.out.push_back(Output::Forget(id));
        }
    }

    /// The query of this request is over. One that is overdue is left to its deadline, for the routing table's sake:
    /// nobody would ever find out that a peer is mute if every lookup stopped to look after a moment.
    pub(crate) fn disown(&mut self, id: RequestId) {
        if !self.requests.disown(id, MAX_DISOWNED) {
            self.forget(id);
        }
    }

    /// Gives back what the queues do not hold any more.
    pub(crate) fn rest(&mut self) {
        self.requests.rest();
        if self.out.is_empty() {
            self.out.shrink_to_fit();
        }
    }

    /// Tells what a failure says about the peer.
    pub(crate) fn report(&mut self, to: &Contact<O>, kind: RequestKind, why: Failure) {
        self.out.push_back(Output::Observed(Observation::RequestFailed { kind, peer: to.peer.clone(), why }));
        let ours = why.is_own();
        // A server that refuses to store something is a server.
        let refusal = match kind {
            RequestKind::Put => !matches!(why, Failure::Timeout | Failure::Unreachable),
            // Liveness may be a protocol of its own, which a server need not speak.
            RequestKind::Ping => why == Failure::Unsupported,
            RequestKind::FindNode | RequestKind::Get => false,
        };
        if !ours && !refusal {
            self.out.push_back(Output::Failed { contact: to.clone(), why });
        }
    }
}
