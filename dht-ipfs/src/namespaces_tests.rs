use bytes::Bytes;
use libp2p_identity::Keypair;

use super::*;
use crate::{AddrList, PeerId, ProviderRecord, Record, ipns::Draft};

fn value(key: &[u8], value: &[u8]) -> (Query, Item) {
    let key = Bytes::copy_from_slice(key);
    (Query::Value(key.clone()), Item::Value(Record::new(key, Bytes::copy_from_slice(value))))
}

fn check(namespaces: &Namespaces, (query, item): &(Query, Item)) -> Result<(), Invalid> {
    namespaces.check(query, item, Now::default())
}

#[test]
fn keys_are_split_at_the_second_slash() {
    assert_eq!(split_key(b"/v/a/b"), Some((&b"v"[..], &b"a/b"[..])));
    assert_eq!(split_key(b"/v/"), Some((&b"v"[..], &b""[..])));
    for key in [&b""[..], b"v/a", b"/v", b"//a", b"/", b"my-key"] {
        assert_eq!(split_key(key), None);
    }
}

#[test]
fn the_public_network_takes_pk_and_ipns_only() {
    let amino = Namespaces::amino();
    assert_eq!(amino.names().collect::<Vec<_>>(), ["ipns", "pk"]);
    let pair = Keypair::generate_ed25519();
    let peer = PeerId::from_public_key(&pair.public());
    let pk = value(&[b"/pk/", peer.as_ref()].concat(), &pair.public().encode_protobuf());
    assert_eq!(check(&amino, &pk), Ok(()));
    let (name, record) = Draft::new("/ipfs/x", 1).sign(&pair, Now::default().wall).unwrap();
    assert_eq!(check(&amino, &value(&name.routing_key(), record.as_bytes())), Ok(()));
    assert_eq!(check(&amino, &value(b"/v/key", b"x")), Err(Invalid::UnknownNamespace));
    assert_eq!(check(&amino, &value(b"/\xff/key", b"x")), Err(Invalid::UnknownNamespace));
    assert_eq!(check(&amino, &value(b"my-key", b"x")), Err(Invalid::InvalidKey));
    assert_eq!(check(&amino, &(pk.0.clone(), value(b"/pk/other", b"x").1)), Err(Invalid::KeyMismatch));
}

#[test]
fn private_networks_register_their_own_rules() {
    struct Even;
    impl NamespaceValidator for Even {
        fn check(&self, _: &[u8], value: &[u8], _: Now) -> Result<(), Invalid> {
            if value.len().is_multiple_of(2) { Ok(()) } else { Err(Invalid::Malformed("odd")) }
        }
        fn best(&self, _: &[u8], values: &[&[u8]]) -> Option<usize> {
            values.len().checked_sub(1)
        }
    }
    let private = Namespaces::none().with("even", Even).unwrap().with("v", AnyValue::up_to(3)).unwrap();
    assert!(!private.is_amino() && Namespaces::amino().is_amino());
    assert_eq!(check(&private, &value(b"/even/x", b"ab")), Ok(()));
    assert_eq!(check(&private, &value(b"/even/x", b"a")), Err(Invalid::Malformed("odd")));
    assert_eq!(check(&private, &value(b"/v/x", b"abc")), Ok(()));
    assert_eq!(check(&private, &value(b"/v/x", b"abcd")), Err(Invalid::TooLarge { limit: 3 }));
    assert_eq!(check(&private, &value(b"/pk/x", b"")), Err(Invalid::UnknownNamespace));
    for wrong in ["", "a/b"] {
        assert!(Namespaces::none().with(wrong, Even).is_err());
    }
}

#[test]
fn the_best_free_value_is_the_greatest_and_the_held_one_of_equals() {
    let private = Namespaces::none().with("v", AnyValue::default()).unwrap();
    let best = |values: &[&[u8]]| {
        let items: Vec<Item> = values.iter().map(|bytes| value(b"/v/x", bytes).1).collect();
        private.best(&Query::Value(Bytes::from_static(b"/v/x")), &items)
    };
    assert_eq!(best(&[b"b", b"c", b"a"]), Some(1));
    assert_eq!(best(&[b"a", b"a"]), Some(0));
    assert_eq!(best(&[]), None);
    assert_eq!(private.best(&Query::Value(Bytes::from_static(b"/w/x")), &[value(b"/w/x", b"a").1]), None);
}

#[test]
fn provider_records_stand_under_short_keys_and_the_latest_is_best() {
    let amino = Namespaces::amino();
    let peer = PeerId::from_public_key(&Keypair::generate_ed25519().public());
    let provider = Item::Provider(ProviderRecord { peer, addrs: AddrList::default() });
    let under = |key: Vec<u8>| amino.check(&Query::Providers(key.into()), &provider, Now::default());
    assert_eq!(under(vec![1; 80]), Ok(()));
    assert_eq!(under(vec![1]), Ok(()));
    assert_eq!(under(vec![1; 81]), Err(Invalid::InvalidKey));
    assert_eq!(under(vec![]), Err(Invalid::InvalidKey));
    let (query, item) = value(b"/pk/x", b"");
    assert!(matches!(amino.check(&query, &provider, Now::default()), Err(Invalid::Malformed(_))));
    let providers = Query::Providers(Bytes::from_static(b"k"));
    assert!(matches!(amino.check(&providers, &item, Now::default()), Err(Invalid::Malformed(_))));
    assert_eq!(amino.best(&providers, &[provider.clone(), provider.clone()]), Some(1));
    assert_eq!(amino.best(&providers, &[provider, item]), Some(0));
}
