//! Line B3: bytes that live on the heap for one node, its own struct included.
//!
//! Three states: empty; with a full table of peers whose addresses are not known; with four addresses each. libp2p-kad
//! cannot hold a peer without an address, so it has one in the second state. What is counted is what was asked of the
//! allocator and not given back, not what the allocator makes of it. Each round has other peers.

use std::{cell::RefCell, sync::Arc};

use bytes::Bytes;
use dht_core::Contact;
use dht_ipfs::{AddrList, Ipfs, Namespaces, ServerRules};
use dht_protocol::{Config, Node, Output, Parts};
use dht_routing::AdmitAll;
use stats_alloc::{Region, StatsAlloc};

use crate::{
    args::Args,
    contest::Contest,
    tables::{self, CONNECTED, FULL, Tables, members},
    world::{Somebody, World, at, node},
};

type Heap = StatsAlloc<std::alloc::System>;

/// What the peers' addresses are in a state.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Empty,
    Unlocated,
    Located,
}

impl State {
    fn of(self, strangers: &[Somebody]) -> Vec<Somebody> {
        let (peers, addrs) = match self {
            Self::Empty => (0, 0),
            Self::Unlocated => (strangers.len(), 0),
            Self::Located => (strangers.len(), 4),
        };
        let with = |somebody: &Somebody| {
            let kept = &somebody.addrs[..addrs.max(1)];
            let addr: AddrList = kept[..addrs.min(kept.len())].iter().cloned().collect();
            Somebody {
                contact: Contact::new(somebody.contact.peer, addr),
                addrs: kept.to_vec(),
                ..somebody.clone()
            }
        };
        strangers[..peers].iter().map(with).collect()
    }
}

/// Line B3, counted by this allocator.
pub fn run(args: &Args, heap: &'static Heap) {
    let full = args.size(FULL, 30);
    let states = [
        (State::Empty, "empty".to_owned()),
        (State::Unlocated, format!("{full} peers, before addresses")),
        (State::Located, format!("{full} peers, 4 addresses each")),
    ];
    for (state, name) in states {
        // The same peers for all contenders of a round.
        let seed = RefCell::new(0);
        let world = |next: bool| {
            *seed.borrow_mut() += u64::from(next);
            let mut world = World::new(*seed.borrow());
            let strangers = members(&mut world, full, 4);
            (state.of(&strangers), world)
        };
        Contest::new("b3", format!("heap of a node, {name}"), "bytes")
            .with("dht-protocol, the whole node", || {
                let (strangers, world) = world(true);
                live(heap, || Box::new(filled_node(&world, &strangers)))
            })
            .with("dht-routing, the table alone", || {
                let (strangers, world) = world(false);
                live(heap, || {
                    let mut table = Box::new(tables::ours::<Ipfs>(world.local.contact.peer));
                    for stranger in &strangers {
                        let _ = table.insert(at(1), stranger.contact.clone());
                        tables::drain(&mut table, at(1));
                    }
                    table
                })
            })
            .with("libp2p-kad 0.49.0, the behaviour", || {
                let (strangers, world) = world(false);
                live(heap, || {
                    let mut kad = Box::new(tables::kad(&world));
                    for stranger in &strangers {
                        for addr in &stranger.addrs {
                            kad.add_address(&stranger.peer, addr.clone());
                            tables::drain_kad(&mut kad);
                        }
                    }
                    kad
                })
            })
            .with("discv5 0.11.0, the table alone", || {
                let (strangers, world) = world(false);
                live(heap, || {
                    let mut table = Box::new(tables::discv5(&world));
                    for stranger in &strangers {
                        let addrs = Bytes::copy_from_slice(stranger.contact.addr.as_ref());
                        let _ = table.insert_or_update(&tables::discv5_key(stranger), addrs, CONNECTED);
                    }
                    table
                })
            })
            .with("mainline 8.0.1, the table alone", || {
                let (strangers, world) = world(false);
                live(heap, || {
                    let mut table = Box::new(tables::mainline(&world));
                    for stranger in &strangers {
                        table.add(node(stranger));
                    }
                    table
                })
            })
            .run(args);
    }
}

/// Bytes that are alive for what is made.
fn live<T>(heap: &'static Heap, make: impl FnOnce() -> T) -> f64 {
    let region = Region::new(heap);
    let made = make();
    let change = region.change();
    drop(made);
    change.bytes_allocated as f64 - change.bytes_deallocated as f64
}

fn filled_node(world: &World, strangers: &[Somebody]) -> Node<Ipfs> {
    let parts = Parts {
        config: Config { serve: true, ..Config::default() },
        routing: dht_routing::Config::default(),
        queries: dht_query::Config::default(),
        admit: Box::new(AdmitAll),
        filter: None,
        validator: Arc::new(Namespaces::amino()),
        rules: Arc::new(ServerRules::default()),
        seed: 1,
    };
    let mut node = Node::new(world.local.contact.clone(), parts).expect("the defaults are valid");
    for stranger in strangers {
        let _ = node.add_peer(at(1), stranger.contact.clone());
        while !matches!(node.poll_output(at(1)), Output::Wait(_)) {}
    }
    node
}

/// How many peers each table took of those of the first round.
pub fn sizes(args: &Args) -> String {
    let mut world = World::new(1);
    let strangers = members(&mut world, args.size(FULL, 30), 4);
    Tables::filled(&world, &strangers).sizes()
}
