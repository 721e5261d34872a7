//! Nodes that lie when they are asked: a client among them finds what honest ones hold, believes nothing that is not true,
//! and asks nobody without end.

use std::net::SocketAddr;

use bytes::Bytes;
use dht::{
    Contact, Dht,
    core::Key,
    mainline::{
        Announcement, Item, Mainline, NodeId,
        bencode::{Canonical, Limits, Tree},
        compact::{Family, Nodes, Peers},
        krpc::{self, Body, Call, Reply},
    },
};
use ed25519_dalek::SigningKey;
use tokio::{net::UdpSocket, time::Instant};

use super::{
    client::{add, contact, node},
    stranger::{SWARM, Stranger, TARGET, reply},
    within,
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Lie {
    /// Names nodes that nobody ever heard of, always nearer to what was asked for.
    Nearer,
    /// Names the one who asks, and itself.
    YouAndMe,
    /// Names 150 nodes of one subnet.
    OneSubnet,
    /// Names the bootstrap hosts of nowhere: reserved addresses and port 0.
    Nowhere,
    /// Tells hundreds of peers.
    Hundreds,
    /// An item with a signature of something else.
    BadSignature,
    /// The item that was there before.
    OldItem,
    /// A value with another hash.
    OtherValue,
    /// A value of 3,000 bytes.
    Oversized,
    /// Says that it is the honest one.
    OtherId,
    /// Answers another question.
    OtherTid,
    /// Answers from another socket.
    OtherPlace,
    /// Answers fifty times.
    Again,
    /// Sends back what it was sent.
    Echo,
    /// Random bytes.
    Garbage,
    /// An answer that is cut off.
    Cut,
    /// Refuses everything.
    Refusal,
    /// Gives a token of 900 bytes.
    LongToken,
    /// Says nothing.
    Mute,
}

const LIES: [Lie; 19] = [
    Lie::Nearer,
    Lie::YouAndMe,
    Lie::OneSubnet,
    Lie::Nowhere,
    Lie::Hundreds,
    Lie::BadSignature,
    Lie::OldItem,
    Lie::OtherValue,
    Lie::Oversized,
    Lie::OtherId,
    Lie::OtherTid,
    Lie::OtherPlace,
    Lie::Again,
    Lie::Echo,
    Lie::Garbage,
    Lie::Cut,
    Lie::Refusal,
    Lie::LongToken,
    Lie::Mute,
];

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn item(seq: i64, text: &str) -> Item {
    Item::mutable(&key(), b"", seq, &text.into()).unwrap()
}

struct Liar {
    lie: Lie,
    me: Stranger,
    elsewhere: UdpSocket,
    asker: (NodeId, SocketAddr),
    honest: NodeId,
    turn: u32,
}

/// What a liar's answer is made of.
#[derive(Default)]
struct Words {
    nodes: Vec<u8>,
    values: Vec<u8>,
    item: Option<Item>,
    token: Vec<u8>,
}

impl Liar {
    fn words(&mut self, call: &Call<'_>) -> Words {
        let mut words = Words { token: b"token".to_vec(), ..Words::default() };
        let mut name = |id: NodeId, addr: SocketAddr| Nodes::push(&mut words.nodes, &id, addr);
        let target = match call {
            Call::FindNode { target } | Call::Get { target, .. } => *target,
            Call::GetPeers { info_hash, .. } => info_hash.key(),
            _ => return words,
        };
        match self.lie {
            Lie::Nearer => (0..8u8).for_each(|n| {
                self.turn += 1;
                let mut near = target.0;
                near[16..].iter_mut().zip(self.turn.to_be_bytes()).for_each(|(byte, bits)| *byte ^= bits);
                name(NodeId(near), ([127, 66, n, 1], 9).into());
            }),
            Lie::YouAndMe => {
                (0..3).for_each(|_| name(self.asker.0, self.asker.1));
                (0..3).for_each(|_| name(self.me.id, self.me.addr));
            }
            Lie::OneSubnet => {
                (0..150u8).for_each(|n| name(super::stranger::id(n.into()), ([127, 67, 0, n], 9).into()))
            }
            Lie::Nowhere => {
                [[0, 0, 0, 0], [224, 0, 0, 1], [255, 255, 255, 255], [127, 0, 0, 1], [192, 0, 2, 1]]
                    .into_iter()
                    .for_each(|ip| name(NodeId(target.0), (ip, 0).into()))
            }
            Lie::Hundreds => {
                let made_up =
                    (0..450u16).map(|n| SocketAddr::from(([127, 68, (n >> 8) as u8, n as u8], 7000 + n)));
                Peers::write(&mut words.values, made_up);
            }
            Lie::BadSignature => {
                let mut bent = item(9, "lie");
                bent.signed.as_mut().unwrap().signature[7] ^= 1;
                words.item = Some(bent);
            }
            Lie::OldItem => words.item = Some(item(1, "old")),
            Lie::OtherValue => words.item = Item::immutable(&"lie".into()).ok(),
            Lie::Oversized => {
                let value = Tree::from(vec![b'x'; 3000].as_slice()).encode().into();
                words.item = Some(Item { value, signed: None });
            }
            Lie::LongToken => words.token = vec![b't'; 900],
            _ => {}
        }
        words
    }

    async fn answer(&mut self, bytes: &[u8], from: SocketAddr) {
        let Ok(krpc::Message { tid, body: Body::Query(query), .. }) = krpc::decode(bytes) else { return };
        let words = self.words(&query.call);
        let mut values = words.values;
        if values.is_empty() {
            Peers::write(&mut values, []);
        }
        let mut says = Reply::of(if self.lie == Lie::OtherId { self.honest } else { self.me.id });
        says.token = Some(&words.token);
        says.nodes = Nodes::new(Family::V4, &words.nodes);
        says.values = Peers::new(&values);
        if let Some(item) = &words.item {
            says.v = Canonical::new(&item.value, Limits::of(4000)).ok();
            says.signed = item.signed.as_ref().map(|signed| (&signed.key, &signed.signature));
            says.seq = item.seq();
        }
        let other = tid.iter().map(|byte| byte ^ 0x40).collect::<Vec<_>>();
        let whole = reply(if self.lie == Lie::OtherTid { &other } else { tid }, says);
        let (socket, bytes, times) = match self.lie {
            Lie::Mute => return,
            Lie::OtherPlace => (&self.elsewhere, whole, 1),
            Lie::Again => (&self.me.socket, whole, 50),
            Lie::Echo => (&self.me.socket, bytes.to_vec(), 1),
            Lie::Garbage => (&self.me.socket, vec![0xa5; 300], 1),
            Lie::Cut => (&self.me.socket, whole[..whole.len() - 5].to_vec(), 1),
            Lie::Refusal => {
                let mut out = Vec::new();
                let body = Body::Reject(krpc::Reject { code: 203, message: b"no" });
                krpc::Message { tid, version: None, ip: None, body }.encode(&mut out);
                (&self.me.socket, out, 1)
            }
            _ => (&self.me.socket, whole, 1),
        };
        for _ in 0..times {
            let _ = socket.send_to(&bytes, from).await;
        }
    }

    async fn run(mut self) {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = self.me.socket.recv_from(&mut buffer).await {
            let bytes = buffer[..length].to_vec();
            self.answer(&bytes, from).await;
        }
    }
}

/// Who knows the truth, and what it is.
struct Honest {
    contact: Contact<Mainline>,
    immutable: Key<20>,
}

/// A client that knows one honest node and four liars of a kind, who are nearer to what is looked up; a network for each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn among_liars_the_truth_is_found_and_nobody_is_asked_for_ever() {
    let _shared = super::QUIET.read().await;
    let clients = LIES.into_iter().enumerate().map(|(n, lie)| async move {
        let n = 3 * n as u64;
        let (holder, publisher, client) = (node(n + 1).await, node(n + 2).await, node(n + 3).await);
        assert!(add(&publisher, contact(&holder)).await);
        let how = Announcement { port: Some(7777), seed: false };
        publisher.announce(SWARM, how).await.unwrap();
        publisher.put_mutable(&key(), b"", 5, None, &"new".into()).await.unwrap();
        let put = publisher.put_immutable(&"truth".into()).await.unwrap();
        publisher.close_all().await;
        let honest = Honest { contact: contact(&holder), immutable: put.target };
        let start = Instant::now();
        within(among(lie, &client, &honest)).await;
        let asked = client.metrics().requests;
        println!("{lie:?}: {} questions in {:?}", asked.total, start.elapsed());
        // Each of three lookups may remember 200 nodes and repeat a question once.
        assert!(asked.total < 3 * 200 * 2, "{asked:?}");
        futures::join!(holder.close_all(), client.close_all());
    });
    futures::future::join_all(clients).await;
}

async fn among(lie: Lie, client: &Dht<Mainline>, honest: &Honest) {
    assert!(add(client, honest.contact.clone()).await);
    let asker = (client.local().peer, client.socket().unwrap());
    let public = key().verifying_key().to_bytes();
    let place = dht::mainline::ItemKey::mutable(&public, Bytes::new());
    for (n, near) in [TARGET, *place.target(), honest.immutable, honest.contact.key()].into_iter().enumerate()
    {
        let mut me = Stranger::at([127, 0, 0, 1], 0).await;
        me.id = NodeId(near.0);
        me.id.0[19] ^= 1 + n as u8;
        assert!(add(client, me.contact()).await);
        let elsewhere = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        tokio::spawn(Liar { lie, me, elsewhere, asker, honest: honest.contact.peer, turn: 0 }.run());
    }
    let found = client.get_peers(SWARM).await.unwrap().finish().await.unwrap();
    assert!(found.iter().any(|peer| peer.addr.port() == 7777), "{lie:?}: the one who is there is among them");
    assert!(found.len() <= 1024 && found.iter().all(|peer| peer.addr.port() != 0), "{lie:?}");
    if lie != Lie::Hundreds {
        assert_eq!(found.len(), 1, "{lie:?}");
    }
    let got = client.get_mutable(&public, b"").await.unwrap().unwrap_or_else(|| panic!("{lie:?}"));
    assert_eq!((got.seq(), got.tree().unwrap()), (Some(5), "new".into()), "{lie:?}");
    let got = client.get_immutable(honest.immutable).await.unwrap().unwrap_or_else(|| panic!("{lie:?}"));
    assert_eq!(got.tree().unwrap(), "truth".into(), "{lie:?}");

    let known = client.table().peers().await.unwrap();
    assert!(known.iter().any(|entry| entry.contact == honest.contact), "{lie:?}: it is where it was");
    for entry in known {
        let addr = entry.contact.addr.0.unwrap();
        assert!(entry.contact.peer != asker.0 && addr.port() > 9, "{lie:?}: {addr} answered nothing");
    }
}

/// Only those that said under their own name that they store something are believed to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_did_not_say_so_has_stored_nothing() {
    let _shared = super::QUIET.read().await;
    let (holder, client) = (node(1).await, node(2).await);
    assert!(add(&client, contact(&holder)).await);
    let asker = (client.local().peer, client.socket().unwrap());
    // With the holder they are eight, and all of eight are asked.
    let silent =
        [Lie::OtherId, Lie::OtherTid, Lie::OtherPlace, Lie::Echo, Lie::Garbage, Lie::Cut, Lie::Refusal];
    for (n, lie) in silent.into_iter().enumerate() {
        let mut me = Stranger::at([127, 0, 0, 1], 0).await;
        me.id = NodeId(TARGET.0);
        me.id.0[19] ^= 1 + n as u8;
        assert!(add(&client, me.contact()).await);
        let elsewhere = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        tokio::spawn(Liar { lie, me, elsewhere, asker, honest: holder.local().peer, turn: 0 }.run());
    }
    let how = Announcement { port: Some(7777), seed: false };
    let receipt = within(client.announce(SWARM, how)).await.unwrap();
    assert_eq!(receipt.stored, [holder.local().peer]);
    futures::join!(holder.close_all(), client.close_all());
}
