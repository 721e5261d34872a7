use multiaddr::{Multiaddr, Protocol};
use proptest::prelude::*;

use super::*;

const PEER: &str = "QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN";

fn bytes(text: &str) -> Vec<u8> {
    text.parse::<Multiaddr>().unwrap_or_else(|error| panic!("{text}: {error}")).to_vec()
}

/// Every protocol that the `multiaddr` crate knows, with an operand.
fn protocols() -> Vec<Protocol<'static>> {
    let texts = [
        "/ip4/1.2.3.4",
        "/ip6/::1",
        "/ip6zone/eth0",
        "/ipcidr/24",
        "/tcp/1",
        "/udp/2",
        "/dccp/3",
        "/sctp/4",
        "/dns/example.com",
        "/dns4/example.com",
        "/dns6/example.com",
        "/dnsaddr/bootstrap.libp2p.io",
        "/http",
        "/https",
        "/p2p-webrtc-direct",
        "/p2p-webrtc-star",
        "/p2p-websocket-star",
        "/p2p-stardust",
        "/webrtc-direct",
        "/webrtc",
        "/certhash/uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g",
        "/memory/77",
        "/onion/aaimaq4ygg2iegci:80",
        "/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234",
        "/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN",
        "/p2p/12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8",
        "/p2p-circuit",
        "/quic",
        "/quic-v1",
        "/tls",
        "/noise",
        "/udt",
        "/utp",
        "/unix/a",
        "/webtransport",
        "/ws",
        "/wss",
        "/x-parity-ws/a",
        "/x-parity-wss/a",
        "/sni/example.com",
        "/http-path/a",
    ];
    let garlic = [Protocol::Garlic32(vec![7; 35].into()), Protocol::Garlic64(vec![7; 390].into())];
    texts.iter().map(|text| text.parse::<Multiaddr>().unwrap().pop().unwrap()).chain(garlic).collect()
}

fn address() -> impl Strategy<Value = Vec<u8>> {
    let known = protocols();
    prop::collection::vec(prop::sample::select(known), 1..5)
        .prop_map(|parts| parts.into_iter().fold(Multiaddr::empty(), |all, part| all.with(part)).to_vec())
}

#[test]
fn every_known_protocol_is_walked() {
    for protocol in protocols() {
        let address = Multiaddr::empty().with(protocol);
        assert!(walk(address.as_ref()).is_some(), "{address}");
    }
}

#[test]
fn broken_and_unknown_addresses_are_refused() {
    for broken in [
        &[][..],
        &[4, 1, 2, 3],
        &[4, 1, 2, 3, 4, 6, 0],
        &[0x84, 0, 1, 2, 3, 4],       // a code that is longer than it need be
        &[53, 0x81, 0, b'a'],         // so is a length
        &[53, 2, 0xc3, 0x28],         // not UTF-8
        &[0xa5, 3, 3, 0x12, 32, 1],   // a peer that is cut off
        &[0xa5, 3, 2, 0, 43],         // an inline key without its bytes
        &[0xff, 0x7f],                // unknown
        &[0xff, 0xff, 0xff, 0xff, 7], // unknown and large
    ] {
        assert!(walk(broken).is_none(), "{broken:?}");
        assert!(Multiaddr::try_from(broken.to_vec()).is_err() || broken.is_empty(), "{broken:?}");
    }
}

#[test]
fn a_trailing_peer_is_found() {
    let tail = |text: &str| {
        walk(&bytes(text)).unwrap().trailing_peer.map(|(before, peer)| (before.to_vec(), peer.len()))
    };
    assert_eq!(tail("/ip4/1.2.3.4/tcp/1"), None);
    assert_eq!(tail(&format!("/ip4/1.2.3.4/tcp/1/p2p/{PEER}/p2p-circuit")), None);
    assert_eq!(tail(&format!("/ip4/1.2.3.4/tcp/1/p2p/{PEER}")), Some((bytes("/ip4/1.2.3.4/tcp/1"), 34)));
    assert_eq!(tail(&format!("/p2p/{PEER}")), Some((vec![], 34)));
}

#[test]
fn kinds_of_places_are_told_apart() {
    use AddressKind::*;
    for (want, texts) in [
        (
            Loopback,
            &[
                "/ip4/127.0.0.1/tcp/1",
                "/ip4/127.9.9.9/udp/1",
                "/ip6/::1/tcp/1",
                "/dns/localhost/tcp/1",
                "/memory/7",
                "/unix/a",
                "/dns/a.LOCALHOST./tcp/1",
                "/ip6/::ffff:127.0.0.1/tcp/1",
            ][..],
        ),
        (
            Private,
            &[
                "/ip4/10.1.2.3/tcp/1",
                "/ip4/192.168.0.1/tcp/1",
                "/ip4/172.31.0.1/tcp/1",
                "/ip4/169.254.169.254/tcp/80",
                "/ip4/100.64.0.1/tcp/1",
                "/ip4/0.0.0.0/tcp/1",
                "/ip4/224.0.0.1/udp/1",
                "/ip4/255.255.255.255/udp/1",
                "/ip4/198.18.0.1/tcp/1",
                "/ip4/203.0.113.9/tcp/1",
                "/ip6/fe80::1/tcp/1",
                "/ip6zone/eth0/ip6/fe80::1/tcp/1",
                "/ip6/fc00::1/tcp/1",
                "/ip6/2001:db8::1/tcp/1",
                "/ip6/ff02::1/udp/1",
                "/ip6/::/tcp/1",
                "/ip6/::ffff:10.0.0.1/tcp/1",
                "/ip6/64:ff9b::a00:1/tcp/1",
                "/ip6/2002:a00:1::1/tcp/1",
                "/ip6/2001:0:1::1/tcp/1",
                "/dns4/printer.local/tcp/1",
                "/dns/router.lan/tcp/1",
            ][..],
        ),
        (
            Public,
            &[
                "/ip4/8.8.8.8/tcp/1",
                "/ip4/172.32.0.1/tcp/1",
                "/ip4/100.128.0.1/tcp/1",
                "/ip6/2604:1380::1/udp/1/quic-v1",
                "/ip6/64:ff9b::808:808/tcp/1",
                "/dns4/example.com/tcp/443/tls/ws",
                "/dnsaddr/bootstrap.libp2p.io",
            ][..],
        ),
        (Other, &["/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234", "/tcp/1"][..]),
    ] {
        for text in texts {
            assert_eq!(AddressKind::of(&bytes(text)), want, "{text}");
        }
    }
    let through = |at: &str| AddressKind::of(&bytes(&format!("{at}/p2p/{PEER}/p2p-circuit")));
    assert_eq!((through("/ip4/8.8.8.8/tcp/1"), through("")), (Relay, Relay));
    assert_eq!((through("/ip4/127.0.0.1/tcp/1"), through("/ip4/10.0.0.1/tcp/1")), (Loopback, Private));
    assert_eq!(AddressKind::of(&[0xff, 0x7f]), Other);
}

#[test]
fn groups_are_those_of_the_diversity_rule() {
    let group = |text: &str| ip_group(text.parse().unwrap());
    assert_eq!(group("1.2.3.4"), group("1.2.200.1"));
    assert_ne!(group("1.2.3.4"), group("1.3.3.4"));
    assert_eq!(group("12.2.3.4"), group("12.99.3.4"), "one owner has the whole /8");
    assert_eq!(group("2604:1380::1"), group("2604:1380:ffff::1"));
    assert_ne!(group("2604:1380::1"), group("2604:1381::1"));
    assert_eq!(group("::ffff:1.2.3.4"), group("1.2.9.9"));
    assert_eq!(leading_ip(&bytes("/ip6zone/eth0/ip6/fe80::1/tcp/1")), Some("fe80::1".parse().unwrap()));
    assert_eq!(leading_ip(&bytes("/dns/example.com/tcp/1")), None);
}

proptest! {
    #[test]
    fn what_multiaddr_writes_we_accept(address in address()) {
        prop_assert!(walk(&address).is_some());
    }

    /// Both readers agree on mutations of real addresses.
    #[test]
    fn both_readers_agree(mut address in address(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let at = at.index(address.len());
        if cut { address.truncate(at) } else { address[at] = byte }
        let theirs = Multiaddr::try_from(address.clone());
        prop_assert_eq!(walk(&address).is_some(), theirs.is_ok() && !address.is_empty(), "{:?}", theirs);
        let _ = AddressKind::of(&address);
    }

    #[test]
    fn both_readers_agree_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 1..40)) {
        prop_assert_eq!(walk(&bytes).is_some(), Multiaddr::try_from(bytes).is_ok());
    }

    /// The shortcut for plain addresses says what the walk says.
    #[test]
    fn the_shortcut_is_no_other_rule(
        ip in prop_oneof![any::<[u8; 4]>().prop_map(|ip| [&[4][..], &ip].concat()), any::<[u8; 16]>().prop_map(|ip| [&[41][..], &ip].concat())],
        rest in prop_oneof![any::<[u8; 3]>().prop_map(|b| b.to_vec()), any::<[u8; 6]>().prop_map(|b| b.to_vec()), any::<u16>().prop_map(|p| [&[0x91, 2][..], &p.to_be_bytes(), &[0xcd, 3]].concat()), any::<u16>().prop_map(|p| [&[6][..], &p.to_be_bytes()].concat())],
    ) {
        let address = [ip, rest].concat();
        if is_plain(&address) {
            prop_assert!(walk_components(&address).is_some_and(|walked| walked.trailing_peer.is_none()));
        }
    }
}
