//! Line B1: the twenty closest peers of a full table.
//!
//! A target is a place in the key space here, hashed beforehand for everybody. "Near" targets agree with the local key
//! in 6 to 13 bits: some tables find those by walking all their buckets.

use crate::{
    args::Args,
    contest::{Contest, nanos, note},
    tables::{FULL, Tables, members},
    world::{Target, World},
};

const K: usize = 20;

/// Line B1.
pub fn run(args: &Args) {
    let mut world = World::new(1);
    let strangers = members(&mut world, FULL, 4);
    let mut tables = Tables::filled(&world, &strangers);
    note(args, "b1", &tables.sizes());
    let targets = args.size(256, 8);
    let kinds = [("far", world.far(targets)), ("near", world.near(targets)), ("own key", vec![own(&world)])];
    for (name, targets) in kinds {
        closest(args, &world, &mut tables, name, &targets);
    }
}

fn own(world: &World) -> Target {
    let bytes = world.local.contact.peer.as_ref().to_vec();
    Target {
        key: world.local.key,
        theirs: bytes.clone().into(),
        short: crate::world::short(&world.local.key),
        bytes: bytes.into(),
    }
}

fn closest(args: &Args, world: &World, tables: &mut Tables, name: &str, targets: &[Target]) {
    // Enough of each to last some milliseconds; they differ by a factor of hundreds.
    let calls = |full| args.size(full, 8);
    let at = |i: usize| &targets[i % targets.len()];
    let discv5_keys: Vec<crate::tables::Discv5Key> =
        targets.iter().map(|target| discv5::enr::NodeId::new(&target.key.0).into()).collect();
    let Tables { ours, kad, discv5, mainline } = tables;
    let kad = std::cell::RefCell::new(kad);
    let mut out = Vec::with_capacity(K);
    Contest::new("b1", format!("closest {K}, {name} targets"), "ns/call")
        .with("dht-routing", || {
            nanos(calls(200_000), |i| {
                out.clear();
                ours.closest(&at(i).key, K, &mut out);
                out.len()
            })
        })
        .with("libp2p-kad 0.49.0", || {
            let kad = &mut *kad.borrow_mut();
            nanos(calls(5_000), |i| {
                kad.find_closest_local_peers(&at(i).theirs, &world.local.peer).collect::<Vec<_>>()
            })
        })
        .with("libp2p-kad 0.49.0, keys only", || {
            let kad = &mut *kad.borrow_mut();
            nanos(calls(5_000), |i| kad.get_closest_local_peers(&at(i).theirs).take(K).collect::<Vec<_>>())
        })
        .with("discv5 0.11.0 (buckets of 16)", || {
            nanos(calls(20_000), |i| {
                discv5.closest_values(&discv5_keys[i % targets.len()]).take(K).collect::<Vec<_>>()
            })
        })
        .with("mainline 8.0.1", || nanos(calls(2_000), |i| mainline.closest(at(i).short)))
        .run(args);
}
