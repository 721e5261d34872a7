//! Requests outside of any lookup: checks, pings, whatever one peer alone can answer.
//!
//! They have no substitute either, so they are retried within their time: after a failure that may pass, with back-off;
//! and when an answer is overdue, since a lost datagram looks just like that. The caller sees one request under one name.

use std::{collections::BTreeSet, time::Duration};

use dht_core::{Contact, Failure, Mono, Overlay, Request, RequestId, Response};

use crate::{
    Output,
    common::Common,
    inflight::{Alarm, Owner},
};

pub(crate) struct Lone<O: Overlay> {
    id: RequestId,
    to: Contact<O>,
    request: Request<O>,
    deadline: Mono,
    attempts: u32,
    running: BTreeSet<RequestId>,
    /// When the next attempt is due, while none runs.
    pub(crate) retry: Option<Mono>,
}

impl<O: Overlay> Lone<O> {
    pub(crate) fn start(
        now: Mono,
        id: RequestId,
        to: Contact<O>,
        request: Request<O>,
        timeout: Duration,
        common: &mut Common<O>,
    ) -> Self {
        let to = O::detach(to);
        let mut lone = Self {
            id,
            to,
            request,
            deadline: now + timeout,
            attempts: 0,
            running: BTreeSet::new(),
            retry: None,
        };
        lone.send(now, id, common);
        lone
    }

    fn send(&mut self, now: Mono, id: RequestId, common: &mut Common<O>) {
        self.attempts += 1;
        self.retry = None;
        self.running.insert(id);
        let times = common.times_alone(now, self.attempts, self.deadline);
        common.send(now, id, Owner::Lone(self.id), self.to.clone(), self.request.clone(), times);
    }

    fn may_retry(&self, common: &Common<O>) -> bool {
        self.attempts <= common.config.retries
    }

    /// Its time for another attempt has come.
    pub(crate) fn again(&mut self, now: Mono, common: &mut Common<O>) {
        let id = common.requests.name();
        self.send(now, id, common);
    }

    /// An attempt is overdue.
    pub(crate) fn alarm(&mut self, now: Mono, alarm: Alarm, common: &mut Common<O>) {
        if alarm != Alarm::Deadline && self.may_retry(common) {
            self.again(now, common);
        }
    }

    /// An attempt failed; `true` when that was the last word.
    pub(crate) fn failed(&mut self, now: Mono, id: RequestId, why: Failure, common: &mut Common<O>) -> bool {
        self.running.remove(&id);
        if now >= self.deadline || !why.is_retryable() {
            return true;
        }
        if !self.running.is_empty() || self.retry.is_some() {
            return false;
        }
        if !self.may_retry(common) {
            return true;
        }
        let when = common.retry_at(now, self.attempts);
        self.retry = Some(when);
        when >= self.deadline
    }

    /// Over: other attempts are forgotten, the caller is told.
    pub(crate) fn finish(
        self,
        answered: Option<RequestId>,
        result: Result<(Response<O>, Duration), Failure>,
        common: &mut Common<O>,
    ) {
        let (id, to, attempts) = (self.id, self.to.clone(), self.attempts);
        self.forget(answered, common);
        common.out.push_back(Output::Lone { id, to, result, attempts });
    }

    /// Over without a word.
    pub(crate) fn forget(self, except: Option<RequestId>, common: &mut Common<O>) {
        for id in self.running.into_iter().filter(|id| Some(*id) != except) {
            common.forget(id);
        }
    }
}
