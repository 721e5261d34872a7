//! A store of our own: keeps records in memory as the usual one does, and writes every change to a log.
//!
//! A store on a disk or in a database implements the same trait; the node awaits it without holding up anything else.
//!
//! `cargo run -p dht --example custom_store`

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dht::{
    Contact, Dht, Mode,
    core::Now,
    ipfs::{AddrList, AnyValue, Ipfs, Item, Keypair, Multiaddr, PeerId, Query},
    net::memory::Hub,
    records::{Lease, MemoryConfig, MemoryStore, Saved, Statistics, Store, StoreError, Stored, Validator},
};

type Slot = <Ipfs as dht::Overlay>::Slot;

struct Logged {
    inner: MemoryStore<Ipfs>,
    log: Mutex<Vec<String>>,
}

impl Logged {
    fn note(&self, line: String) {
        self.log.lock().expect("nobody panics while holding it").push(line);
    }
}

#[async_trait]
impl Store<Ipfs> for Logged {
    async fn load(&self, query: &Query, now: Now) -> Result<Vec<Stored<Ipfs>>, StoreError> {
        self.inner.load(query, now).await
    }

    /// Comparing and saving must stay one step; here the inner store sees to that.
    async fn save(
        &self,
        query: &Query,
        item: Item,
        lease: Lease<Ipfs>,
        judge: &dyn Validator<Ipfs>,
        now: Now,
    ) -> Result<Saved, StoreError> {
        let from = lease.from;
        let saved = self.inner.save(query, item, lease, judge, now).await?;
        self.note(format!("{saved:?} {} from {from}", String::from_utf8_lossy(query.key())));
        Ok(saved)
    }

    async fn remove(&self, query: &Query) -> Result<usize, StoreError> {
        self.note(format!("remove {}", String::from_utf8_lossy(query.key())));
        self.inner.remove(query).await
    }
    async fn remove_slot(&self, query: &Query, slot: &Slot) -> Result<bool, StoreError> {
        self.inner.remove_slot(query, slot).await
    }
    async fn sweep(&self, now: Now) -> Result<usize, StoreError> {
        self.inner.sweep(now).await
    }
    async fn scan(
        &self,
        own_only: bool,
        from: Option<(Query, Slot)>,
        limit: usize,
    ) -> Result<Vec<(Query, Stored<Ipfs>)>, StoreError> {
        self.inner.scan(own_only, from, limit).await
    }
    async fn statistics(&self) -> Result<Statistics, StoreError> {
        self.inner.statistics().await
    }
    async fn clear(&self) -> Result<(), StoreError> {
        self.inner.clear().await
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keypair = Keypair::generate_ed25519();
    let inner = MemoryStore::new(&PeerId::from_public_key(&keypair.public()), MemoryConfig::default(), 1)?;
    let store = Arc::new(Logged { inner, log: Mutex::default() });

    let hub = Hub::new();
    let addr: Multiaddr = "/memory/1".parse()?;
    let join = |local: Contact<Ipfs>| hub.join(Contact::new(local.peer, AddrList::from(addr.clone())));
    let node =
        || Dht::<Ipfs>::builder().network("/logged").mode(Mode::Server).validator("v", AnyValue::default());

    let keeper = node().identity(keypair).store(store.clone()).build_on(join)?;
    let through = keeper.local();
    let writer = node().bootstrap_from(move || vec![through.clone()]).build_on(join)?;
    writer.bootstrap(Default::default()).await?;

    writer.put_value("/v/greeting", "hello").await?;
    keeper.values().remove("/v/greeting").await?;

    let log = store.log.lock().expect("nobody panics while holding it").clone();
    for line in &log {
        println!("{line}");
    }
    assert_eq!(log[0], format!("New /v/greeting from {}", writer.local().peer));
    assert_eq!(log[1], "remove /v/greeting");
    Ok(())
}

#[test]
fn a_node_keeps_its_records_where_we_say() {
    main().unwrap();
}
