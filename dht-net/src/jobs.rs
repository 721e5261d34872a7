//! Store calls beside the loop: bounded in number, finished in any order, and at once when the store is a map.

use std::sync::Arc;

use dht_core::{Now, Overlay};
use dht_protocol::{Load, Save};
use dht_query::{QueryOptions, StartError};
use dht_records::{Lease, Saved, Store, StoreError, Stored, Validator};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};

use crate::{ReplyToken, command::Caller};

/// Own records that are read at a time when announcements are restored.
const PAGE: usize = 1024;

type Found<O> = Result<Vec<Stored<O>>, StoreError>;
pub(crate) type Page<O> = Result<Vec<(<O as Overlay>::Query, Stored<O>)>, StoreError>;

/// A store call that has ended, with what is needed to go on.
pub(crate) enum Job<O: Overlay> {
    Loaded { token: ReplyToken, load: Load<O>, found: Found<O> },
    Saved { token: ReplyToken, save: Save<O>, saved: Result<Saved, StoreError> },
    Local { query: O::Query, options: QueryOptions, caller: Caller<O>, found: Found<O> },
    Swept(Result<usize, StoreError>),
    Own(Page<O>),
    Renewed(Result<Saved, StoreError>),
}

pub(crate) struct Jobs<O: Overlay> {
    running: FuturesUnordered<BoxFuture<'static, Job<O>>>,
    limit: usize,
    sweeping: bool,
}

impl<O: Overlay> Jobs<O> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { running: FuturesUnordered::new(), limit, sweeping: false }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// The next job that ends; pending for ever when none runs.
    pub(crate) async fn next(&mut self) -> Job<O> {
        match self.running.next().await {
            Some(job) => job,
            None => std::future::pending().await,
        }
    }

    /// Polls once: what a map answers needs no task.
    fn run(&mut self, mut job: BoxFuture<'static, Job<O>>) -> Option<Job<O>> {
        match (&mut job).now_or_never() {
            Some(ended) => Some(ended),
            None => {
                self.running.push(job);
                None
            }
        }
    }

    fn place(&self) -> Result<(), StartError> {
        if self.running.len() < self.limit { Ok(()) } else { Err(StartError::Busy { limit: self.limit }) }
    }

    pub(crate) fn load(
        &mut self,
        store: &Arc<dyn Store<O>>,
        token: ReplyToken,
        load: Load<O>,
        now: Now,
    ) -> Result<Option<Job<O>>, StartError> {
        self.place()?;
        let store = store.clone();
        let job = async move {
            let found = store.load(&load.query, now).await;
            Job::Loaded { token, load, found }
        };
        Ok(self.run(job.boxed()))
    }

    pub(crate) fn save(
        &mut self,
        store: &Arc<dyn Store<O>>,
        token: ReplyToken,
        save: Save<O>,
        validator: &Arc<dyn Validator<O>>,
        now: Now,
    ) -> Result<Option<Job<O>>, StartError> {
        self.place()?;
        let (store, judge) = (store.clone(), validator.clone());
        let job = async move {
            let saved = store.save(&save.query, save.item.clone(), save.lease.clone(), &*judge, now).await;
            Job::Saved { token, save, saved }
        };
        Ok(self.run(job.boxed()))
    }

    /// What the own store holds before a fetch goes out. Callers are bounded by their channel and the query limit.
    pub(crate) fn local(
        &mut self,
        store: &Arc<dyn Store<O>>,
        query: O::Query,
        options: QueryOptions,
        caller: Caller<O>,
        now: Now,
    ) -> Option<Job<O>> {
        if let Err(busy) = self.place() {
            // Whoever asked may be gone.
            let _ = caller.done.send(Err(busy));
            return None;
        }
        let store = store.clone();
        let job = async move {
            let found = store.load(&query, now).await;
            Job::Local { query, options, caller, found }
        };
        self.run(job.boxed())
    }

    /// Removes what has expired, unless the last sweep still runs.
    pub(crate) fn sweep(&mut self, store: &Arc<dyn Store<O>>, now: Now) {
        if std::mem::replace(&mut self.sweeping, true) {
            return;
        }
        let store = store.clone();
        self.running.push(async move { Job::Swept(store.sweep(now).await) }.boxed());
    }

    /// A sweep has ended.
    pub(crate) fn swept(&mut self) {
        self.sweeping = false;
    }

    /// Notes that an own item was announced. Bounded by the announcements that run at once.
    pub(crate) fn renew(
        &mut self,
        store: &Arc<dyn Store<O>>,
        query: O::Query,
        item: O::Item,
        lease: Lease<O>,
        validator: &Arc<dyn Validator<O>>,
        now: Now,
    ) {
        let (store, judge) = (store.clone(), validator.clone());
        let job = async move { Job::Renewed(store.save(&query, item, lease, &*judge, now).await) };
        self.running.push(job.boxed());
    }

    /// One page of own records after `from`.
    pub(crate) fn own(&mut self, store: &Arc<dyn Store<O>>, from: Option<(O::Query, O::Slot)>) {
        let store = store.clone();
        self.running.push(async move { Job::Own(store.scan(true, from, PAGE).await) }.boxed());
    }
}
