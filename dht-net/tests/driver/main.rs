//! The driver on the network in memory: stores that are slow or fail, bounds, closing, virtual time.

mod parts;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dht_core::{
    Contact, ErrorKind, Failure, Observation, OperationKind, Request, Response,
    testing::{Tiny, TinyItem, TinyQuery},
};
use dht_net::{DriverConfig, Incoming, Mode, Order, Role, RunError, Transport, memory::Hub};
use dht_query::QueryOptions;
use dht_records::Store;
use futures::FutureExt;
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
    let waiting =
        tokio::spawn(async move { handle.ask(at(2), Request::Ping, Duration::from_secs(3600)).await });
    tokio::task::yield_now().await;
    node.handle.close().await;
    assert_eq!(waiting.await.unwrap(), Err(RunError::Closed));
    assert_eq!(node.handle.refresh(true).await, Err(RunError::Closed));
}

/// A peer that serves, takes puts only when told to, and says how many it saw.
fn holder(hub: &Hub<Tiny>, peer: u8, release: Arc<tokio::sync::Notify>) -> Arc<AtomicUsize> {
    let puts = Arc::new(AtomicUsize::new(0));
    let (seen, mut holder) = (puts.clone(), hub.join(at(peer)));
    holder.order(Order::Serve(true));
    tokio::spawn(async move {
        loop {
            let Incoming::Request { token, request, .. } = holder.next().await else { continue };
            let mut response = Response::default();
            if let Request::Put { item, .. } = request {
                seen.fetch_add(1, Ordering::Relaxed);
                release.notified().await;
                response.items.push(item);
            }
            holder.reply(token, Ok(&mut response));
        }
    });
    puts
}

const AN_HOUR: DriverConfig = DriverConfig {
    mode: Mode::Client,
    max_store_jobs: 1024,
    sweep_interval: Duration::from_secs(600),
    republish_interval: Duration::from_secs(3600),
    republish: dht_records::RepublishConfig {
        max_items: 10,
        jitter: 0.0,
        catch_up: 2.0,
        burst: 10,
        retry: Duration::from_secs(600),
    },
    announce_timeout: Duration::from_secs(60),
};

#[tokio::test(start_paused = true)]
async fn what_is_given_up_while_it_is_announced_does_not_come_back() {
    let hub = Hub::new();
    let kept = Arc::new(store(1));
    let node = spawned(&hub, 1, kept.clone(), AN_HOUR);
    let release = Arc::new(tokio::sync::Notify::new());
    let puts = holder(&hub, 2, release.clone());
    node.handle.visit(|node, now| node.add_peer(now, at(2))).await.unwrap().unwrap();
    node.handle.keep(VALUE, TinyItem::value(3), true).await.unwrap();
    tokio::time::sleep(Duration::from_millis(3_600_001)).await;
    assert_eq!(puts.load(Ordering::Relaxed), 1, "it is being announced");
    assert_eq!(node.handle.unkeep(VALUE).await, Ok(1));
    node.handle.visit(|_, _| ()).await.unwrap();
    release.notify_one();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(kept.statistics().await.unwrap().records, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_before_its_turn_asks_nobody_and_what_is_kept_is_announced_later() {
    let hub = Hub::new();
    let node = spawned(&hub, 1, Arc::new(store(1)), AN_HOUR);
    let puts = holder(&hub, 2, Arc::new(tokio::sync::Notify::new()));
    node.handle.visit(|node, now| node.add_peer(now, at(2))).await.unwrap().unwrap();
    node.handle.keep(VALUE, TinyItem::value(3), true).await.unwrap();
    let offer = node.handle.offer(VALUE, TinyItem::value(3), QueryOptions::default());
    assert!(offer.now_or_never().is_none());
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(puts.load(Ordering::Relaxed), 0);
    assert!(!node.heard.any(|o| matches!(o, Observation::QueryStarted { kind: OperationKind::Store })));
    tokio::time::sleep(Duration::from_secs(301)).await;
    assert_eq!(puts.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn everybody_who_closes_is_told_when_it_is_closed() {
    let held = Arc::new(());
    let slow = parts::SlowEnd { inner: Hub::new().join(at(1)), _held: held.clone() };
    let node = parts::spawned_on(slow, 1, Arc::new(store(1)), DriverConfig::default());
    let started = tokio::time::Instant::now();
    let close = || async {
        node.handle.close().await;
        assert_eq!(Arc::strong_count(&held), 1, "the transport is gone");
        started.elapsed()
    };
    let (first, second) = tokio::join!(close(), close());
    assert!(first.min(second) >= Duration::from_secs(1), "{first:?} {second:?}");
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_is_announced_no_longer() {
    let hub = Hub::new();
    let node = spawned(&hub, 1, Arc::new(store(1)), AN_HOUR);
    let release = Arc::new(tokio::sync::Notify::new());
    let puts = holder(&hub, 2, release.clone());
    node.handle.visit(|node, now| node.add_peer(now, at(2))).await.unwrap().unwrap();
    node.handle.keep(VALUE, TinyItem::value(parts::LASTS_ONE_HOUR), true).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10 * 3600)).await;
    assert_eq!(puts.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_a_name_in_memory_stays_when_the_earlier_one_leaves() {
    let hub = Hub::new();
    let mut earlier = hub.join(at(2));
    let mut later = hub.join(at(2));
    later.order(Order::Serve(true));
    earlier.close().await;
    drop(earlier);
    let node = spawned(&hub, 1, Arc::new(store(1)), DriverConfig::default());
    assert!(node.handle.dial(at(2), Duration::from_secs(5)).await.unwrap().is_ok());
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
