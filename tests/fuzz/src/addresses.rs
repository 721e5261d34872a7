//! Multiaddrs and lists of them: our walk against the `multiaddr` crate, and the bounds of what is kept.

use bytes::Bytes;
use dht_ipfs::{AddrList, AddressKind, ContentKey, PeerId, ValueKey, parse_peer_addr};
use multiaddr::{Multiaddr, Protocol};
use prost::Message as _;

use crate::{input::Input, oracle};

/// The first byte chooses what the rest is taken for.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    match input.byte() % 4 {
        0 => one(input.0),
        1 => packed(input.0),
        2 => many(input),
        _ => text(input.0),
    }
}

/// What we keep of an address, said with the other reader: all of it, without a peer id at its end, of which there must not
/// be two.
pub(crate) fn kept(address: &[u8]) -> Option<Vec<u8>> {
    let mut theirs = Multiaddr::try_from(address.to_vec()).ok()?;
    let ends_in_peer = |address: &Multiaddr| matches!(address.iter().last(), Some(Protocol::P2p(_)));
    if ends_in_peer(&theirs) {
        theirs.pop();
    }
    (!theirs.is_empty() && !ends_in_peer(&theirs)).then(|| theirs.to_vec())
}

fn one(address: &[u8]) {
    let ours: Vec<Vec<u8>> = AddrList::from_raw([address]).iter().map(<[u8]>::to_vec).collect();
    // A longer one does not fit into a list at all.
    let theirs: Vec<Vec<u8>> =
        kept(address).into_iter().filter(|address| address.len() + 3 <= AddrList::MAX_BYTES).collect();
    assert_eq!(ours, theirs);
    let kind = AddressKind::of(address);
    if ours.is_empty() && Multiaddr::try_from(address.to_vec()).is_err() {
        assert_eq!(kind, AddressKind::Other);
    }
    if let Ok(peer) = PeerId::try_from(address) {
        assert_eq!(peer.as_ref(), address);
    }
}

/// Bytes that may be a packed list, as the wire has it.
fn packed(bytes: &[u8]) {
    let Ok(list) = AddrList::try_from(Bytes::copy_from_slice(bytes)) else { return };
    let theirs = oracle::Peer::decode(bytes).expect("a list is a part of a peer record");
    assert!(list.iter().eq(theirs.addrs.iter().map(Vec::as_slice)));
    check(&list);
    for address in &list {
        assert_eq!(kept(address).as_deref(), Some(address), "as it would be kept");
    }
    assert_eq!(list.detach(), list);
    assert_eq!(list.filter(|_| true), list);
    assert!(list.filter(|_| false).is_empty());
    let merged = list.merge(&list);
    check(&merged);
    assert!(list.iter().all(|address| merged.iter().any(|other| other == address)), "nothing is lost");
}

/// Raw addresses, one after the other.
fn many(mut input: Input<'_>) {
    let mut raw = Vec::new();
    while !input.is_empty() {
        raw.push(input.some(255));
    }
    let list = AddrList::from_raw(raw.iter().copied());
    check(&list);
    let mut wanted: Vec<Vec<u8>> = Vec::new();
    for address in raw.iter().filter_map(|address| kept(address)) {
        if !wanted.contains(&address) && wanted.len() < AddrList::MAX_ADDRS {
            wanted.push(address);
        }
    }
    if wanted.iter().map(|address| address.len() + 3).sum::<usize>() <= AddrList::MAX_BYTES {
        assert!(list.iter().eq(wanted.iter().map(Vec::as_slice)));
    }
    let public = list.filter(|kind| kind == AddressKind::Public);
    assert!(
        public.len() <= list.len() && (public.is_empty() || list.any(|kind| kind == AddressKind::Public))
    );
}

/// What holds for every list.
pub(crate) fn check(list: &AddrList) {
    assert!(list.len() <= AddrList::MAX_ADDRS && list.as_ref().len() <= AddrList::MAX_BYTES);
    assert_eq!(list.is_empty(), list.iter().next().is_none());
    assert_eq!(list.multiaddrs().count(), list.len(), "every address is one for others too");
    assert!(list.ips().count() <= list.len());
    assert_eq!(AddrList::try_from(Bytes::copy_from_slice(list.as_ref())).as_ref(), Ok(list));
}

/// What people write.
fn text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(contact) = parse_peer_addr(text) {
        check(&contact.addr);
        assert!(contact.is_located());
    }
    if let Ok(peer) = text.parse::<PeerId>() {
        assert_eq!(peer.to_string().parse(), Ok(peer));
        assert_eq!(peer.to_cid_text().parse(), Ok(peer));
        assert_eq!(PeerId::try_from(peer.as_ref()), Ok(peer));
    }
    if let Ok(key) = text.parse::<ContentKey>()
        && key.to_cid().is_some()
    {
        assert_eq!(key.to_string().parse(), Ok(key));
    }
    if let Ok(key) = text.parse::<ValueKey>() {
        assert_eq!(ValueKey::from_bytes(key.as_bytes().clone()), Ok(key));
    }
}
