//! Peers that break the protocol, stall, vanish or are not who they should be.

use std::time::Duration;

use dht_core::{Failure, Request, RequestId};
use dht_net::{Incoming, Order, Transport, libp2p::Config};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{Multiaddr, PeerId, Stream};
use tokio::{
    io::copy,
    net::{TcpListener, TcpStream},
    sync::watch,
    time::Instant,
};

use super::{
    dialect::{self, MAX_FRAME, answer, find},
    harness::{Server, config, contact, host, outcome, within},
    stock::Stock,
};

fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

/// Whether the stream still answers.
async fn answers(stream: &mut Stream) -> bool {
    let asked = stream.write_all(&[2, dialect::FIND, 5]).await.is_ok() && stream.flush().await.is_ok();
    let mut bytes = [0; 3];
    asked && within(stream.read_exact(&mut bytes)).await.is_ok()
}

/// Whether the stream is reset: yamux says end of stream, and takes nothing more.
pub async fn is_reset(stream: &mut Stream) -> bool {
    let mut rest = Vec::new();
    let _ = within(stream.read_to_end(&mut rest)).await;
    rest.is_empty() && !(stream.write_all(&[0]).await.is_ok() && stream.flush().await.is_ok())
}

/// Waits for a request and reads it.
async fn asked(stock: &mut Stock) -> Stream {
    let mut stream = within(stock.accepted.recv()).await.unwrap();
    within(stream.read_exact(&mut [0; 3])).await.unwrap();
    stream
}

#[tokio::test]
async fn bad_frames_reset_their_stream_and_no_other() {
    let server = Server::echo(config()).await;
    let stock = Stock::new().await;
    assert!(stock.dial(server.dial_addr()).await);
    let mut good = within(stock.open(server.peer_id)).await.unwrap();
    assert!(answers(&mut good).await);
    let mut bad: Vec<Vec<u8>> =
        [MAX_FRAME as u64 + 1, 4 << 20, 1 << 63, u64::MAX].into_iter().map(varint).collect();
    bad.extend([vec![0x81, 0x00], vec![0xff; 11], vec![1, 0x77], vec![0]]);
    for bytes in bad {
        let mut stream = within(stock.open(server.peer_id)).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.flush().await.unwrap();
        assert!(is_reset(&mut stream).await, "{bytes:02x?}");
        assert!(answers(&mut good).await);
    }
    // The largest frame is taken.
    let mut stream = within(stock.open(server.peer_id)).await.unwrap();
    let frame = [varint(MAX_FRAME as u64), vec![dialect::FIND; MAX_FRAME]].concat();
    let (mut read, mut write) = (&mut stream).split();
    let mut back = vec![0; frame.len()];
    let (sent, got) = tokio::join!(
        async {
            write.write_all(&frame).await?;
            write.flush().await
        },
        within(read.read_exact(&mut back)),
    );
    assert!(sent.is_ok() && got.is_ok() && back[4..] == frame[4..]);
}

#[tokio::test]
async fn an_end_within_a_frame_resets_the_stream() {
    let server = Server::echo(config()).await;
    let stock = Stock::new().await;
    assert!(stock.dial(server.dial_addr()).await);
    let frame = [varint(300), vec![dialect::FIND; 300]].concat();
    for cut in [1, 2, 3, 200, 301] {
        let mut stream = within(stock.open(server.peer_id)).await.unwrap();
        stream.write_all(&frame[..cut]).await.unwrap();
        stream.close().await.unwrap();
        let mut rest = Vec::new();
        let _ = within(stream.read_to_end(&mut rest)).await;
        assert!(rest.is_empty(), "{cut}");
    }
    let mut good = within(stock.open(server.peer_id)).await.unwrap();
    assert!(answers(&mut good).await);
}

#[tokio::test]
async fn a_message_has_one_deadline_however_it_drips() {
    let patience = Duration::from_millis(400);
    let server = Server::echo(Config { message_timeout: patience, ..config() }).await;
    let stock = Stock::new().await;
    assert!(stock.dial(server.dial_addr()).await);
    let mut slow = within(stock.open(server.peer_id)).await.unwrap();
    let mut good = within(stock.open(server.peer_id)).await.unwrap();
    assert!(answers(&mut slow).await);
    let start = Instant::now();
    slow.write_all(&varint(1000)).await.unwrap();
    slow.flush().await.unwrap();
    let mut drip = tokio::time::interval(Duration::from_millis(40));
    while slow.write_all(&[dialect::FIND]).await.is_ok() && slow.flush().await.is_ok() {
        drip.tick().await;
        assert!(answers(&mut good).await && start.elapsed() < 5 * patience);
    }
    assert!(start.elapsed() >= patience);
    println!("a dripping message was cut after {:?} of {patience:?}", start.elapsed());
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_cut_off() {
    let config = Config { message_timeout: Duration::from_millis(400), ..config() };
    let server =
        Server::start(config, |_, token, _, _| vec![(token, Some(answer(vec![0; MAX_FRAME - 1])))]).await;
    let stock = Stock::new().await;
    assert!(stock.dial(server.dial_addr()).await);
    let mut stream = within(stock.open(server.peer_id)).await.unwrap();
    let start = Instant::now();
    // Answers of 16 MiB are asked for; what we hold of them is one at a time.
    let mut requests = Vec::new();
    (0..16).for_each(|_| requests.extend([2, dialect::FIND, 1]));
    stream.write_all(&requests).await.unwrap();
    stream.flush().await.unwrap();
    let cut = async {
        // Writing fails once the other side has reset the stream.
        while stream.write_all(&[2]).await.is_ok() && stream.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(cut).await;
    assert!(start.elapsed() >= Duration::from_millis(400) && start.elapsed() < Duration::from_secs(3));
    let mut good = within(stock.open(server.peer_id)).await.unwrap();
    good.write_all(&[2, dialect::FIND, 1]).await.unwrap();
    good.flush().await.unwrap();
    assert!(within(good.read_exact(&mut vec![0; 100_000])).await.is_ok());
}

#[tokio::test]
async fn silent_streams_are_closed() {
    let server = Server::echo(Config { inbound_idle: Duration::from_millis(300), ..config() }).await;
    let stock = Stock::new().await;
    assert!(stock.dial(server.dial_addr()).await);
    let mut stream = within(stock.open(server.peer_id)).await.unwrap();
    assert!(answers(&mut stream).await);
    let start = Instant::now();
    let _ = within(stream.read(&mut [0; 1])).await;
    assert!(start.elapsed() > Duration::from_millis(200) && start.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn bad_answers_fail_with_their_kind() {
    let mut stock = Stock::new().await;
    let mut client = host(Config { message_timeout: Duration::from_millis(300), ..config() }).await;
    let truncated = [varint(300), vec![dialect::ANSWER; 100]].concat();
    let cases: [(&[u8], bool, Failure); 6] = [
        (&[1, 0x55], true, Failure::Malformed),
        (&[0x81, 0x00], true, Failure::Malformed),
        (&varint(MAX_FRAME as u64 + 1), true, Failure::Malformed),
        (&truncated, true, Failure::Reset),
        (&truncated, false, Failure::Timeout),
        (&[], true, Failure::Reset),
    ];
    for (i, (bytes, end, why)) in cases.into_iter().enumerate() {
        let id = RequestId(i as u64);
        client.send(id, contact(stock.peer, &stock.addr), find("x"));
        let mut stream = asked(&mut stock).await;
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        if end {
            let _ = stream.close().await;
        }
        assert_eq!(outcome(&mut client).await, (id, Err(why)));
    }
}

#[tokio::test]
async fn a_stream_that_speaks_unasked_is_dropped() {
    let mut stock = Stock::new().await;
    let mut client = host(config()).await;
    for i in 0..3u8 {
        client.send(RequestId(i.into()), contact(stock.peer, &stock.addr), find(vec![i]));
        let mut stream = asked(&mut stock).await;
        // An answer too many: taken for the next one, all that follow would be shifted.
        stream.write_all(&[2, dialect::ANSWER, i, 2, dialect::ANSWER, 99]).await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(outcome(&mut client).await.1, Ok(answer(vec![i])));
        assert!(is_reset(&mut stream).await);
    }
}

#[tokio::test]
async fn servers_that_end_every_stream_are_asked_again() {
    let mut stock = Stock::new().await;
    let mut client = host(config()).await;
    let (peer, addr) = (stock.peer, stock.addr.clone());
    let server = tokio::spawn(async move {
        let mut streams = 0;
        while let Some(mut stream) = stock.accepted.recv().await {
            streams += 1;
            let mut request = [0; 3];
            if stream.read_exact(&mut request).await.is_ok() {
                let _ = stream.write_all(&[2, dialect::ANSWER, request[2]]).await;
                let _ = stream.close().await;
            }
        }
        streams
    });
    for round in 0..10u8 {
        for i in 0..8 {
            client.send(RequestId(u64::from(round) * 8 + i), contact(peer, &addr), find(vec![round]));
        }
        for _ in 0..8 {
            assert_eq!(outcome(&mut client).await.1, Ok(answer(vec![round])));
        }
    }
    client.close().await;
    assert!(!server.is_finished());
}

#[tokio::test]
async fn what_is_forgotten_is_freed_and_what_is_not_is_answered() {
    let mut stock = Stock::new().await;
    let limits = Config { requests_per_peer: 4, streams_per_connection: 1, max_requests: 8, ..config() };
    let mut client = host(limits).await;
    let to = contact(stock.peer, &stock.addr);
    let mut next = 0;
    // A peer that accepts streams and never replies.
    for _ in 0..50 {
        for _ in 0..4 {
            client.send(RequestId(next), to.clone(), find("x"));
            next += 1;
        }
        let mut stream = asked(&mut stock).await;
        within(stream.read_exact(&mut [0; 9])).await.unwrap();
        (next - 4..next).for_each(|id| client.forget(RequestId(id)));
        assert!(is_reset(&mut stream).await, "nobody waits");
    }
    // A late answer that nobody wants comes first, and is not taken for the next one.
    client.send(RequestId(1000), to.clone(), find("a"));
    client.send(RequestId(1001), to.clone(), find("b"));
    let mut stream = asked(&mut stock).await;
    within(stream.read_exact(&mut [0; 3])).await.unwrap();
    client.forget(RequestId(1000));
    stream.write_all(&[2, dialect::ANSWER, b'a', 2, dialect::ANSWER, b'b']).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(outcome(&mut client).await, (RequestId(1001), Ok(answer("b"))));
}

#[tokio::test]
async fn the_dead_and_the_strange_are_unreachable_in_time() {
    let mut client = host(Config { dial_timeout: Duration::from_millis(600), ..config() }).await;
    let start = Instant::now();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stock = Stock::new().await;
    let at = |port: u16| -> Multiaddr { format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap() };
    client.send(RequestId(0), contact(PeerId::random(), &at(closed.port())), find("x"));
    client.send(RequestId(1), contact(PeerId::random(), &at(silent.local_addr().unwrap().port())), find("x"));
    client.send(RequestId(2), contact(PeerId::random(), &stock.addr), find("x"));
    client.send(
        RequestId(3),
        contact(PeerId::random(), &"/dns4/nowhere.invalid/tcp/1".parse().unwrap()),
        find("x"),
    );
    client.send(RequestId(4), dht_core::Contact::unlocated(PeerId::random().into()), find("x"));
    client.order(Order::Dial { id: RequestId(5), to: contact(PeerId::random(), &at(closed.port())) });
    for _ in 0..6 {
        let (id, result) = outcome(&mut client).await;
        assert_eq!(result, Err(Failure::Unreachable), "{id:?}");
    }
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
    // Nothing stays behind: the same peers can be tried as often as one likes.
    for i in 10..100 {
        client.send(RequestId(i), contact(PeerId::random(), &at(closed.port())), find("x"));
        assert_eq!(outcome(&mut client).await, (RequestId(i), Err(Failure::Unreachable)));
    }
}

#[tokio::test]
async fn private_addresses_are_not_dialled_by_default() {
    let server = Server::echo(config()).await;
    let mut client = host(Config { scope: Default::default(), ..config() }).await;
    client.send(RequestId(0), server.contact(), find("x"));
    assert_eq!(outcome(&mut client).await.1, Err(Failure::Unreachable));
}

/// A wire that can be cut without either end being told.
async fn wire(to: &Multiaddr) -> (Multiaddr, watch::Sender<bool>) {
    let port = to.iter().find_map(|part| match part {
        libp2p::multiaddr::Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port()).parse().unwrap();
    let (cut, is_cut) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(("127.0.0.1", port.unwrap())).await.unwrap();
            let mut is_cut = is_cut.clone();
            tokio::spawn(async move {
                let ((mut a, mut b), (mut c, mut d)) = (near.into_split(), far.into_split());
                let cut = async move { is_cut.wait_for(|cut| *cut).await.is_ok() };
                let cut = tokio::select! {
                    _ = copy(&mut a, &mut d) => false,
                    _ = copy(&mut c, &mut b) => false,
                    cut = cut => cut,
                };
                if cut {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (addr, cut)
}

#[tokio::test]
async fn a_half_open_connection_is_found_out_and_replaced() {
    let mut first = true;
    let server = Server::start(config(), move |_, token, request, _| match request {
        Request::Get { .. } if std::mem::take(&mut first) => vec![],
        _ => vec![(token, super::harness::echo(request))],
    })
    .await;
    let (addr, cut) = wire(&server.addrs[0]).await;
    let pings = (Duration::from_millis(300), Duration::from_millis(300));
    let mut client = host(Config { ping_interval: pings.0, ping_timeout: pings.1, ..config() }).await;
    client.order(Order::Protect { peer: server.peer.clone(), on: true });
    client.send(RequestId(0), contact(server.peer_id, &addr), find("x"));
    assert!(outcome(&mut client).await.1.is_ok());
    client.send(RequestId(1), contact(server.peer_id, &addr), Request::Get { query: "later".into() });
    client.send(RequestId(2), contact(server.peer_id, &addr), find("y"));
    assert_eq!(outcome(&mut client).await, (RequestId(2), Ok(answer("y"))), "it is there");
    let start = Instant::now();
    cut.send(true).unwrap();
    while within(client.next()).await != Incoming::Disconnected(server.peer.clone()) {}
    println!("a dead connection was found out after {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(2));
    // What was asked on a stream that had been used before is asked once more, at the address that the peer named.
    assert_eq!(outcome(&mut client).await, (RequestId(1), Ok(answer("later"))));
}

#[tokio::test]
async fn a_connection_that_breaks_ends_what_waits() {
    let server = Server::start(config(), |_, _, _, _| vec![]).await;
    let mut client = host(config()).await;
    client.send(RequestId(0), server.contact(), find("x"));
    while !matches!(within(client.next()).await, Incoming::Peer { .. }) {}
    server.close().await;
    assert_eq!(outcome(&mut client).await, (RequestId(0), Err(Failure::Reset)));
}
