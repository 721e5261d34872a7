//! A whole node under attack over real sockets: streams are reset, memory stays within its caps, others are served.
//!
//! Single frames and streams against the host alone are attacked in the tests of `dht-net`; here it is the node that a user
//! runs, with its codec, table and store, and an honest peer that uses it all the while. Where memory is measured, the node
//! has a process of its own. Bounds on memory and times are generous; without the caps it would be many times as much.

#![allow(clippy::unwrap_used)] // a test that fails may panic

mod apart;
mod floods;
mod frames;
mod liars;
mod message;
mod raw;
mod stalls;
mod storage;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dht::{
    Dht, Mode,
    ipfs::{AnyValue, Builder, Ipfs},
};
use libp2p::{Multiaddr, PeerId};
use tokio::{sync::Mutex, task::JoinHandle, time::Instant};

/// One attack at a time: they measure time and memory.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Nothing here takes longer, unless it hangs.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it hangs")
}

fn builder() -> Builder {
    Dht::<Ipfs>::builder()
        .network("/test")
        .mode(Mode::Server)
        .validator("v", AnyValue::default())
        .listen(["/ip4/127.0.0.1/tcp/0"])
        .bootstrap(Vec::<String>::new())
        .configure(|settings| settings.host.autonat = false)
}

/// The node that is attacked, as a stranger sees it.
struct Victim {
    node: Dht<Ipfs>,
    peer: PeerId,
    addr: Multiaddr,
}

impl Victim {
    async fn start(builder: Builder) -> Self {
        let node = builder.build().await.unwrap();
        let peer = PeerId::from_bytes(node.local().peer.as_ref()).unwrap();
        let addr = format!("{}/p2p/{peer}", node.listen_addrs()[0]).parse().unwrap();
        Self { node, peer, addr }
    }
}

/// How long a message may take, where it is to end soon.
const PATIENCE: Duration = Duration::from_millis(1500);

const KEY: &str = "/v/honest";
const VALUE: &[u8] = b"what everybody may read";

/// An honest client that asks for a value again and again.
struct Honest {
    node: Dht<Ipfs>,
    done: Arc<AtomicBool>,
    asking: JoinHandle<(usize, Duration)>,
}

impl Honest {
    async fn start(victim: &Victim) -> Self {
        victim.node.values().put(KEY, VALUE).await.unwrap();
        Self::join(&victim.addr).await
    }

    /// Uses a node that holds the value.
    async fn join(addr: &Multiaddr) -> Self {
        let node = builder().mode(Mode::Client).bootstrap([addr]).build().await.unwrap();
        node.bootstrap(Default::default()).await.unwrap();
        let (done, mine) = (Arc::new(AtomicBool::new(false)), node.clone());
        let is_done = done.clone();
        let asking = tokio::spawn(async move {
            let (mut count, mut worst) = (0, Duration::ZERO);
            while !is_done.load(Ordering::Relaxed) {
                let start = Instant::now();
                let value = mine.get_value(KEY).await.expect("an honest peer is served");
                assert_eq!(value.as_deref(), Some(VALUE), "after {count}");
                worst = worst.max(start.elapsed());
                count += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            (count, worst)
        });
        Self { node, done, asking }
    }

    /// Says how often it asked and how long the slowest answer took; none may take 2 s.
    async fn finish(self, what: &str) {
        self.done.store(true, Ordering::Relaxed);
        let (count, worst) = within(self.asking).await.unwrap();
        let refused = self.node.metrics().requests.failed;
        println!("{what}: {count} honest requests served, the slowest in {worst:?}, {refused} tried again");
        assert!(count > 0 && worst < Duration::from_secs(2), "{count} {worst:?}");
        self.node.close().await;
    }
}

const MIB: usize = 1 << 20;
