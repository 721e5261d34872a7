use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::{AddrList, Multiaddr, oracle};

fn peer(i: u8) -> PeerId {
    PeerId::try_from(&[&[0x12, 32][..], &[i; 32]].concat()[..]).unwrap()
}

fn addrs(i: u8) -> AddrList {
    [format!("/ip4/1.2.3.{i}/tcp/4001"), format!("/ip4/1.2.3.{i}/udp/4001/quic-v1")]
        .iter()
        .map(|text| text.parse::<Multiaddr>().unwrap())
        .collect()
}

fn contact_of(i: u8) -> Contact<Ipfs> {
    Contact::new(peer(i), addrs(i))
}

fn provider_of(i: u8) -> Item {
    provider(contact_of(i))
}

const KEY: &[u8] = b"/v/some-key";

fn key() -> Bytes {
    Bytes::from_static(KEY)
}

fn record() -> Record {
    let time_received = time::parse(b"2026-01-02T03:04:05.000000006Z");
    Record { time_received, ..Record::new(KEY, &b"value"[..]) }
}

fn put_value() -> Request<Ipfs> {
    Request::Put { query: Query::Value(key()), item: Item::Value(record()), ticket: None }
}

fn put_provider() -> Request<Ipfs> {
    Request::Put { query: Query::Providers(key()), item: provider_of(1), ticket: None }
}

/// Every request with an answer that fits it.
fn exchanges() -> Vec<(Request<Ipfs>, Response<Ipfs>)> {
    let closer: Vec<_> = (1..=20).map(contact_of).collect();
    let with = |items: Vec<Item>| Response { closer: closer.clone(), items, ticket: None };
    vec![
        (Request::Ping, Response::default()),
        (Request::FindNode { target: key() }, with(vec![])),
        (Request::Get { query: Query::Value(key()) }, with(vec![Item::Value(record())])),
        (Request::Get { query: Query::Value(key()) }, with(vec![])),
        (Request::Get { query: Query::Providers(key()) }, with(vec![provider_of(30), provider_of(31)])),
        (put_value(), Response { items: vec![Item::Value(record())], ..Response::default() }),
    ]
}

/// The frames in `out`, their lengths taken off.
fn frames(mut out: &[u8]) -> Vec<Bytes> {
    let mut all = Vec::new();
    while !out.is_empty() {
        let len = prost::encoding::decode_varint(&mut out).unwrap() as usize;
        all.push(Bytes::copy_from_slice(&out[..len]));
        out = &out[len..];
    }
    all
}

fn request_frames(request: &Request<Ipfs>) -> Vec<Bytes> {
    let mut out = BytesMut::new();
    Codec.encode_request(request, &mut out);
    frames(&out)
}

fn response_frame(request: &Request<Ipfs>, response: &Response<Ipfs>) -> Bytes {
    let mut out = BytesMut::new();
    assert!(Codec.encode_response(request, response, &mut out));
    let mut frames = frames(&out);
    assert_eq!(frames.len(), 1);
    frames.remove(0)
}

fn oracle_of(frame: &[u8]) -> oracle::Message {
    oracle::Message::decode(frame).unwrap()
}

#[test]
fn requests_and_answers_are_read_as_they_were_written() {
    for (request, response) in exchanges() {
        let sent = request_frames(&request);
        assert_eq!(sent.len(), 1, "{request:?}");
        assert_eq!(Codec.decode_request(&peer(1), sent[0].clone()), Ok(request.clone()));
        let answer = response_frame(&request, &response);
        assert_eq!(Codec.decode_response(&request, answer.clone()), Ok(Some(response)));
        for frame in [sent[0].clone(), answer] {
            // Byte for byte what prost makes of the same message.
            assert_eq!(oracle_of(&frame).encode_to_vec(), frame);
        }
    }
}

#[test]
fn times_and_keys_are_on_the_wire() {
    let (request, response) = &exchanges()[2];
    let message = oracle_of(&response_frame(request, response));
    assert_eq!((message.kind, &message.key[..]), (kind::GET_VALUE, KEY));
    assert_eq!(message.record.unwrap().time_received, b"2026-01-02T03:04:05.000000006Z");
    let Request::Put { item: Item::Value(read), .. } =
        Codec.decode_request(&peer(1), request_frames(&put_value())[0].clone()).unwrap()
    else {
        panic!("a put")
    };
    assert_eq!(read.time_received, record().time_received);
}

#[test]
fn a_provider_is_announced_before_a_barrier_and_never_answered() {
    let request = put_provider();
    let sent = request_frames(&request);
    assert_eq!(sent.len(), 2);
    assert_eq!(Codec.decode_request(&peer(1), sent[0].clone()), Ok(request.clone()));
    assert_eq!(Codec.decode_request(&peer(1), sent[1].clone()), Ok(Request::FindNode { target: key() }));
    let mut out = BytesMut::new();
    assert!(!Codec.encode_response(&request, &Response::default(), &mut out) && out.is_empty());
    // An echo is not the answer, to this request or any other; the answer to the barrier is.
    assert_eq!(Codec.decode_response(&request, sent[0].clone()), Ok(None));
    assert_eq!(Codec.decode_response(&Request::FindNode { target: key() }, sent[0].clone()), Ok(None));
    let closer = Response { closer: vec![contact_of(2)], ..Response::default() };
    let barrier = response_frame(&Request::FindNode { target: key() }, &closer);
    let answer = Codec.decode_response(&request, barrier).unwrap().unwrap();
    assert_eq!((answer.closer, answer.items), (closer.closer, vec![provider_of(1)]));
}

#[test]
fn only_the_senders_own_record_with_an_address_is_taken() {
    let frame = |providers: Vec<oracle::Peer>, key: Vec<u8>| {
        let message = oracle::Message { kind: kind::ADD_PROVIDER, key, providers, ..Default::default() };
        Codec.decode_request(&peer(1), message.encode_to_vec().into())
    };
    let entry =
        |i: u8, addrs: Vec<Vec<u8>>| oracle::Peer { id: peer(i).as_ref().to_vec(), addrs, connection: 0 };
    let list = |i: u8| addrs(i).iter().map(<[u8]>::to_vec).collect::<Vec<_>>();
    let taken =
        frame(vec![entry(2, list(2)), entry(1, vec![]), entry(1, list(1)), entry(1, list(3))], vec![1])
            .unwrap();
    let Request::Put { item: Item::Provider(record), .. } = taken else { panic!("a put") };
    assert_eq!((record.peer, record.addrs), (peer(1), addrs(1).merge(&addrs(3))));
    assert!(frame(vec![entry(2, list(2))], vec![1]).is_err(), "another's");
    assert!(frame(vec![entry(1, vec![])], vec![1]).is_err(), "no address");
    assert!(frame(vec![entry(1, vec![vec![9, 9]])], vec![1]).is_err(), "no address that is one");
    assert!(frame(vec![], vec![1]).is_err(), "nobody");
    assert!(frame(vec![entry(1, list(1))], vec![]).is_err(), "no key");
    assert!(frame(vec![entry(1, list(1))], vec![1; 80]).is_ok());
    assert!(frame(vec![entry(1, list(1))], vec![1; 81]).is_err(), "a long key");
}

#[test]
fn requests_must_make_sense() {
    let read = |message: oracle::Message| Codec.decode_request(&peer(1), message.encode_to_vec().into());
    let message = |kind, key: &[u8]| oracle::Message { kind, key: key.to_vec(), ..Default::default() };
    for kind in 0..5 {
        assert!(read(message(kind, b"")).is_err(), "type {kind} without a key");
    }
    for unknown in [-1, 6, 99, i32::MAX] {
        assert!(read(message(unknown, b"k")).is_err(), "type {unknown}");
    }
    assert_eq!(read(message(kind::PING, b"")), Ok(Request::Ping));
    assert_eq!(read(message(kind::PING, b"k")), Ok(Request::Ping));
    let long = vec![7; 100_000];
    assert_eq!(read(message(kind::FIND_NODE, &long)), Ok(Request::FindNode { target: long.into() }));
    assert!(read(message(kind::GET_PROVIDERS, &[1; 80])).is_ok());
    assert!(read(message(kind::GET_PROVIDERS, &[1; 81])).is_err());
    let put = |key: &[u8]| {
        let record =
            oracle::Record { key: KEY.to_vec(), value: vec![1], time_received: b"yesterday".to_vec() };
        read(oracle::Message { record: Some(record), ..message(kind::PUT_VALUE, key) })
    };
    assert!(put(KEY).is_ok(), "a time that is none is no reason to refuse");
    assert!(put(b"/v/other").is_err());
    assert!(read(message(kind::PUT_VALUE, KEY)).is_err(), "no record");
}

#[test]
fn answers_must_fit_the_request() {
    let all = exchanges();
    for (i, (request, response)) in all.iter().enumerate() {
        let answer = response_frame(request, response);
        for (j, (other, _)) in all.iter().enumerate() {
            let same = std::mem::discriminant(request) == std::mem::discriminant(other)
                && request.target() == other.target()
                && matches!(
                    (request, other),
                    (Request::Get { query: Query::Value(_) }, Request::Get { query: Query::Value(_) })
                )
                || i == j;
            assert_eq!(Codec.decode_response(other, answer.clone()).is_ok(), same, "{i} {j}");
        }
    }
    let read = |request: &Request<Ipfs>, message: oracle::Message| {
        Codec.decode_response(request, message.encode_to_vec().into())
    };
    let record = |key: &[u8], value: &[u8]| {
        Some(oracle::Record { key: key.to_vec(), value: value.to_vec(), time_received: vec![] })
    };
    let get = Request::Get { query: Query::Value(key()) };
    let message =
        |kind, key: &[u8], record| oracle::Message { kind, key: key.to_vec(), record, ..Default::default() };
    // A missing key is tolerated (js), another one is not; the record's key must always be there.
    assert!(read(&get, message(kind::GET_VALUE, b"", record(KEY, b"v"))).unwrap().is_some());
    assert!(read(&get, message(kind::GET_VALUE, KEY, None)).unwrap().unwrap().items.is_empty());
    assert!(read(&get, message(kind::GET_VALUE, b"other", None)).is_err());
    assert!(read(&get, message(kind::GET_VALUE, KEY, record(b"other", b"v"))).is_err());
    assert!(read(&get, message(kind::GET_VALUE, KEY, record(b"", b"v"))).is_err());
    // A stored value is shown.
    assert!(read(&put_value(), message(kind::PUT_VALUE, b"", record(KEY, b"value"))).unwrap().is_some());
    assert!(read(&put_value(), message(kind::PUT_VALUE, KEY, record(KEY, b"other"))).is_err());
    assert!(read(&put_value(), message(kind::PUT_VALUE, KEY, None)).is_err());
}

#[test]
fn an_answer_stops_at_the_largest_message_and_providers_go_first() {
    let request = Request::Get { query: Query::Providers(key()) };
    let items: Vec<Item> = (0..100).map(provider_of).collect();
    let mut out = BytesMut::new();
    let closer: Vec<_> = (1..=20).map(contact_of).collect();
    let frame = Frame::new(kind::GET_PROVIDERS, KEY)
        .providers(items.iter().filter_map(Item::as_provider))
        .closer(&closer);
    for max in [100, 700, 1500, 2000, 4000, 100_000] {
        out.clear();
        frame.write(max, &mut out);
        let body = &frames(&out)[0];
        assert!(body.len() <= max);
        let message = oracle_of(body);
        if max >= 1500 {
            assert_eq!(message.closer.len(), 20);
        }
        if message.providers.len() < 100 {
            assert!(body.len() + 70 > max, "room for one more at {max}");
        }
    }
    // On the wire, the real bound: peers with the most addresses there can be.
    let fat: AddrList =
        (0..8).map(|i| format!("/dns/{}{i}/tcp/1", "x".repeat(1000)).parse::<Multiaddr>().unwrap()).collect();
    let fat: Vec<Item> = (0..1000u32)
        .map(|i| Item::Provider(ProviderRecord { peer: peer(i as u8), addrs: fat.clone() }))
        .collect();
    let body = response_frame(&request, &Response { items: fat, ..Response::default() });
    assert!(body.len() <= MAX_FRAME && body.len() + 9000 > MAX_FRAME);
    assert!(oracle_of(&body).providers.iter().all(|peer| peer.encoded_len() <= 8192));
}

#[test]
fn peers_without_an_address_are_not_named_as_closer() {
    let request = Request::FindNode { target: key() };
    let closer = vec![Contact::unlocated(peer(1)), contact_of(2)];
    let frame = response_frame(&request, &Response { closer, ..Response::default() });
    let answer = Codec.decode_response(&request, frame).unwrap().unwrap();
    assert_eq!(answer.closer, [contact_of(2)]);
}

/// Kept bytes hold no large frame: those of a request never, those of an answer only while it is small.
#[test]
fn what_is_kept_does_not_hold_the_frame() {
    let inside = |frame: &Bytes, bytes: &[u8]| frame.as_ptr_range().contains(&bytes.as_ptr());
    for request in [put_value(), put_provider(), Request::FindNode { target: key() }] {
        let frame = request_frames(&request)[0].clone();
        match Codec.decode_request(&peer(1), frame.clone()).unwrap() {
            Request::FindNode { target } => assert!(!inside(&frame, &target)),
            Request::Put { query, item, .. } => {
                assert!(!inside(&frame, query.key()));
                match item {
                    Item::Value(record) => {
                        assert!(!inside(&frame, &record.key) && !inside(&frame, &record.value))
                    }
                    Item::Provider(record) => assert!(!inside(&frame, record.addrs.as_ref())),
                }
            }
            other => panic!("{other:?}"),
        }
    }
    let (request, response) = &exchanges()[1];
    let small = response_frame(request, response);
    let read = Codec.decode_response(request, small.clone()).unwrap().unwrap();
    assert!(inside(&small, read.closer[0].addr.as_ref()));
    let mut padded = small.to_vec();
    padded.extend_from_slice(&[0x7a, 0x80, 0x80, 0x01]);
    padded.extend_from_slice(&[0; 1 << 14]);
    let large = Bytes::from(padded);
    let read = Codec.decode_response(request, large.clone()).unwrap().unwrap();
    assert!(!inside(&large, read.closer[0].addr.as_ref()));
    assert_eq!(read.closer, response.closer);
}

/// Every prefix and every flipped bit of every valid message is read or refused, by both sides, without a panic.
#[test]
fn no_damage_to_a_message_panics() {
    let mut all: Vec<Bytes> =
        exchanges().iter().map(|(request, response)| response_frame(request, response)).collect();
    all.extend(exchanges().iter().flat_map(|(request, _)| request_frames(request)));
    all.extend(request_frames(&put_provider()));
    let requests: Vec<_> =
        exchanges().into_iter().map(|(request, _)| request).chain([put_provider()]).collect();
    let feed = |bytes: Bytes| {
        let _ = Codec.decode_request(&peer(1), bytes.clone());
        for request in &requests {
            let _ = Codec.decode_response(request, bytes.clone());
        }
    };
    for message in all {
        for end in 0..message.len() {
            feed(message.slice(..end));
        }
        for bit in 0..message.len() * 8 {
            let mut flipped = message.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            feed(flipped.into());
        }
    }
}

proptest! {
    #[test]
    fn any_answer_is_read_as_it_was_written(
        key in prop::collection::vec(any::<u8>(), 1..81),
        value in prop::collection::vec(any::<u8>(), 0..300),
        closer in prop::collection::vec(any::<u8>(), 0..30),
        providers in prop::collection::vec((any::<u8>(), any::<bool>()), 0..30),
    ) {
        let key = Bytes::from(key);
        let closer: Vec<_> = closer.into_iter().map(contact_of).collect();
        let providers = providers.into_iter().map(|(i, located)| {
            Item::Provider(ProviderRecord { peer: peer(i), addrs: if located { addrs(i) } else { AddrList::default() } })
        });
        let record = Item::Value(Record::new(key.clone(), value));
        for (request, items) in [
            (Request::FindNode { target: key.clone() }, vec![]),
            (Request::Get { query: Query::Value(key.clone()) }, vec![record]),
            (Request::Get { query: Query::Providers(key.clone()) }, providers.collect()),
        ] {
            let response = Response { closer: closer.clone(), items, ticket: None };
            let frame = response_frame(&request, &response);
            prop_assert_eq!(Codec.decode_response(&request, frame), Ok(Some(response)));
        }
    }

    #[test]
    fn any_frame_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        if let Ok(request) = Codec.decode_request(&peer(1), bytes.clone()) {
            // What was taken can be sent on and is read the same.
            let again = request_frames(&request)[0].clone();
            prop_assert_eq!(Codec.decode_request(&peer(1), again), Ok(request));
        }
        for (request, _) in exchanges() {
            let _ = Codec.decode_response(&request, bytes.clone());
        }
    }
}
