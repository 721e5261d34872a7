//! Valid messages of the Mainline network: what the corpus grows from, and what the tests of broken messages break.

use std::net::SocketAddr;

use dht_core::{Contact, Key};
use dht_mainline::{
    Endpoint, InfoHash, NodeId, SavedState, SavedTable,
    bencode::{Canonical, Limits},
    compact::{Family, Nodes, Peers},
    krpc::{Body, Call, Message, Query, Reject, Reply, Samples, Scrape, Signed, Want, code},
};

const ID: NodeId = NodeId(*b"abcdefghij0123456789");
const TARGET: Key<20> = Key(*b"mnopqrstuvwxyz123456");
const INFO_HASH: InfoHash = InfoHash(TARGET.0);
const TOKEN: &[u8] = b"aoeusnth";

/// The examples of BEP 5, and what deployed peers write otherwise.
const TEXTS: [&str; 9] = [
    "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
    "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
    "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
    "d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
    "d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
    "d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
    "d1:ei202e1:t0:1:y1:ee",
    "d1:y1:q1:t2:aa1:q4:ping1:xd1:zlee1:ad3:foo3:bar2:id20:abcdefghij01234567894:want2:n6ee",
    "d1:rd2:id20:abcdefghij01234567896:valuesl6:abcdef5:abcdei7e0:le18:0123456789abcdef\x1a\x00ee1:t2:aa1:y1:re",
];

const LINKS: [&str; 3] = [
    "magnet:?xt=urn:btih:c12fe1c06bba254a9dc9f519b335aa7c1367a88a&dn=a%20name&x.pe=9.8.7.6:6881",
    "magnet:?xt=urn:btih:YEX6DQDLXISUVHOJ6UM3GNNKPQJWPKEK&tr=http%3A%2F%2Ft.example%2Fa&x.pe=[2a00::1]:6881",
    "magnet:?xt=urn:btmh:1220abababababababababababababababababababababababababababababababab&xt.1=urn%3Abtih%3Ac12fe1c06bba254a9dc9f519b335aa7c1367a88a&dn=x+y",
];

/// Datagrams of every sort.
pub fn datagrams() -> Vec<Vec<u8>> {
    let texts = TEXTS.iter().map(|text| text.as_bytes().to_vec());
    texts.chain(questions()).chain(answers()).collect()
}

/// Links, lists and nodes that stand outside of datagrams.
pub fn parts() -> Vec<Vec<u8>> {
    let mut parts: Vec<_> = LINKS.iter().map(|text| text.as_bytes().to_vec()).collect();
    parts.push(b"l6:abcdef18:0123456789abcdef\x1a\xe1e".to_vec());
    parts.extend([nodes(Family::V4, 2), nodes(Family::V6, 2)]);
    parts
}

/// Values in bencode: canonical ones, and deviations of every sort.
pub fn values() -> Vec<Vec<u8>> {
    let texts = [
        "i0e",
        "i-9223372036854775808e",
        "i9223372036854775808e",
        "i-0e",
        "i007e",
        "le",
        "d1:ai1e1:bl1:c2:dddeee",
        "d1:bi1e1:ai2ee",
        "d1:ai1e1:ai2ee",
        "l01:ai00ee",
        "d0:d0:d0:leeee",
        "li1e",
        "999999999:a",
        "1234567890:a",
        "llllllllleeeeeeeee",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// What peers of both roles say in a metadata session, as scripts of that target.
pub fn scripts() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for size in 0..5 {
        for kind in 0..4u8 {
            let first = kind << 5 | size << 1;
            // Greets, introduces itself, and gives the pieces, last one first.
            all.push([&[first, 0b1101, 9, 1, 0, 11][..], &[3, 2, 0, 3, 1, 0, 3, 0, 0]].concat());
            // Greets, and asks for pieces that are there and pieces that are not.
            all.push(vec![first | 1, 0b1101, 200, 1, 0, 11, 5, 0, 5, 1, 5, 4, 5, 5, 6, 0, 8, 2]);
        }
    }
    // Sizes that must not be believed; floods; refusals; strange messages.
    all.extend((1..9).map(|size| vec![2, 1, 3, 1, 0, 2, 0, size, 3, 0, 0]));
    all.push([&[2, 0x21, 3, 1, 0, 11][..], &[8; 40]].concat());
    all.push(vec![2, 1, 3, 1, 0, 11, 10, 1, 20, b'd', b'e', 6, 0, 7, 3, 5]);
    all.push(vec![8, 1, 3, 1, 0, 11, 4, 0, 3, 0, 7, 4, 2, 5, 1, 1]);
    all
}

/// Torrents, links and saved tables.
pub fn files() -> Vec<Vec<u8>> {
    let infos: [&[u8]; 3] = [
        b"d6:lengthi3e4:name5:a.txt12:piece lengthi16384e6:pieces20:abcdefghij0123456789e",
        b"d12:meta versioni2e4:name1:\xff6:pieces0:e",
        b"d9:file treed1:ad0:d6:lengthi3eeee12:meta versioni2e4:name1:ae",
    ];
    let mut all: Vec<Vec<u8>> = LINKS.iter().map(|text| text.as_bytes().to_vec()).collect();
    for info in infos {
        all.extend([info.to_vec(), [b"d8:announce3:url4:info", info, b"4:spam0:e"].concat()]);
    }
    let contact = |n: u8, addr: SocketAddr| Contact::new(NodeId([n; 20]), Endpoint::from(addr));
    let v4 = (0..3).map(|n| contact(n, ([9, 8, 7, n], 6881).into())).collect();
    let v6 = vec![contact(9, ([0x2a00, 0, 0, 0, 0, 0, 0, 1], 6881).into())];
    let tables = [(Family::V4, v4), (Family::V6, v6)]
        .map(|(family, contacts)| SavedTable { family, id: NodeId([7; 20]), contacts })
        .to_vec();
    let saved = SavedState { tables }.encode();
    all.push(saved[8..saved.len() - 4].to_vec());
    all.push(saved);
    all
}

/// Conversations with a whole node, as scripts of that target: who is let store, stores, and is asked for it; who joins,
/// is told of others, asks them and believes some of what they say.
pub fn conversations() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for item in 0..17u8 {
        let get = [0, 8, item, 7, 255, 0];
        let put = [0, 8, item, 8, 0, 0];
        all.push([get, put, [0, 9, item, 7, 255, 0], [0, 8, item | 128, 9, 0, 0]].concat());
    }
    for swarm in 64..72u8 {
        let announce = [0, 8, swarm, 4, 0, 0];
        let get = |who, what| [0, who, what, 3, 255, 0];
        all.push(
            [get(8, swarm), announce, get(12, swarm), get(12, swarm & 7), [0, 12, 0, 10, 255, 0]].concat(),
        );
    }
    for what in 0..9u8 {
        let mut script = vec![16, 9, 0, 4, 8, 12, 16, 20];
        for round in 0..12u8 {
            // Four more that are said to be there, a token, an item or peers, and where the answerer sees us.
            let more = [4, 30 + round * 16, 34 + round * 16, 40 + round * 4, 90 - round * 4];
            let held = [what, [1, 3, 5, 13, 17][usize::from(what % 5)]];
            script
                .extend([&[7, round, 30][..], &held, &more, &[2, 77, 78, 255, 16 * (what % 3), 0]].concat());
            if round % 4 == 1 {
                script.extend([16, what % 9, 4 * what, 22]);
            }
        }
        script.extend([22; 4]);
        all.push(script);
    }
    all
}

fn question(call: Call<'_>, read_only: bool, want: Want) -> Vec<u8> {
    let body = Body::Query(Query { id: ID, read_only, want, echo: None, call });
    encoded(Message { tid: b"abcd", version: Some(b"XX01"), ip: None, body })
}

fn questions() -> Vec<Vec<u8>> {
    let v = Canonical::new(b"d1:ai1e1:bl2:xyee", Limits::default()).expect("it is canonical");
    let (key, signature) = ([3; 32], [4; 64]);
    let signed = |salt| Some(Signed { key: &key, signature: &signature, seq: 7, salt });
    let put = |signed, cas, target| Call::Put { token: TOKEN, target, v, signed, cas };
    let (seq, target) = (Some(i64::MAX), TARGET);
    let calls = [
        Call::Ping,
        Call::FindNode { target },
        Call::GetPeers { info_hash: INFO_HASH, scrape: true, noseed: true },
        Call::AnnouncePeer {
            info_hash: INFO_HASH,
            port: 6881,
            implied_port: false,
            seed: true,
            token: TOKEN,
        },
        Call::Get { target, seq },
        put(None, None, Some(TARGET)),
        put(signed(b""), None, None),
        put(signed(b"salt"), Some(6), Some(TARGET)),
        Call::SampleInfohashes { target },
        Call::Unknown { method: b"vote", target: Some(TARGET) },
    ];
    let wants = [Want::default(), Want { n4: true, n6: true }];
    calls.into_iter().enumerate().map(|(i, call)| question(call, i % 3 == 0, wants[i % 2])).collect()
}

fn answers() -> Vec<Vec<u8>> {
    let (v4, v6) = (nodes(Family::V4, 8), nodes(Family::V6, 2));
    let (nodes, nodes6) = (Nodes::new(Family::V4, &v4), Nodes::new(Family::V6, &v6));
    let mut list = Vec::new();
    let peers: [SocketAddr; 3] =
        [([9, 8, 7, 6], 1).into(), ([9, 8, 7, 5], 2).into(), ([0x2a00, 0, 0, 0, 0, 0, 0, 1], 3).into()];
    Peers::write(&mut list, peers);
    let filters = [[0x11; 256], [0x22; 256]];
    let (key, signature) = ([3; 32], [4; 64]);
    let v = Canonical::new(b"5:value", Limits::default()).ok();
    let (of, token) = (Reply::of(ID), Some(TOKEN));
    let replies = [
        Reply { nodes, port: Some(6881), ..of },
        Reply { nodes, nodes6, token, values: Peers::new(&list), ..of },
        Reply { token, scrape: Some(Scrape { seeds: &filters[0], peers: &filters[1] }), ..of },
        Reply { nodes, token, v, ..of },
        Reply { token, v, signed: Some((&key, &signature)), seq: Some(7), ..of },
        Reply { nodes6, samples: Samples::new(&v4[..40], 2, 21_600), ..of },
    ];
    let mut bodies: Vec<_> = replies.into_iter().map(Body::Reply).collect();
    bodies.push(Body::Reject(Reject { code: code::OLD_SEQ, message: b"older" }));
    let ips: [SocketAddr; 2] = [([127, 0, 0, 1], 6881).into(), ([0x2a00, 0, 0, 0, 0, 0, 0, 1], 6881).into()];
    let message =
        |(i, body)| encoded(Message { tid: b"abcd", version: Some(b"LT01"), ip: Some(ips[i % 2]), body });
    bodies.into_iter().enumerate().map(message).collect()
}

fn nodes(family: Family, count: u8) -> Vec<u8> {
    let mut out = Vec::new();
    for i in 0..count {
        let addr = match family {
            Family::V4 => ([9, 8, i, 6], 6881).into(),
            Family::V6 => ([0x2a00, 0, 0, 0, 0, 0, 0, u16::from(i)], 6881).into(),
        };
        Nodes::push(&mut out, &NodeId([i; 20]), addr);
    }
    out
}

fn encoded(message: Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}
