//! Time: what happens when a request is late, and when somebody wanted to be woken.

use dht_core::{Failure, Mono, Now, Overlay, RequestId};

use super::{Queries, Wake};
use crate::{
    Output,
    inflight::{Alarm, Owner},
};

impl<O: Overlay> Queries<O> {
    /// A request takes longer than usual, or has reached its deadline.
    pub(super) fn alarm(&mut self, now: Now, id: RequestId, alarm: Alarm) {
        if alarm == Alarm::Deadline {
            self.common.out.push_back(Output::Forget(id));
            return self.on_failure(now, id, Failure::Timeout);
        }
        let Some(request) = self.common.requests.get(id) else { return };
        let (owner, peer) = (request.owner, request.to.peer.clone());
        if alarm == Alarm::GivenUp && request.has_substitutes() {
            self.common.rtt.silent(true);
        }
        match owner {
            Owner::Query(query) => {
                if let Some(query) = self.queries.get_mut(&query) {
                    query.alarm(now.mono, id, &peer, alarm, &mut self.common);
                }
                self.drive(now.mono, query);
            }
            Owner::Lone(lone) => {
                if let Some(lone) = self.lone.get_mut(&lone) {
                    lone.alarm(now.mono, alarm, &mut self.common);
                }
            }
            Owner::Nobody => {}
        }
    }

    /// A query or a lone request asked to be driven again at `at`.
    pub(super) fn wake(&mut self, now: Mono, at: Mono, wake: Wake) {
        match wake {
            Wake::Query(id) => self.drive(now, id),
            Wake::Lone(id) => {
                self.wakes.remove(&(at, wake));
                if let Some(lone) = self.lone.get_mut(&id) {
                    lone.again(now, &mut self.common);
                }
            }
        }
    }
}
