//! A million provider-like records (32-byte key, 38-byte peer): inserts and gets per second, bytes per record, and how
//! long a caller waits while half of them expire.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::{
    fmt,
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use dht_core::{Key, Now, Overlay};
use dht_records::{Invalid, Lease, MemoryConfig, MemoryStore, Store, Validator};
use futures::executor::block_on;

const RECORDS: u64 = 1_000_000;
const PEERS: u64 = 20_000;

struct Providers;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Peer([u8; 38]);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Overlay for Providers {
    type Key = Key<32>;
    type Target = [u8; 32];
    type PeerId = Peer;
    type Addr = ();
    type Query = [u8; 32];
    type Item = Peer;
    type Slot = Peer;
    type Ticket = std::convert::Infallible;
    const TICKETED: bool = false;

    fn peer_key(peer: &Peer) -> Key<32> {
        Key(std::array::from_fn(|i| peer.0[i]))
    }
    fn key_of(target: &[u8; 32]) -> Key<32> {
        Key(*target)
    }
    fn peer_target(peer: &Peer) -> [u8; 32] {
        Self::peer_key(peer).0
    }
    fn target_peer(_: &[u8; 32]) -> Option<Peer> {
        None
    }
    fn target_of(query: &[u8; 32]) -> [u8; 32] {
        *query
    }
    fn refresh_target(local: &Key<32>, _: u32, _: u64) -> [u8; 32] {
        local.0
    }
    fn slot(item: &Peer) -> Peer {
        item.clone()
    }
    fn weight(_: &Peer) -> usize {
        38
    }
    fn corrects(_: &[u8; 32]) -> bool {
        false
    }
}

struct Anything;

impl Validator<Providers> for Anything {
    fn check(&self, _: &[u8; 32], _: &Peer, _: Now) -> Result<(), Invalid> {
        Ok(())
    }
    fn best(&self, _: &[u8; 32], items: &[Peer]) -> Option<usize> {
        items.len().checked_sub(1)
    }
}

/// Spreads a number over the key space (the finaliser of splitmix64).
fn spread(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

fn query(n: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (i, chunk) in bytes.chunks_mut(8).enumerate() {
        chunk.copy_from_slice(&spread(n * 4 + i as u64 + 1).to_be_bytes());
    }
    bytes
}

fn peer(n: u64) -> Peer {
    let mut bytes = [0; 38];
    bytes[30..].copy_from_slice(&spread(n + 1).to_be_bytes());
    Peer(bytes)
}

fn at(secs: u64) -> Now {
    Now::default().after(Duration::from_secs(secs))
}

/// Record `n` arrives at its place in a span of two days and lives for two days.
fn save(store: &MemoryStore<Providers>, n: u64) {
    let now = at(n * 172_800 / RECORDS);
    let from = peer(n % PEERS);
    let lease =
        Lease { from: from.clone(), received: now.wall, lifetime: Duration::from_secs(172_800), own: false };
    block_on(store.save(&query(n), from, lease, &Anything, now)).expect("within every bound");
}

fn empty() -> MemoryStore<Providers> {
    let config =
        MemoryConfig { max_records: RECORDS as usize * 2, max_bytes: 1 << 30, ..MemoryConfig::default() };
    MemoryStore::new(&peer(0), config, 1).expect("a valid config")
}

fn filled() -> MemoryStore<Providers> {
    let store = empty();
    (0..RECORDS).for_each(|n| save(&store, n));
    store
}

/// Bytes that the process has in memory, where the system tells.
fn resident() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(pages.split(' ').nth(1)?.parse::<usize>().ok()? * 4_096)
}

fn memory_and_pause(_: &mut Criterion) {
    let before = resident();
    let start = Instant::now();
    let store = Arc::new(filled());
    let took = start.elapsed();
    println!("fill: {:.0} inserts/s up to a million", RECORDS as f64 / took.as_secs_f64());
    if let (Some(before), Some(after)) = (before, resident()) {
        println!("memory: {:.1} bytes per record", (after - before) as f64 / RECORDS as f64);
    }
    let done = Arc::new(AtomicBool::new(false));
    let sweeper = {
        let (store, done) = (Arc::clone(&store), Arc::clone(&done));
        std::thread::spawn(move || {
            let start = Instant::now();
            let swept = block_on(store.sweep(at(172_800 + 86_400))).expect("memory does not fail");
            done.store(true, Ordering::Release);
            (swept, start.elapsed())
        })
    };
    let (mut waits, mut n) = (Vec::new(), 0);
    while !done.load(Ordering::Acquire) {
        let start = Instant::now();
        black_box(block_on(store.load(&query(n % RECORDS), at(172_800 + 86_400))))
            .expect("memory does not fail");
        waits.push(start.elapsed());
        n += 7_919;
    }
    let (swept, took) = sweeper.join().expect("the sweeper does not panic");
    waits.sort();
    let (p50, p999) = (waits[waits.len() / 2], waits[waits.len() * 999 / 1_000]);
    println!(
        "sweep: {swept} records in {took:?}; {} loads meanwhile: p50 {p50:?}, p99.9 {p999:?}, max {:?}",
        waits.len(),
        waits[waits.len() - 1]
    );
}

fn functions(c: &mut Criterion) {
    let store = filled();
    let mut group = c.benchmark_group("store");
    group.throughput(Throughput::Elements(1));
    let mut n = RECORDS;
    group.bench_function("insert into a million", |b| {
        b.iter_batched(
            || {
                n += 1;
                n
            },
            |n| save(&store, n % (RECORDS * 2)),
            BatchSize::SmallInput,
        );
    });
    let mut n = 0;
    group.bench_function("get out of a million", |b| {
        b.iter(|| {
            n = (n + 7_919) % RECORDS;
            block_on(store.load(&query(n), at(172_000))).expect("memory does not fail")
        });
    });
    group.bench_function("renew within a million", |b| {
        b.iter(|| {
            n = (n + 7_919) % RECORDS;
            save(&store, n);
        });
    });
    group.finish();
}

criterion_group!(benches, memory_and_pause, functions);
criterion_main!(benches);
