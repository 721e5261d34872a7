//! The table's hot paths over 32-byte keys: the closest 20 of 270 peers, and a million inserts, touches and evictions.

use std::{convert::Infallible, fmt, hint::black_box, time::Duration};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use dht_core::{
    Contact, Failure, Key, Mono, Now, Overlay, Rng, Wall,
    rand_core::{Rng as _, SeedableRng},
};
use dht_routing::{Action, AdmitAll, Config, Routing};

/// 256-bit keys that are the peer ids themselves: what is measured is the table, not a hash.
struct Wide;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Id([u8; 32]);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Key(self.0).fmt(f)
    }
}

impl Overlay for Wide {
    type Key = Key<32>;
    type Target = [u8; 32];
    type PeerId = Id;
    type Addr = (u32, u16);
    type Query = u8;
    type Item = u8;
    type Slot = u8;
    type Ticket = Infallible;
    const TICKETED: bool = false;

    fn peer_key(peer: &Id) -> Key<32> {
        Key(peer.0)
    }
    fn key_of(target: &[u8; 32]) -> Key<32> {
        Key(*target)
    }
    fn peer_target(peer: &Id) -> [u8; 32] {
        peer.0
    }
    fn target_peer(target: &[u8; 32]) -> Option<Id> {
        Some(Id(*target))
    }
    fn target_of(query: &u8) -> [u8; 32] {
        [*query; 32]
    }
    fn refresh_target(local: &Key<32>, prefix: u32, _: u64) -> [u8; 32] {
        let mut target = local.0;
        target[prefix as usize / 8] ^= 0x80 >> (prefix % 8);
        target
    }
    fn slot(item: &u8) -> u8 {
        *item
    }
    fn weight(_: &u8) -> usize {
        1
    }
    fn corrects(_: &u8) -> bool {
        false
    }
}

const LOCAL: Id = Id([0x5a; 32]);

fn contact(rng: &mut Rng) -> Contact<Wide> {
    let mut id = [0; 32];
    rng.fill_bytes(&mut id);
    Contact::new(Id(id), (rng.next_u32(), 4001))
}

fn at(secs: u64) -> Now {
    Now { mono: Mono(Duration::from_secs(secs)), wall: Wall::from_secs(secs) }
}

fn table() -> Routing<Wide> {
    Routing::new(LOCAL, Config::default(), Box::new(AdmitAll), 1).expect("the defaults are valid")
}

fn drain(routing: &mut Routing<Wide>, now: Now) {
    while !matches!(routing.poll(now), Action::Wait(_)) {}
}

/// As a node of a network of some thirty thousand peers has it.
fn filled(peers: usize) -> Routing<Wide> {
    let mut routing = table();
    let mut rng = Rng::seed_from_u64(7);
    while routing.len() < peers {
        // For want of room most are refused, as in a live network.
        let _ = routing.insert(at(1), contact(&mut rng));
        drain(&mut routing, at(1));
    }
    routing
}

/// A key that agrees with the local one in `prefix` bits and is random after the next.
fn near(rng: &mut Rng, prefix: usize) -> Key<32> {
    let mut key = contact(rng).peer.0;
    key[..prefix / 8].copy_from_slice(&LOCAL.0[..prefix / 8]);
    key[prefix / 8] = LOCAL.0[prefix / 8] ^ (0x80 >> (prefix % 8));
    Key(key)
}

fn closest(c: &mut Criterion) {
    let routing = filled(270);
    let mut rng = Rng::seed_from_u64(8);
    let far: Vec<_> = (0..1024).map(|_| Key(contact(&mut rng).peer.0)).collect();
    let nearby: Vec<_> = (0..1024).map(|i| near(&mut rng, 6 + i % 12)).collect();
    let own: Vec<_> = (0..1024).map(|_| Key(LOCAL.0)).collect();
    let mut group = c.benchmark_group("closest-20 of 270");
    for (name, targets) in [("random targets", far), ("targets near the local key", nearby), ("own key", own)]
    {
        let mut out = Vec::with_capacity(20);
        let mut i = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                i = (i + 1) % targets.len();
                out.clear();
                routing.closest(black_box(&targets[i]), 20, &mut out);
                black_box(out.len())
            });
        });
    }
    group.finish();
}

fn churn(c: &mut Criterion) {
    const N: usize = 1_000_000;
    let mut rng = Rng::seed_from_u64(9);
    let contacts: Vec<_> = (0..N).map(|_| contact(&mut rng)).collect();
    let mut group = c.benchmark_group("10^6 random contacts");
    group.sample_size(10).throughput(Throughput::Elements(N as u64));
    group.bench_function("insert", |b| {
        b.iter_batched_ref(
            table,
            |routing| {
                for contact in &contacts {
                    let _ = routing.insert(at(1), contact.clone());
                    drain(routing, at(1));
                }
            },
            BatchSize::PerIteration,
        );
    });
    let known: Vec<_> = filled(270).iter().map(|entry| entry.contact.peer).collect();
    group.bench_function("touch", |b| {
        b.iter_batched_ref(
            || filled(270),
            |routing| {
                for i in 0..N {
                    routing.alive(at(2), &known[i % known.len()], Duration::from_millis(50));
                    drain(routing, at(2));
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("insert, touch, evict every fourth", |b| {
        b.iter_batched_ref(
            table,
            |routing| {
                for (i, contact) in contacts.iter().enumerate() {
                    let entered = routing.insert(at(1), contact.clone()).is_ok();
                    routing.alive(at(2), &contact.peer, Duration::from_millis(50));
                    if entered && i % 4 == 0 {
                        routing.failed(at(2), &contact.peer, Failure::Timeout);
                    }
                    drain(routing, at(2));
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, closest, churn);
criterion_main!(benches);
