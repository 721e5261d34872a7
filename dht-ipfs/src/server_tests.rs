use bytes::Bytes;
use dht_core::{Mono, Wall};

use super::*;
use crate::{Multiaddr, PeerId, ProviderRecord, Record};

fn peer(i: u8) -> PeerId {
    PeerId::try_from(&[&[0x12, 32][..], &[i; 32]].concat()[..]).unwrap()
}

fn list(texts: &[&str]) -> AddrList {
    texts.iter().map(|text| text.parse::<Multiaddr>().unwrap()).collect()
}

fn at(secs: u64) -> Now {
    Now { mono: Mono::default(), wall: Wall::from_secs(secs) }
}

fn provider(i: u8, addrs: &[&str]) -> Item {
    Item::Provider(ProviderRecord { peer: peer(i), addrs: list(addrs) })
}

fn stored(item: Item, received: u64) -> Stored<Ipfs> {
    Stored { item, received: Wall::from_secs(received), expires: Wall(Duration::MAX) }
}

const PRIVATE: &str = "/ip4/10.0.0.1/tcp/1";
const LOOPBACK: &str = "/ip4/127.0.0.1/tcp/1";
const PUBLIC: &str = "/ip4/1.2.3.4/tcp/1";

fn rules() -> ServerRules {
    ServerRules::default()
}

#[test]
fn peers_with_nothing_to_show_are_left_out() {
    let to = Contact::unlocated(peer(9));
    let show = |addrs: &[&str]| rules().show(&Contact::new(peer(1), list(addrs)), &to);
    assert_eq!(show(&[PRIVATE, PUBLIC]), Some(list(&[PUBLIC])));
    assert_eq!(show(&[PRIVATE]), None);
    assert_eq!(show(&[]), None);
}

#[test]
fn the_operator_filters_addresses_after_the_network() {
    let to = Contact::unlocated(peer(9));
    let contact = Contact::new(peer(1), list(&[PRIVATE, PUBLIC, LOOPBACK]));
    let open = ServerRules { public_only: false, ..rules() };
    assert_eq!(open.show(&contact, &to), Some(list(&[PRIVATE, PUBLIC])));
    let all = ServerRules { hide_localhost: false, ..open.clone() };
    assert_eq!(all.show(&contact, &to), Some(contact.addr.clone()));
    let first: AddressFilter = Arc::new(|addrs| AddrList::from_raw(addrs.iter().take(1)));
    assert_eq!(
        ServerRules { addresses: Some(first.clone()), ..open }.show(&contact, &to),
        Some(list(&[PRIVATE]))
    );
    assert_eq!(ServerRules { addresses: Some(first), ..rules() }.show(&contact, &to), Some(list(&[PUBLIC])));
}

#[test]
fn the_receiver_stamps_values_and_strips_addresses() {
    let record = Record { time_received: Some(Wall::from_secs(1)), ..Record::new(&b"/v/k"[..], &b"v"[..]) };
    let kept = rules().receive(Item::Value(record.clone()), at(50));
    assert_eq!(kept.as_value().unwrap().time_received, Some(Wall::from_secs(50)));
    assert_eq!(kept, Item::Value(record), "the stamp does not make it another value");
    assert_eq!(rules().receive(provider(1, &[PRIVATE, PUBLIC]), at(50)), provider(1, &[PUBLIC]));
}

#[test]
fn a_providers_addresses_are_forgotten_before_the_provider_is() {
    let day = 24 * 3600;
    let held = stored(provider(1, &[PUBLIC, PRIVATE]), 100);
    assert_eq!(rules().present(&held, at(100 + day - 1)), Some(provider(1, &[PUBLIC])));
    assert_eq!(rules().present(&held, at(100 + day)), Some(provider(1, &[])));
    let query = Query::Providers(Bytes::from_static(b"k"));
    assert_eq!(rules().lifetime(&query, &held.item), Duration::from_secs(2 * day));
    assert_eq!(rules().lifetime(&Query::Value(Bytes::new()), &held.item), Duration::from_secs(2 * day));
    let own = stored(Item::Value(Record::new(&b"/v/k"[..], &b"v"[..])), 7);
    let shown = rules().present(&own, at(9)).unwrap();
    assert_eq!(shown.as_value().unwrap().time_received, Some(Wall::from_secs(7)));
}

#[test]
fn an_own_record_is_renewed_with_todays_addresses_and_others_stay() {
    let local = Contact::new(peer(1), list(&[PUBLIC]));
    assert_eq!(rules().renew(provider(1, &[PRIVATE]), &local), provider(1, &[PUBLIC]));
    assert_eq!(rules().renew(provider(2, &[PRIVATE]), &local), provider(2, &[PRIVATE]));
}

#[test]
fn stores_that_are_off_the_hook_and_foreign_records_refuse() {
    let from = Contact::unlocated(peer(1));
    let get = |query| Request::<Ipfs>::Get { query };
    let put = |i| Request::<Ipfs>::Put {
        query: Query::Providers(Bytes::from_static(b"k")),
        item: provider(i, &[PUBLIC]),
        ticket: None,
    };
    let (value, providers) =
        (Query::Value(Bytes::from_static(b"/v/k")), Query::Providers(Bytes::from_static(b"k")));
    assert_eq!(rules().admit(&from, &put(1), at(0)), Ok(()));
    assert_eq!(rules().admit(&from, &put(2), at(0)), Err(Refusal::NotAdmitted));
    let only_providers = ServerRules { values: false, ..rules() };
    assert_eq!(only_providers.admit(&from, &get(value.clone()), at(0)), Err(Refusal::NotAdmitted));
    assert_eq!(only_providers.admit(&from, &get(providers.clone()), at(0)), Ok(()));
    let only_values = ServerRules { providers: false, ..rules() };
    assert_eq!(only_values.admit(&from, &get(value), at(0)), Ok(()));
    assert_eq!(only_values.admit(&from, &put(1), at(0)), Err(Refusal::NotAdmitted));
    let hook: RequestHook = Arc::new(|_, request| !matches!(request, Request::Ping));
    let hooked = ServerRules { hook: Some(hook), ..rules() };
    assert_eq!(hooked.admit(&from, &Request::Ping, at(0)), Err(Refusal::NotAdmitted));
    assert_eq!(hooked.admit(&from, &get(providers), at(0)), Ok(()));
}
