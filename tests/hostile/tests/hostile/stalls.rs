//! Peers that begin and do not go on: dripping, mute, deaf.

use std::time::Duration;

use futures::future::{join, join_all};
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::Instant};

use super::{
    ALONE, Honest, MIB, PATIENCE, Victim,
    apart::{Apart, BIG},
    builder,
    message::{GET_VALUE, frame, message, varint},
    raw::{Raw, send},
    within,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_dripping_streams_each_end_at_their_deadline() {
    let _alone = ALONE.lock().await;
    let victim = Victim::start(builder().configure(|s| s.host.message_timeout = PATIENCE)).await;
    let honest = Honest::start(&victim).await;
    let mut streams = Vec::new();
    let raws = join_all((0..32).map(|_| Raw::connected(&victim.addr))).await;
    for raw in &raws {
        for _ in 0..32 {
            streams.push(raw.open(victim.peer).await);
        }
    }
    let drips = streams.into_iter().map(|mut stream| async move {
        let start = Instant::now();
        send(&mut stream, &varint(100_000)).await;
        // A byte now and then is progress, and no reason to wait for longer.
        while send(&mut stream, &[8]).await {
            tokio::time::sleep(PATIENCE / 6).await;
        }
        start.elapsed()
    });
    let ends = within(join_all(drips)).await;
    let last = ends.iter().max().unwrap();
    println!("{} dripping streams ended, the last after {last:?} of {PATIENCE:?}", ends.len());
    assert_eq!(ends.len(), 1024);
    assert!(*last < PATIENCE + Duration::from_secs(5), "{last:?}");
    honest.finish("dripping streams").await;
    victim.node.close().await;
}

/// Answers of 60 KB that nobody reads: what one peer makes the node hold ends at its budget, and at a deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_never_read_are_cut_off_within_their_budget() {
    let _alone = ALONE.lock().await;
    let victim = Apart::start().await;
    let honest = Honest::join(&victim.addr).await;
    let raws = join_all((0..8).map(|_| Raw::connected(&victim.addr))).await;
    let mut streams = Vec::new();
    for raw in &raws {
        for _ in 0..32 {
            streams.push(raw.open(victim.peer).await);
        }
    }
    let request = frame(&message(GET_VALUE, BIG));
    // 256 streams with 64 requests each ask for a gigabyte.
    let deaf = streams.into_iter().map(|mut stream| {
        let request = request.repeat(64);
        async move {
            let start = Instant::now();
            let mut asked = send(&mut stream, &request).await;
            while asked {
                tokio::time::sleep(PATIENCE / 10).await;
                asked = send(&mut stream, &[]).await && send(&mut stream, &request[..1]).await;
            }
            start.elapsed()
        }
    });
    let watch = async {
        let mut most = 0;
        for _ in 0..2 * PATIENCE.as_millis() / 50 {
            most = most.max(victim.grown());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        most
    };
    let (ends, grown) = within(join(join_all(deaf), watch)).await;
    let last = ends.iter().max().unwrap();
    println!(
        "{} deaf streams ended, the last after {last:?}; {} MiB more in memory",
        ends.len(),
        grown / MIB
    );
    assert!(*last < 2 * PATIENCE + Duration::from_secs(5), "{last:?}");
    // Beside its budget of 16 MiB: what the multiplexer holds of 256 streams before anybody reads it.
    assert!(grown < 100 * MIB, "{grown}");
    honest.finish("deaf streams").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_that_say_nothing_are_closed() {
    let _alone = ALONE.lock().await;
    let victim = Victim::start(builder().configure(|s| s.host.dial_timeout = PATIENCE)).await;
    let honest = Honest::start(&victim).await;
    let port = victim.addr.iter().find_map(|part| match part {
        libp2p::multiaddr::Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    let mut sockets = Vec::new();
    for _ in 0..100 {
        sockets.push(TcpStream::connect(("127.0.0.1", port.unwrap())).await.unwrap());
    }
    let start = Instant::now();
    let silent = sockets.into_iter().map(|mut socket| async move {
        let mut greeting = Vec::new();
        let _ = socket.read_to_end(&mut greeting).await;
        (start.elapsed(), greeting.len())
    });
    let ends = within(join_all(silent)).await;
    let last = ends.iter().max().unwrap().0;
    println!("{} silent sockets closed, the last after {last:?} of {PATIENCE:?}", ends.len());
    assert!(last < PATIENCE + Duration::from_secs(5), "{last:?}");
    assert!(ends.iter().all(|(_, told)| *told < 200), "they learn nothing");
    honest.finish("silent sockets").await;
    victim.node.close().await;
}
