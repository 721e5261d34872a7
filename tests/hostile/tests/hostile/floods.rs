//! Much of what is allowed: streams, requests, connections, large frames that never end.

use std::time::Duration;

use futures::{AsyncReadExt, future::join_all};
use tokio::time::timeout;

use super::{
    ALONE, Honest, MIB, Victim,
    apart::Apart,
    builder,
    message::{FIND_NODE, GET_PROVIDERS, GET_VALUE, frame, message, varint},
    raw::{Raw, send},
    within,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_streams_is_cut_off() {
    let _alone = ALONE.lock().await;
    let victim = Victim::start(builder()).await;
    let honest = Honest::start(&victim).await;
    let raws = join_all((0..4).map(|_| Raw::connected(&victim.addr))).await;
    for raw in &raws {
        let mut streams = Vec::new();
        for _ in 0..400 {
            if let Some(mut stream) = raw.try_open(victim.peer).await {
                // Half a frame: the stream is in use.
                send(&mut stream, &[50, 8]).await;
                streams.push(stream);
            }
        }
        let ends = join_all(streams.iter_mut().map(|stream| async move {
            timeout(Duration::from_millis(500), stream.read(&mut [0; 1])).await.is_err()
        }))
        .await;
        let live = ends.iter().filter(|live| **live).count();
        assert!(live <= 256, "those that are served and those that wait: {live}");
    }
    honest.finish("1600 streams").await;
    victim.node.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_requests_does_not_keep_others_from_being_served() {
    let _alone = ALONE.lock().await;
    let victim = Apart::start().await;
    let honest = Honest::join(&victim.addr).await;
    let raws = join_all((0..6).map(|_| Raw::connected(&victim.addr))).await;
    let mut floods = Vec::new();
    for raw in &raws {
        // Six times ten streams with 16 requests each: less than `inbound_requests`, beyond which whoever comes next is
        // refused and has to try again.
        for i in 0..10u8 {
            let (mut read, mut write) = raw.open(victim.peer).await.split();
            let kind = [FIND_NODE, GET_VALUE, GET_PROVIDERS][usize::from(i % 3)];
            let requests = frame(&message(kind, &[i; 32])).repeat(64);
            floods.push(async move {
                use futures::AsyncWriteExt as _;
                let mut sent = 0usize;
                let flood = async {
                    while write.write_all(&requests).await.is_ok() && write.flush().await.is_ok() {
                        sent += 64;
                        tokio::task::yield_now().await;
                    }
                };
                let swallow = async { while read.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {} };
                let _ = timeout(Duration::from_secs(3), futures::future::join(flood, swallow)).await;
                sent
            });
        }
    }
    let sent: usize = within(join_all(floods)).await.into_iter().sum();
    let grown = victim.grown();
    println!("{sent} requests on 60 streams, {} MiB more in memory", grown / MIB);
    assert!(sent > 1000, "{sent}");
    assert!(grown < 64 * MIB, "{grown}");
    honest.finish("a flood of requests").await;
}

/// Half a gigabyte in frames that are announced as 4 MiB and stop after 1 MiB, at a node that may hold 16 MiB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_frames_that_never_end_stay_within_the_caps() {
    let _alone = ALONE.lock().await;
    let victim = Apart::start().await;
    let honest = Honest::join(&victim.addr).await;
    let raws = join_all((0..16).map(|_| Raw::connected(&victim.addr))).await;
    let mut streams = Vec::new();
    for raw in &raws {
        for _ in 0..32 {
            streams.push(raw.open(victim.peer).await);
        }
    }
    let writes = streams.into_iter().map(|mut stream| async move {
        let mut taken = 0;
        if send(&mut stream, &varint(4 << 20)).await {
            let piece = [0x7a; 16 << 10];
            while taken < MIB && send(&mut stream, &piece).await {
                taken += piece.len();
            }
        }
        (stream, taken)
    });
    let ends = within(join_all(writes)).await;
    let grown = victim.grown();
    let taken: usize = ends.iter().map(|(_, taken)| taken).sum();
    println!(
        "{} MiB of unfinished frames were taken off us, {} MiB more in memory",
        taken / MIB,
        grown / MIB
    );
    assert!(grown < 100 * MIB, "{grown}");
    drop(ends);
    honest.finish("unfinished frames").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_connections_leaves_room_for_those_that_are_there() {
    let _alone = ALONE.lock().await;
    let few = builder().configure(|s| {
        s.host.max_inbound_connections = 20;
        s.host.connections_per_peer = 2;
    });
    let victim = Victim::start(few).await;
    let honest = Honest::start(&victim).await;
    let raws = join_all((0..40).map(|_| Raw::new())).await;
    let mut open = 0;
    for raw in &raws {
        if within(raw.dial(victim.addr.clone())).await {
            open += usize::from(raw.try_open(victim.peer).await.is_some());
        }
    }
    println!("{open} of 40 strangers hold a connection");
    assert!((1..20).contains(&open), "one of the 20 is the honest peer's");
    honest.finish("a flood of connections").await;
    victim.node.close().await;
}
