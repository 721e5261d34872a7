//! The node under attack: everything that a node of the public network has, on loopback, under a clock that is moved by
//! hand.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use dht::{
    Mode,
    core::{Mono, NoSink, Now, Wall},
    mainline::{
        Admission, CodecConfig, Endpoint, KrpcCodec, Mainline, NodeId, Peer, Preset, Query, Record, Records,
        SampleConfig, SampleStore, ServerRules, address::Reach, compact::Family, krpc::Call,
    },
    net::{
        Clock, DriverConfig, Handle,
        udp::{Config, Rates, Udp},
    },
    protocol::{Node, Parts},
    records::{Lease, MemoryStore, Store},
};

use super::{
    stranger::{SWARM, Stranger, id},
    until, within,
};

/// Moved by hand.
pub struct HandClock(AtomicU64);

impl Clock for HandClock {
    fn now(&self) -> Now {
        let micros = Duration::from_micros(self.0.load(Relaxed));
        Now { mono: Mono(micros), wall: Wall::from_secs(1_800_000_000) + micros }
    }
}

pub struct Server {
    pub addr: SocketAddr,
    pub handle: Handle<Mainline>,
    pub rates: Rates,
    pub store: Arc<SampleStore<MemoryStore<Mainline>>>,
    clock: Arc<HandClock>,
    /// Datagrams that were sent to it, once [`Server::takes`] was told.
    sent: AtomicU64,
    tids: AtomicU64,
    /// Somebody it knows to be there.
    pub friend: Stranger,
}

impl Server {
    pub async fn start() -> Self {
        let clock = Arc::new(HandClock(AtomicU64::new(1_000_000_000)));
        let (own, reach) = (id(1), Reach::Local);
        let rules = ServerRules { reach, ..ServerRules::new([9; 16]) };
        let codec = CodecConfig { reach, ..CodecConfig::new(own, Family::V4, rules.tokens.clone(), 3) };
        let udp = Udp::bind(([127, 0, 0, 1], 0).into(), KrpcCodec::new(codec), Config::default(), 4).unwrap();
        let udp = udp.with_clock(clock.clone());
        let (addr, rates) = (udp.local_addr(), udp.rates());
        // The numbers of the public network, which a local one would not have.
        let preset = Preset::default();
        let parts = Parts {
            config: preset.node,
            routing: preset.routing,
            queries: preset.queries,
            admit: Box::new(Admission { reach, enforce_ids: false }),
            filter: None,
            validator: Arc::new(Records { reach }),
            rules: Arc::new(rules),
            seed: 5,
        };
        let local = dht::Contact::new(own, Endpoint::from(addr));
        let store = MemoryStore::new(&own, preset.store, 6).unwrap();
        let store = Arc::new(SampleStore::new(store, SampleConfig::default(), 7).unwrap());
        let driver = DriverConfig { mode: Mode::Server, ..DriverConfig::default() };
        let node = Node::new(local, parts).unwrap();
        let handle =
            dht::net::spawn(node, udp, store.clone(), Arc::new(NoSink), clock.clone(), driver, 8).unwrap();
        let friend = Stranger::at([127, 0, 99, 99], 99).await;
        let (sent, tids) = (AtomicU64::new(0), AtomicU64::new(0));
        let server = Self { addr, handle, rates, store, clock, sent, tids, friend };
        server.befriend().await;
        server
    }

    /// The friend answers a question, and is believed to be there from now on.
    async fn befriend(&self) {
        let greeting = self.handle.greet(Endpoint::from(self.friend.addr), Duration::from_secs(5));
        let answering = async {
            let (question, _) = self.friend.hear().await;
            let asked = dht::mainline::krpc::decode(&question).unwrap();
            self.says(
                &self.friend,
                &super::stranger::reply(asked.tid, dht::mainline::krpc::Reply::of(self.friend.id)),
            )
            .await;
        };
        let (greeted, ()) = within(async { tokio::join!(greeting, answering) }).await;
        assert_eq!(greeted.unwrap().unwrap().peer, self.friend.id);
    }

    pub fn pass(&self, time: Duration) {
        self.clock.0.fetch_add(time.as_micros() as u64, Relaxed);
    }

    pub fn tid(&self) -> u32 {
        self.tids.fetch_add(1, Relaxed) as u32 | 0x8000_0000
    }

    /// A datagram from somebody.
    pub async fn says(&self, from: &Stranger, bytes: &[u8]) {
        from.send(self.addr, bytes).await;
        self.takes(1);
    }

    /// So many more datagrams are on their way.
    pub fn takes(&self, datagrams: u64) {
        self.sent.fetch_add(datagrams, Relaxed);
    }

    /// Until everything that was sent was read.
    pub async fn caught_up(&self) {
        until(async || self.rates.statistics().received >= self.sent.load(Relaxed)).await;
    }

    /// Everything that was sent was read, and what it brought about has gone out: the friend was answered after it.
    pub async fn done(&self) {
        self.caught_up().await;
        self.friend_is_answered().await;
    }

    /// The friend asks and is answered. At most ten times a second of the clock.
    pub async fn friend_is_answered(&self) {
        let tid = self.tid();
        self.says(&self.friend, &self.friend.question(tid, Call::Ping)).await;
        self.friend.answer_to(tid).await;
    }

    /// Asks and returns the answer.
    pub async fn ask(&self, from: &Stranger, call: Call<'_>) -> Vec<u8> {
        let tid = self.tid();
        self.says(from, &from.question(tid, call)).await;
        from.answer_to(tid).await
    }

    /// Nodes of different networks that are in the table without having done anything for it, as many of `count` as it
    /// has room for.
    pub async fn knows(&self, count: u8) -> Vec<NodeId> {
        let contacts = (0..count).map(|n| {
            let place = SocketAddr::from(([127, 10, n, 1], 6881));
            dht::Contact::new(id(1000 + u32::from(n)), Endpoint::from(place))
        });
        let contacts: Vec<dht::Contact<Mainline>> = contacts.collect();
        let add = move |node: &mut Node<Mainline>, now| {
            let entered = contacts.into_iter().filter(|contact| node.add_peer(now, contact.clone()).is_ok());
            entered.map(|contact| contact.peer).collect::<Vec<_>>()
        };
        let entered = self.handle.visit(add).await.unwrap();
        assert!(entered.len() >= 8);
        entered
    }

    /// So many peers are in the swarm.
    pub async fn holds(&self, count: u8) {
        let now = self.clock.now();
        for n in 0..count {
            let addr = SocketAddr::from(([127, 20, n, 1], 7000));
            let record = Record::Peer(Peer { addr, seed: false, implied_port: false });
            let lease =
                Lease { from: id(2), received: now.wall, lifetime: Duration::from_secs(2700), own: false };
            let judge = Records { reach: Reach::Local };
            self.store.save(&Query::from(SWARM), record, lease, &judge, now).await.unwrap();
        }
    }

    pub async fn records(&self) -> usize {
        self.store.statistics().await.unwrap().records
    }
}
