//! 2,000 connections at once, fetching and serving, and what each of them costs in memory. Alone in its program, because it
//! counts every allocation.
//!
//! The other ends are plain blocking sockets that allocate nothing, so that what is counted is ours.

#![allow(clippy::unwrap_used)] // a test that fails may panic

use std::{
    alloc::System,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use dht_net::tcp::{Config, Conversation, Make, Pool};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What each connection carries after its greeting.
const LOAD: usize = 32 << 10;

/// Bytes of heap that one idle connection may take, the task of its caller included.
const MOST_IDLE: usize = 2500;

fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// The most that lived at a time since this was started.
struct Peak {
    stop: Arc<AtomicBool>,
    sampler: thread::JoinHandle<usize>,
}

impl Peak {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let sampler = thread::spawn(move || {
            let mut peak = 0;
            while !stopped.load(Relaxed) {
                peak = peak.max(live());
                thread::sleep(Duration::from_micros(200));
            }
            peak.max(live())
        });
        Self { stop, sampler }
    }

    fn end(self) -> usize {
        self.stop.store(true, Relaxed);
        self.sampler.join().unwrap()
    }
}

/// Greets, and wants so many bytes.
struct Fetch {
    missing: usize,
    greeted: bool,
}

impl Conversation for Fetch {
    type Output = ();

    fn receive(&mut self, bytes: &[u8]) {
        self.missing -= bytes.len();
    }

    fn take_output(&mut self) -> Vec<u8> {
        if std::mem::replace(&mut self.greeted, true) { Vec::new() } else { vec![1; 68] }
    }

    fn result(&mut self) -> Option<()> {
        (self.missing == 0).then_some(())
    }
}

/// Greets; then every byte is a request.
struct Serve {
    greeting: usize,
    wanted: usize,
    greeted: Arc<AtomicUsize>,
}

impl Conversation for Serve {
    type Output = ();

    fn receive(&mut self, bytes: &[u8]) {
        let greeting = self.greeting.min(bytes.len());
        self.greeting -= greeting;
        if greeting > 0 && self.greeting == 0 {
            self.greeted.fetch_add(1, Relaxed);
        }
        self.wanted += bytes.len() - greeting;
    }

    fn take_output(&mut self) -> Vec<u8> {
        vec![2; std::mem::take(&mut self.wanted) * LOAD]
    }

    fn result(&mut self) -> Option<()> {
        None
    }
}

/// As many connections as this process may have open at both ends, at most 2,000.
fn connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let files: usize = files.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(256);
    (files.saturating_sub(100) / 2).min(2000)
}

fn pool(connections: usize) -> Pool {
    let long = Duration::from_secs(120);
    let (max_outbound, max_inbound) = (connections, connections);
    let config = Config {
        local: true,
        max_outbound,
        max_inbound,
        dial_timeout: long,
        idle_timeout: long,
        deadline: long,
        min_rate: 0,
        ..Config::default()
    };
    Pool::new(config).unwrap()
}

/// Bytes for each connection while all are idle, and the most for each while they are busy.
#[derive(Debug)]
struct Cost {
    idle: usize,
    busy: usize,
}

async fn fetch(connections: usize) -> Cost {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let mut streams: Vec<TcpStream> = Vec::with_capacity(connections);
    let greeting = tokio::task::spawn_blocking(move || {
        let mut greeting = [0; 68];
        while streams.len() < connections {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut greeting).unwrap();
            streams.push(stream);
        }
        streams
    });
    let pool = pool(connections);
    let before = live();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let pool = pool.clone();
        calls.spawn(async move { pool.connect(addr, Fetch { missing: LOAD, greeted: false }).await });
    }
    let streams = greeting.await.unwrap();
    assert_eq!(pool.statistics().outbound, connections);
    let idle = (live() - before) / connections;
    let peak = Peak::start();
    let giving = tokio::task::spawn_blocking(move || {
        for mut stream in streams {
            stream.write_all(&[3; LOAD]).unwrap();
        }
    });
    while let Some(result) = calls.join_next().await {
        result.unwrap().unwrap();
    }
    giving.await.unwrap();
    let busy = peak.end().saturating_sub(before) / connections;
    assert_eq!(pool.statistics().received, (connections * LOAD) as u64);
    pool.close().await;
    Cost { idle, busy }
}

async fn serve(connections: usize) -> Cost {
    let pool = pool(connections);
    let greeted = Arc::new(AtomicUsize::new(0));
    let counter = greeted.clone();
    let make: Make<Serve> =
        Arc::new(move |_| Some(Serve { greeting: 68, wanted: 0, greeted: counter.clone() }));
    let listener = pool.listen("127.0.0.1:0".parse().unwrap(), make).unwrap();
    let addr: SocketAddr = listener.local_addr();
    let mut streams: Vec<TcpStream> = Vec::with_capacity(connections);
    let before = live();
    let opening = tokio::task::spawn_blocking(move || {
        while streams.len() < connections {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.write_all(&[1; 68]).unwrap();
            streams.push(stream);
        }
        streams
    });
    let streams = opening.await.unwrap();
    while greeted.load(Relaxed) < connections {
        tokio::task::yield_now().await;
    }
    assert_eq!((pool.statistics().inbound, pool.statistics().refused), (connections, 0));
    let idle = (live() - before) / connections;
    // All ask for four answers at once, before any reads the first.
    let peak = Peak::start();
    let reading = tokio::task::spawn_blocking(move || {
        for mut stream in &streams {
            stream.write_all(&[0; 4]).unwrap();
        }
        let mut answer = vec![0; 4 * LOAD];
        for mut stream in streams {
            stream.read_exact(&mut answer).unwrap();
        }
    });
    reading.await.unwrap();
    let busy = peak.end().saturating_sub(before) / connections;
    pool.close().await;
    assert_eq!(pool.statistics().inbound, 0);
    Cost { idle, busy }
}

#[tokio::test]
async fn two_thousand_connections_fetch_and_serve_within_their_memory() {
    let connections = connections();
    // What the runtime allocates once is not what a connection costs.
    fetch(10).await;
    let (fetching, serving) = (fetch(connections).await, serve(connections).await);
    println!("{connections} connections, bytes of heap for each: fetching {fetching:?}, serving {serving:?}");
    assert!(fetching.idle <= MOST_IDLE && serving.idle <= MOST_IDLE);
    // Fetching keeps nothing but what the conversation keeps; serving keeps what its answers call for.
    assert!(fetching.busy <= 2 * MOST_IDLE, "{fetching:?}");
    assert!(serving.busy <= 4 * LOAD + 2 * MOST_IDLE, "{serving:?}");
}
