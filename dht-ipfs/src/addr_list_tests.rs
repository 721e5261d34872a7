use proptest::prelude::*;

use super::*;

const PEER: &str = "QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN";
const OTHER: &str = "QmQCU2EcMqAqQPR2i9bChDtGNJchTbq5TbXJJ16u19uLTa";

fn list(texts: &[&str]) -> AddrList {
    texts.iter().map(|text| text.parse::<Multiaddr>().unwrap()).collect()
}

#[test]
fn the_packed_form_is_the_wires() {
    let packed = list(&["/ip4/1.2.3.4/tcp/1", "/ip6/::1/udp/2/quic-v1"]);
    let mut want = vec![0x12, 8, 4, 1, 2, 3, 4, 6, 0, 1, 0x12, 23, 41];
    want.extend_from_slice(&[0; 15]);
    want.extend_from_slice(&[1, 0x91, 2, 0, 2, 0xcd, 3]);
    assert_eq!(packed.as_ref(), want);
    assert_eq!(packed.len(), 2);
    assert_eq!(AddrList::try_from(Bytes::from(want)).unwrap(), packed);
    assert_eq!(format!("{packed:?}"), r#"["/ip4/1.2.3.4/tcp/1", "/ip6/::1/udp/2/quic-v1"]"#);
    assert!(AddrList::default().is_empty() && AddrList::try_from(Bytes::new()).is_ok());
}

#[test]
fn only_a_whole_list_is_taken_as_one() {
    let good = list(&["/ip4/1.2.3.4/tcp/1"]).0.to_vec();
    for bad in [
        &[0x0a, 0][..],
        &[0x12],
        &[0x12, 9, 4, 1, 2, 3, 4, 6, 0, 1],
        &[0x12, 0],
        &[0x12, 7, 4, 1, 2, 3, 4, 6, 0],
        &[0x12, 0x88, 0, 4, 1, 2, 3, 4, 6, 0, 1],
        &[&good[..], &[8, 1]].concat(),
        &good.repeat(33),
        &[&[0x12][..], &list(&[&format!("/ip4/1.2.3.4/tcp/1/p2p/{PEER}")]).0].concat(),
    ] {
        assert_eq!(AddrList::try_from(Bytes::copy_from_slice(bad)), Err(InvalidAddrList), "{bad:?}");
    }
    assert_eq!(AddrList::try_from(Bytes::from(good.repeat(32))).unwrap().len(), 32);
}

/// Found by fuzzing: with one peer id cut off, the other one stayed at the end.
#[test]
fn an_address_that_ends_in_two_peers_leads_nowhere() {
    let peer: PeerId = PEER.parse().unwrap();
    for front in ["", "/ip4/1.2.3.4/tcp/1"] {
        for text in [format!("{front}/p2p/{OTHER}/p2p/{PEER}"), format!("{front}/p2p/{PEER}/p2p/{PEER}")] {
            let address: Multiaddr = text.parse().unwrap();
            assert!(AddrList::for_peer(&peer, [&address]).is_empty(), "{text}");
            assert!(AddrList::from(address).is_empty(), "{text}");
        }
    }
}

#[test]
fn bounds_hold_whatever_is_packed() {
    let many = (0..100u16).map(|port| format!("/ip4/1.2.3.4/tcp/{port}").parse::<Multiaddr>().unwrap());
    assert_eq!(many.collect::<AddrList>().len(), AddrList::MAX_ADDRS);
    let long = |i: u16| format!("/dns/{}{i:04}/tcp/1", "x".repeat(1000)).parse::<Multiaddr>().unwrap();
    let list: AddrList = (0..32).map(long).collect();
    assert_eq!(list.len(), 8);
    assert!(list.0.len() <= AddrList::MAX_BYTES);
    assert_eq!(AddrList::try_from(list.0.clone()).unwrap(), list);
    // A long one that does not fit does not keep a short one out.
    let mut mixed = AddrList::from_iter((0..9).map(long).chain(["/ip4/1.2.3.4/tcp/1".parse().unwrap()]));
    assert_eq!(mixed.len(), 9);
    mixed = mixed.merge(&mixed);
    assert_eq!(mixed.len(), 9, "duplicates are dropped");
}

#[test]
fn the_peers_own_id_is_cut_off_and_anothers_address_is_not_its() {
    let peer: PeerId = PEER.parse().unwrap();
    let addresses: Vec<Multiaddr> = [
        format!("/ip4/1.2.3.4/tcp/1/p2p/{PEER}"),
        format!("/ip4/1.2.3.4/tcp/2/p2p/{OTHER}"),
        format!("/ip4/1.2.3.4/tcp/3/p2p/{OTHER}/p2p-circuit/p2p/{PEER}"),
        format!("/p2p/{PEER}"),
        "/ip4/1.2.3.4/tcp/1".to_owned(),
    ]
    .iter()
    .map(|text| text.parse().unwrap())
    .collect();
    let want = list(&["/ip4/1.2.3.4/tcp/1", &format!("/ip4/1.2.3.4/tcp/3/p2p/{OTHER}/p2p-circuit")]);
    assert_eq!(AddrList::for_peer(&peer, &addresses), want);
}

#[test]
fn filters_share_the_buffer_when_nothing_goes_and_detached_lists_do_not() {
    let all = list(&["/ip4/1.2.3.4/tcp/1", "/ip4/10.0.0.1/tcp/1"]);
    assert_eq!(all.filter(|_| true).0.as_ptr(), all.0.as_ptr());
    assert_eq!(all.filter(|kind| kind == AddressKind::Public), list(&["/ip4/1.2.3.4/tcp/1"]));
    assert!(all.filter(|_| false).is_empty());
    assert!(all.any(|kind| kind == AddressKind::Private) && !all.any(|kind| kind == AddressKind::Relay));
    assert_ne!(all.detach().0.as_ptr(), all.0.as_ptr());
    assert_eq!(all.detach(), all);
    assert_eq!(all.ips().count(), 2);
    assert_eq!(all.merge(&AddrList::default()).0.as_ptr(), all.0.as_ptr());
}

proptest! {
    #[test]
    fn any_bytes_are_a_list_or_none(bytes in prop::collection::vec(prop_oneof![Just(0x12u8), Just(8), Just(4), Just(6), any::<u8>()], 0..60)) {
        if let Ok(list) = AddrList::try_from(Bytes::from(bytes.clone())) {
            prop_assert_eq!(list.multiaddrs().count(), list.len());
            prop_assert_eq!(AddrList::from_raw(list.iter()).iter().all(|one| list.iter().any(|known| known == one)), true);
        }
        let raw = AddrList::from_raw([&bytes[..]]);
        prop_assert_eq!(AddrList::try_from(raw.0.clone()), Ok(raw));
    }
}
