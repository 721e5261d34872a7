//! Questions of ours.

use dht_core::{Contact, Failure, Request, Response, testing::TinyQuery};
use dht_net::{
    Incoming, Order, Transport,
    udp::{Config, Limits},
};

use crate::parts::*;

const ASK: Request<Net> = Request::FindNode { target: 3 };

/// What follows when the stranger has answered everything so far, and this question as well.
async fn last_word(udp: &mut Tiny, stranger: &Stranger, n: u64) -> Incoming<Net> {
    udp.send(id(n), Contact::new(9, stranger.port()), ASK);
    let tid = stranger.asked(udp).await;
    stranger.send(udp, &blank(tid, 9)).await;
    next(udp).await
}

fn blank_answer(n: u64) -> Incoming<Net> {
    Incoming::Answer { id: id(n), response: Response::default() }
}

#[tokio::test]
async fn a_question_is_answered_by_another_node() {
    let _turn = QUIET.read().await;
    let (mut one, mut other) = (node(1, Config::local()).await, server(2, Config::local()).await);
    let to = Contact::new(2, other.local_addr().port());
    let mut seen = Vec::new();
    one.send(id(1), to.clone(), Request::Get { query: TinyQuery::Value(5) });
    let Incoming::Answer { response, .. } = next_beside(&mut one, &mut other, &mut seen).await else {
        panic!()
    };
    assert!(!response.closer.is_empty());
    let [Incoming::Request { from, serves, request, .. }] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(from, &Contact::new(1, one.local_addr().port()));
    assert_eq!((serves, request), (&false, &Request::Get { query: TinyQuery::Value(5) }));

    one.order(Order::Dial { id: id(2), to: to.clone() });
    let answer = next_beside(&mut one, &mut other, &mut seen).await;
    assert!(matches!(answer, Incoming::Answer { id: n, .. } if n == id(2)));
    one.order(Order::Greet { id: id(3), addr: to.addr });
    let greeted = next_beside(&mut one, &mut other, &mut seen).await;
    assert_eq!(greeted, Incoming::Greeted { id: id(3), contact: to });
    assert!(matches!(seen[1..], [Incoming::Request { .. }, Incoming::Request { .. }]));
    assert_eq!(poll(&mut one).await, None);
    let statistics = one.rates().statistics();
    assert_eq!((statistics.sent, statistics.received, statistics.waiting), (3, 3, 0));
}

#[tokio::test]
async fn a_forgotten_question_is_answered_in_vain() {
    let _turn = QUIET.read().await;
    let (mut udp, stranger) = (node(1, Config::local()).await, Stranger::new().await);
    udp.send(id(1), Contact::new(9, stranger.port()), ASK);
    let tid = stranger.asked(&mut udp).await;
    udp.forget(id(1));
    stranger.send(&udp, &blank(tid, 9)).await;
    assert_eq!(last_word(&mut udp, &stranger, 2).await, blank_answer(2));
    assert_eq!(udp.rates().statistics().stray, 1);
}

#[tokio::test]
async fn only_who_was_asked_can_answer_and_only_once() {
    let _turn = QUIET.read().await;
    let (mut udp, stranger, liar) =
        (node(1, Config::local()).await, Stranger::new().await, Stranger::new().await);
    udp.send(id(1), Contact::new(9, stranger.port()), ASK);
    let tid = stranger.asked(&mut udp).await;
    liar.send(&udp, &blank(tid, 9)).await;
    stranger.send(&udp, &blank([0; 4], 9)).await;
    stranger.send(&udp, &blank(tid, 9)).await;
    stranger.send(&udp, &blank(tid, 9)).await;
    assert_eq!(next(&mut udp).await, blank_answer(1));
    assert_eq!(last_word(&mut udp, &stranger, 2).await, blank_answer(2));
    assert_eq!(udp.rates().statistics().stray, 3);
}

#[tokio::test]
async fn what_is_withheld_is_asked_for_once_more_with_the_ticket() {
    let _turn = QUIET.read().await;
    let (mut udp, stranger) = (node(1, Config::local()).await, Stranger::new().await);
    let withholding = |tid| [b"w", &blank(tid, 9)[1..]].concat();
    udp.send(id(1), Contact::new(9, stranger.port()), ASK);
    let first = stranger.asked(&mut udp).await;
    stranger.send(&udp, &withholding(first)).await;
    let again = stranger.hear(&mut udp).await;
    let tid = again[1..5].try_into().unwrap();
    assert_eq!((again[0], again[7]), (b'q', TICKET));
    assert_ne!(tid, first);
    // Who withholds it all the same is asked no third time.
    stranger.send(&udp, &withholding(tid)).await;
    let response = Response { ticket: Some(TICKET), ..Response::default() };
    assert_eq!(next(&mut udp).await, Incoming::Answer { id: id(1), response });
    assert_eq!(udp.rates().statistics().sent, 2);
    // And nobody waits for it any more once the driver does not.
    udp.send(id(2), Contact::new(9, stranger.port()), ASK);
    let tid = stranger.asked(&mut udp).await;
    stranger.send(&udp, &withholding(tid)).await;
    stranger.asked(&mut udp).await;
    udp.forget(id(2));
    assert_eq!(last_word(&mut udp, &stranger, 3).await, blank_answer(3));
}

#[tokio::test]
async fn another_peer_than_expected_is_introduced() {
    let _turn = QUIET.read().await;
    let (mut udp, stranger) = (node(1, Config::local()).await, Stranger::new().await);
    udp.send(id(1), Contact::new(9, stranger.port()), ASK);
    let tid = stranger.asked(&mut udp).await;
    stranger.send(&udp, &blank(tid, 8)).await;
    assert_eq!(next(&mut udp).await, Incoming::Failure { id: id(1), why: Failure::WrongPeer });
    let newcomer = Contact::new(8, stranger.port());
    assert_eq!(next(&mut udp).await, Incoming::Heard(newcomer));
}

#[tokio::test]
async fn an_error_is_a_failure_and_so_is_a_place_that_cannot_be() {
    let _turn = QUIET.read().await;
    let (mut udp, stranger) = (node(1, Config::local()).await, Stranger::new().await);
    udp.send(id(1), Contact::new(9, stranger.port()), ASK);
    let tid = stranger.asked(&mut udp).await;
    stranger.send(&udp, &[&[b'e'][..], &tid, &[9, 203]].concat()).await;
    assert_eq!(next(&mut udp).await, Incoming::Failure { id: id(1), why: Failure::Refused(203) });
    udp.send(id(2), Contact::unlocated(9), ASK);
    assert_eq!(next(&mut udp).await, Incoming::Failure { id: id(2), why: Failure::Unreachable });
}

#[tokio::test]
async fn a_new_name_is_told() {
    let _turn = QUIET.read().await;
    let codec = TinyCodec { renamed: false, ..TinyCodec::new(1) };
    let (mut udp, stranger) = (bind(codec, Config::local()), Stranger::new().await);
    next(&mut udp).await;
    next(&mut udp).await;
    let port = 9;
    assert_eq!(last_word(&mut udp, &stranger, 1).await, Incoming::Local(Contact::new(2, port)));
    assert_eq!(next(&mut udp).await, blank_answer(1));
}

#[tokio::test]
async fn questions_wait_for_their_turn_until_the_rate_is_raised() {
    let _turn = QUIET.read().await;
    let limits = Limits { max_qps: 1, burst: 1, ..Limits::unlimited() };
    let config = Config { limits, max_queued: 20, ..Config::local() };
    let (mut udp, stranger) = (node(1, config).await, Stranger::new().await);
    let to = Contact::new(9, stranger.port());
    for n in 0..20 {
        udp.send(id(n), to.clone(), Request::FindNode { target: n as u8 });
    }
    udp.send(id(99), to.clone(), ASK);
    assert_eq!(next(&mut udp).await, Incoming::Failure { id: id(99), why: Failure::Overloaded });
    assert_eq!(stranger.hear(&mut udp).await[9], 0);
    assert_eq!(poll(&mut udp).await, None);
    let rates = udp.rates();
    assert_eq!((rates.statistics().waiting, rates.statistics().queued), (20, 19));
    udp.forget(id(1));
    // The transport is woken for it.
    let raised = rates.clone();
    let raise = tokio::spawn(async move {
        raised.update(|limits| (limits.max_qps, limits.burst) = (100_000, 100)).unwrap();
    });
    for n in 2..20 {
        assert_eq!(stranger.hear(&mut udp).await[9], n, "in order, without the forgotten one");
    }
    raise.await.unwrap();
    assert_eq!(poll(&mut udp).await, None);
    assert_eq!((rates.statistics().waiting, rates.statistics().queued), (19, 0));
}

#[tokio::test]
async fn a_rate_lets_through_what_it_says() {
    let _turn = QUIET.read().await;
    let limits = Limits { max_qps: 100, burst: 5, ..Limits::unlimited() };
    let (mut udp, stranger) = (node(1, Config { limits, ..Config::local() }).await, Stranger::new().await);
    let started = tokio::time::Instant::now();
    for n in 0..25 {
        udp.send(id(n), Contact::new(9, stranger.port()), ASK);
    }
    for _ in 0..25 {
        stranger.asked(&mut udp).await;
    }
    assert!(started.elapsed() >= std::time::Duration::from_millis(195), "{:?}", started.elapsed());
}

#[tokio::test]
async fn many_more_questions_than_the_outbox_holds_all_go_out() {
    let _turn = QUIET.read().await;
    let config = Config { max_outbox: 8, ..Config::local() };
    let (mut udp, stranger) = (node(1, config).await, Stranger::new().await);
    for n in 0..300 {
        udp.send(id(n), Contact::new(9, stranger.port()), ASK);
    }
    let mut tids = std::collections::BTreeSet::new();
    for _ in 0..300 {
        tids.insert(stranger.asked(&mut udp).await);
    }
    assert_eq!(tids.len(), 300);
}

#[tokio::test]
async fn a_closed_transport_says_so_once() {
    let _turn = QUIET.read().await;
    let (mut udp, stranger) = (server(1, Config::local()).await, Stranger::new().await);
    udp.send(id(1), Contact::new(9, stranger.port()), ASK);
    udp.close().await;
    assert_eq!(next(&mut udp).await, Incoming::Closed);
    stranger.send(&udp, &question(1, 9, true, false, PING)).await;
    assert_eq!(poll(&mut udp).await, None);
    udp.close().await;
    assert_eq!(poll(&mut udp).await, None);
}
