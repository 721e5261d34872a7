//! Servers that lie when they are asked: a client among them finds what honest ones hold, asks nobody without end, and
//! never itself.

use std::time::Duration;

use dht::{Contact, Mode, ipfs::AddrList};
use libp2p::{Multiaddr, PeerId};
use tokio::time::Instant;

use super::{
    ALONE, Victim, builder,
    message::{ADD_PROVIDER, FIND_NODE, GET_VALUE, field, frame, message, nobody, peer, record, tcp, varint},
    raw::{Raw, receive, send},
    within,
};

#[derive(Clone, Copy, Debug)]
enum Lie {
    /// Names itself, thrice.
    Itself,
    /// Names the one who asks.
    You,
    /// Names thousands that do not exist.
    Thousands,
    /// Names peers at private and reserved addresses.
    Nowhere,
    /// Answers for another key.
    OtherKey,
    /// Answers another request.
    OtherKind,
    /// Sends back what it was sent.
    Echo,
    /// A value under another key.
    OtherRecord,
    /// Announces a frame that is too large.
    Oversized,
    /// Random bytes.
    Garbage,
    /// Takes the request and says nothing.
    Mute,
    /// An announcement nobody made, again and again, in front of no answer.
    Endless,
}

const LIES: [Lie; 12] = [
    Lie::Itself,
    Lie::You,
    Lie::Thousands,
    Lie::Nowhere,
    Lie::OtherKey,
    Lie::OtherKind,
    Lie::Echo,
    Lie::OtherRecord,
    Lie::Oversized,
    Lie::Garbage,
    Lie::Mute,
    Lie::Endless,
];

/// The field behind a tag of one byte, where messages of the requests that lookups send have their key.
fn key_of(request: &[u8]) -> Vec<u8> {
    match request {
        [8, _, 0x12, len, rest @ ..] => rest[..usize::from(*len).min(rest.len())].to_vec(),
        _ => Vec::new(),
    }
}

fn answer(lie: Lie, request: &[u8], own: PeerId, own_addr: &[u8], asker: &[u8]) -> Vec<u8> {
    let (kind, key) = (request.get(1).copied().unwrap_or(0), key_of(request));
    let head = message(kind, &key);
    let named = |ids: &mut dyn Iterator<Item = (Vec<u8>, Vec<u8>)>| {
        let peers: Vec<u8> = ids.flat_map(|(id, addr)| field(8, &peer(&id, &addr))).collect();
        frame(&[head.clone(), peers].concat())
    };
    match lie {
        Lie::Itself => named(&mut (0..3).map(|_| (own.to_bytes(), own_addr.to_vec()))),
        Lie::You => named(&mut (0..3).map(|_| (asker.to_vec(), own_addr.to_vec()))),
        Lie::Thousands => named(&mut (0..4000).map(|n| (nobody(n), tcp([127, 0, 0, 1], 1)))),
        Lie::Nowhere => {
            let places =
                [[10, 0, 0, 1], [169, 254, 169, 254], [0, 0, 0, 0], [224, 0, 0, 1], [255, 255, 255, 255]];
            named(&mut places.into_iter().enumerate().map(|(n, ip)| (nobody(9000 + n as u64), tcp(ip, 9))))
        }
        Lie::OtherKey => frame(&message(kind, b"/v/quite-another")),
        Lie::OtherKind => frame(&message(if kind == FIND_NODE { GET_VALUE } else { FIND_NODE }, &key)),
        Lie::Echo => frame(request),
        Lie::OtherRecord => frame(&[message(kind, &key), record(b"/v/quite-another", b"lie")].concat()),
        Lie::Oversized => varint((4 << 20) + 1),
        Lie::Garbage => frame(&[0xa5; 300]),
        Lie::Mute => Vec::new(),
        Lie::Endless => frame(&message(ADD_PROVIDER, &key)),
    }
}

/// A liar in a task of its own; where it can be asked.
async fn liar(lie: Lie, asker: PeerId, greet: &Multiaddr) -> (PeerId, Multiaddr) {
    let raw = Raw::new().await;
    assert!(within(raw.dial(greet.clone())).await);
    let (peer, addr) = (raw.peer, raw.addr.clone());
    let at = addr.to_vec();
    tokio::spawn(async move {
        // The whole of it: it ends when its commands do.
        let mut raw = raw;
        while let Some(mut stream) = raw.accepted.recv().await {
            let (at, asker) = (at.clone(), asker.to_bytes());
            tokio::spawn(async move {
                while let Some(request) = receive(&mut stream).await {
                    let answer = answer(lie, &request, peer, &at, &asker);
                    while send(&mut stream, &answer).await && matches!(lie, Lie::Endless) {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            });
        }
    });
    (peer, addr)
}

fn contact(peer: PeerId, addr: &Multiaddr) -> Contact<dht::ipfs::Ipfs> {
    let peer = peer.to_bytes().as_slice().try_into().unwrap();
    Contact::new(peer, AddrList::from_raw([addr.as_ref()]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn among_liars_the_honest_value_is_found_and_nobody_is_asked_for_ever() {
    let _alone = ALONE.lock().await;
    let quick = || {
        builder().configure(|s| {
            s.query.request_timeout = Duration::from_secs(1);
            s.routing.auto_refresh = false;
        })
    };
    let holder = Victim::start(quick()).await;
    holder.node.values().put("/v/honest", "true").await.unwrap();
    let client = Victim::start(quick().mode(Mode::Server)).await;
    let add =
        async |peer, addr: &Multiaddr| client.node.table().add(contact(peer, addr)).await.unwrap().unwrap();
    let plain = holder.node.listen_addrs()[0].clone();
    add(holder.peer, &plain).await;
    for lie in LIES {
        let (peer, addr) = liar(lie, client.peer, &client.addr).await;
        add(peer, &addr).await;
    }
    let start = Instant::now();
    let value = within(client.node.get_value("/v/honest")).await.unwrap();
    println!("found among {} liars after {:?}", LIES.len(), start.elapsed());
    assert_eq!(value.as_deref(), Some(&b"true"[..]));

    let start = Instant::now();
    let closest = within(client.node.closest_peers(b"some place".to_vec())).await.unwrap();
    println!("closest peers after {:?}: {}", start.elapsed(), closest.len());
    let local = client.node.local().peer;
    assert!(closest.iter().all(|contact| contact.peer != local), "it is not its own neighbour");
    assert!(closest.iter().any(|contact| contact.peer == holder.node.local().peer));
    assert!(start.elapsed() < Duration::from_secs(30));
    let asked = client.node.metrics().requests;
    println!("{asked:?}");
    // Each of two lookups may remember 400 peers; of the thousands that were named it looks at 40.
    assert!((20..300).contains(&asked.total), "{asked:?}");

    // Storing among them tells the truth: the honest one took it, and no liar that did not show it counts.
    let put = within(client.node.put_value("/v/other", "mine")).await.unwrap();
    println!("{:?}", put.receipt);
    assert!(put.receipt.stored.contains(&holder.node.local().peer));
    assert!(put.receipt.stored.len() <= 2, "only the echo looks like a holder");
    client.node.close().await;
    holder.node.close().await;
}
