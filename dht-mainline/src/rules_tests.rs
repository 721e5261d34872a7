use dht_core::{Mono, Overlay};
use ed25519_dalek::SigningKey;

use super::*;
use crate::{InfoHash, Item, ItemKey, NodeId, Peer};

fn at(text: &str) -> Contact<Mainline> {
    Contact::new(NodeId([1; 20]), Endpoint(Some(text.parse().unwrap())))
}

fn peer(text: &str) -> Record {
    Record::Peer(Peer { addr: text.parse().unwrap(), seed: false, implied_port: false })
}

fn swarm() -> Query {
    Query::Peers(InfoHash([5; 20]))
}

fn later(seconds: u64) -> Now {
    Now { mono: Mono(Duration::from_secs(seconds)), ..Now::default() }
}

fn item(seq: i64, text: &str, cas: Option<i64>) -> Record {
    Record::Item(Item::mutable(&SigningKey::from_bytes(&[7; 32]), b"s", seq, &text.into()).unwrap(), cas)
}

#[test]
fn only_who_got_a_token_stores_and_only_himself() {
    let rules = ServerRules::new([3; 16]);
    let (from, query) = (at("9.8.7.6:6881"), swarm());
    let token = rules.ticket(&from, &query, later(0)).unwrap();
    assert_eq!(rules.redeem(&from, &query, Some(&token), later(599)), Ok(()));
    assert_eq!(rules.redeem(&at("9.8.7.6:1"), &query, Some(&token), later(0)), Ok(()));
    for (from, query, ticket, now) in [
        (&from, &query, None, 0),
        (&from, &query, Some(&token), 600),
        (&at("9.8.7.5:6881"), &query, Some(&token), 0),
        (&from, &Query::Peers(InfoHash([6; 20])), Some(&token), 0),
    ] {
        assert_eq!(rules.redeem(from, query, ticket, later(now)), Err(Refusal::BadTicket));
    }
    let put = |addr| Request::Put { query: swarm(), item: peer(addr), ticket: Some(token) };
    assert_eq!(rules.admit(&from, &put("9.8.7.6:1"), later(0)), Ok(()));
    assert_eq!(rules.admit(&from, &put("9.8.7.5:1"), later(0)), Err(Refusal::NotAdmitted));
    assert_eq!(rules.admit(&at("127.0.0.1:1"), &Request::Ping, later(0)), Err(Refusal::NotAdmitted));
    assert_eq!(
        rules.admit(&Contact::unlocated(from.peer), &Request::Ping, later(0)),
        Err(Refusal::NotAdmitted)
    );
    let local = ServerRules { reach: Reach::Local, ..rules };
    assert_eq!(local.admit(&at("127.0.0.1:1"), &Request::Ping, later(0)), Ok(()));
}

#[test]
fn nodes_are_shown_to_their_own_family_and_private_ones_to_nobody() {
    let rules = ServerRules::new([3; 16]);
    let (v4, v6) = (at("9.8.7.6:6881"), at("[2a00::1]:6881"));
    assert_eq!(rules.show(&v4, &at("8.8.8.8:1")), Some(v4.addr));
    assert_eq!(rules.show(&v6, &at("[2a01::1]:1")), Some(v6.addr));
    assert_eq!(rules.show(&v6, &v4), None);
    assert_eq!(rules.show(&at("10.0.0.1:1"), &v4), None);
    assert_eq!(rules.show(&Contact::unlocated(v4.peer), &v4), None);
}

#[test]
fn ages_are_those_of_the_network() {
    let rules = ServerRules::new([3; 16]);
    assert_eq!(rules.lifetime(&swarm(), &peer("9.8.7.6:1")), Duration::from_secs(2700));
    let record = item(1, "a", None);
    let key = Query::Item(ItemKey::new(Mainline::target_of(&swarm())));
    assert_eq!(rules.lifetime(&key, &record), Duration::from_secs(7200));
}

#[test]
fn records_are_judged_where_they_belong() {
    let judge = Records::default();
    let record = item(1, "a", None);
    let Record::Item(inner, _) = &record else { unreachable!() };
    let key = Query::Item(ItemKey::new(inner.target()));
    let check = |query: &Query, record: &Record| judge.check(query, record, Now::default());
    assert_eq!(check(&key, &record), Ok(()));
    assert_eq!(check(&swarm(), &peer("9.8.7.6:1")), Ok(()));
    assert_eq!(check(&swarm(), &record), Err(Invalid::KeyMismatch));
    assert_eq!(check(&key, &peer("9.8.7.6:1")), Err(Invalid::KeyMismatch));
    assert!(check(&swarm(), &peer("9.8.7.6:0")).is_err());
    assert!(check(&swarm(), &peer("10.8.7.6:1")).is_err());
    assert!(Records { reach: Reach::Local }.check(&swarm(), &peer("10.8.7.6:1"), Now::default()).is_ok());
    let elsewhere = Query::Item(ItemKey::new(InfoHash([9; 20]).key()));
    assert_eq!(check(&elsewhere, &record), Err(Invalid::KeyMismatch));
    for (error, invalid) in [
        (ItemError::ValueTooBig, Invalid::TooLarge { limit: 1000 }),
        (ItemError::SaltTooBig, Invalid::TooLarge { limit: 64 }),
        (ItemError::Signature, Invalid::Signature),
    ] {
        assert_eq!(Invalid::from(error), invalid);
    }
}

#[test]
fn the_best_of_a_slot() {
    let judge = Records::default();
    let key = Query::Item(ItemKey::new(InfoHash([9; 20]).key()));
    let best = |records: &[Record]| judge.best(&key, records);
    assert_eq!(best(&[]), None);
    assert_eq!(best(&[item(1, "a", None), item(3, "b", None), item(2, "c", None)]), Some(1));
    assert_eq!(best(&[item(3, "a", None), item(3, "b", None)]), Some(0));
    assert_eq!(best(&[item(3, "a", None), item(4, "b", Some(3))]), Some(1));
    assert_eq!(best(&[item(3, "a", None), item(4, "b", Some(2))]), Some(0));
    // What the held one once expected does not matter any more.
    assert_eq!(best(&[item(3, "a", Some(9)), item(4, "b", None)]), Some(1));
    let fixed = Record::Item(Item::immutable(&"x".into()).unwrap(), None);
    assert_eq!(best(&[fixed.clone(), fixed]), Some(0));
    assert_eq!(judge.best(&swarm(), &[peer("9.8.7.6:1"), peer("9.8.7.6:2")]), Some(1));
}

#[test]
fn the_table_takes_who_can_be_reached_and_if_wanted_only_proper_ids() {
    let open = Admission::default();
    let strict = Admission { enforce_ids: true, ..open };
    let addr: SocketAddr = "9.8.7.6:6881".parse().unwrap();
    let proper = Contact::new(NodeId::for_ip(addr.ip(), [9; 20]), Endpoint::from(addr));
    let other = at("9.8.7.6:6881");
    assert!(open.admit(&other) && open.admit(&proper) && strict.admit(&proper) && !strict.admit(&other));
    assert!(!open.admit(&at("10.0.0.1:1")) && !open.admit(&at("9.8.7.6:0")));
    assert!(!open.admit(&Contact::unlocated(other.peer)));
    assert_eq!(format!("{} {}", proper.addr, Endpoint::default()), "9.8.7.6:6881 nowhere");
}
