//! The libp2p host on the loopback interface: against itself, and against stock peers that misbehave.

#![allow(clippy::unwrap_used)] // a test that fails may panic

mod dialect;
mod faults;
mod harness;
mod limits;
mod stock;

use std::time::Duration;

use dht_core::{Contact, Failure, Request, RequestId};
use dht_net::{
    Incoming, Order, Transport,
    libp2p::{Config, Libp2p, StartError},
};
use dialect::{Echoes, Net, answer, find};
use futures::{AsyncReadExt, AsyncWriteExt};
use harness::{Server, config, contact, host, outcome, within};
use libp2p::{Multiaddr, identity::Keypair};
use stock::{KAD, Stock};
use tokio::time::Instant;

#[tokio::test]
async fn a_request_is_answered_and_both_learn_who_the_other_is() {
    let mut server = Server::echo(config()).await;
    let mut client = host(Config { serve: false, ..config() }).await;
    client.send(RequestId(1), server.contact(), find("hello"));
    let mut seen = Vec::new();
    while seen.len() < 2 {
        match within(client.next()).await {
            Incoming::Answer { id, response } => {
                assert_eq!((id, response), (RequestId(1), answer("hello")));
                seen.push("answer");
            }
            Incoming::Peer { contact, serves } => {
                assert!(serves && contact.peer == server.peer);
                assert_eq!(contact.addr.0[0], server.addrs[0], "the address that we dialled comes first");
                seen.push("peer");
            }
            Incoming::Connections(n) => assert_eq!(n, 1),
            Incoming::Local(local) => assert_eq!(local.addr.0, client.listen_addrs()),
            other => panic!("{other:?}"),
        }
    }
    let peer = client.local_peer().clone();
    server
        .until(
            |incoming| matches!(incoming, Incoming::Peer { contact, serves: false } if contact.peer == peer),
        )
        .await;
    client.close().await;
    server.until(|incoming| *incoming == Incoming::Disconnected(peer.clone())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_requests_at_once_are_answered() {
    let server = Server::echo(config()).await;
    let mut client = host(Config { requests_per_peer: 200, ..config() }).await;
    for i in 0..200u64 {
        client.send(RequestId(i), server.contact(), find(i.to_be_bytes().to_vec()));
    }
    for _ in 0..200 {
        let (id, result) = outcome(&mut client).await;
        assert_eq!(result.unwrap(), answer(id.0.to_be_bytes().to_vec()));
    }
}

#[tokio::test]
async fn sixteen_requests_to_an_unconnected_peer_share_one_dial() {
    let mut server = Server::echo(config()).await;
    let mut client = host(config()).await;
    for i in 0..16 {
        client.send(RequestId(i), server.contact(), find("x"));
    }
    for _ in 0..16 {
        assert_eq!(outcome(&mut client).await.1, Ok(answer("x")));
    }
    server.until(|incoming| *incoming == Incoming::Connections(1)).await;
}

#[tokio::test]
async fn answers_on_one_stream_come_in_the_order_of_the_requests() {
    // The server answers the later requests first.
    let server = Server::start(config(), |_, token, request, held| {
        held.push((token, request.clone()));
        if held.len() < 8 {
            vec![]
        } else {
            held.drain(..).rev().map(|(token, request)| (token, harness::echo(&request))).collect()
        }
    })
    .await;
    let stock = Stock::new().await;
    assert!(stock.dial(server.dial_addr()).await);
    let mut stream = within(stock.open(server.peer_id)).await.unwrap();
    let mut requests = bytes::BytesMut::new();
    (0..8u8).for_each(|i| dialect::frame(dialect::FIND, &[i], &mut requests));
    stream.write_all(&requests).await.unwrap();
    stream.flush().await.unwrap();
    let mut answers = [0; 24];
    within(stream.read_exact(&mut answers)).await.unwrap();
    let expected: Vec<u8> = (0..8).flat_map(|i| [2, dialect::ANSWER, i]).collect();
    assert_eq!(answers[..], expected);
    // A clean end is answered with a clean end.
    stream.close().await.unwrap();
    assert_eq!(within(stream.read(&mut answers)).await.unwrap(), 0);
}

#[tokio::test]
async fn a_put_is_proved_by_the_answer_behind_it() {
    let server = Server::echo(config()).await;
    let mut client = host(config()).await;
    let put = Request::Put { query: "key".into(), item: "value".into(), ticket: None };
    client.send(RequestId(1), server.contact(), put.clone());
    assert_eq!(outcome(&mut client).await.1, Ok(answer("key")));

    // Some peers echo what they were given to keep; the echo is not taken for an answer.
    let mut stock = Stock::new().await;
    client.send(RequestId(2), contact(stock.peer, &stock.addr), put);
    let mut stream = within(stock.accepted.recv()).await.unwrap();
    let mut asked = [0; 12];
    within(stream.read_exact(&mut asked)).await.unwrap();
    let mut out = bytes::BytesMut::new();
    dialect::frame(dialect::ECHO, b"value", &mut out);
    dialect::frame(dialect::ANSWER, b"late", &mut out);
    stream.write_all(&out).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(outcome(&mut client).await, (RequestId(2), Ok(answer("late"))));
}

#[tokio::test]
async fn a_refused_request_fails_alone() {
    let server = Server::start(config(), |_, token, request, _| match request {
        Request::Get { .. } => vec![(token, None)],
        _ => vec![(token, harness::echo(request))],
    })
    .await;
    let mut client = host(config()).await;
    for i in 0..32 {
        let bad = Request::Get { query: "no".into() };
        client.send(RequestId(i), server.contact(), if i % 4 == 1 { bad } else { find("yes") });
    }
    for _ in 0..32 {
        let (id, result) = outcome(&mut client).await;
        assert_eq!(result, if id.0 % 4 == 1 { Err(Failure::Reset) } else { Ok(answer("yes")) }, "{id:?}");
    }
}

#[tokio::test]
async fn a_client_does_not_serve() {
    let server = Server::echo(Config { serve: false, ..config() }).await;
    let mut client = host(config()).await;
    for i in 0..4 {
        client.send(RequestId(i), server.contact(), find("x"));
    }
    for _ in 0..4 {
        assert_eq!(outcome(&mut client).await.1, Err(Failure::Unsupported));
    }
    // It is there, though.
    client.send(RequestId(9), server.contact(), Request::Ping);
    assert_eq!(outcome(&mut client).await.1, Ok(dht_core::Response::default()));
}

#[tokio::test]
async fn a_change_of_mode_is_seen_within_100_ms() {
    let server = Server::echo(config()).await;
    let mut stock = Stock::new().await;
    let mut client = host(config()).await;
    assert!(stock.dial(server.dial_addr()).await);
    assert!(within(stock.identified.recv()).await.unwrap().contains(&KAD));
    let mut open = within(stock.open(server.peer_id)).await.unwrap();
    client.send(RequestId(0), server.contact(), find("x"));
    assert!(outcome(&mut client).await.1.is_ok());

    for on in [false, true, false] {
        let start = Instant::now();
        server.order(Order::Serve(on)).await;
        while within(stock.identified.recv()).await.unwrap().contains(&KAD) != on {}
        let took = start.elapsed();
        assert!(took < Duration::from_millis(100), "{took:?}");
        println!("mode {on} seen by a stock peer after {took:?}");
        loop {
            match within(client.next()).await {
                Incoming::Peer { serves, .. } if serves == on => break,
                _ => {}
            }
        }
        assert!(start.elapsed() < Duration::from_millis(200));
        if !on {
            assert!(faults::is_reset(&mut open).await, "open streams are reset");
            assert!(within(stock.open(server.peer_id)).await.is_none(), "new ones are refused");
        } else {
            open = within(stock.open(server.peer_id)).await.unwrap();
        }
    }
    server.close().await;
}

#[tokio::test]
async fn pings_are_answered_and_dials_have_an_outcome() {
    let server = Server::echo(config()).await;
    let mut client = host(config()).await;
    client.order(Order::Dial { id: RequestId(0), to: server.contact() });
    assert_eq!(outcome(&mut client).await, (RequestId(0), Ok(dht_core::Response::default())));
    client.order(Order::Dial { id: RequestId(1), to: Contact::unlocated(server.peer.clone()) });
    assert_eq!(outcome(&mut client).await, (RequestId(1), Ok(dht_core::Response::default())));
    for i in 2..10 {
        client.send(RequestId(i), server.contact(), Request::Ping);
    }
    for _ in 2..10 {
        assert_eq!(outcome(&mut client).await.1, Ok(dht_core::Response::default()));
    }
    client.order(Order::Disconnect(server.peer.clone()));
    while within(client.next()).await != Incoming::Disconnected(server.peer.clone()) {}
    // The stock peer does not know ping.
    let stock = Stock::new().await;
    client.send(RequestId(10), contact(stock.peer, &stock.addr), Request::Ping);
    assert_eq!(outcome(&mut client).await.1, Err(Failure::Unsupported));
}

#[tokio::test]
async fn peers_that_know_only_tls_are_served() {
    let server = Server::echo(config()).await;
    let stock = Stock::secured(true).await;
    assert!(stock.dial(server.dial_addr()).await);
    let mut stream = within(stock.open(server.peer_id)).await.unwrap();
    stream.write_all(&[2, dialect::FIND, 7]).await.unwrap();
    stream.flush().await.unwrap();
    let mut bytes = [0; 3];
    within(stream.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(bytes, [2, dialect::ANSWER, 7]);
}

#[cfg(feature = "quic")]
#[tokio::test]
async fn requests_go_over_quic() {
    let listen = vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()];
    let server = Server::echo(Config { listen: listen.clone(), ..config() }).await;
    let mut client = host(Config { listen, ..config() }).await;
    client.send(RequestId(1), server.contact(), find("x"));
    assert_eq!(outcome(&mut client).await.1, Ok(answer("x")));
}

#[tokio::test]
async fn listening_fails_with_the_address_and_the_cause() {
    let first = host(config()).await;
    let taken = first.listen_addrs()[0].clone();
    let start = async |listen: Vec<Multiaddr>| {
        let config = Config { listen, ..config() };
        Libp2p::<Net, _>::new(Keypair::generate_ed25519(), Echoes, config).await.err().unwrap()
    };
    for bad in [taken, "/ip4/192.0.2.1/tcp/0".parse().unwrap(), "/memory/1".parse().unwrap()] {
        let fine = "/ip4/127.0.0.1/tcp/0".parse().unwrap();
        match start(vec![fine, bad.clone()]).await {
            StartError::Listen { addr, cause } => assert!(addr == bad && !cause.is_empty()),
            other => panic!("{other}"),
        }
    }
    let wrong = Config { pipeline: 0, ..config() };
    let error = Libp2p::<Net, _>::new(Keypair::generate_ed25519(), Echoes, wrong).await.err().unwrap();
    assert!(matches!(error, StartError::Config(fault) if fault.field == "pipeline"));
}

#[tokio::test]
async fn announced_addresses_replace_those_found_out() {
    let announce: Vec<Multiaddr> = vec!["/ip4/203.0.113.7/tcp/4001".parse().unwrap()];
    let mut server = Server::echo(Config { announce: announce.clone(), ..config() }).await;
    server.until(|incoming| matches!(incoming, Incoming::Local(local) if local.addr.0 == announce)).await;
    let mut client = host(config()).await;
    client.send(RequestId(0), server.contact(), find("x"));
    loop {
        if let Incoming::Peer { contact, .. } = within(client.next()).await {
            assert_eq!(contact.addr.0, [server.addrs[0].clone(), announce[0].clone()]);
            break;
        }
    }
}

#[tokio::test]
async fn closing_ends_what_waits_and_takes_less_than_two_seconds() {
    let server = Server::start(config(), |_, _, _, _| vec![]).await;
    let mut client = host(config()).await;
    for i in 0..3 {
        client.send(RequestId(i), server.contact(), find("x"));
    }
    while within(client.next()).await != Incoming::Connections(1) {}
    let start = Instant::now();
    client.close().await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    for _ in 0..3 {
        assert_eq!(outcome(&mut client).await.1, Err(Failure::Closed));
    }
    assert_eq!(within(client.next()).await, Incoming::Closed);
    client.send(RequestId(9), server.contact(), find("x"));
    assert_eq!(outcome(&mut client).await, (RequestId(9), Err(Failure::Closed)));
}

#[tokio::test]
async fn an_address_that_others_reach_is_found_out_and_told() {
    let seeking = Config { autonat: true, ..config() };
    let helper = Server::echo(seeking.clone()).await;
    let mut node = host(seeking).await;
    node.send(RequestId(0), helper.contact(), find("x"));
    while within(node.next()).await != Incoming::Reachable(Some(true)) {}
}

/// The client of AutoNAT tests every five seconds and is made anew every ten; two tests are two times that.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn an_address_that_nobody_reaches_is_found_out_and_told() {
    let told = async |announce: Vec<Multiaddr>, limit| {
        let helper = Server::echo(Config { autonat: true, ..config() }).await;
        // It is seen at 127.0.0.1, where it does not listen.
        let closed = Config {
            listen: vec!["/ip4/127.0.0.2/tcp/0".parse().unwrap()],
            announce,
            autonat: true,
            recheck: Duration::from_secs(20),
            ..config()
        };
        let mut node = host(closed).await;
        let told = async {
            // Whom it asks next is somebody to whom it connected lately.
            for round in 0.. {
                node.send(RequestId(round), helper.contact(), find("x"));
                let end = tokio::time::Instant::now() + Duration::from_secs(3);
                while let Ok(incoming) = tokio::time::timeout_at(end, node.next()).await {
                    if let Incoming::Reachable(reachable) = incoming {
                        return reachable;
                    }
                }
                node.order(Order::Disconnect(helper.contact().peer));
            }
            unreachable!("the rounds have no end");
        };
        tokio::time::timeout(Duration::from_secs(limit), told).await.ok()
    };
    let announced = vec!["/ip4/203.0.113.7/tcp/4001".parse().unwrap()];
    let (plain, announcing) = tokio::join!(told(vec![], 60), told(announced, 25));
    assert_eq!(plain, Some(Some(false)));
    assert_eq!(announcing, None, "a side address says nothing about the announced one");
}

#[tokio::test]
async fn two_that_dial_each_other_at_once_both_get_their_answers() {
    let (mut a, mut b) = (host(config()).await, host(config()).await);
    let to = |host: &harness::Host| {
        Contact::new(host.local_peer().clone(), host.listen_addrs().into_iter().collect())
    };
    let (to_a, to_b) = (to(&a), to(&b));
    for round in 0..20u64 {
        a.send(RequestId(round), to_b.clone(), find("from a"));
        b.send(RequestId(round), to_a.clone(), find("from b"));
        let (mut got_a, mut got_b) = (false, false);
        while !(got_a && got_b) {
            let (host, got, incoming) = tokio::select! {
                incoming = within(a.next()) => (&mut a, &mut got_a, incoming),
                incoming = within(b.next()) => (&mut b, &mut got_b, incoming),
            };
            match incoming {
                Incoming::Request { token, request, .. } => {
                    harness::reply(host, token, harness::echo(&request))
                }
                Incoming::Answer { id, .. } => *got |= id.0 == round,
                Incoming::Failure { why, .. } => panic!("{why}"),
                _ => {}
            }
        }
        // Every other round starts from nothing.
        if round % 2 == 0 {
            a.order(Order::Disconnect(to_b.peer.clone()));
            while within(a.next()).await != Incoming::Disconnected(to_b.peer.clone()) {}
            while within(b.next()).await != Incoming::Disconnected(to_a.peer.clone()) {}
        }
    }
}
