//! A transport of our own: the one in memory, with every fifth request of a node lost and everything counted.
//!
//! A transport on real sockets implements the same trait. It decides nothing about deadlines or retries: what it loses,
//! the query engine asks again.
//!
//! `cargo run -p dht --example custom_transport`

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use dht::{
    Contact, Dht, Mode, Overlay, Request,
    core::{RequestId, Response},
    ipfs::{AddrList, AnyValue, Ipfs, Keypair, Multiaddr},
    net::{Incoming, Order, ReplyToken, Transport, memory::Hub},
    protocol::Refusal,
};

/// What all transports of the network counted.
#[derive(Default)]
struct Counters {
    sent: AtomicU64,
    lost: AtomicU64,
}

struct Lossy<T> {
    inner: T,
    sent: u64,
    counters: Arc<Counters>,
}

#[async_trait]
impl<O: Overlay, T: Transport<O>> Transport<O> for Lossy<T> {
    fn send(&mut self, id: RequestId, to: Contact<O>, request: Request<O>) {
        // A lost request is simply never answered. The next one of this node gets through, so trying again helps.
        self.sent += 1;
        self.counters.sent.fetch_add(1, Relaxed);
        if self.sent.is_multiple_of(5) {
            self.counters.lost.fetch_add(1, Relaxed);
        } else {
            self.inner.send(id, to, request);
        }
    }
    fn forget(&mut self, id: RequestId) {
        self.inner.forget(id);
    }
    fn reply(&mut self, token: ReplyToken, answer: Result<&mut Response<O>, Refusal>) {
        self.inner.reply(token, answer);
    }
    fn order(&mut self, order: Order<O>) {
        self.inner.order(order);
    }
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Incoming<O>> {
        self.inner.poll_next(cx)
    }
    async fn close(&mut self) {
        self.inner.close().await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (hub, counters) = (Hub::new(), Arc::new(Counters::default()));
    let addr: Multiaddr = "/memory/1".parse()?;
    let mut nodes: Vec<Dht<Ipfs>> = Vec::new();
    for n in 1..=8 {
        let through: Vec<_> = nodes.first().map(Dht::local).into_iter().collect();
        let node = Dht::<Ipfs>::builder()
            .network("/lossy")
            .mode(Mode::Server)
            .identity(Keypair::ed25519_from_bytes([n; 32])?)
            .seed(u64::from(n))
            .validator("v", AnyValue::default())
            .configure(|settings| {
                // Nobody here is far away, so there is no point in waiting ten seconds for what was lost.
                settings.query.request_timeout = Duration::from_millis(300);
                settings.query.backoff_initial = Duration::from_millis(50);
                settings.bootstrap.seed_timeout = Duration::from_secs(1);
                settings.bootstrap.settle = Duration::from_millis(100);
            })
            .bootstrap_from(move || through.clone())
            .build_on(|local| {
                let inner = hub.join(Contact::new(local.peer, AddrList::from(addr.clone())));
                Lossy { inner, sent: 0, counters: counters.clone() }
            })?;
        if !nodes.is_empty() {
            node.bootstrap(Default::default()).await?;
        }
        nodes.push(node);
    }

    let put = nodes[1].put_value("/v/greeting", "hello").await?;
    println!("stored by {} of 7", put.receipt.stored.len());
    let found = nodes[6].get_value("/v/greeting").await?;
    assert_eq!(found.as_deref(), Some(&b"hello"[..]));

    let (sent, lost) = (counters.sent.load(Relaxed), counters.lost.load(Relaxed));
    println!("{lost} of {sent} requests were lost");
    assert!(lost > 0);
    Ok(())
}

#[test]
fn a_node_works_on_a_lossy_transport() {
    main().unwrap();
}
