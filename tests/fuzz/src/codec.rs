//! The kad protocol's messages against `prost`: what both readers make of any bytes, and that what was read can be written.
//!
//! The other reader leaves the peers of a message as bytes and reads them one by one, as ours does; it knows nothing of our
//! limits, so messages with more peers than we look at are only read. Groups among unknown fields we refuse on purpose.

use bytes::{Bytes, BytesMut};
use dht_core::{Contact, Request, Response};
use dht_ipfs::{
    AddrList, Codec, Ipfs, Item, MAX_PROVIDER_KEY, Multiaddr, PeerId, ProviderRecord, Query, Record,
};
use dht_protocol::{Malformed, StreamCodec};
use prost::Message as _;

use crate::{addresses, oracle};

/// What a request asks for when the message has no key.
const KEY: &[u8] = b"/v/some-key";
/// Peers of one message that we read; more are passed over unseen.
const MAX_PEERS: usize = 128;
/// Addresses of one peer that we look at.
const MAX_ADDRS_SEEN: usize = 128;

/// A message whose peers are still bytes.
#[derive(Clone, PartialEq, prost::Message)]
struct Message {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(bytes = "vec", tag = "2")]
    key: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    record: Option<oracle::Record>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    closer: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "9")]
    providers: Vec<Vec<u8>>,
    #[prost(int32, tag = "10")]
    cluster_level: i32,
}

/// Reads the bytes as a request, and as the answer to every kind of request.
pub fn run(data: &[u8]) {
    let frame = Bytes::copy_from_slice(data);
    let theirs = Message::decode(data).ok();
    let comparable = theirs.as_ref().is_none_or(|m| m.closer.len() + m.providers.len() <= MAX_PEERS);
    // Whoever is named first among the providers is who sent it, so that offers are taken.
    let from = theirs.as_ref().and_then(sender).unwrap_or_else(|| peer(1));
    request(&from, &frame, theirs.as_ref(), comparable);
    let key = theirs.as_ref().map(|m| &m.key[..]).filter(|key| !key.is_empty()).unwrap_or(KEY);
    for asked in requests(Bytes::copy_from_slice(key), theirs.as_ref()) {
        response(&asked, &frame, theirs.as_ref(), comparable);
    }
    response(&Request::FindNode { target: Bytes::from_static(KEY) }, &frame, theirs.as_ref(), comparable);
}

fn sender(message: &Message) -> Option<PeerId> {
    let first = oracle::Peer::decode(&message.providers.first()?[..]).ok()?;
    PeerId::try_from(&first.id[..]).ok()
}

fn peer(i: u8) -> PeerId {
    PeerId::try_from(&[&[0x12, 32][..], &[i; 32]].concat()[..]).expect("a SHA-256")
}

/// Every kind of request for this key; the values that are stored are the message's own, so that echoes are right.
fn requests(key: Bytes, message: Option<&Message>) -> [Request<Ipfs>; 6] {
    let value = message.and_then(|m| m.record.as_ref()).map(|r| r.value.clone()).unwrap_or_default();
    let value = Item::Value(Record::new(key.clone(), value));
    let addr = "/ip4/1.2.3.4/tcp/4001".parse::<Multiaddr>().expect("an address");
    let provider = Item::Provider(ProviderRecord { peer: peer(1), addrs: addr.into() });
    [
        Request::Ping,
        Request::FindNode { target: key.clone() },
        Request::Get { query: Query::Value(key.clone()) },
        Request::Get { query: Query::Providers(key.clone()) },
        Request::Put { query: Query::Value(key.clone()), item: value, ticket: None },
        Request::Put { query: Query::Providers(key), item: provider, ticket: None },
    ]
}

/// Addresses of one peer, as the other reader sees them.
type Addrs = Vec<Vec<u8>>;
/// A peer with them.
type Peer = (PeerId, Addrs);

/// Reads a peer the other way; `Err` when it is broken, `None` when its id is no peer's.
fn their_peer(bytes: &[u8]) -> Result<Option<Peer>, ()> {
    let peer = oracle::Peer::decode(bytes).map_err(drop)?;
    let Ok(id) = PeerId::try_from(&peer.id[..]) else { return Ok(None) };
    let mut addrs: Vec<Vec<u8>> = Vec::new();
    for addr in peer.addrs.iter().take(MAX_ADDRS_SEEN) {
        let Ok(theirs) = Multiaddr::try_from(addr.clone()) else { continue };
        let leads_to = theirs.iter().last().and_then(|part| match part {
            multiaddr::Protocol::P2p(peer) => Some(peer),
            _ => None,
        });
        if leads_to.is_some_and(|peer| peer.to_bytes() != id.as_ref()) {
            continue;
        }
        addrs.extend(addresses::kept(addr).filter(|addr| !addrs.contains(addr)));
    }
    Ok(Some((id, addrs)))
}

fn distinct(list: &AddrList) -> Vec<Vec<u8>> {
    let mut addrs: Vec<Vec<u8>> = Vec::new();
    for addr in list {
        if !addrs.iter().any(|known| known == addr) {
            addrs.push(addr.to_vec());
        }
    }
    addrs
}

/// Whether our list is what the other reader found, as far as there is room.
fn same_addrs(ours: &AddrList, theirs: &[Vec<u8>]) {
    addresses::check(ours);
    let ours = distinct(ours);
    let room = theirs.len() <= AddrList::MAX_ADDRS
        && theirs.iter().map(|addr| addr.len() + 3).sum::<usize>() <= AddrList::MAX_BYTES;
    if room {
        assert_eq!(ours, theirs);
    } else {
        assert!(ours.iter().all(|addr| theirs.contains(addr)));
    }
}

fn same_contacts<'a>(ours: impl Iterator<Item = (&'a PeerId, &'a AddrList)>, theirs: &[Peer]) {
    let mut count = 0;
    for (i, (peer, addrs)) in ours.enumerate() {
        assert_eq!(*peer, theirs[i].0);
        same_addrs(addrs, &theirs[i].1);
        count += 1;
    }
    assert_eq!(count, theirs.len());
}

/// Whether we refuse it although the other reader does not.
fn on_purpose(error: &Malformed) -> bool {
    error.0 == "a wire type that is not used"
}

fn request(from: &PeerId, frame: &Bytes, theirs: Option<&Message>, comparable: bool) {
    let ours = Codec.decode_request(from, frame.clone());
    if let Ok(request) = &ours {
        rewritten(from, request);
    }
    if !comparable || ours.as_ref().is_err_and(on_purpose) {
        return;
    }
    let theirs = theirs.ok_or(()).and_then(|message| their_request(from, message));
    match (ours, theirs) {
        (Err(_), Err(())) => {}
        (
            Ok(Request::Put { query, item: Item::Provider(ours), .. }),
            Ok((Request::Put { query: q, .. }, addrs)),
        ) => {
            assert_eq!((query, ours.peer), (q, *from));
            // Offers that stand several times are merged, each within its own bounds.
            if addrs.len() <= 1 {
                same_addrs(&ours.addrs, addrs.first().map_or(&[], Vec::as_slice));
            }
        }
        (Ok(ours), Ok((theirs, _))) => assert_eq!(ours, theirs),
        (ours, theirs) => panic!("{ours:?} {theirs:?}"),
    }
}

/// What the message asks for, by the rules of the network. With an offer: its addresses, one list for each time it stands.
fn their_request(from: &PeerId, message: &Message) -> Result<(Request<Ipfs>, Vec<Addrs>), ()> {
    let mut own = Vec::new();
    for bytes in &message.providers {
        own.extend(
            their_peer(bytes)?.filter(|(peer, addrs)| peer == from && !addrs.is_empty()).map(|peer| peer.1),
        );
    }
    let key = Bytes::copy_from_slice(&message.key);
    let content = |query| if key.len() <= MAX_PROVIDER_KEY { Ok(query) } else { Err(()) };
    if message.kind != 5 && key.is_empty() {
        return Err(());
    }
    let request = match message.kind {
        0 => {
            let record = message.record.as_ref().filter(|record| record.key == key).ok_or(())?;
            let item = Item::Value(Record::new(key.clone(), record.value.clone()));
            Request::Put { query: Query::Value(key), item, ticket: None }
        }
        1 => Request::Get { query: Query::Value(key) },
        2 => {
            let query = content(Query::Providers(key.clone()))?;
            let item = Item::Provider(ProviderRecord { peer: *from, addrs: AddrList::default() });
            if own.is_empty() {
                return Err(());
            }
            Request::Put { query, item, ticket: None }
        }
        3 => Request::Get { query: content(Query::Providers(key.clone()))? },
        4 => Request::FindNode { target: key },
        5 => Request::Ping,
        _ => return Err(()),
    };
    Ok((request, own))
}

/// What was taken can be sent on and is read the same.
fn rewritten(from: &PeerId, request: &Request<Ipfs>) {
    let mut out = BytesMut::new();
    Codec.encode_request(request, &mut out);
    let mut frames = frames(&out);
    let barrier = matches!(request, Request::Put { query: Query::Providers(_), .. });
    assert_eq!(frames.len(), if barrier { 2 } else { 1 });
    if let (true, Some(behind)) = (barrier, frames.pop_if(|_| barrier)) {
        assert!(matches!(Codec.decode_request(from, behind), Ok(Request::FindNode { .. })));
    }
    let again = Codec.decode_request(from, frames.remove(0)).expect("we wrote it");
    assert_eq!(again, *request);
}

/// The frames in `out`, their lengths taken off.
fn frames(mut out: &[u8]) -> Vec<Bytes> {
    let mut all = Vec::new();
    while !out.is_empty() {
        let len = prost::encoding::decode_varint(&mut out).expect("we wrote a length") as usize;
        all.push(Bytes::copy_from_slice(&out[..len]));
        out = &out[len..];
    }
    all
}

fn response(asked: &Request<Ipfs>, frame: &Bytes, theirs: Option<&Message>, comparable: bool) {
    let ours = Codec.decode_response(asked, frame.clone());
    if let Ok(Some(response)) = &ours {
        assert!(response.closer.len() + response.items.len() <= MAX_PEERS + 1);
        answered(asked, response);
    }
    if !comparable || ours.as_ref().is_err_and(on_purpose) {
        return;
    }
    let theirs = theirs.ok_or(()).and_then(|message| their_response(asked, message));
    match (ours, theirs) {
        (Err(_), Err(())) | (Ok(None), Ok(None)) => {}
        (Ok(Some(ours)), Ok(Some(theirs))) => {
            same_contacts(ours.closer.iter().map(|contact| (&contact.peer, &contact.addr)), &theirs.closer);
            let providers = ours.items.iter().filter_map(Item::as_provider);
            if matches!(asked, Request::Get { query: Query::Providers(_) }) {
                same_contacts(providers.map(|record| (&record.peer, &record.addrs)), &theirs.providers);
            }
            let value = ours.items.first().and_then(Item::as_value).map(|record| &record.value[..]);
            assert_eq!(value, theirs.value.as_deref());
        }
        (ours, theirs) => panic!("{asked:?} {ours:?} {}", theirs.is_ok()),
    }
}

/// An answer as the other reader sees it.
struct Theirs {
    closer: Vec<Peer>,
    providers: Vec<Peer>,
    value: Option<Vec<u8>>,
}

fn their_response(asked: &Request<Ipfs>, message: &Message) -> Result<Option<Theirs>, ()> {
    let peers = |list: &[Vec<u8>]| -> Result<Vec<_>, ()> {
        list.iter().filter_map(|bytes| their_peer(bytes).transpose()).collect()
    };
    let closer = peers(&message.closer)?;
    let (kind, key, mut providers): (i32, &[u8], Vec<_>) = match asked {
        Request::Ping => (5, &message.key, vec![]),
        Request::FindNode { target } => (4, target, vec![]),
        Request::Get { query: Query::Value(key) } => (1, key, vec![]),
        Request::Get { query: Query::Providers(key) } => (3, key, peers(&message.providers)?),
        Request::Put { query: Query::Value(key), .. } => (0, key, vec![]),
        Request::Put { query: Query::Providers(key), .. } => (4, key, vec![]),
    };
    if message.kind != kind {
        return if message.kind == 2 { Ok(None) } else { Err(()) };
    }
    if !message.key.is_empty() && message.key != key {
        return Err(());
    }
    let record = message.record.as_ref();
    let value = match asked {
        Request::Get { query: Query::Value(key) } => match record {
            Some(record) if record.key != *key => return Err(()),
            record => record.map(|record| record.value.clone()),
        },
        Request::Put { query: Query::Value(key), item, .. } => {
            let sent = item.as_value().ok_or(())?;
            let shown = record.filter(|record| record.key == *key && record.value == sent.value).ok_or(())?;
            Some(shown.value.clone())
        }
        _ => None,
    };
    providers.truncate(MAX_PEERS);
    Ok(Some(Theirs { closer, providers, value }))
}

/// What was read as an answer can be given as one, and is read the same by both readers.
fn answered(asked: &Request<Ipfs>, response: &Response<Ipfs>) {
    let mut out = BytesMut::new();
    if !Codec.encode_response(asked, response, &mut out) {
        assert!(matches!(asked, Request::Put { query: Query::Providers(_), .. }) && out.is_empty());
        return;
    }
    let frame = frames(&out).remove(0);
    let theirs = Message::decode(&frame[..]).expect("others read it too");
    let mut wanted = response.clone();
    wanted.closer.retain(Contact::is_located);
    assert_eq!(theirs.closer.len(), wanted.closer.len());
    assert_eq!(Codec.decode_response(asked, frame), Ok(Some(wanted)));
}
