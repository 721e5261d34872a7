//! What the driver is tested with: rules and a validator for `Tiny`, a sink that remembers, a store that can be held up.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use dht_core::{
    Contact, Now, Observation, Request, RequestId, Response, Sink, Wall,
    testing::{Tiny, TinyItem, TinyQuery},
};
use dht_net::{
    DriverConfig, Handle, Incoming, Order, ReplyToken, TokioClock, Transport,
    memory::{Hub, Memory},
};
use dht_protocol::{Node, Parts, Refusal, Rules};
use dht_records::{
    Invalid, Lease, MemoryConfig, MemoryStore, Saved, Statistics, Store, StoreError, Stored, Validator,
};
use dht_routing::AdmitAll;
use tokio::sync::Semaphore;

pub struct Open;

impl Rules<Tiny> for Open {
    fn admit(&self, _: &Contact<Tiny>, _: &Request<Tiny>, _: Now) -> Result<(), Refusal> {
        Ok(())
    }
    fn show(&self, contact: &Contact<Tiny>, _: &Contact<Tiny>) -> Option<u16> {
        Some(contact.addr)
    }
    fn ticket(&self, _: &Contact<Tiny>, _: &TinyQuery, _: usize, _: Now) -> Option<Infallible> {
        None
    }
    fn redeem(
        &self,
        _: &Contact<Tiny>,
        _: &TinyQuery,
        _: Option<&Infallible>,
        _: Now,
    ) -> Result<(), Refusal> {
        Ok(())
    }
    fn lifetime(&self, _: &TinyQuery, _: &TinyItem) -> Duration {
        Duration::from_secs(2 * 3600)
    }
    fn receive(&self, item: TinyItem, _: Now) -> TinyItem {
        item
    }
    fn present(&self, stored: &Stored<Tiny>, _: Now) -> Option<TinyItem> {
        Some(stored.item)
    }
    fn renew(&self, item: TinyItem, _: &Contact<Tiny>) -> TinyItem {
        item
    }
}

/// A version that is valid in the first hour of the tests.
pub const LASTS_ONE_HOUR: u8 = 77;
/// When the tests begin.
const START: Wall = Wall::from_secs(1_800_000_000);

pub struct Versions;

impl Validator<Tiny> for Versions {
    fn check(&self, _: &TinyQuery, item: &TinyItem, now: Now) -> Result<(), Invalid> {
        match item.version {
            0 => Err(Invalid::Signature),
            LASTS_ONE_HOUR if now.wall.since(START) >= Duration::from_secs(3600) => Err(Invalid::Expired),
            _ => Ok(()),
        }
    }
    fn best(&self, _: &TinyQuery, items: &[TinyItem]) -> Option<usize> {
        (0..items.len()).max_by_key(|i| (items[*i].version, std::cmp::Reverse(*i)))
    }
}

/// Remembers every observation.
#[derive(Default)]
pub struct Heard(Mutex<Vec<Observation<Tiny>>>);

impl Heard {
    pub fn any(&self, wanted: impl Fn(&Observation<Tiny>) -> bool) -> bool {
        self.0.lock().expect("never poisoned, never closed").iter().any(wanted)
    }
}

impl Sink<Tiny> for Heard {
    fn observe(&self, observation: &Observation<Tiny>) {
        self.0.lock().expect("never poisoned, never closed").push(observation.clone());
    }
}

/// A store whose loads and saves wait until they are released, and may fail then.
pub struct Held {
    inner: MemoryStore<Tiny>,
    waiting: Semaphore,
    gate: Semaphore,
    failing: AtomicBool,
}

impl Held {
    pub fn new(inner: MemoryStore<Tiny>) -> Self {
        let closed = || Semaphore::new(0);
        Self { inner, waiting: closed(), gate: closed(), failing: AtomicBool::new(false) }
    }

    /// Waits until somebody waits in here.
    pub async fn entered(&self) {
        self.waiting.acquire().await.expect("never poisoned, never closed").forget();
    }

    pub fn release(&self) {
        self.gate.add_permits(1000);
    }

    pub fn fail(&self) {
        self.failing.store(true, Ordering::Relaxed);
    }

    async fn pass(&self) -> Result<(), StoreError> {
        self.waiting.add_permits(1);
        self.gate.acquire().await.expect("never poisoned, never closed").forget();
        if self.failing.load(Ordering::Relaxed) {
            return Err(StoreError::Backend("the disk is gone".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl Store<Tiny> for Held {
    async fn load(&self, query: &TinyQuery, now: Now) -> Result<Vec<Stored<Tiny>>, StoreError> {
        self.pass().await?;
        self.inner.load(query, now).await
    }
    async fn save(
        &self,
        query: &TinyQuery,
        item: TinyItem,
        lease: Lease<Tiny>,
        judge: &dyn Validator<Tiny>,
        now: Now,
    ) -> Result<Saved, StoreError> {
        self.pass().await?;
        self.inner.save(query, item, lease, judge, now).await
    }
    async fn remove(&self, query: &TinyQuery) -> Result<usize, StoreError> {
        self.inner.remove(query).await
    }
    async fn remove_slot(&self, query: &TinyQuery, slot: &Option<u8>) -> Result<bool, StoreError> {
        self.inner.remove_slot(query, slot).await
    }
    async fn sweep(&self, now: Now) -> Result<usize, StoreError> {
        self.inner.sweep(now).await
    }
    async fn scan(
        &self,
        own_only: bool,
        from: Option<(TinyQuery, Option<u8>)>,
        limit: usize,
    ) -> Result<Vec<(TinyQuery, Stored<Tiny>)>, StoreError> {
        self.inner.scan(own_only, from, limit).await
    }
    async fn statistics(&self) -> Result<Statistics, StoreError> {
        self.inner.statistics().await
    }
    async fn clear(&self) -> Result<(), StoreError> {
        self.inner.clear().await
    }
}

pub fn at(peer: u8) -> Contact<Tiny> {
    Contact::new(peer, 1000 + u16::from(peer))
}

pub fn store(peer: u8) -> MemoryStore<Tiny> {
    MemoryStore::new(&peer, MemoryConfig::default(), 0).expect("defaults are valid")
}

fn node(peer: u8) -> Node<Tiny> {
    let parts = Parts {
        config: Default::default(),
        routing: Default::default(),
        queries: Default::default(),
        admit: Box::new(AdmitAll),
        filter: None,
        validator: Arc::new(Versions),
        rules: Arc::new(Open),
        seed: 0,
    };
    Node::new(at(peer), parts).expect("defaults are valid")
}

/// A running node and what it observed.
pub struct Spawned {
    pub handle: Handle<Tiny>,
    pub heard: Arc<Heard>,
}

pub fn spawned(hub: &Hub<Tiny>, peer: u8, store: Arc<dyn Store<Tiny>>, config: DriverConfig) -> Spawned {
    spawned_on(hub.join(at(peer)), peer, store, config)
}

pub fn spawned_on<T: Transport<Tiny>>(
    transport: T,
    peer: u8,
    store: Arc<dyn Store<Tiny>>,
    config: DriverConfig,
) -> Spawned {
    let heard = Arc::new(Heard::default());
    let clock = Arc::new(TokioClock::starting_at(START));
    let handle = dht_net::spawn(node(peer), transport, store, heard.clone(), clock, config, 0)
        .expect("the options of the tests are valid");
    Spawned { handle, heard }
}

/// A transport that takes a second to end, and holds something like a socket.
pub struct SlowEnd {
    pub inner: Memory<Tiny>,
    pub _held: Arc<()>,
}

#[async_trait]
impl Transport<Tiny> for SlowEnd {
    fn send(&mut self, id: RequestId, to: Contact<Tiny>, request: Request<Tiny>) {
        self.inner.send(id, to, request);
    }
    fn forget(&mut self, id: RequestId) {
        self.inner.forget(id);
    }
    fn reply(&mut self, token: ReplyToken, answer: Result<&mut Response<Tiny>, Refusal>) {
        self.inner.reply(token, answer);
    }
    fn order(&mut self, order: Order<Tiny>) {
        self.inner.order(order);
    }
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Incoming<Tiny>> {
        self.inner.poll_next(cx)
    }
    async fn close(&mut self) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.inner.close().await;
    }
}
