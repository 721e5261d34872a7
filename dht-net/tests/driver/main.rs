//! The driver on the network in memory: stores that are slow or fail, bounds, closing, virtual time.

mod parts;

use std::{sync::Arc, time::Duration};

use dht_core::{
    Contact, ErrorKind, Failure, Observation, Request,
    testing::{Tiny, TinyItem, TinyQuery},
};
use dht_net::{DriverConfig, Incoming, Mode, Order, Role, RunError, Transport, memory::Hub};
use dht_query::QueryOptions;
use dht_records::Store;
use parts::{Held, at, spawned, store};

const VALUE: TinyQuery = TinyQuery::Value(9);

/// A bare transport that asks one question and waits for its end.
async fn ask(hub: &Hub<Tiny>, from: u8, to: u8, request: Request<Tiny>) -> Incoming<Tiny> {
    let mut asker = hub.join(at(from));
    asker.send(dht_core::RequestId(1), at(to), request);
    loop {
        let incoming = asker.next().await;
        if matches!(incoming, Incoming::Answer { .. } | Incoming::Failure { .. }) {
            return incoming;
        }
    }
}

fn answered(incoming: &Incoming<Tiny>) -> bool {
    matches!(incoming, Incoming::Answer { .. })
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_does_not_hold_up_the_node() {
    let hub = Hub::new();
    let held = Arc::new(Held::new(store(1)));
    let _node =
        spawned(&hub, 1, held.clone(), DriverConfig { mode: Mode::Server, ..DriverConfig::default() });
    let slow = tokio::spawn({
        let hub = hub.clone();
        async move { ask(&hub, 2, 1, Request::Get { query: VALUE }).await }
    });
    held.entered().await;
    assert!(answered(&ask(&hub, 3, 1, Request::FindNode { target: 5 }).await), "others are served");
    assert!(!slow.is_finished());
    held.release();
    assert!(answered(&slow.await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn store_calls_are_bounded_and_further_ones_refused() {
    let hub = Hub::new();
    let held = Arc::new(Held::new(store(1)));
    let config = DriverConfig { mode: Mode::Server, max_store_jobs: 1, ..DriverConfig::default() };
    let node = spawned(&hub, 1, held.clone(), config);
    let slow = tokio::spawn({
        let hub = hub.clone();
        async move { ask(&hub, 2, 1, Request::Get { query: VALUE }).await }
    });
    held.entered().await;
    let refused = ask(&hub, 3, 1, Request::Get { query: VALUE }).await;
    assert!(matches!(refused, Incoming::Failure { why: Failure::Reset, .. }), "{refused:?}");
    let busy = node.handle.fetch(VALUE, QueryOptions::default()).await.unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Capacity);
    let counted = |o: &Observation<Tiny>| matches!(o, Observation::Error { kind: ErrorKind::Capacity, .. });
    assert!(node.heard.any(counted));
    held.release();
    assert!(answered(&slow.await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_refuses_puts_answers_gets_and_is_counted() {
    let hub = Hub::new();
    let held = Arc::new(Held::new(store(1)));
    held.release();
    held.fail();
    let node = spawned(&hub, 1, held, DriverConfig { mode: Mode::Server, ..DriverConfig::default() });
    let put = Request::Put { query: VALUE, item: TinyItem::value(3), ticket: None };
    assert!(!answered(&ask(&hub, 2, 1, put).await));
    assert!(answered(&ask(&hub, 3, 1, Request::Get { query: VALUE }).await), "closer peers are worth having");
    assert!(node.heard.any(|o| matches!(o, Observation::Error { kind: ErrorKind::Store, .. })));
}

#[tokio::test(start_paused = true)]
async fn puts_are_judged_stored_and_expire() {
    let hub = Hub::new();
    let kept = Arc::new(store(1));
    let config = DriverConfig {
        mode: Mode::Server,
        sweep_interval: Duration::from_secs(60),
        ..DriverConfig::default()
    };
    let node = spawned(&hub, 1, kept.clone(), config);
    let put = |version| Request::Put { query: VALUE, item: TinyItem::value(version), ticket: None };
    assert!(answered(&ask(&hub, 2, 1, put(3)).await));
    assert!(!answered(&ask(&hub, 2, 1, put(2)).await), "worse");
    assert!(!answered(&ask(&hub, 2, 1, put(0)).await), "invalid");
    assert_eq!(kept.statistics().await.unwrap().records, 1);
    tokio::time::sleep(Duration::from_secs(2 * 3600 + 120)).await;
    assert_eq!(kept.statistics().await.unwrap().records, 0, "swept");
    assert!(node.heard.any(|o| *o == Observation::Expired { items: 1 }));
}

#[tokio::test(start_paused = true)]
async fn close_answers_everybody_who_waits() {
    let hub = Hub::new();
    let node = spawned(&hub, 1, Arc::new(store(1)), DriverConfig::default());
    // Takes requests and never answers.
    let mut mute = hub.join(at(2));
    mute.order(Order::Serve(true));
    let handle = node.handle.clone();
    let waiting = tokio::spawn(async move { handle.ping(at(2), Duration::from_secs(3600)).await });
    tokio::task::yield_now().await;
    node.handle.close().await;
    assert_eq!(waiting.await.unwrap(), Err(RunError::Closed));
    assert_eq!(node.handle.refresh(true).await, Err(RunError::Closed));
}

#[tokio::test(start_paused = true)]
async fn modes_change_the_role_and_what_is_served() {
    let hub = Hub::new();
    let node =
        spawned(&hub, 1, Arc::new(store(1)), DriverConfig { mode: Mode::Client, ..DriverConfig::default() });
    let find = || Request::FindNode { target: 1 };
    assert_eq!(*node.handle.role().borrow(), Role::Client);
    let refused = ask(&hub, 2, 1, find()).await;
    assert!(matches!(refused, Incoming::Failure { why: Failure::Unsupported, .. }), "{refused:?}");
    node.handle.set_mode(Mode::Server).await.unwrap();
    assert_eq!(*node.handle.role().borrow(), Role::Server);
    assert!(answered(&ask(&hub, 3, 1, find()).await));
    node.handle.set_mode(Mode::Client).await.unwrap();
    assert!(!answered(&ask(&hub, 4, 1, find()).await));
}

#[tokio::test(start_paused = true)]
async fn dials_end_at_their_deadline_and_tell_why_they_failed() {
    let hub = Hub::new();
    let node = spawned(&hub, 1, Arc::new(store(1)), DriverConfig::default());
    let _there = hub.join(at(2));
    assert!(node.handle.dial(at(2), Duration::from_secs(5)).await.unwrap().is_ok());
    let gone = node.handle.dial(at(3), Duration::from_secs(5)).await.unwrap();
    assert_eq!(gone, Err(Failure::Unreachable));
}

#[test]
fn wrong_options_are_named() {
    let field = |config: DriverConfig| config.validate().unwrap_err().field;
    let base = DriverConfig::default;
    assert_eq!(field(DriverConfig { max_store_jobs: 0, ..base() }), "max_store_jobs");
    assert_eq!(field(DriverConfig { sweep_interval: Duration::ZERO, ..base() }), "sweep_interval");
    assert_eq!(field(DriverConfig { republish_interval: Duration::ZERO, ..base() }), "republish_interval");
    assert_eq!(field(DriverConfig { announce_timeout: Duration::ZERO, ..base() }), "announce_timeout");
}

#[tokio::test(start_paused = true)]
async fn visits_see_the_node_between_two_turns() {
    let hub = Hub::new();
    let node = spawned(&hub, 1, Arc::new(store(1)), DriverConfig::default());
    let added = node.handle.visit(|node, now| node.add_peer(now, Contact::new(7, 1007))).await.unwrap();
    assert_eq!(added, Ok(()));
    assert_eq!(node.handle.visit(|node, _| node.routing().len()).await, Ok(1));
    assert_eq!(node.handle.local(), at(1));
}
