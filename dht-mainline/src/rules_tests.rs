use dht_core::Mono;
use ed25519_dalek::SigningKey;

use super::*;
use crate::{InfoHash, Item, ItemKey, NodeId, Peer, Samples, Scrape, Swarm};

fn at(text: &str) -> Contact<Mainline> {
    Contact::new(NodeId([1; 20]), Endpoint(Some(text.parse().unwrap())))
}

fn peer(text: &str) -> Record {
    Record::Peer(Peer { addr: text.parse().unwrap(), seed: false, implied_port: false })
}

fn swarm() -> Query {
    InfoHash([5; 20]).into()
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
    let token = rules.ticket(&from, &query, 511, later(0)).unwrap();
    assert_eq!(rules.redeem(&from, &query, Some(&token), later(599)), Ok(()));
    assert_eq!(rules.redeem(&at("9.8.7.6:1"), &query, Some(&token), later(0)), Ok(()));
    for (from, query, ticket, now) in [
        (&from, &query, None, 0),
        (&from, &query, Some(&token), 600),
        (&at("9.8.7.5:6881"), &query, Some(&token), 0),
        (&from, &InfoHash([6; 20]).into(), Some(&token), 0),
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
fn a_full_swarm_invites_nobody_and_samples_are_not_stored() {
    let rules = ServerRules { peers_per_swarm: 3, ..ServerRules::new([3; 16]) };
    let from = at("9.8.7.6:6881");
    let key = Query::Item(ItemKey::new(InfoHash([5; 20]).key()));
    let invited = |query: &Query, held| rules.ticket(&from, query, held, later(0)).is_some();
    assert!(invited(&swarm(), 2) && !invited(&swarm(), 3) && invited(&key, 3));
    assert!(!invited(&Query::Samples(InfoHash([5; 20]).key()), 0));
}

#[test]
fn what_a_sender_expected_is_not_shown() {
    let rules = ServerRules::new([3; 16]);
    let stored =
        Stored { item: item(2, "a", Some(1)), received: Now::default().wall, expires: Now::default().wall };
    assert_eq!(rules.present(&stored, later(0)), Some(item(2, "a", None)));
    let stored = Stored { item: peer("9.8.7.6:1"), ..stored };
    assert_eq!(rules.present(&stored, later(0)), Some(peer("9.8.7.6:1")));
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
fn options_that_keep_nothing_are_named() {
    let rules = ServerRules::new([3; 16]);
    assert_eq!(rules.validate(), Ok(()));
    for (wrong, field) in [
        (ServerRules { peer_age: Duration::ZERO, ..rules.clone() }, "peer_age"),
        (ServerRules { item_age: Duration::ZERO, ..rules.clone() }, "item_age"),
        (ServerRules { peers_per_swarm: 0, ..rules.clone() }, "peers_per_swarm"),
    ] {
        assert_eq!(wrong.validate().map_err(|error| error.field), Err(field));
    }
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
    assert_eq!(best(&[item(3, "a", Some(9)), item(4, "b", None)]), Some(1));
    assert_eq!(best(&[peer("9.8.7.6:1")]), None);
    let fixed = Record::Item(Item::immutable(&"x".into()).unwrap(), None);
    assert_eq!(best(&[fixed.clone(), fixed]), Some(0));
    assert_eq!(judge.best(&swarm(), &[peer("9.8.7.6:1"), peer("9.8.7.6:2")]), Some(1));
}

#[test]
fn an_item_replaces_what_it_expects_and_nothing_that_is_as_new() {
    let judge = Records::default();
    let key = Query::Item(ItemKey::new(InfoHash([9; 20]).key()));
    let held = item(3, "a", Some(9));
    for (newcomer, want) in [
        (item(4, "b", None), Ok(())),
        (item(4, "b", Some(3)), Ok(())),
        (item(4, "b", Some(2)), Err(Conflict::Unexpected)),
        (item(2, "b", Some(2)), Err(Conflict::Unexpected)),
        (item(2, "b", None), Err(Conflict::Older)),
        (item(3, "b", None), Err(Conflict::Older)),
        (item(3, "b", Some(3)), Err(Conflict::Older)),
        (item(3, "a", None), Ok(())),
    ] {
        assert_eq!(judge.supersedes(&key, &held, &newcomer), want, "{newcomer:?}");
    }
    assert_eq!(judge.supersedes(&swarm(), &peer("9.8.7.6:1"), &peer("9.8.7.6:2")), Ok(()));
}

#[test]
fn answers_are_believed_only_where_they_were_asked_for() {
    let check = |query: &Query, record: Record| Records::default().check(query, &record, Now::default());
    let (scrape, samples) =
        (Record::Scrape(Box::<Scrape>::default()), Record::Samples(Box::<Samples>::default()));
    let hash = InfoHash([5; 20]);
    let scraped = Query::Peers(Swarm { scrape: true, ..Swarm::new(hash) });
    let sampled = Query::Samples(hash.key());
    assert_eq!(check(&scraped, scrape.clone()), Ok(()));
    assert_eq!(check(&sampled, samples.clone()), Ok(()));
    for (query, record) in [(&swarm(), &scrape), (&sampled, &scrape), (&scraped, &samples)] {
        assert_eq!(check(query, record.clone()), Err(Invalid::KeyMismatch));
    }
}

#[test]
fn the_table_takes_who_can_be_reached_and_if_wanted_only_proper_ids() {
    let open = Admission::default();
    let strict = Admission { enforce_ids: true, ..open };
    let addr: SocketAddr = "9.8.7.6:6881".parse().unwrap();
    let proper = Contact::new(NodeId::for_ip(addr.ip(), [9; 20]), Endpoint::from(addr));
    let other = at("9.8.7.6:6881");
    assert!(open.admit(&other) && open.admit(&proper) && strict.admit(&proper) && !strict.admit(&other));
    assert!(open.prefers(&proper) && !open.prefers(&other));
    assert!(!open.prefers(&Contact::unlocated(proper.peer)));
    assert!(!open.admit(&at("10.0.0.1:1")) && !open.admit(&at("9.8.7.6:0")));
    assert!(!open.admit(&Contact::unlocated(other.peer)));
    assert_eq!(format!("{} {}", proper.addr, Endpoint::default()), "9.8.7.6:6881 nowhere");
}
