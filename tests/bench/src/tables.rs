//! The routing tables, filled alike, and line B2: a million contacts inserted, touched and evicted.
//!
//! libp2p-kad shows its table through its behaviour only. Its nearest public thing to a touch is to add a known address
//! again; its events are taken out when there are any, which is seldom.

use std::{
    task::{Context, Waker},
    time::Duration,
};

use bytes::Bytes;
use dht_core::{Contact, Failure, Now, Overlay};
use dht_ipfs::Ipfs;
use dht_routing::{Action, AdmitAll, Checked, Config, Routing};
use discv5::{
    ConnectionDirection, ConnectionState,
    enr::NodeId,
    kbucket::{InsertResult, KBucketsTable, NodeStatus},
};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol,
    kad::{self, RoutingUpdate, store::MemoryStore},
    swarm::NetworkBehaviour,
};

use crate::{
    args::Args,
    contest::{Contest, nanos},
    raw::{self, Raw},
    world::{Somebody, World, at, node, short},
};

/// libp2p-kad, whole.
pub type Kad = kad::Behaviour<MemoryStore>;
/// The table of discv5; the value is what ours keeps too, packed addresses.
pub type Discv5 = KBucketsTable<NodeId, Bytes>;
/// Its key.
pub type Discv5Key = discv5::Key<NodeId>;

/// Peers of a table in a network of some thirty thousand.
pub const FULL: usize = 270;

/// An empty table of ours, of any network.
pub fn ours<O: Overlay>(local: O::PeerId) -> Routing<O> {
    Routing::new(local, Config::default(), Box::new(AdmitAll), 1).expect("the defaults are valid")
}

/// The contract of our machines; whoever is checked answers.
pub fn drain<O: Overlay>(routing: &mut Routing<O>, now: Now) {
    loop {
        match routing.poll(now) {
            Action::Check { id, .. } => {
                routing.checked(now, id, Ok(Checked { rtt: Duration::from_millis(50), closer: 20 }));
            }
            Action::Wait(_) => return,
            _ => {}
        }
    }
}

/// An empty behaviour of libp2p-kad that starts nothing by itself.
pub fn kad(world: &World) -> Kad {
    let mut config = kad::Config::new(StreamProtocol::new("/ipfs/kad/1.0.0"));
    config
        .set_periodic_bootstrap_interval(None)
        .set_publication_interval(None)
        .set_replication_interval(None);
    config.set_provider_publication_interval(None);
    Kad::with_config(world.local.peer, MemoryStore::new(world.local.peer), config)
}

/// Takes out what a behaviour has to say.
pub fn drain_kad(kad: &mut Kad) {
    let mut context = Context::from_waker(Waker::noop());
    while NetworkBehaviour::poll(kad, &mut context).is_ready() {}
}

/// An empty table of discv5.
pub fn discv5(world: &World) -> Discv5 {
    KBucketsTable::new(discv5_key(&world.local), Duration::from_secs(60), 16, None, None)
}

/// The same place in the key space.
pub fn discv5_key(somebody: &Somebody) -> Discv5Key {
    NodeId::new(&somebody.key.0).into()
}

/// An empty table of mainline.
pub fn mainline(world: &World) -> mainline::RoutingTable {
    mainline::RoutingTable::new(short(&world.local.key))
}

/// A status that keeps a peer in the table.
pub const CONNECTED: NodeStatus =
    NodeStatus { direction: ConnectionDirection::Outgoing, state: ConnectionState::Connected };

/// Strangers that a table of ours takes one after the other until it holds `peers`, as a node of a network of some
/// thousands meets them: more of them far away than near.
pub fn members(world: &mut World, peers: usize, addrs: usize) -> Vec<Somebody> {
    let mut table = ours::<Ipfs>(world.local.contact.peer);
    let mut members = Vec::new();
    while members.len() < peers {
        let stranger = world.strangers(1, addrs).remove(0);
        if table.insert(at(1), stranger.contact.clone()).is_ok() {
            members.push(stranger);
        }
        drain(&mut table, at(1));
    }
    members
}

/// All four, each offered the same strangers.
pub struct Tables {
    /// dht-routing.
    pub ours: Routing<Ipfs>,
    /// libp2p-kad.
    pub kad: Kad,
    /// discv5.
    pub discv5: Discv5,
    /// mainline.
    pub mainline: mainline::RoutingTable,
}

impl Tables {
    /// Offers the strangers to each.
    pub fn filled(world: &World, strangers: &[Somebody]) -> Self {
        let mut tables = Self {
            ours: ours(world.local.contact.peer),
            kad: kad(world),
            discv5: discv5(world),
            mainline: mainline(world),
        };
        for stranger in strangers {
            let _ = tables.ours.insert(at(1), stranger.contact.clone());
            for addr in &stranger.addrs {
                tables.kad.add_address(&stranger.peer, addr.clone());
            }
            let addrs = Bytes::copy_from_slice(stranger.contact.addr.as_ref());
            let _ = tables.discv5.insert_or_update(&discv5_key(stranger), addrs, CONNECTED);
            tables.mainline.add(node(stranger));
        }
        drain(&mut tables.ours, at(1));
        drain_kad(&mut tables.kad);
        tables
    }

    /// How many peers each took.
    pub fn sizes(&mut self) -> String {
        let kad: usize = self.kad.kbuckets().map(|bucket| bucket.num_entries()).sum();
        let (ours, discv5) = (self.ours.len(), self.discv5.iter_ref().count());
        format!("peers: ours {ours}, libp2p-kad {kad}, discv5 {discv5}, mainline {}", self.mainline.size())
    }
}

/// Line B2. Where ids have to be hashed the peer is libp2p-kad; where ids are keys, discv5 and mainline.
pub fn run(args: &Args) {
    let mut world = World::new(2);
    let addrs = Bytes::from_static(&[4, 18, 1, 1, 9, 6, 15, 161]);
    let members = Crowd::new(members(&mut world, FULL, 1), &addrs);
    let strangers = Crowd::new(world.strangers(args.size(1_000_000, 2_000), 1), &addrs);
    insert(args, &world, &strangers);
    touch(args, &world, &members, strangers.all.len());
    churn(args, &world, &strangers);
}

/// Strangers in everybody's words.
struct Crowd {
    all: Vec<Somebody>,
    raw: Vec<Contact<Raw>>,
    addrs: Bytes,
}

impl Crowd {
    fn new(all: Vec<Somebody>, addrs: &Bytes) -> Self {
        let raw = all.iter().map(|stranger| raw::contact(stranger, addrs)).collect();
        Self { all, raw, addrs: addrs.clone() }
    }

    fn of_ipfs(&self, i: usize) -> &Contact<Ipfs> {
        &self.all[i % self.all.len()].contact
    }

    fn of_raw(&self, i: usize) -> &Contact<Raw> {
        &self.raw[i % self.raw.len()]
    }

    fn of_kad(&self, i: usize) -> (&PeerId, Multiaddr) {
        let somebody = &self.all[i % self.all.len()];
        (&somebody.peer, somebody.addrs[0].clone())
    }

    fn of_discv5(&self, i: usize) -> (Discv5Key, Bytes) {
        (discv5_key(&self.all[i % self.all.len()]), self.addrs.clone())
    }

    fn of_mainline(&self, i: usize) -> mainline::Node {
        node(&self.all[i % self.all.len()])
    }
}

const HASHED: &str = "ids hashed";
const KEYS: &str = "ids are keys";

fn raw_local(world: &World) -> raw::Id {
    raw::Id(world.local.key.0)
}

fn insert(args: &Args, world: &World, crowd: &Crowd) {
    fn ours_of<'a, O: Overlay>(local: O::PeerId, count: usize, of: impl Fn(usize) -> &'a Contact<O>) -> f64 {
        let mut table = ours::<O>(local);
        nanos(count, |i| {
            let _ = table.insert(at(1), of(i).clone());
            drain(&mut table, at(1));
        })
    }
    let count = crowd.all.len();
    let task = |ids| format!("insert {count} random contacts, {ids}");
    Contest::new("b2", task(HASHED), "ns/contact")
        .with("dht-routing", || ours_of(world.local.contact.peer, count, |i| crowd.of_ipfs(i)))
        .with("libp2p-kad 0.49.0", || {
            let mut table = kad(world);
            nanos(count, |i| {
                let (peer, addr) = crowd.of_kad(i);
                if let RoutingUpdate::Success = table.add_address(peer, addr) {
                    drain_kad(&mut table);
                }
            })
        })
        .run(args);
    Contest::new("b2", task(KEYS), "ns/contact")
        .with("dht-routing", || ours_of(raw_local(world), count, |i| crowd.of_raw(i)))
        .with("discv5 0.11.0", || {
            let mut table = discv5(world);
            nanos(count, |i| {
                let (key, addrs) = crowd.of_discv5(i);
                table.insert_or_update(&key, addrs, CONNECTED)
            })
        })
        .with("mainline 8.0.1", || {
            let mut table = mainline(world);
            nanos(count, |i| table.add(crowd.of_mainline(i)))
        })
        .run(args);
}

fn touch(args: &Args, world: &World, crowd: &Crowd, count: usize) {
    fn ours_of<'a, O: Overlay>(
        table: &mut Routing<O>,
        count: usize,
        of: impl Fn(usize) -> &'a Contact<O>,
    ) -> f64 {
        nanos(count, |i| {
            table.alive(at(2), &of(i).peer, Duration::from_millis(50));
            drain(table, at(2));
        })
    }
    let Tables { ours: hashed, kad, discv5, mainline } = &mut Tables::filled(world, &crowd.all);
    let mut keys = ours::<Raw>(raw_local(world));
    for contact in &crowd.raw {
        let _ = keys.insert(at(1), contact.clone());
    }
    let task = |ids| format!("touch one of {FULL} peers, {ids}");
    Contest::new("b2", task(HASHED), "ns/touch")
        .with("dht-routing", || ours_of(hashed, count, |i| crowd.of_ipfs(i)))
        .with("libp2p-kad 0.49.0, address added again", || {
            nanos(count, |i| {
                let (peer, addr) = crowd.of_kad(i);
                kad.add_address(peer, addr)
            })
        })
        .run(args);
    Contest::new("b2", task(KEYS), "ns/touch")
        .with("dht-routing", || ours_of(&mut keys, count, |i| crowd.of_raw(i)))
        .with("discv5 0.11.0", || {
            nanos(count, |i| {
                discv5.update_node_status(&crowd.of_discv5(i).0, ConnectionState::Connected, None)
            })
        })
        .with("mainline 8.0.1, node added again", || nanos(count, |i| mainline.add(crowd.of_mainline(i))))
        .run(args);
}

/// A contact enters and answers; of those that had a place every fourth fails afterwards, and ours asks the next one.
fn churn(args: &Args, world: &World, crowd: &Crowd) {
    fn ours_of<'a, O: Overlay>(local: O::PeerId, count: usize, of: impl Fn(usize) -> &'a Contact<O>) -> f64 {
        let mut table = ours::<O>(local);
        nanos(count, |i| {
            let contact = of(i);
            let entered = table.insert(at(1), contact.clone()).is_ok();
            table.alive(at(2), &contact.peer, Duration::from_millis(50));
            if entered && fails(i) {
                table.failed(at(2), &contact.peer, Failure::Timeout);
            }
            drain(&mut table, at(2));
        })
    }
    fn fails(i: usize) -> bool {
        i.is_multiple_of(4)
    }
    let count = crowd.all.len();
    let task = |ids| format!("insert, touch, evict every fourth of {count}, {ids}");
    Contest::new("b2", task(HASHED), "ns/contact")
        .with("dht-routing", || ours_of(world.local.contact.peer, count, |i| crowd.of_ipfs(i)))
        .with("libp2p-kad 0.49.0", || {
            let mut table = kad(world);
            nanos(count, |i| {
                let (peer, addr) = crowd.of_kad(i);
                let entered = matches!(table.add_address(peer, addr.clone()), RoutingUpdate::Success);
                table.add_address(peer, addr);
                if entered && fails(i) {
                    table.remove_peer(peer);
                }
                if entered {
                    drain_kad(&mut table);
                }
            })
        })
        .run(args);
    Contest::new("b2", task(KEYS), "ns/contact")
        .with("dht-routing", || ours_of(raw_local(world), count, |i| crowd.of_raw(i)))
        .with("discv5 0.11.0", || {
            let mut table = discv5(world);
            nanos(count, |i| {
                let (key, addrs) = crowd.of_discv5(i);
                let result = table.insert_or_update(&key, addrs, CONNECTED);
                let _ = table.update_node_status(&key, ConnectionState::Connected, None);
                if matches!(result, InsertResult::Inserted) && fails(i) {
                    table.remove(&key);
                }
            })
        })
        .with("mainline 8.0.1", || {
            let mut table = mainline(world);
            nanos(count, |i| {
                let node = crowd.of_mainline(i);
                let entered = table.add(node.clone());
                table.add(node.clone());
                if entered && fails(i) {
                    table.remove(node.id());
                }
            })
        })
        .run(args);
}
