//! What strangers say to the node, made from bytes: sound messages, and sound ones with something wrong.

use std::{
    net::{IpAddr, SocketAddr},
    sync::LazyLock,
};

use bytes::Bytes;
use dht_core::Key;
use dht_mainline::{
    InfoHash, Item, ItemKey, NodeId,
    bencode::{Canonical, Limits, Tree},
    compact::{Family, Nodes, Peers},
    item::{MAX_VALUE, Signed},
    krpc::{self, Body, Call, Message, Query, Reject, Reply, Samples, Scrape, Want},
};
use ed25519_dalek::SigningKey;

use crate::input::Input;

/// Items of both sorts: of one key and salt, several sequence numbers, one of them twice; and items that are not true.
static ITEMS: LazyLock<Vec<Item>> = LazyLock::new(|| {
    let large = Tree::from(vec![b'x'; MAX_VALUE - 4].as_slice());
    let mut items: Vec<Item> =
        ["a", "b", "c"].map(|text| Item::immutable(&text.into())).into_iter().flatten().collect();
    items.extend(Item::immutable(&large));
    let key = SigningKey::from_bytes(&[7; 32]);
    for (salt, seq, text) in
        [("", 1, "one"), ("", 2, "two"), ("", 2, "other"), ("s", 0, "0"), ("s", i64::MAX, "last")]
    {
        items.extend(Item::mutable(&key, salt.as_bytes(), seq, &text.into()));
    }
    items.extend(Item::mutable(&SigningKey::from_bytes(&[8; 32]), &[b's'; 64], 9, &large));
    let good = items[4].clone();
    let bent = |change: fn(&mut Signed)| {
        let mut signed = good.signed.clone().expect("it is a mutable one");
        change(&mut signed);
        Item { signed: Some(signed), ..good.clone() }
    };
    items.push(bent(|signed| signed.signature[0] ^= 1));
    items.push(bent(|signed| signed.seq = 5));
    items.push(bent(|signed| signed.seq = -1));
    items.push(bent(|signed| signed.key = [0; 32]));
    items.push(bent(|signed| signed.salt = Bytes::from_static(&[b's'; 65])));
    items.push(Item { value: Bytes::from(Tree::from(vec![b'x'; 1000].as_slice()).encode()), signed: None });
    items
});

/// One of some items.
pub(super) fn item(byte: u8) -> &'static Item {
    &ITEMS[usize::from(byte) % ITEMS.len()]
}

/// Where an item belongs.
pub(super) fn place(item: &Item) -> ItemKey {
    match &item.signed {
        Some(signed) => ItemKey::mutable(&signed.key, signed.salt.clone()),
        None => ItemKey::new(item.target()),
    }
}

/// One of some swarms.
pub(super) fn swarm(byte: u8) -> InfoHash {
    InfoHash([byte & 7; 20])
}

/// A point of the key space: near a peer, of a swarm, or where an item is.
pub(super) fn target(byte: u8) -> Key<20> {
    match byte & 3 {
        0 => item(byte >> 2).target(),
        1 => swarm(byte >> 2).key(),
        _ => peer(byte).key(),
    }
}

/// One of 256 peers.
pub(super) fn peer(byte: u8) -> NodeId {
    let mut id = [0x55; 20];
    id[0] = byte;
    NodeId(id)
}

/// Where a peer is; four share a network. Some are where nobody can be.
pub(super) fn addr(byte: u8) -> SocketAddr {
    match byte {
        250 => ([127, 0, 0, 1], 6881).into(),
        251 => ([10, 0, 0, 1], 6881).into(),
        252 => ([9, 9, 9, 9], 0).into(),
        253 => ([224, 0, 0, 1], 6881).into(),
        254 => super::HERE,
        _ => ([9, 8, byte >> 2, byte], 6881).into(),
    }
}

/// What a stranger may know when it speaks.
pub(super) struct Speech<'a, 'i> {
    pub(super) input: &'a mut Input<'i>,
    /// Tokens that the node gave.
    pub(super) tokens: &'a [Vec<u8>],
}

impl Speech<'_, '_> {
    /// A question, and who asks it.
    pub(super) fn question(&mut self) -> (SocketAddr, Vec<u8>) {
        let (who, what, flags) = (self.input.byte(), self.input.byte(), self.input.byte());
        let token = self.token();
        let target = target(what);
        let item = item(what);
        let signed = item.signed.as_ref().map(|signed| krpc::Signed {
            key: &signed.key,
            signature: &signed.signature,
            seq: signed.seq,
            salt: &signed.salt,
        });
        let Ok(v) = Canonical::new(&item.value, Limits::of(2000)) else { return (addr(who), Vec::new()) };
        let call = match flags % 12 {
            0 => Call::Ping,
            1 | 2 => Call::FindNode { target },
            3 => Call::GetPeers { info_hash: swarm(what), scrape: what & 64 > 0, noseed: what & 32 > 0 },
            4..=6 => Call::AnnouncePeer {
                info_hash: swarm(what),
                port: u16::from(what >> 3),
                implied_port: what & 64 > 0,
                seed: what & 32 > 0,
                token: &token,
            },
            7 => Call::Get { target: item.target(), seq: (what & 64 > 0).then_some(2) },
            8 | 9 => Call::Put {
                token: &token,
                target: (what & 64 > 0).then_some(target),
                v,
                signed,
                cas: (what & 128 > 0).then_some(i64::from(what & 3)),
            },
            10 => Call::SampleInfohashes { target },
            _ => Call::Unknown { method: b"vote", target: (what & 64 > 0).then_some(target) },
        };
        let echo = (flags & 16 > 0).then_some(&token[..]);
        let want = Want { n4: flags & 64 > 0, n6: flags & 128 > 0 };
        let body = Body::Query(Query { id: peer(who), read_only: flags & 32 > 0, want, echo, call });
        let length = usize::from(what) % (krpc::MAX_TID + 2);
        (
            addr(who),
            self.written(Message {
                tid: &[what; krpc::MAX_TID + 2][..length],
                version: None,
                ip: None,
                body,
            }),
        )
    }

    /// An answer of `id` under this name.
    pub(super) fn answer(&mut self, tid: [u8; 4], id: NodeId) -> Vec<u8> {
        let (what, flags) = (self.input.byte(), self.input.byte());
        let mut nodes = Vec::new();
        for byte in self.input.some(9) {
            Nodes::push(&mut nodes, &peer(*byte), addr(*byte));
        }
        let mut values = Vec::new();
        let peers = self.input.some(6).iter().map(|byte| SocketAddr::new(addr(*byte).ip(), u16::from(*byte)));
        Peers::write(&mut values, peers);
        let (token, item, filter) = (self.token(), item(what), [what; 256]);
        let hashes = [what; 60];
        let signed = item.signed.as_ref().filter(|_| flags & 4 > 0);
        let reply = Reply {
            nodes: Nodes::new(Family::V4, &nodes),
            nodes6: Nodes::new(Family::V6, &nodes).filter(|_| flags & 128 > 0),
            token: Some(&token[..]).filter(|_| flags & 1 > 0),
            values: Peers::new(&values).filter(|_| flags & 2 > 0),
            v: Canonical::new(&item.value, Limits::of(2000)).ok().filter(|_| flags & 4 > 0),
            signed: signed.map(|signed| (&signed.key, &signed.signature)),
            seq: signed.map(|signed| signed.seq),
            scrape: (flags & 8 > 0).then_some(Scrape { seeds: &filter, peers: &[0; 256] }),
            samples: Samples::new(&hashes, what.into(), u32::MAX).filter(|_| flags & 16 > 0),
            port: None,
            ..Reply::of(id)
        };
        let us = self.input.byte();
        let ip = (us > 0).then(|| SocketAddr::new(IpAddr::from([9, 9, 9, us >> 4]), 6881));
        self.written(Message { tid: &tid, version: None, ip, body: Body::Reply(reply) })
    }

    pub(super) fn refusal(&mut self, tid: [u8; 4]) -> Vec<u8> {
        let code = 200 + u32::from(self.input.byte());
        self.written(Message {
            tid: &tid,
            version: None,
            ip: None,
            body: Body::Reject(Reject { code, message: b"no" }),
        })
    }

    fn token(&mut self) -> Vec<u8> {
        let which = self.input.byte();
        let made_up = || vec![which; usize::from(which) % 70];
        let given =
            self.tokens.len().checked_sub(1 + usize::from(which % 8)).map(|at| self.tokens[at].clone());
        given.filter(|_| which < 200).unwrap_or_else(made_up)
    }

    /// The message, now and then with a byte changed or cut off somewhere.
    fn written(&mut self, message: Message<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let fault = self.input.byte();
        if fault >= 224 {
            let at = usize::from(self.input.short()) % bytes.len();
            match fault & 3 {
                0 => bytes.truncate(at),
                1 => bytes.extend_from_slice(&[fault; 3]),
                _ => bytes[at] ^= fault & 31,
            }
        }
        bytes
    }
}
