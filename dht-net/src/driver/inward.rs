//! What comes in from the network and from the store.

use std::time::Duration;

use dht_core::{Contact, ErrorKind, Now, Observation, Overlay, Request, Response};
use dht_protocol::{Load, Refusal, Served};
use dht_query::StartError;
use dht_records::{Lease, Stored, TooMany};

use super::{Dial, Driver};
use crate::{
    Incoming, ReplyToken, Transport,
    command::Met,
    jobs::{Job, Page},
};

impl<O: Overlay, T: Transport<O>> Driver<O, T> {
    pub(super) fn on_incoming(&mut self, now: Now, incoming: Incoming<O>) {
        match incoming {
            Incoming::Answer { id, response } => match self.dials.remove(&id) {
                Some(dial) => dial.met(now, None),
                None => self.node.on_response(now, id, response),
            },
            Incoming::Greeted { id, contact } => {
                if let Some(dial) = self.dials.remove(&id) {
                    dial.met(now, Some(contact));
                }
            }
            Incoming::Failure { id, why } => match self.dials.remove(&id) {
                Some(dial) => {
                    let _ = dial.done.send(Err(why));
                }
                None => self.node.on_failure(now, id, why),
            },
            Incoming::Request { token, from, serves, request } => {
                self.on_request(now, token, &from, request);
                if serves {
                    self.node.on_asker(now, from);
                }
            }
            Incoming::Peer { contact, serves } => self.node.on_peer(now, contact, serves),
            Incoming::Heard(contact) => self.node.on_asker(now, contact),
            Incoming::Disconnected(peer) => self.node.on_disconnected(&peer),
            Incoming::Connections(open) => self.sink.observe(&Observation::Connections { open }),
            Incoming::Local(contact) => {
                self.node.set_local(now, contact);
                self.local.send_replace(self.node.local().clone());
            }
            Incoming::Reachable(reachable) => {
                self.reachable = reachable;
                self.take_role(self.mode.role(self.reachable));
            }
            Incoming::Closed => {}
        }
    }

    pub(super) fn on_request(&mut self, now: Now, token: ReplyToken, from: &Contact<O>, request: Request<O>) {
        match self.node.serve(now, from, request) {
            Served::Answer(response) => self.answer(token, response),
            Served::Refused(refusal) => self.transport.reply(token, Err(refusal)),
            Served::Load(load) => {
                let mut found = std::mem::take(&mut self.found);
                if self.store.load_now(&load.query, now, &mut found) {
                    self.on_loaded(now, token, load, found.drain(..));
                    self.found = found;
                } else {
                    let job = self.jobs.load(&self.store, token, load, now);
                    self.take_or_refuse(token, job);
                }
            }
            Served::Save(save) => {
                let job = self.jobs.save(&self.store, token, save, self.node.validator(), now);
                self.take_or_refuse(token, job);
            }
        }
    }

    fn on_loaded(
        &mut self,
        now: Now,
        token: ReplyToken,
        load: Load<O>,
        found: impl IntoIterator<Item = Stored<O>>,
    ) {
        let (response, observation) = load.answer(found, &**self.node.rules(), &**self.node.validator(), now);
        self.sink.observe(&observation);
        self.answer(token, response);
    }

    fn answer(&mut self, token: ReplyToken, mut response: Response<O>) {
        self.transport.reply(token, Ok(&mut response));
        self.node.recycle(response);
    }

    /// A job may have ended at once (a store in memory), may run, or found no place.
    pub(super) fn take_or_refuse(&mut self, token: ReplyToken, job: Result<Option<Job<O>>, StartError>) {
        match job {
            Ok(Some(ended)) => self.on_job(ended),
            Ok(None) => {}
            Err(_) => {
                self.sink.observe(&Observation::Error { kind: ErrorKind::Capacity, peer: None });
                self.transport.reply(token, Err(Refusal::Unavailable));
            }
        }
    }

    pub(super) fn on_job(&mut self, job: Job<O>) {
        let now = self.clock.now();
        match job {
            Job::Loaded { token, load, found } => {
                self.observe_store_error(found.as_ref().err());
                self.on_loaded(now, token, load, found.unwrap_or_default());
            }
            Job::Saved { token, save, saved } => {
                self.observe_store_error(saved.as_ref().err());
                match self.node.settle(save, &saved) {
                    Ok(response) => self.answer(token, response),
                    Err(refusal) => self.transport.reply(token, Err(refusal)),
                }
            }
            Job::Local { query, options, caller, found } => {
                self.observe_store_error(found.as_ref().err());
                // Dropped while the store was asked.
                if caller.done.is_closed() {
                    return;
                }
                let items = self.believable(&query, found.unwrap_or_default(), now);
                let started = self.node.fetch(now, query, items, options);
                self.register(started, caller);
            }
            Job::Swept(swept) => {
                self.jobs.swept();
                self.observe_store_error(swept.as_ref().err());
                let items = swept.unwrap_or(0);
                self.sink.observe(&Observation::Expired { items });
            }
            Job::Own(page) => self.on_own_page(now, page),
            Job::Renewed(renewed) => self.observe_store_error(renewed.as_ref().err()),
        }
    }

    /// Own items of a store that outlived a restart: announced when they are due. An empty page is the last.
    pub(super) fn on_own_page(&mut self, now: Now, page: Page<O>) {
        self.observe_store_error(page.as_ref().err());
        let page = page.unwrap_or_default();
        if let Some((query, stored)) = page.last() {
            self.jobs.own(&self.store, Some((query.clone(), O::slot(&stored.item))));
        }
        let restored = self.announcer.restore(now, page);
        self.observe_too_many(restored);
    }

    pub(super) fn observe_too_many(&self, result: Result<(), TooMany>) {
        if let Err(error) = result {
            self.sink.observe(&Observation::Error { kind: error.kind(), peer: None });
        }
    }

    pub(super) fn own_lease(&self, now: Now) -> Lease<O> {
        let from = self.node.local().peer.clone();
        Lease { from, received: now.wall, lifetime: Duration::MAX, own: true }
    }

    pub(super) fn observe_store_error(&self, error: Option<&dht_records::StoreError>) {
        if let Some(error) = error {
            self.sink.observe(&Observation::Error { kind: error.kind(), peer: None });
        }
    }

    /// What the own store holds and still is true.
    pub(super) fn believable(
        &self,
        query: &O::Query,
        found: Vec<dht_records::Stored<O>>,
        now: Now,
    ) -> Vec<O::Item> {
        let validator = self.node.validator();
        let rules = self.node.rules();
        found
            .into_iter()
            .filter(|stored| validator.check(query, &stored.item, now).is_ok())
            .filter_map(|mut stored| {
                stored.item = rules.renew(stored.item, self.node.local());
                rules.present(&stored, now)
            })
            .collect()
    }
}

impl<O: Overlay> Dial<O> {
    fn met(self, now: Now, contact: Option<Contact<O>>) {
        // The caller may have lost interest.
        let _ = self.done.send(Ok(Met { contact, took: now.mono.since(self.started) }));
    }
}
