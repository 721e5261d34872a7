use std::collections::BTreeSet;

use dht_core::Failure;
use dht_records::Conflict;
use ed25519_dalek::SigningKey;
use proptest::{collection, prelude::*};

use super::*;
use crate::{
    Bloom, InfoHash, Item, ItemKey, Peer, Query, Record, Samples, Scrape, Swarm, Token,
    krpc::{self, Call, Reply},
};

const OURS: NodeId = NodeId([1; 20]);
const THEIRS: NodeId = NodeId([b't'; 20]);
const TID: TransactionId = *b"tidy";
const FULL: Room = Room { bytes: 1400, stored: true };
const SMALL: Room = Room { bytes: 300, stored: false };

fn codec(family: Family) -> KrpcCodec {
    KrpcCodec::new(CodecConfig::new(OURS, family, Tokens::new([3; 16]), 7))
}

fn v4(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn asker() -> SocketAddr {
    v4("9.8.7.6:6881")
}

fn now() -> Mono {
    Mono(std::time::Duration::from_secs(1000))
}

type Heard = Result<Datagram<Mainline, Question>, Unread>;

fn hear(codec: &KrpcCodec, datagram: &[u8], out: &mut Vec<u8>) -> Heard {
    codec.decode(now(), asker(), datagram, &|_| None, out)
}

/// What somebody asks of us, as our own codec writes it.
fn asked(request: &Request<Mainline>) -> Vec<u8> {
    let asker = KrpcCodec::new(CodecConfig::new(THEIRS, Family::V4, Tokens::new([4; 16]), 8));
    let mut out = Vec::new();
    asker.encode_request(TID, asker_addr(), request, &mut out);
    out
}

fn asker_addr() -> SocketAddr {
    v4("8.8.8.8:6881")
}

fn question(codec: &KrpcCodec, datagram: &[u8]) -> (Request<Mainline>, Question) {
    match hear(codec, datagram, &mut Vec::new()) {
        Ok(Datagram::Request { peer: THEIRS, request, question, .. }) => (request, question),
        other => panic!("{other:?}"),
    }
}

/// The datagram of an answer, and what it says.
fn answered(codec: &KrpcCodec, question: &Question, response: &Response<Mainline>, room: Room) -> Vec<u8> {
    let mut out = Vec::new();
    codec.encode_answer(asker(), question, Ok(response), room, &mut out);
    assert!(out.len() <= room.bytes);
    out
}

fn reply(datagram: &[u8]) -> Reply<'_> {
    match krpc::decode(datagram).unwrap().body {
        Body::Reply(reply) => reply,
        other => panic!("{other:?}"),
    }
}

/// What we understand of an answer to `request`.
fn understood(codec: &KrpcCodec, request: &Request<Mainline>, datagram: &[u8]) -> Response<Mainline> {
    let result =
        codec.decode(now(), asker(), datagram, &|tid| (tid == TID).then_some(request), &mut Vec::new());
    match result {
        Ok(Datagram::Answer { tid: TID, peer: Some(_), result: Ok(response), seen, .. }) => {
            assert_eq!(seen, Some(asker()));
            response
        }
        other => panic!("{other:?}"),
    }
}

fn hash() -> InfoHash {
    InfoHash([5; 20])
}

fn contact(i: u8) -> Contact<Mainline> {
    Contact::new(NodeId([i; 20]), Endpoint::from(SocketAddr::from(([8, 8, i, 1], 1000 + u16::from(i)))))
}

fn contact_v6(i: u8) -> Contact<Mainline> {
    let ip = [0x2a00, 0, 0, 0, 0, 0, 0, u16::from(i)];
    Contact::new(NodeId([i; 20]), Endpoint::from(SocketAddr::from((ip, 1000))))
}

fn peers(count: u32) -> Vec<Record> {
    let peer = |i: u32| {
        let ip = (0x0a00_0000u32 + 0x0200_0000 + i).to_be_bytes();
        Record::Peer(Peer {
            addr: SocketAddr::from((ip, 6881)),
            seed: i.is_multiple_of(2),
            implied_port: false,
        })
    };
    (0..count).map(peer).collect()
}

fn response(closer: u8, items: Vec<Record>) -> Response<Mainline> {
    let closer = (1..=closer).map(contact).collect();
    Response { closer, items, ticket: Token::new(b"8 bytes.") }
}

fn mutable(salt: &[u8], seq: i64, cas: Option<i64>) -> (ItemKey, Record) {
    let key = SigningKey::from_bytes(&[7; 32]);
    let item = Item::mutable(&key, salt, seq, &"value".into()).unwrap();
    (ItemKey::mutable(&key.verifying_key().to_bytes(), salt.to_vec()), Record::Item(item, cas))
}

fn get(query: impl Into<Query>) -> Request<Mainline> {
    Request::Get { query: query.into() }
}

fn put(query: Query, item: Record) -> Request<Mainline> {
    Request::Put { query, item, ticket: Token::new(b"8 bytes.") }
}

/// Every sort of request.
fn requests() -> Vec<Request<Mainline>> {
    let (key, item) = mutable(b"salt", 5, Some(4));
    let plain = Item::immutable(&"x".into()).unwrap();
    let peer = Peer { addr: SocketAddr::new(asker().ip(), 7000), seed: true, implied_port: false };
    vec![
        Request::Ping,
        Request::FindNode { target: hash().key() },
        get(hash()),
        get(Query::Peers(Swarm { scrape: true, noseed: true, ..Swarm::new(hash()) })),
        get(Query::Item(key.clone())),
        get(Query::Samples(hash().key())),
        put(hash().into(), Record::Peer(peer)),
        put(Query::Item(key), item),
        put(Query::Item(ItemKey::new(plain.target())), Record::Item(plain, None)),
    ]
}

#[test]
fn what_we_ask_is_understood_as_it_was_meant() {
    let codec = codec(Family::V4);
    for request in requests() {
        let (heard, question) = question(&codec, &asked(&request));
        assert_eq!(heard, request);
        assert_eq!(question.tid(), TID);
        if let (Request::Get { query: Query::Peers(a) }, Request::Get { query: Query::Peers(b) }) =
            (&heard, &request)
        {
            assert_eq!((a.scrape, a.noseed), (b.scrape, b.noseed), "equal swarms may want different things");
        }
    }
    // An item that is none is not asked to be stored, and neither is an answer.
    let bad = Item { value: "x".into(), signed: None };
    let sampled = Record::Samples(Box::default());
    for item in [Record::Item(bad, None), sampled] {
        assert!(asked(&put(Query::Item(ItemKey::new(hash().key())), item)).is_empty());
    }
}

#[test]
fn put_names_its_target_and_announcements_all_their_fields() {
    let (key, item) = mutable(b"salt", 5, None);
    let datagram = asked(&put(Query::Item(key.clone()), item));
    let Body::Query(query) = krpc::decode(&datagram).unwrap().body else { panic!("no question") };
    assert!(matches!(query.call, Call::Put { target: Some(target), .. } if target == *key.target()));
    let peer = Peer { addr: v4("9.8.7.6:7000"), seed: false, implied_port: true };
    let announce = String::from_utf8_lossy(&asked(&put(hash().into(), Record::Peer(peer)))).into_owned();
    for field in ["12:implied_porti1e", "4:porti7000e", "4:seedi0e", "5:token8:8 bytes.", "1:t4:tidy"] {
        assert!(announce.contains(field), "{field}");
    }
}

#[test]
fn an_announcement_is_of_who_sends_it() {
    let codec = codec(Family::V4);
    for (implied_port, port, want) in [(false, 7000, 7000), (true, 7000, 6881), (true, 0, 6881)] {
        let peer = Peer { addr: v4(&format!("1.2.3.4:{port}")), seed: true, implied_port };
        let (request, _) = question(&codec, &asked(&put(hash().into(), Record::Peer(peer))));
        let Request::Put { item: Record::Peer(heard), .. } = request else { panic!("{request:?}") };
        assert_eq!(heard, Peer { addr: SocketAddr::new(asker().ip(), want), ..peer });
    }
    let nowhere = Peer { addr: v4("1.2.3.4:0"), seed: true, implied_port: false };
    let mut out = Vec::new();
    let heard = hear(&codec, &asked(&put(hash().into(), Record::Peer(nowhere))), &mut out);
    assert_eq!(heard, Err(Unread::Rejected(dht_protocol::Malformed("port"))));
    assert!(matches!(krpc::decode(&out).unwrap().body, Body::Reject(Reject { code: 203, .. })));
}

#[test]
fn a_token_of_ours_proves_an_address() {
    let codec = codec(Family::V4);
    let token = Tokens::new([3; 16]).issue(asker().ip(), &hash().key(), now());
    let peer = Record::Peer(Peer { addr: asker(), seed: false, implied_port: true });
    for (ticket, want) in [(Some(token), true), (Token::new(b"8 bytes."), false), (None, false)] {
        let request = Request::Put { query: hash().into(), item: peer.clone(), ticket };
        let heard = hear(&codec, &asked(&request), &mut Vec::new());
        assert!(matches!(heard, Ok(Datagram::Request { proven, serves: true, .. }) if proven == want));
    }
    let heard = hear(&codec, &asked(&Request::Ping), &mut Vec::new());
    assert!(matches!(heard, Ok(Datagram::Request { proven: false, .. })));
}

#[test]
fn methods_to_come_are_answered_with_nodes_and_nonsense_is_not() {
    let codec = codec(Family::V4);
    let id = "abcdefghij0123456789";
    let ask = |method: &str, args: &str| {
        format!("d1:ad2:id20:{id}{args}e1:q{}:{method}1:t2:aa1:y1:qe", method.len()).into_bytes()
    };
    let target = format!("6:target20:{id}");
    let mut out = Vec::new();
    let heard = hear(&codec, &ask("vote", &target), &mut out);
    assert!(matches!(heard, Ok(Datagram::Request { request: Request::FindNode { .. }, .. })));
    for (datagram, code) in [(ask("vote", ""), 204), (ask("find_node", ""), 203), (ask("put", &target), 203)]
    {
        out.clear();
        assert!(matches!(hear(&codec, &datagram, &mut out), Err(Unread::Rejected(_))));
        let message = krpc::decode(&out).unwrap();
        assert_eq!(message.tid, b"aa");
        assert!(matches!(message.body, Body::Reject(reject) if reject.code == code));
        assert!(out.len() <= datagram.len(), "a refusal is no larger than its question");
    }
    out.clear();
    for silent in [&b""[..], b"d", b"le", b"d1:y1:qe", b"d1:t2:aa1:y1:xe", b"GET / HTTP/1.1\r\n\r\n"] {
        assert!(matches!(hear(&codec, silent, &mut out), Err(Unread::Silent(_))));
    }
    assert!(out.is_empty());
}

#[test]
fn who_is_read_only_says_so_and_refuses_nothing() {
    let mut codec = codec(Family::V4);
    codec.set_read_only(true);
    let mut out = Vec::new();
    codec.encode_request(TID, asker(), &Request::Ping, &mut out);
    let heard = hear(&codec, &out, &mut Vec::new());
    assert!(matches!(heard, Ok(Datagram::Request { serves: false, .. })));
    out.clear();
    let unknown = b"d1:ad2:id20:abcdefghij0123456789e1:q4:vote1:t2:aa1:y1:qe";
    assert!(matches!(hear(&codec, unknown, &mut out), Err(Unread::Silent(_))));
    let (_, question) = question(&codec, &asked(&Request::Ping));
    codec.encode_answer(asker(), &question, Err(Refusal::NotServing), FULL, &mut out);
    assert!(out.is_empty());
    codec.encode_answer(asker(), &question, Err(Conflict::Unexpected.into()), FULL, &mut out);
    assert!(matches!(krpc::decode(&out).unwrap().body, Body::Reject(Reject { code: 301, .. })));
    // A refusal keeps to its room like everything else.
    let length = out.len();
    for (bytes, written) in [(length, length), (length - 1, 0)] {
        out.clear();
        let room = Room { bytes, stored: false };
        codec.encode_answer(asker(), &question, Err(Conflict::Unexpected.into()), room, &mut out);
        assert_eq!(out.len(), written);
    }
}

#[test]
fn answers_are_read_back() {
    let codec = codec(Family::V4);
    let (key, item) = mutable(b"salt", 5, None);
    let swarm = Query::Peers(Swarm::new(hash()));
    let found: Vec<_> = peers(30).into_iter().map(unseeded).collect();
    let samples = Samples { hashes: vec![InfoHash([6; 20]), InfoHash([7; 20])], num: 9, interval: 60 };
    let samples = Record::Samples(Box::new(samples));
    for (request, items) in [
        (Request::FindNode { target: hash().key() }, vec![]),
        (get(swarm.clone()), vec![]),
        (get(swarm), found),
        (get(Query::Item(key)), vec![item]),
        (get(Query::Samples(hash().key())), vec![samples]),
    ] {
        let (_, question) = question(&codec, &asked(&request));
        let told = Response { items, ..response(8, Vec::new()) };
        let mut read = understood(&client(), &request, &answered(&codec, &question, &told, FULL));
        read.items.sort_by_key(Record::slot);
        let ticket = told.ticket.filter(|_| matches!(request, Request::Get { .. }));
        assert_eq!(read, Response { ticket, ..told });
    }
    for request in [Request::Ping, requests().remove(7)] {
        let (_, question) = question(&codec, &asked(&request));
        let datagram = answered(&codec, &question, &response(8, peers(3)), FULL);
        assert_eq!(understood(&client(), &request, &datagram), Response::default());
        assert!(datagram.len() < 80);
    }
}

fn unseeded(record: Record) -> Record {
    let Record::Peer(peer) = record else { return record };
    Record::Peer(Peer { seed: false, ..peer })
}

/// Whoever asks us.
fn client() -> KrpcCodec {
    KrpcCodec::new(CodecConfig::new(THEIRS, Family::V4, Tokens::new([4; 16]), 8))
}

#[test]
fn the_unproven_get_eight_nodes_and_a_token_in_300_bytes_and_nothing_stored() {
    let codec = codec(Family::V4);
    let scrape = Query::Peers(Swarm { scrape: true, ..Swarm::new(hash()) });
    for request in [get(hash()), get(scrape), Request::FindNode { target: hash().key() }] {
        let (_, question) = question(&codec, &asked(&request));
        // That there is more takes the place of the last node.
        for (held, nodes) in [(0, 8), (50, 7)] {
            let datagram = answered(&codec, &question, &response(9, peers(held)), SMALL);
            let message = krpc::decode(&datagram).unwrap();
            assert_eq!((message.ip, message.version), (Some(asker()), None));
            let reply = reply(&datagram);
            assert_eq!(reply.nodes.map(|nodes| nodes.len()), Some(nodes));
            assert_eq!((reply.token, reply.echo), (Some(&b"8 bytes."[..]), held > 0));
            assert!(reply.values.is_none() && reply.scrape.is_none());
        }
    }
    for request in [get(Query::Item(mutable(b"", 5, None).0)), get(Query::Samples(hash().key()))] {
        let (_, question) = question(&codec, &asked(&request));
        let items = vec![mutable(b"", 5, None).1, Record::Samples(Box::default())];
        let datagram = answered(&codec, &question, &response(8, items), SMALL);
        let reply = reply(&datagram);
        assert!(reply.v.is_none() && reply.samples.is_none() && reply.nodes.is_some());
    }
}

#[test]
fn every_part_stands_where_it_is_wanted() {
    let sibling = Sibling::new();
    sibling.set((1..20).map(contact_v6));
    let mut config = CodecConfig::new(OURS, Family::V4, Tokens::new([3; 16]), 7);
    config.sibling = Some(sibling);
    let codec = KrpcCodec::new(config);
    let want = |want: &str| {
        let text = format!(
            "d1:ad2:id20:{}9:info_hash20:{}{want}e1:q9:get_peers1:t2:aa1:y1:qe",
            "t".repeat(20),
            "\x02".repeat(20)
        );
        question(&codec, text.as_bytes()).1
    };
    let both = answered(&codec, &want("4:wantl2:n42:n6e"), &response(9, peers(500)), FULL);
    assert!(both.len() <= 1024 && both.len() > 1000, "{}", both.len());
    let told = reply(&both);
    assert_eq!((told.nodes.unwrap().len(), told.nodes6.unwrap().len()), (8, 8));
    assert_eq!(told.nodes6.unwrap().iter().next().unwrap().0, NodeId([2; 20]), "closest first");
    assert!(told.nodes.unwrap().iter().all(|(_, addr)| addr.is_ipv4()));
    assert!(told.values.unwrap().to_vec().len() > 40);
    let version = krpc::decode(&both).unwrap().version;
    assert_eq!(version, Some(&CodecConfig::VERSION[..]));
    let alone = answered(&codec, &want(""), &response(0, Vec::new()), FULL);
    assert_eq!(reply(&alone).nodes.map(|nodes| nodes.len()), Some(0));
    assert!(reply(&alone).nodes6.is_none() && reply(&alone).values.is_none());
    // Contacts of the other family are in the table by mistake, and are not told as our own.
    let mut mixed = response(2, Vec::new());
    mixed.closer.push(contact_v6(9));
    assert_eq!(reply(&answered(&codec, &want(""), &mixed, FULL)).nodes.unwrap().len(), 2);
}

#[test]
fn who_is_denied_something_is_told_and_gets_it_for_the_token() {
    let ours = codec(Family::V4);
    let theirs = KrpcCodec::new(CodecConfig::new(THEIRS, Family::V4, Tokens::new([4; 16]), 8));
    let (_, item) = mutable(b"", 5, None);
    for (query, items) in [(hash().into(), peers(3)), (Query::Item(ItemKey::new(hash().key())), vec![item])] {
        let request = get(query);
        let mut ask = Vec::new();
        theirs.encode_request(TID, asker_addr(), &request, &mut ask);
        let (_, question) = question(&ours, &ask);
        let token = Tokens::new([3; 16]).issue(asker().ip(), &hash().key(), now());
        let held = Response { ticket: Some(token), ..response(8, items) };
        let withheld = |room, response: &Response<Mainline>| {
            let datagram = answered(&ours, &question, response, room);
            let asked = |tid| (tid == TID).then_some(&request);
            match theirs.decode(now(), asker(), &datagram, &asked, &mut Vec::new()) {
                Ok(Datagram::Answer { withheld, result: Ok(told), .. }) => (withheld, told.ticket),
                other => panic!("{other:?}"),
            }
        };
        // Even where there is no room for a single node.
        let little = Room { bytes: ask.len() * 7 / 8, stored: false };
        assert_eq!([withheld(SMALL, &held), withheld(little, &held)], [(true, Some(token)); 2]);
        assert_eq!(withheld(FULL, &held), (false, Some(token)));
        assert!(!withheld(SMALL, &Response { items: Vec::new(), ..held.clone() }).0, "there is nothing more");
        assert!(!withheld(SMALL, &Response { ticket: None, ..held.clone() }).0, "and nothing to show");
        for (shown, holds) in [(token, true), (Token::new(b"8 bytes.").unwrap(), false)] {
            let mut again = Vec::new();
            theirs.encode_request_again(TID, asker_addr(), &request, &shown, &mut again);
            match hear(&ours, &again, &mut Vec::new()) {
                Ok(Datagram::Request { proven, request: heard, .. }) => {
                    assert_eq!((proven, heard), (holds, request.clone()));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Our question as others read it.
fn read_back(codec: &KrpcCodec, request: &Request<Mainline>) -> (krpc::Want, Option<i64>) {
    let mut out = Vec::new();
    codec.encode_request(TID, asker_addr(), request, &mut out);
    let Body::Query(query) = krpc::decode(&out).unwrap().body else { panic!("{request:?}") };
    let seq = if let Call::Get { seq, .. } = query.call { seq } else { None };
    (query.want, seq)
}

#[test]
fn both_families_are_wanted_where_the_other_is_in_need_and_kept_apart() {
    let (sibling, answerer) = (Sibling::new(), Sibling::new());
    answerer.set((1..20).map(contact_v6));
    let config = CodecConfig::new(OURS, Family::V4, Tokens::new([3; 16]), 7);
    let ours = KrpcCodec::new(CodecConfig { sibling: Some(sibling.clone()), ..config.clone() });
    let theirs = CodecConfig {
        id: THEIRS,
        sibling: Some(answerer),
        ..CodecConfig::new(THEIRS, Family::V4, config.tokens, 8)
    };
    let theirs = KrpcCodec::new(theirs);
    let find = Request::FindNode { target: hash().key() };
    assert_eq!(read_back(&ours, &find).0, Want::default());
    sibling.need(true);
    for request in requests() {
        let both = matches!(request, Request::FindNode { .. } | Request::Get { query: Query::Peers(_) });
        assert_eq!(read_back(&ours, &request).0, Want { n4: both, n6: both }, "{request:?}");
    }
    let mut ask = Vec::new();
    ours.encode_request(TID, asker_addr(), &find, &mut ask);
    let Ok(Datagram::Request { question, .. }) = hear(&theirs, &ask, &mut Vec::new()) else { panic!() };
    let answer = answered(&theirs, &question, &response(8, Vec::new()), FULL);
    let told = understood(&ours, &find, &answer);
    assert_eq!(told.closer, (2..=8).map(contact).collect::<Vec<_>>(), "all but ourselves");
    let closest = [5, 4, 7, 6, 1, 3, 2, 13].map(contact_v6);
    assert_eq!(sibling.take_heard(), closest);
    sibling.need(false);
    understood(&ours, &find, &answer);
    assert!(sibling.take_heard().is_empty());
}

#[test]
fn a_number_that_is_known_is_told_to_who_is_asked_for_a_later_item() {
    let codec = codec(Family::V4);
    let key = ItemKey::mutable(&[7; 32], &b"salt"[..]);
    for (key, seq) in
        [(key.clone(), None), (key.clone().later_than(0), Some(0)), (key.later_than(5), Some(5))]
    {
        assert_eq!(read_back(&codec, &Request::Get { query: Query::Item(key) }).1, seq);
    }
}

#[test]
fn different_askers_see_different_peers_and_all_are_seen() {
    let codec = codec(Family::V4);
    let told = response(8, peers(400));
    let shown = |tid: u8, from: SocketAddr, noseed: bool| {
        let flag = if noseed { "6:noseedi1e" } else { "" };
        let id = "t".repeat(20);
        let text =
            format!("d1:ad2:id20:{id}9:info_hash20:{id}{flag}e1:q9:get_peers1:t1:{}1:y1:qe", char::from(tid));
        let (_, question) = question(&codec, text.as_bytes());
        let mut out = Vec::new();
        codec.encode_answer(from, &question, Ok(&told), FULL, &mut out);
        assert!(out.len() <= 1024);
        reply(&out).values.unwrap().to_vec()
    };
    assert_ne!(shown(1, asker(), false), shown(2, asker(), false));
    assert_ne!(shown(1, asker(), false), shown(1, v4("9.8.7.7:6881"), false));
    assert_eq!(shown(1, asker(), false), shown(1, asker(), false));
    let all: BTreeSet<_> = (0..100).flat_map(|tid| shown(tid, asker(), false)).collect();
    assert_eq!(all.len(), 400);
    let leechers: BTreeSet<_> = (0..100).flat_map(|tid| shown(tid, asker(), true)).collect();
    assert_eq!(leechers.len(), 200);
    let one = shown(1, asker(), false);
    assert_eq!(one.iter().collect::<BTreeSet<_>>().len(), one.len(), "nobody twice");
}

#[test]
fn a_scrape_counts_everybody() {
    let codec = codec(Family::V4);
    let request = get(Query::Peers(Swarm { scrape: true, ..Swarm::new(hash()) }));
    let (_, question) = question(&codec, &asked(&request));
    let items = peers(300);
    let mut whole = Scrape::default();
    for record in &items {
        let Record::Peer(peer) = record else { unreachable!() };
        whole.insert(peer);
    }
    let datagram = answered(&codec, &question, &response(8, items), FULL);
    assert!(datagram.len() <= 1024);
    assert_eq!(reply(&datagram).nodes.unwrap().len(), 8);
    let read = understood(&client(), &request, &datagram);
    assert!(read.items.contains(&Record::Scrape(Box::new(whole))));
    let nobody = answered(&codec, &question, &response(8, Vec::new()), FULL);
    assert_eq!(reply(&nobody).scrape.map(|scrape| *scrape.seeds), Some(*Bloom::new().as_bytes()));
    // Who did not ask is not told, and does not believe it.
    let plain = get(hash());
    assert!(
        understood(&client(), &plain, &datagram).items.iter().all(|item| matches!(item, Record::Peer(_)))
    );
}

#[test]
fn an_item_is_not_sent_to_who_has_it() {
    let codec = codec(Family::V4);
    let (key, item) = mutable(b"", 5, None);
    let ask = |seq: &str| {
        let id = "t".repeat(20);
        let mut text = format!("d1:ad2:id20:{id}{seq}6:target20:").into_bytes();
        text.extend_from_slice(&key.target().0);
        text.extend_from_slice(b"e1:q3:get1:t4:tidy1:y1:qe");
        question(&codec, &text).1
    };
    for (seq, whole) in [("", true), ("3:seqi4e", true), ("3:seqi5e", false), ("3:seqi6e", false)] {
        let datagram = answered(&codec, &ask(seq), &response(8, vec![item.clone()]), FULL);
        let told = reply(&datagram);
        assert_eq!((told.v.is_some(), told.signed.is_some(), told.seq), (whole, whole, Some(5)), "{seq}");
        let read = understood(&client(), &get(Query::Item(key.clone())), &datagram);
        assert_eq!(read.items.len(), usize::from(whole));
    }
    // The largest item leaves room for nodes.
    let key = SigningKey::from_bytes(&[7; 32]);
    let large = Item::mutable(&key, &[9; 64], i64::MAX, &vec![1u8; 996][..].into()).unwrap();
    let datagram = answered(
        &codec,
        &ask(""),
        &response(8, vec![Record::Item(large, None)]),
        Room { bytes: 1472, ..FULL },
    );
    assert!(reply(&datagram).v.is_some() && reply(&datagram).nodes.unwrap().len() == 8);
}

#[test]
fn answers_to_nobody_are_strays_and_broken_ones_end_a_question() {
    let codec = codec(Family::V4);
    let waiting = Request::Ping;
    let read = |datagram: &[u8]| {
        codec.decode(now(), asker(), datagram, &|tid| (tid == TID).then_some(&waiting), &mut Vec::new())
    };
    let ended = |result| {
        Ok(Datagram::Answer { tid: TID, peer: None, result: Err(result), seen: None, withheld: false })
    };
    assert_eq!(read(b"d1:rd2:id20:abcdefghij0123456789e1:t4:tidx1:y1:re"), Err(Unread::Stray));
    assert_eq!(read(b"d1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re"), Err(Unread::Stray));
    assert_eq!(read(b"d1:rde1:t2:aa1:y1:re"), Err(Unread::Stray));
    assert_eq!(read(b"d1:rde1:t4:tidy1:y1:re"), ended(Failure::Malformed));
    assert_eq!(read(b"d1:eli203e1:xe1:t4:tidy1:y1:ee"), ended(Failure::Refused(203)));
    assert!(matches!(
        read(b"d1:rd2:id20:abcdefghij0123456789e1:t4:tidy1:y1:re"),
        Ok(Datagram::Answer { peer: Some(_), result: Ok(_), seen: None, .. })
    ));
}

#[test]
fn only_nodes_that_can_be_meant_are_believed() {
    let codec = codec(Family::V4);
    let (_, question) = question(&codec, &asked(&get(hash())));
    let place = |i: u8, addr: &str| Contact::new(NodeId([i; 20]), Endpoint::from(v4(addr)));
    let closer = vec![
        place(3, "10.0.0.1:1"),
        place(4, "127.0.0.1:1"),
        place(5, "8.8.8.8:0"),
        Contact::new(THEIRS, contact(3).addr),
        contact(6),
    ];
    let local = Record::Peer(Peer { addr: v4("192.168.1.1:1"), seed: false, implied_port: false });
    let datagram = answered(&codec, &question, &Response { closer, items: vec![local], ticket: None }, FULL);
    let read = understood(&client(), &get(hash()), &datagram);
    assert_eq!((read.closer, read.items), (vec![contact(6)], vec![]));
}

#[test]
fn places_are_those_of_the_family() {
    let (one, other) = (codec(Family::V4), codec(Family::V6));
    assert_eq!(one.socket_addr(&contact(1).addr), contact(1).addr.0);
    assert_eq!(one.socket_addr(&contact_v6(1).addr), None);
    assert_eq!(other.socket_addr(&contact_v6(1).addr), contact_v6(1).addr.0);
    assert_eq!(one.socket_addr(&Endpoint::default()), None);
    assert_eq!(one.addr(v4("[::ffff:9.8.7.6]:6881")), Endpoint::from(asker()));
    assert_eq!((other.family(), one.max_datagram()), (Family::V6, 4096));
    assert!(!format!("{one:?}").contains("seed"));
}

#[test]
fn who_is_seen_elsewhere_takes_another_id() {
    let mut codec = codec(Family::V4);
    let us = v4("124.31.75.21:6881");
    let by = |i: u8| SocketAddr::from(([9, 9, i, 1], 6881));
    assert!((0..50).all(|i| codec.sighted(by(i), v4("192.168.1.2:6881")).is_none()));
    assert!((0..50).all(|i| codec.sighted(by(i), v4("[2a00::1]:6881")).is_none()));
    let contact = (0..50).find_map(|i| codec.sighted(by(i), us)).unwrap();
    assert!(contact.peer.suits(us.ip()));
    assert_eq!((contact.peer, contact.addr), (codec.local(), Endpoint::from(us)));
    assert!((0..200).all(|i| codec.sighted(by(i), us).is_none()));
}

fn any_response() -> impl Strategy<Value = Response<Mainline>> {
    let samples = collection::vec(any::<[u8; 20]>(), 0..40);
    (0u8..12, 0u8..4, 0u32..200, 0usize..2000, samples, any::<[u32; 2]>(), 0usize..63).prop_map(
        |(closer, others, count, length, hashes, [num, interval], token)| {
            let mut told = response(closer, peers(count));
            told.closer.extend((0..others).map(contact_v6));
            let value = format!("{}:{}", length, "v".repeat(length)).into();
            told.items.push(Record::Item(Item { value, signed: None }, None));
            told.items.push(mutable(b"x", i64::from(num), None).1);
            let hashes = hashes.into_iter().map(InfoHash).collect();
            told.items.push(Record::Samples(Box::new(Samples { hashes, num, interval: interval % 21_601 })));
            told.ticket = Token::new(&vec![9; token]);
            told
        },
    )
}

proptest! {
    #[test]
    fn an_answer_of_any_size_is_one_and_keeps_to_its_room(
        told in any_response(), kind in 0usize..6, bytes in 0usize..1500, stored in any::<bool>(),
        tid in collection::vec(any::<u8>(), 0..33), v6 in any::<bool>(), want in any::<[bool; 2]>(),
    ) {
        let sibling = Sibling::new();
        sibling.set((1..12).map(|i| if v6 { contact(i) } else { contact_v6(i) }));
        let family = if v6 { Family::V6 } else { Family::V4 };
        let config = CodecConfig::new(OURS, family, Tokens::new([3; 16]), 7);
        let codec = KrpcCodec::new(CodecConfig { sibling: Some(sibling), ..config });
        let (_, mut question) = question(&codec, &asked(&requests()[kind]));
        question = Question::new(&tid, Want { n4: want[0], n6: want[1] }, question.about);
        let mut out = Vec::new();
        codec.encode_answer(asker(), &question, Ok(&told), Room { bytes, stored }, &mut out);
        prop_assert!(out.len() <= bytes);
        let item = kind == 4;
        prop_assert!(out.len() <= 1024 || item);
        if bytes >= 200 {
            let message = krpc::decode(&out).unwrap();
            prop_assert_eq!(message.tid, &tid[..]);
            prop_assert_eq!(message.ip, Some(asker()));
        }
    }

    #[test]
    fn no_datagram_makes_the_codec_panic(
        bytes in collection::vec(any::<u8>(), 0..300), kind in 0usize..9, flips in collection::vec(any::<usize>(), 1..20),
        told in any_response(), read_only in any::<bool>(),
    ) {
        let mut codec = codec(Family::V4);
        codec.set_read_only(read_only);
        let request = requests().remove(kind);
        let hears = |datagram: &[u8]| {
            let mut out = Vec::new();
            let heard = codec.decode(now(), asker(), datagram, &|_| Some(&request), &mut out);
            assert_eq!(out.is_empty(), !matches!(heard, Err(Unread::Rejected(_))));
            heard
        };
        let _ = hears(&bytes);
        let question_bytes = asked(&request);
        let (_, question) = question(&codec, &question_bytes);
        for mut datagram in [question_bytes, answered(&codec, &question, &told, FULL)] {
            for end in 0..datagram.len() {
                prop_assert!(matches!(hears(&datagram[..end]), Err(Unread::Silent(_))));
            }
            for flip in &flips {
                let bit = flip % (datagram.len() * 8);
                datagram[bit / 8] ^= 1 << (bit % 8);
                let _ = hears(&datagram);
            }
        }
    }
}
