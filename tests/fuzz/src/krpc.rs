//! KRPC datagrams, compact lists and magnet links: what is read is what the bencode says, is written again, and is then
//! read as the same.
//!
//! Whose answer it is, who may store and what an item is worth are the node's business, and that of its target.

use std::net::SocketAddr;

use dht_mainline::{
    Magnet,
    bencode::{Canonical, Limits, Tree},
    compact::{Family, Nodes, Peers, push_addr, read_addr},
    krpc::{self, Body, Call, MAX_DATAGRAM, MAX_TID, Message, Reply, Why, decode},
};

/// Takes the bytes for a datagram, for compact lists and for a link.
pub fn run(data: &[u8]) {
    datagram(data);
    compact(data);
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(magnet) = text.parse::<Magnet>()
    {
        link(&magnet);
    }
}

fn datagram(data: &[u8]) {
    let limits = Limits::of(MAX_DATAGRAM);
    let tree = Tree::decode(data, limits);
    match decode(data) {
        Err(error) => {
            let dict = matches!(tree, Ok(Tree::Dict(_)));
            assert_eq!(matches!(error.why, Why::Bencode(_)), !dict, "{error}");
            if let Some(tid) = error.refuse {
                // Only a question that is sound so far is refused aloud.
                assert!(tid.len() <= MAX_TID);
                let tree = tree.expect("it is bencode");
                let canonical = Canonical::new(data, limits).is_ok();
                assert!(!canonical || field(&tree, &["y"]) == Some(b"q"));
                assert!(!canonical || field(&tree, &["t"]) == Some(tid));
            }
        }
        Ok(message) => {
            let tree = tree.expect("it is bencode");
            if Canonical::new(data, limits).is_ok() {
                agrees(&message, &tree);
            }
            let mut out = Vec::new();
            message.encode(&mut out);
            assert!(Canonical::new(&out, Limits::of(out.len())).is_ok());
            // What peers leave out is written out, so that it may get longer.
            if out.len() <= MAX_DATAGRAM {
                same(&message, &decode(&out).expect("it was written here"));
                let mut again = Vec::new();
                decode(&out).expect("it was written here").encode(&mut again);
                assert_eq!(again, out);
            }
        }
    }
}

fn field<'t>(tree: &'t Tree, path: &[&str]) -> Option<&'t [u8]> {
    path.iter().try_fold(tree, |tree, key| tree.get(key))?.as_bytes()
}

/// The fields of a message, looked up in the tree of a canonical datagram.
fn agrees(message: &Message<'_>, tree: &Tree) {
    assert_eq!(Some(message.tid), field(tree, &["t"]));
    assert_eq!(message.version, field(tree, &["v"]));
    assert_eq!(message.ip, field(tree, &["ip"]).and_then(read_addr));
    match &message.body {
        Body::Query(query) => {
            assert_eq!(field(tree, &["y"]), Some(&b"q"[..]));
            assert_eq!(field(tree, &["q"]), Some(query.call.method()));
            assert_eq!(field(tree, &["a", "id"]), Some(&query.id.0[..]));
            called(&query.call, tree);
        }
        Body::Reply(reply) => {
            assert_eq!(field(tree, &["y"]), Some(&b"r"[..]));
            replied(reply, tree);
        }
        Body::Reject(_) => assert_eq!(field(tree, &["y"]), Some(&b"e"[..])),
    }
}

fn called(call: &Call<'_>, tree: &Tree) {
    let argument = |key| field(tree, &["a", key]);
    let number = |key| tree.get("a").and_then(|args| args.get(key)).and_then(Tree::as_int);
    match call {
        Call::FindNode { target } | Call::SampleInfohashes { target } => {
            assert_eq!(argument("target"), Some(&target.0[..]));
        }
        Call::GetPeers { info_hash, scrape, noseed } => {
            assert_eq!(argument("info_hash"), Some(&info_hash.0[..]));
            assert_eq!(number("scrape").is_some_and(|flag| flag != 0), *scrape);
            assert_eq!(number("noseed").is_some_and(|flag| flag != 0), *noseed);
        }
        Call::AnnouncePeer { info_hash, port, implied_port, token, .. } => {
            assert_eq!((argument("info_hash"), argument("token")), (Some(&info_hash.0[..]), Some(*token)));
            assert!(*implied_port || number("port") == Some(i64::from(*port)));
        }
        Call::Get { target, .. } => assert_eq!(argument("target"), Some(&target.0[..])),
        Call::Put { token, v, signed, .. } => {
            assert_eq!(argument("token"), Some(*token));
            let value = tree.get("a").and_then(|args| args.get("v")).expect("it has a value");
            assert_eq!(value.encode(), v.as_bytes());
            assert_eq!(signed.is_some(), argument("k").is_some());
            if let Some(signed) = signed {
                assert_eq!(argument("k"), Some(&signed.key[..]));
                assert_eq!(argument("sig"), Some(&signed.signature[..]));
                assert_eq!(number("seq"), Some(signed.seq));
                assert_eq!(argument("salt").unwrap_or_default(), signed.salt);
            }
        }
        _ => {}
    }
}

fn replied(reply: &Reply<'_>, tree: &Tree) {
    let fact = |key| field(tree, &["r", key]);
    assert_eq!(fact("id"), Some(&reply.id.0[..]));
    assert_eq!(fact("token"), reply.token);
    for (key, nodes) in [("nodes", &reply.nodes), ("nodes6", &reply.nodes6)] {
        assert_eq!(fact(key), nodes.as_ref().map(Nodes::as_bytes));
    }
    let value = tree.get("r").and_then(|r| r.get("v")).map(Tree::encode);
    assert_eq!(value.as_deref(), reply.v.map(|v| v.as_bytes()));
    let Some(Tree::List(listed)) = tree.get("r").and_then(|r| r.get("values")) else {
        assert_eq!(reply.values, None);
        return;
    };
    let listed: Vec<SocketAddr> = listed.iter().filter_map(|peer| read_addr(peer.as_bytes()?)).collect();
    assert_eq!(reply.values.map(|values| values.to_vec()), Some(listed));
}

fn plain(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// Whether both say the same; an IPv4 address in an IPv6 one is written as what it is, and no peer is not written.
fn same(one: &Message<'_>, other: &Message<'_>) {
    fn strip<'a>(message: &Message<'a>) -> (Message<'a>, Option<SocketAddr>, Option<Vec<SocketAddr>>) {
        let mut message = *message;
        let ip = message.ip.take().map(plain);
        let mut values = None;
        if let Body::Reply(reply) = &mut message.body {
            values = reply.values.take().map(|values| values.to_vec().into_iter().map(plain).collect());
        }
        (message, ip, values)
    }
    assert_eq!(strip(one), strip(other));
}

fn compact(data: &[u8]) {
    for family in [Family::V4, Family::V6] {
        let nodes = Nodes::new(family, data);
        assert_eq!(nodes.is_some(), data.len().is_multiple_of(family.node_len()));
        let Some(nodes) = nodes else { continue };
        assert_eq!(nodes.iter().count(), nodes.len());
        let mut written = Vec::new();
        nodes.iter().for_each(|(id, addr)| Nodes::push(&mut written, &id, addr));
        if nodes.iter().all(|(_, addr)| plain(addr) == addr) {
            assert_eq!(written, data);
        }
    }
    if let Some(addr) = read_addr(data) {
        let mut written = Vec::new();
        push_addr(&mut written, addr);
        assert_eq!(read_addr(&written), Some(plain(addr)));
    }
    if let Some(samples) = krpc::Samples::new(data, 0, u32::MAX) {
        assert_eq!(samples.iter().count(), data.len() / 20);
        assert!(samples.interval <= krpc::Samples::MAX_INTERVAL);
    }
    // Lists of any length may stand alone, those of a message are within its limits.
    let Some(peers) = Peers::new(data) else { return };
    let peers: Vec<SocketAddr> = peers.to_vec().into_iter().map(plain).collect();
    let mut written = Vec::new();
    Peers::write(&mut written, peers.iter().copied());
    assert_eq!(Peers::new(&written).expect("it was written here").to_vec(), peers);
}

pub(crate) fn link(magnet: &Magnet) {
    assert!(magnet.wanted().is_some() && magnet.info_hashes().count() > 0);
    let text = magnet.to_string();
    // Its own form may be longer than any link that is read.
    if text.len() <= 16_384 {
        assert_eq!(text.parse().as_ref(), Ok(magnet), "{text}");
    }
}
