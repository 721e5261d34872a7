//! What strangers can make a host hold, and whom it keeps when there are too many.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dht_core::{Failure, RequestId};
use dht_net::{Incoming, Order, Transport, libp2p::Config};
use futures::{AsyncReadExt, AsyncWriteExt, future::join_all};

use super::{
    dialect::{self, Id, find},
    faults::is_reset,
    harness::{Server, config, echo, host, outcome, within},
    stock::Stock,
};

#[tokio::test]
async fn a_flood_of_streams_is_bounded_while_others_are_served() {
    let stock = Stock::new().await;
    let flooder = Id::from(stock.peer);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    // Whoever floods gets no answer, so that its streams stay open.
    let server = Server::start(config(), move |from, token, request, _| match *from == flooder {
        true => {
            count.fetch_add(1, Ordering::Relaxed);
            vec![]
        }
        false => vec![(token, echo(request))],
    })
    .await;
    let mut client = host(config()).await;
    assert!(stock.dial(server.dial_addr()).await);
    let mut streams = Vec::new();
    for i in 0..300u64 {
        if let Some(mut stream) = within(stock.open(server.peer_id)).await {
            let _ = stream.write_all(&[2, dialect::FIND, 1]).await;
            let _ = stream.flush().await;
            streams.push(stream);
        }
        client.send(RequestId(i), server.contact(), find("x"));
        assert!(outcome(&mut client).await.1.is_ok());
    }
    assert_eq!(asked.load(Ordering::Relaxed), 32, "more are not read at a time");
    // Those that are served, those that wait, and no more.
    let mut live = Vec::new();
    for mut stream in streams {
        let end = tokio::time::timeout(Duration::from_millis(10), stream.read(&mut [0; 1])).await;
        live.extend(end.is_err().then_some(stream));
    }
    assert_eq!(live.len(), 32 + 224);
}

#[tokio::test]
async fn a_burst_of_streams_is_served() {
    let server = Server::echo(config()).await;
    let stock = Stock::new().await;
    assert!(stock.dial(server.dial_addr()).await);
    let ask = async || {
        let mut stream = stock.open(server.peer_id).await?;
        stream.write_all(&[2, dialect::FIND, 1]).await.ok()?;
        stream.flush().await.ok()?;
        stream.read_exact(&mut [0; 1]).await.ok()?;
        stream.close().await.ok()
    };
    let served = within(join_all((0..200).map(|_| ask()))).await;
    assert_eq!(served.into_iter().flatten().count(), 200);
}

#[tokio::test]
async fn bytes_and_requests_of_one_peer_are_bounded() {
    let server = Server::start(
        Config { bytes_per_peer: 64 << 10, inbound_pipeline: 1000, ..config() },
        |_, _, _, _| vec![],
    )
    .await;
    let stock = Stock::new().await;
    assert!(stock.dial(server.dial_addr()).await);
    // Requests that are never answered, 300 bytes each: the peer's budget ends the stream.
    let mut stream = within(stock.open(server.peer_id)).await.unwrap();
    let mut request = vec![0xac, 0x02, dialect::FIND];
    request.resize(302, 7);
    let mut taken = 0;
    let flood = async {
        while stream.write_all(&request).await.is_ok() && stream.flush().await.is_ok() {
            taken += 1;
            tokio::task::yield_now().await;
        }
    };
    within(flood).await;
    assert!(taken >= 64 << 10 >> 10, "{taken}");
    // A frame that alone is above it does too.
    let mut stream = within(stock.open(server.peer_id)).await.unwrap();
    stream.write_all(&[0x80, 0x80, 0x08]).await.unwrap();
    let _ = stream.write_all(&vec![1; 128 << 10]).await;
    let _ = stream.flush().await;
    assert!(is_reset(&mut stream).await);
}

#[tokio::test]
async fn our_own_requests_are_bounded() {
    let server = Server::start(config(), |_, _, _, _| vec![]).await;
    let other = Server::echo(config()).await;
    let mut client = host(Config { requests_per_peer: 5, max_requests: 8, ..config() }).await;
    for i in 0..12 {
        client.send(RequestId(i), server.contact(), find("x"));
    }
    let mut refused = Vec::new();
    for _ in 5..12 {
        let (id, result) = outcome(&mut client).await;
        assert_eq!(result, Err(Failure::Overloaded));
        refused.push(id.0);
    }
    assert_eq!(refused, (5..12).collect::<Vec<_>>());
    client.send(RequestId(20), other.contact(), find("x"));
    assert!(outcome(&mut client).await.1.is_ok(), "one slow peer does not hold up another");
}

#[tokio::test]
async fn too_many_connections_are_trimmed_to_those_that_matter() {
    let trimming = Config { high_water: 6, low_water: 3, grace: Duration::ZERO, ..config() };
    let mut hub = host(trimming).await;
    let mut servers = Vec::new();
    for i in 0..8 {
        let server = Server::echo(config()).await;
        if i == 0 {
            hub.order(Order::Protect { peer: server.peer.clone(), on: true });
        }
        hub.send(RequestId(i), server.contact(), find("x"));
        servers.push(server);
    }
    let mut gone = Vec::new();
    while gone.len() < 5 {
        if let Incoming::Disconnected(peer) = within(hub.next()).await {
            gone.push(peer);
        }
    }
    assert!(!gone.contains(&servers[0].peer), "who is protected stays");
}

#[tokio::test]
async fn idle_connections_end_and_protected_ones_stay() {
    let idle = Config {
        idle_timeout: Duration::from_millis(200),
        stream_ttl: Duration::from_millis(200),
        ..config()
    };
    let (plain, kept) = (Server::echo(idle.clone()).await, Server::echo(idle.clone()).await);
    let mut client = host(idle).await;
    client.order(Order::Protect { peer: kept.peer.clone(), on: true });
    kept.order(Order::Protect { peer: client.local_peer().clone(), on: true }).await;
    client.send(RequestId(0), plain.contact(), find("x"));
    client.send(RequestId(1), kept.contact(), find("x"));
    loop {
        match within(client.next()).await {
            Incoming::Disconnected(peer) if peer == plain.peer => break,
            Incoming::Disconnected(_) => panic!("the protected one went"),
            _ => {}
        }
    }
    let more = tokio::time::timeout(Duration::from_millis(600), async {
        while !matches!(client.next().await, Incoming::Disconnected(_)) {}
    });
    assert!(more.await.is_err());
}
