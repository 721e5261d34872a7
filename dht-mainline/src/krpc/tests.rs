use std::net::IpAddr;

use proptest::{collection, prelude::*};

use super::*;
use crate::bencode::Limits;

/// Owned parts that any message can be made of.
#[derive(Clone, Debug)]
struct Parts {
    sort: u8,
    tid: Vec<u8>,
    text: Vec<u8>,
    ids: [[u8; 20]; 2],
    flags: [bool; 6],
    port: u16,
    number: i64,
    ip: Option<(IpAddr, u16)>,
    nodes: Vec<u8>,
    peers: Vec<SocketAddr>,
}

fn parts() -> impl Strategy<Value = Parts> {
    let bytes = |most| collection::vec(any::<u8>(), 0..most);
    let peers = collection::vec((any::<IpAddr>(), any::<u16>()), 0..6);
    (
        (0u8..12, bytes(21), bytes(40), any::<[[u8; 20]; 2]>(), any::<[bool; 6]>()),
        (
            any::<u16>(),
            any::<i64>(),
            any::<Option<(IpAddr, u16)>>(),
            collection::vec(any::<u8>(), 0..6),
            peers,
        ),
    )
        .prop_map(|((sort, tid, text, ids, flags), (port, number, ip, nodes, peers))| Parts {
            sort,
            tid,
            text,
            ids,
            flags,
            port,
            number,
            ip,
            nodes: nodes.repeat(26 * 38),
            peers: peers.into_iter().map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port)).collect(),
        })
}

impl Parts {
    fn list(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Peers::write(&mut out, self.peers.iter().copied());
        out
    }

    fn with<R>(&self, each: impl FnOnce(Message<'_>) -> R) -> R {
        let list = self.list();
        let v = [b"1:", &self.ids[0][..1]].concat();
        let v = Canonical::new(&v, Limits::default()).unwrap();
        let [scrape, noseed, read_only, n4, n6, signed] = self.flags;
        let (target, info_hash) = (Key(self.ids[1]), InfoHash(self.ids[1]));
        let (key, signature) = ([self.ids[0][1]; 32], [self.ids[0][2]; 64]);
        let signed =
            signed.then_some(Signed { key: &key, signature: &signature, seq: self.number, salt: &self.text });
        let seq = n4.then_some(self.number);
        let call = match self.sort {
            0 => Call::Ping,
            1 => Call::FindNode { target },
            2 => Call::GetPeers { info_hash, scrape, noseed },
            3 => Call::AnnouncePeer {
                info_hash,
                port: self.port,
                implied_port: scrape,
                seed: noseed,
                token: &self.text,
            },
            4 => Call::Get { target, seq },
            5 => Call::Put {
                token: &self.text,
                target: n6.then_some(target),
                v,
                cas: seq.filter(|_| signed.is_some()),
                signed,
            },
            6 => Call::SampleInfohashes { target },
            _ => Call::Unknown { method: b"vote", target: n6.then_some(target) },
        };
        let filters = [[self.ids[0][3]; 256], [self.ids[0][4]; 256]];
        let whole = self.nodes.len() / (26 * 38) * 26 * 38;
        let reply = Reply {
            nodes: n4
                .then(|| Nodes::new(crate::compact::Family::V4, &self.nodes[..whole.min(26 * 38)]).unwrap()),
            nodes6: n6.then(|| Nodes::new(crate::compact::Family::V6, &self.nodes[..whole.min(38)]).unwrap()),
            token: scrape.then_some(&self.text[..]),
            values: noseed.then(|| Peers::new(&list).unwrap()),
            scrape: scrape.then_some(Scrape { seeds: &filters[0], peers: &filters[1] }),
            v: signed.map(|_| v),
            signed: signed.map(|signed| (signed.key, signed.signature)),
            seq,
            samples: read_only.then(|| {
                Samples::new(&self.nodes[..whole.min(20)], 7, u32::from(self.port) % 21_601).unwrap()
            }),
            port: n6.then_some(self.port),
            echo: n4,
            ..Reply::of(NodeId(self.ids[0]))
        };
        let body = match self.sort {
            0..8 => {
                let shown = matches!(call, Call::GetPeers { .. } | Call::Get { .. }) && scrape;
                let echo = shown.then_some(&self.text[..]);
                Body::Query(Query { id: NodeId(self.ids[0]), read_only, want: Want { n4, n6 }, echo, call })
            }
            8..11 => Body::Reply(reply),
            _ => Body::Reject(Reject { code: u32::from(self.port), message: &self.text }),
        };
        let ip = self.ip.map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port));
        each(Message { tid: &self.tid, version: n4.then_some(&self.text[..]), ip, body })
    }
}

proptest! {
    #[test]
    fn what_is_written_is_canonical_and_read_back(parts in parts()) {
        parts.with(|message| {
            let mut datagram = Vec::new();
            message.encode(&mut datagram);
            prop_assert!(Canonical::new(&datagram, Limits::default()).is_ok());
            prop_assert_eq!(decode(&datagram), Ok(message));
            Ok(())
        })?;
    }

    #[test]
    fn no_prefix_of_a_message_is_one(parts in parts()) {
        parts.with(|message| {
            let mut datagram = Vec::new();
            message.encode(&mut datagram);
            for end in 0..datagram.len() {
                let error = decode(&datagram[..end]).unwrap_err();
                prop_assert!(error.refuse.is_none() && matches!(error.why, Why::Bencode(_)));
            }
            Ok(())
        })?;
    }

    #[test]
    fn flipped_bits_are_read_as_something_that_can_be_written(parts in parts(), bits in collection::vec(any::<usize>(), 1..40)) {
        parts.with(|message| {
            let mut datagram = Vec::new();
            message.encode(&mut datagram);
            for bit in bits {
                let bit = bit % (datagram.len() * 8);
                datagram[bit / 8] ^= 1 << (bit % 8);
                if let Ok(read) = decode(&datagram) {
                    let mut again = Vec::new();
                    read.encode(&mut again);
                    prop_assert!(Canonical::new(&again, Limits::default()).is_ok());
                    prop_assert!(decode(&again).is_ok());
                }
                datagram[bit / 8] ^= 1 << (bit % 8);
            }
            Ok(())
        })?;
    }

    #[test]
    fn noise_never_earns_an_answer(bytes in collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(decode(&bytes).unwrap_err().refuse, None);
    }
}

const ID: &str = "abcdefghij0123456789";

fn query(datagram: &[u8]) -> Query<'_> {
    match decode(datagram).unwrap().body {
        Body::Query(query) => query,
        other => panic!("{other:?}"),
    }
}

fn refused(datagram: &[u8]) -> (Option<&[u8]>, Why) {
    let error = decode(datagram).unwrap_err();
    (error.refuse, error.why)
}

#[test]
fn the_examples_of_bep_5_are_read_and_written() {
    for text in [
        "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
        "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
        "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
        "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
        "d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
        "d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
    ] {
        let mut out = Vec::new();
        decode(text.as_bytes()).unwrap().encode(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
    let announce = "d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe";
    let Call::AnnouncePeer { port: 6881, implied_port: true, seed: false, token: b"aoeusnth", .. } =
        query(announce.as_bytes()).call
    else {
        panic!("not an announcement");
    };
}

#[test]
fn what_deployed_peers_write_is_understood() {
    // `want` as a single name; names of other families in the list; an unsorted dictionary; unknown fields at both levels.
    let both = Want { n4: true, n6: true };
    for (want, wanted) in [
        ("l2:n42:n6e", both),
        ("2:n6", Want { n6: true, ..Want::default() }),
        ("l2:n42:n8i4elee", Want { n4: true, ..Want::default() }),
        ("i4e", Want::default()),
    ] {
        let text = format!("d1:ad2:id20:{ID}4:want{want}e1:q4:ping1:t2:aa1:y1:qe");
        assert_eq!(query(text.as_bytes()).want, wanted, "{want}");
    }
    let unsorted = format!("d1:y1:q1:t2:aa1:q4:ping1:xd1:zlee1:ad3:foo3:bar2:id20:{ID}ee");
    assert_eq!(query(unsorted.as_bytes()).call, Call::Ping);
    // Transaction ids of 0 to 20 bytes are echoed, endless ones are not.
    for (length, ok) in [(0, true), (1, true), (8, true), (20, true), (32, true), (33, false)] {
        let text = format!("d1:ad2:id20:{ID}e1:q4:ping1:t{length}:{}1:y1:qe", "t".repeat(length));
        assert_eq!(decode(text.as_bytes()).is_ok(), ok, "{length}");
    }
    // An announcement by the port of the datagram may leave the port out; others may not, and 65536 is none.
    let announce =
        |fields: &str| format!("d1:ad2:id20:{ID}{fields}5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe");
    let hash = format!("9:info_hash20:{ID}");
    assert!(decode(announce(&format!("12:implied_porti1e{hash}")).as_bytes()).is_ok());
    assert_eq!(refused(announce(&hash).as_bytes()), (Some(&b"aa"[..]), Why::Field("port")));
    assert_eq!(refused(announce(&format!("{hash}4:porti65536e")).as_bytes()).1, Why::Field("port"));
    // A field of the wrong sort that the method does not need does no harm.
    let odd = format!("d1:ad2:id20:{ID}3:seq1:x6:targeti3ee1:q4:ping1:t2:aa1:y1:qe");
    assert_eq!(query(odd.as_bytes()).call, Call::Ping);
    // A read-only asker says so beside `q`.
    let quiet = format!("d1:ad2:id20:{ID}e1:q4:ping2:roi1e1:t2:aa1:y1:qe");
    assert!(query(quiet.as_bytes()).read_only);
}

#[test]
fn refusals_are_understood_in_every_shape() {
    for (shape, code, message) in [
        ("li203e3:abce", 203, "abc"),
        ("3:abci203e", 201, "abc"),
        ("l3:abci203ee", 203, "abc"),
        ("le", 201, ""),
        ("li-1ee", 0, ""),
        ("li99999999999ee", u32::MAX, ""),
        ("i202e", 202, ""),
        ("lldei202ee", 202, ""),
    ] {
        let text = format!("d1:e{shape}1:t1:a1:y1:ee");
        if shape == "3:abci203e" || shape == "lldei202ee" {
            assert!(decode(text.as_bytes()).is_err(), "{shape}");
            continue;
        }
        let body = decode(text.as_bytes()).unwrap().body;
        assert_eq!(body, Body::Reject(Reject { code, message: message.as_bytes() }), "{shape}");
    }
}

#[test]
fn unknown_methods_keep_their_target() {
    for (fields, want) in [
        (format!("6:target20:{ID}"), true),
        (format!("9:info_hash20:{ID}"), true),
        (String::new(), false),
        ("6:target3:abc".to_owned(), false),
    ] {
        let text = format!("d1:ad2:id20:{ID}{fields}e1:q4:vote1:t2:aa1:y1:qe");
        let Call::Unknown { method: b"vote", target } = query(text.as_bytes()).call else { panic!("{text}") };
        assert_eq!(target.is_some(), want, "{fields}");
    }
}

#[test]
fn only_a_question_that_was_understood_so_far_is_refused_aloud() {
    let put = |fields: &str| format!("d1:ad2:id20:{ID}{fields}e1:q3:put1:t2:aa1:y1:qe");
    let (key, signature) = (format!("1:k32:{}", "k".repeat(32)), format!("3:sig64:{}", "s".repeat(64)));
    for (text, field) in [
        ("d1:ade1:q4:ping1:t2:aa1:y1:qe".to_owned(), "id"),
        ("d1:q4:ping1:t2:aa1:y1:qe".to_owned(), "a"),
        (format!("d1:ad2:id20:{ID}e1:t2:aa1:y1:qe"), "q"),
        ("d1:ad2:id3:abce1:q4:ping1:t2:aa1:y1:qe".to_owned(), "id"),
        (format!("d1:ad2:id20:{ID}e1:q9:find_node1:t2:aa1:y1:qe"), "target"),
        (format!("d1:ad2:id20:{ID}9:info_hash1:xe1:q9:get_peers1:t2:aa1:y1:qe"), "info_hash"),
        (put("1:vi1e"), "token"),
        (put("5:token1:x"), "v"),
        (put("5:token1:x1:vd1:b0:1:a0:e"), "v"),
        (put(&format!("{key}5:token1:x1:vi1e")), "sig"),
        (put(&format!("{key}{signature}5:token1:x1:vi1e")), "seq"),
        (put(&format!("{key}3:seq1:1{signature}5:token1:x1:vi1e")), "seq"),
        (put(&format!("3:seqi1e{signature}5:token1:x1:vi1e")), "k"),
        (put("4:salti1e5:token1:x1:vi1e"), "salt"),
        (put("3:cas1:x5:token1:x1:vi1e"), "cas"),
    ] {
        assert_eq!(refused(text.as_bytes()), (Some(&b"aa"[..]), Why::Field(field)), "{text}");
    }
    for text in [
        "",
        "de",
        "le",
        "i1e",
        "d1:t2:aa1:y1:xe",
        "d1:y1:q1:q4:pinge",
        "d1:rde1:t2:aa1:y1:re",
        "d1:t2:aa1:y1:re",
        "d1:t2:aa1:y1:ee",
        &format!("d1:ad2:id20:{ID}e1:q4:ping1:t2:aa1:y1:qex"),
        &format!("d1:ad2:id20:{ID}e1:q4:ping1:t2:aa1:y1:q1:z{}{}e", "l".repeat(60), "e".repeat(60)),
        &format!("d1:rd2:id20:{ID}5:nodes3:abce1:t2:aa1:y1:re"),
        &format!("d1:rd2:id20:{ID}6:nodes626:abcdefghij0123456789abcdefe1:t2:aa1:y1:re"),
        &format!("d1:rd2:id20:{ID}7:samples3:abce1:t2:aa1:y1:re"),
        &format!("d1:rd2:id20:{ID}1:vi01ee1:t2:aa1:y1:re"),
        &"l".repeat(MAX_DATAGRAM + 1),
    ] {
        assert_eq!(decode(text.as_bytes()).unwrap_err().refuse, None, "{text}");
    }
}

#[test]
fn samples_are_cut_every_twenty_bytes() {
    let hashes: Vec<u8> = (0..60).collect();
    let samples = Samples::new(&hashes, 3, u32::MAX).unwrap();
    assert_eq!(samples.interval, Samples::MAX_INTERVAL);
    let first: Vec<u8> = samples.iter().map(|hash| hash.0[0]).collect();
    assert_eq!(first, [0, 20, 40]);
    let text = format!("d1:rd2:id20:{ID}8:intervali-5e3:numi99999999999e7:samples20:{ID}e1:t2:aa1:y1:re");
    let Body::Reply(Reply { samples: Some(samples), .. }) = decode(text.as_bytes()).unwrap().body else {
        panic!("no samples");
    };
    assert_eq!((samples.num, samples.interval), (u32::MAX, 0));
}
