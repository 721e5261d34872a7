//! Questions of strangers.

use std::time::Duration;

use dht_net::{
    Incoming, Order, Transport,
    udp::{BindError, Config, Udp},
};
use dht_protocol::Refusal;

use crate::parts::*;

#[tokio::test]
async fn who_proved_nothing_gets_little_and_nothing_stored() {
    let _turn = QUIET.read().await;
    let (mut udp, stranger) = (server(1, Config::default()).await, Stranger::new().await);
    let (mut sent, mut got, mut answers) = (0, 0, 0);
    for tid in 0..40 {
        let ask = question(tid, 9, false, false, GET);
        stranger.send(&udp, &ask).await;
        sent += ask.len();
        serve_one(&mut udp).await;
        poll(&mut udp).await;
    }
    let unproven = udp.rates().statistics().unproven;
    for _ in 0..unproven {
        let answer = stranger.hear(&mut udp).await;
        assert!(answer.len() <= 300 && items(&answer) == 0);
        (got, answers) = (got + answer.len(), answers + 1);
    }
    assert!(got <= sent + 600, "{got} for {sent}");
    assert!(answers >= 2, "{answers}");
}

#[tokio::test]
async fn an_echo_releases_the_answer_and_is_the_transports_own() {
    let _turn = QUIET.read().await;
    let (mut udp, stranger) = (server(1, Config::default()).await, Stranger::new().await);
    stranger.send(&udp, &question(1, 9, true, false, GET)).await;
    let ping = stranger.hear(&mut udp).await;
    assert_eq!((ping[0], &ping[8..11]), (b'q', PING));
    // A second one waits for the same echo.
    stranger.send(&udp, &question(2, 9, true, false, GET)).await;
    serve_one(&mut udp).await;
    stranger.send(&udp, &blank(ping[1..5].try_into().unwrap(), 9)).await;
    for tid in [1, 2] {
        let answer = stranger.hear(&mut udp).await;
        assert_eq!((&answer[1..5], items(&answer)), (&[0, 0, 0, tid][..], 8));
    }
    // From now on it is believed.
    stranger.send(&udp, &question(3, 9, true, false, GET)).await;
    assert_eq!(items(&stranger.hear(&mut udp).await), 8);
    assert_eq!(poll(&mut udp).await, None);
    let statistics = udp.rates().statistics();
    assert_eq!((statistics.held, statistics.released, statistics.unproven), (2, 2, 0));
    assert_eq!(statistics.waiting, 0);
}

#[tokio::test]
async fn who_serves_is_heard_of_when_it_echoes_and_costs_its_victim_little() {
    let _turn = QUIET.read().await;
    let config = Config { hold: Duration::from_millis(100), ..Config::default() };
    let (mut udp, stranger) = (server(1, config).await, Stranger::new().await);
    let ask = question(1, 9, true, false, FIND);
    stranger.send(&udp, &ask).await;
    let Incoming::Request { token, serves, .. } = next(&mut udp).await else { panic!() };
    assert!(!serves, "nobody was there for certain");
    udp.reply(token, Ok(&mut plain()));
    // The challenge and the small answer go out together; when its time is over nothing follows.
    let (ping, answer) = (stranger.hear(&mut udp).await, stranger.hear(&mut udp).await);
    assert_eq!((ping[0], answer[0]), (b'q', b'a'));
    assert!(5 * (ping.len() + answer.len()) <= 16 * ask.len(), "{} and {}", ping.len(), answer.len());
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(poll(&mut udp).await, None);
    assert_eq!((udp.rates().statistics().sent, udp.rates().statistics().waiting), (2, 0));

    stranger.send(&udp, &question(2, 9, true, false, FIND)).await;
    let tid = stranger.asked(&mut udp).await;
    stranger.send(&udp, &blank(tid, 8)).await;
    let heard = loop {
        match next(&mut udp).await {
            Incoming::Heard(contact) => break contact,
            Incoming::Request { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(heard, dht_core::Contact::new(8, stranger.port()), "it is who it said last");
    stranger.send(&udp, &question(3, 9, true, false, FIND)).await;
    assert!(matches!(next(&mut udp).await, Incoming::Request { serves: true, .. }));
}

#[tokio::test]
async fn without_an_echo_the_small_answer_goes_out_in_time() {
    let _turn = QUIET.read().await;
    let config = Config { hold: Duration::from_millis(100), ..Config::default() };
    let (mut udp, stranger) = (server(1, config).await, Stranger::new().await);
    stranger.send(&udp, &question(1, 9, true, false, GET)).await;
    let ping = stranger.asked(&mut udp).await;
    let answer = stranger.hear(&mut udp).await;
    assert_eq!((items(&answer), udp.rates().statistics().unproven), (0, 1));
    // The echo comes too late for it, and is nobody's.
    stranger.send(&udp, &blank(ping, 9)).await;
    stranger.send(&udp, &question(2, 9, false, false, FIND)).await;
    stranger.hear(&mut udp).await;
    assert_eq!(udp.rates().statistics().stray, 1);
}

#[tokio::test]
async fn a_ticket_proves_an_address_and_so_does_an_answer() {
    let _turn = QUIET.read().await;
    let mut udp = server(1, Config::default()).await;
    let with_ticket = Stranger::at([127, 0, 0, 2]).await;
    with_ticket.send(&udp, &question(1, 9, false, true, GET)).await;
    assert_eq!(items(&with_ticket.hear(&mut udp).await), 8);

    let asked = Stranger::new().await;
    let to = dht_core::Contact::new(9, asked.port());
    udp.send(id(1), to, dht_core::Request::Ping);
    let tid = asked.asked(&mut udp).await;
    asked.send(&udp, &blank(tid, 9)).await;
    assert!(matches!(next(&mut udp).await, Incoming::Answer { .. }));
    asked.send(&udp, &question(1, 9, true, false, GET)).await;
    assert_eq!(items(&asked.hear(&mut udp).await), 8);
}

#[tokio::test]
async fn a_duplicate_is_served_once() {
    let _turn = QUIET.read().await;
    let config = Config { duplicate_window: Duration::from_secs(10), ..Config::local() };
    let (mut udp, stranger) = (server(1, config).await, Stranger::new().await);
    for tid in [1, 1, 1, 2] {
        stranger.send(&udp, &question(tid, 9, false, true, GET)).await;
    }
    for tid in [1, 2] {
        assert_eq!(stranger.hear(&mut udp).await[1..5], [0, 0, 0, tid]);
    }
    assert_eq!(udp.rates().statistics().duplicates, 2);
    assert_eq!(udp.rates().statistics().questions, 2);
}

#[tokio::test]
async fn a_client_answers_nobody_and_a_server_does() {
    let _turn = QUIET.read().await;
    let (mut udp, stranger) = (node(1, Config::local()).await, Stranger::new().await);
    stranger.send(&udp, &question(1, 9, false, true, PING)).await;
    let to = dht_core::Contact::new(9, stranger.port());
    udp.send(id(1), to.clone(), dht_core::Request::Ping);
    let heard = stranger.hear(&mut udp).await;
    assert_eq!(heard[6], 0, "it says that it does not serve");
    // Datagrams of one socket come in their order: with the answer, the question before it has been read.
    stranger.send(&udp, &blank(heard[1..5].try_into().unwrap(), 9)).await;
    assert!(matches!(next(&mut udp).await, Incoming::Answer { .. }));
    assert_eq!(udp.rates().statistics().unserved, 1);
    udp.order(Order::Serve(true));
    stranger.send(&udp, &question(2, 9, false, true, PING)).await;
    assert_eq!(stranger.hear(&mut udp).await[1..5], [0, 0, 0, 2]);
    udp.send(id(2), to, dht_core::Request::Ping);
    assert_eq!(stranger.hear(&mut udp).await[6], 1);
}

#[tokio::test]
async fn refusals_and_rejections_are_sent_and_rubbish_gets_silence() {
    let _turn = QUIET.read().await;
    let (mut udp, stranger) = (server(1, Config::local()).await, Stranger::new().await);
    stranger.send(&udp, b"rubbish").await;
    stranger.send(&udp, &[b'q'; 3000]).await;
    stranger.send(&udp, b"").await;
    stranger.send(&udp, b"!12341").await;
    assert_eq!(stranger.hear(&mut udp).await, b"e0000no");
    stranger.send(&udp, &question(1, 9, false, false, GET)).await;
    let Incoming::Request { token, .. } = next(&mut udp).await else { panic!() };
    udp.reply(token, Err(Refusal::BadTicket));
    // Twice, and for nobody.
    udp.reply(token, Err(Refusal::BadTicket));
    assert_eq!(stranger.hear(&mut udp).await[0], b'e');
    assert_eq!(udp.rates().statistics().malformed, 4);
}

#[tokio::test]
async fn a_question_that_nobody_answers_gives_way() {
    let _turn = QUIET.read().await;
    let config = Config { max_pending: 4, ..Config::local() };
    let (mut udp, stranger) = (server(1, config).await, Stranger::new().await);
    let mut tokens = Vec::new();
    for tid in 0..6 {
        stranger.send(&udp, &question(tid, 9, false, true, GET)).await;
        let Incoming::Request { token, .. } = next(&mut udp).await else { panic!() };
        tokens.push(token);
    }
    for token in tokens {
        udp.reply(token, Ok(&mut rich()));
    }
    for tid in 2..6 {
        assert_eq!(stranger.hear(&mut udp).await[1..5], [0, 0, 0, tid]);
    }
    assert_eq!(udp.rates().statistics().gave_way, 2);
}

#[tokio::test]
async fn a_taken_port_and_a_bad_option_are_told() {
    let _turn = QUIET.read().await;
    let udp = node(1, Config::local()).await;
    let again = Udp::<Net, _>::bind(udp.local_addr(), TinyCodec::new(1), Config::local(), 7);
    assert!(matches!(again, Err(BindError::Socket { addr, .. }) if addr == udp.local_addr()));
    let config = Config { max_held: 0, ..Config::local() };
    let wrong = Udp::<Net, _>::bind(udp.local_addr(), TinyCodec::new(1), config, 7);
    assert!(matches!(wrong, Err(BindError::Config(error)) if error.field == "max_held"));
}
