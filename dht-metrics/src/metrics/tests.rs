//! Every counter moves, and by what it should.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use dht_core::{
    ErrorKind, Failure, Now, Observation, OperationKind, Outcome, RequestKind, Sink, StoreKind, testing::Tiny,
};
use proptest::prelude::*;

use super::{Config, Metrics};
use crate::{
    ErrorPeer, Exporter, ItemCounts, NetworkRequest, Observer, QueryCounts, Rates, RequestCounts,
    ServedCounts, Snapshot, TableChange, TableCounts, TooManyObservers, top::Top,
};

type Seen = Observation<Tiny>;

fn metrics() -> Metrics<Tiny> {
    Metrics::new(Config::default()).unwrap()
}

fn at(secs: u64) -> Now {
    Now::default().after(Duration::from_secs(secs))
}

fn query(kind: OperationKind, outcome: Outcome, millis: u64) -> [Seen; 2] {
    let took = Duration::from_millis(millis);
    [Seen::QueryStarted { kind }, Seen::QueryFinished { kind, outcome, took, requests: 3 }]
}

fn failed(peer: u8, why: Failure) -> Seen {
    Seen::RequestFailed { kind: RequestKind::Get, peer, why }
}

fn observe(metrics: &Metrics<Tiny>, seen: impl IntoIterator<Item = Seen>) {
    seen.into_iter().for_each(|one| metrics.observe(&one));
}

/// One of everything, and what is told apart more than once.
fn everything() -> Vec<Seen> {
    let mut all = Vec::new();
    all.extend(query(OperationKind::Closest, Outcome::Ok, 100));
    all.extend(query(OperationKind::Fetch, Outcome::Ok, 300));
    all.extend(query(OperationKind::Fetch, Outcome::NotFound, 200));
    all.extend(query(OperationKind::Store, Outcome::Failed(ErrorKind::Query), 400));
    all.extend(query(OperationKind::Store, Outcome::Cancelled, 9_000_000));
    all.push(Seen::QueryStarted { kind: OperationKind::Closest });
    for kind in
        [RequestKind::Ping, RequestKind::FindNode, RequestKind::Get, RequestKind::Get, RequestKind::Put]
    {
        all.push(Seen::RequestSent { kind });
    }
    all.push(Seen::RequestAnswered { kind: RequestKind::Ping, rtt: Duration::from_millis(20) });
    all.push(Seen::RequestAnswered { kind: RequestKind::Put, rtt: Duration::from_millis(40) });
    all.push(Seen::RequestLate { kind: RequestKind::Put });
    all.push(failed(9, Failure::Timeout));
    all.push(failed(9, Failure::Refused(203)));
    all.push(failed(8, Failure::Overloaded));
    all.push(Seen::RequestServed { kind: RequestKind::FindNode, ok: true });
    all.push(Seen::RequestServed { kind: RequestKind::Put, ok: false });
    all.extend([Seen::PeerAdded { table: 1 }, Seen::PeerAdded { table: 2 }, Seen::PeerRemoved { table: 1 }]);
    all.push(Seen::BucketRefreshed);
    for (items, kind) in [StoreKind::Saved, StoreKind::Refused, StoreKind::Loaded].iter().enumerate() {
        all.push(Seen::Stored { kind: *kind, plural: true, items: items + 1 });
        all.push(Seen::Stored { kind: *kind, plural: false, items: items + 5 });
    }
    all.push(Seen::Expired { items: 4 });
    all.push(Seen::Connections { open: 7 });
    all.push(Seen::Error { kind: ErrorKind::Store, peer: None });
    all.push(Seen::Error { kind: ErrorKind::Protocol, peer: Some(6) });
    all
}

#[test]
fn every_counter_moves() {
    let metrics = metrics();
    metrics.tick(at(100));
    observe(&metrics, everything());
    let snapshot = metrics.snapshot(at(110));
    assert_eq!(snapshot.covers, Duration::from_secs(10));
    assert_eq!(snapshot.queries, QueryCounts { total: 6, ok: 2, failed: 1, not_found: 1, cancelled: 1 });
    assert_eq!(snapshot.queries_by_kind[&OperationKind::Closest].total, 2);
    assert_eq!(snapshot.queries_by_kind[&OperationKind::Fetch].not_found, 1);
    assert_eq!(snapshot.queries_by_kind[&OperationKind::Store].failed, 1);
    assert_eq!(snapshot.queries_running, 1);
    assert_eq!(snapshot.requests, RequestCounts { total: 5, ok: 2, failed: 3, timed_out: 1 });
    let get = RequestCounts { total: 2, ok: 0, failed: 3, timed_out: 1 };
    assert_eq!(snapshot.requests_by_kind[&RequestKind::Get], get);
    assert_eq!(snapshot.requests_by_kind[&RequestKind::Ping].ok, 1);
    assert_eq!(snapshot.served, ServedCounts { ok: 1, refused: 1 });
    assert_eq!(snapshot.table, TableCounts { size: 1, added: 2, removed: 1, refreshed: 1 });
    assert_eq!(snapshot.providers, ItemCounts { stored: 1, refused: 2, retrieved: 3 });
    assert_eq!(snapshot.values, ItemCounts { stored: 5, refused: 6, retrieved: 7 });
    assert_eq!(snapshot.expired, 4);
    let errors = [
        (ErrorKind::Query, 1),
        (ErrorKind::Timeout, 1),
        (ErrorKind::Protocol, 2),
        (ErrorKind::Capacity, 1),
        (ErrorKind::Store, 1),
    ];
    assert_eq!(snapshot.errors, BTreeMap::from(errors));
    let peers = [(9, 2), (6, 1)].map(|(peer, errors)| ErrorPeer { peer, errors, uncertain: 0 });
    assert_eq!(snapshot.error_peers, peers, "what we were too busy for is not the peer's fault");
    assert_eq!(snapshot.connections, 7);
    let rates = Rates {
        queries: 0.5,
        requests_sent: 0.5,
        requests_answered: 0.2,
        requests_failed: 0.3,
        requests_served: 0.2,
        errors: 0.6,
    };
    assert_eq!(snapshot.rates, rates);
}

#[test]
fn a_not_found_is_neither_success_nor_failure() {
    let metrics = metrics();
    assert_eq!(metrics.snapshot(at(0)).queries.success_rate(), None);
    observe(&metrics, query(OperationKind::Fetch, Outcome::NotFound, 1));
    observe(&metrics, query(OperationKind::Fetch, Outcome::Cancelled, 1));
    assert_eq!(metrics.snapshot(at(0)).queries.success_rate(), None);
    for _ in 0..3 {
        observe(&metrics, query(OperationKind::Fetch, Outcome::Ok, 1));
    }
    observe(&metrics, query(OperationKind::Store, Outcome::Failed(ErrorKind::Timeout), 1));
    let snapshot = metrics.snapshot(at(0));
    assert_eq!(snapshot.queries.success_rate(), Some(0.75));
    assert_eq!(snapshot.queries.not_found, 1);
    assert_eq!(snapshot.requests.success_rate(), None);
    observe(
        &metrics,
        [Seen::RequestAnswered { kind: RequestKind::Get, rtt: Duration::ZERO }, failed(1, Failure::Reset)],
    );
    assert_eq!(metrics.snapshot(at(0)).requests.success_rate(), Some(0.5));
}

#[test]
fn latencies_have_average_extremes_and_quantiles() {
    let metrics = metrics();
    assert_eq!(metrics.snapshot(at(0)).query_latency, None);
    for millis in 1..=1_000 {
        observe(&metrics, query(OperationKind::Fetch, Outcome::Ok, millis));
    }
    let latency = metrics.snapshot(at(0)).query_latency.unwrap();
    assert_eq!(latency.count, 1_000);
    assert_eq!(latency.average, Duration::from_micros(500_500));
    assert_eq!(latency.min, Duration::from_millis(1));
    assert_eq!(latency.max, Duration::from_millis(1_000));
    for (measured, millis) in [(latency.p50, 500.0), (latency.p95, 950.0), (latency.p99, 990.0)] {
        let measured = measured.as_secs_f64() * 1e3;
        assert!((measured / millis - 1.0).abs() < 0.01, "{measured} instead of {millis}");
    }
    // Beyond the histogram's range nothing breaks.
    observe(&metrics, [Seen::RequestAnswered { kind: RequestKind::Get, rtt: Duration::MAX }]);
    observe(&metrics, [Seen::RequestAnswered { kind: RequestKind::Get, rtt: Duration::ZERO }]);
    let latency = metrics.snapshot(at(0)).request_latency.unwrap();
    assert_eq!((latency.min, latency.max, latency.count), (Duration::ZERO, Duration::MAX, 2));
}

#[test]
fn rates_look_back_one_minute() {
    let metrics = metrics();
    let sent = || Seen::RequestSent { kind: RequestKind::Get };
    observe(&metrics, [sent()]);
    assert_eq!(metrics.snapshot(at(1_000)).rates.requests_sent, 1.0, "at least a second");
    for second in 1_001..1_060 {
        metrics.tick(at(second));
        observe(&metrics, [sent(), sent()]);
    }
    assert_eq!(metrics.snapshot(at(1_059)).rates.requests_sent, 119.0 / 59.0);
    assert_eq!(
        metrics.snapshot(at(1_060)).rates.requests_sent,
        118.0 / 60.0,
        "the first one is a minute old"
    );
    assert_eq!(metrics.snapshot(at(1_090)).rates.requests_sent, 58.0 / 60.0);
    assert_eq!(
        metrics.snapshot(at(1_080)).rates.requests_sent,
        58.0 / 60.0,
        "time told late changes nothing"
    );
    assert_eq!(metrics.snapshot(at(1_000_000)).rates, Rates::default());
}

#[test]
fn reset_starts_the_snapshot_anew_and_leaves_how_things_stand() {
    let metrics = Arc::new(metrics());
    metrics.tick(at(0));
    observe(&metrics, everything());
    metrics.reset(at(5));
    let snapshot = metrics.snapshot(at(5));
    let standing = TableCounts { size: 1, ..TableCounts::default() };
    assert_eq!(snapshot.covers, Duration::ZERO);
    assert_eq!(snapshot.queries, QueryCounts::default());
    assert_eq!(snapshot.requests, RequestCounts::default());
    assert_eq!(snapshot.requests_by_kind, BTreeMap::new());
    assert_eq!(snapshot.errors, BTreeMap::new());
    assert_eq!(snapshot.error_peers, []);
    assert_eq!(snapshot.served, ServedCounts::default());
    assert_eq!((snapshot.providers, snapshot.values), (ItemCounts::default(), ItemCounts::default()));
    assert_eq!((snapshot.query_latency, snapshot.request_latency), (None, None));
    assert_eq!(snapshot.rates, Rates::default());
    assert_eq!(snapshot.table, standing);
    assert_eq!((snapshot.connections, snapshot.queries_running), (7, 1));
    let text = Exporter::new(Arc::clone(&metrics)).text().unwrap();
    assert!(text.contains("dht_peers_added_total 2"), "counters of a scraper never go back");
    observe(&metrics, everything());
    assert_eq!(metrics.snapshot(at(6)).queries.total, 6);
    assert_eq!(metrics.snapshot(at(6)).query_latency.unwrap().count, 4);
}

#[test]
fn prometheus_text_has_every_family() {
    let metrics = Arc::new(metrics());
    let exporter = Exporter::new(Arc::clone(&metrics));
    assert!(exporter.text().unwrap().contains("dht_table_size 0"));
    observe(&metrics, everything());
    let text = exporter.text().unwrap();
    for line in [
        "# TYPE dht_queries_finished counter",
        "dht_queries_started_total{operation=\"closest\"} 2",
        "dht_queries_finished_total{operation=\"fetch\",outcome=\"not_found\"} 1",
        "dht_queries_finished_total{operation=\"store\",outcome=\"cancelled\"} 1",
        "dht_requests_sent_total{kind=\"get\"} 2",
        "dht_requests_answered_total{kind=\"ping\"} 1",
        "dht_requests_answered_late_total{kind=\"put\"} 1",
        "dht_requests_failed_total{kind=\"get\",error=\"timeout\"} 1",
        "dht_requests_served_total{kind=\"put\",outcome=\"refused\"} 1",
        "dht_peers_added_total 2",
        "dht_peers_removed_total 1",
        "dht_buckets_refreshed_total 1",
        "dht_store_items_total{event=\"loaded\",class=\"providers\"} 3",
        "dht_store_items_total{event=\"saved\",class=\"values\"} 5",
        "dht_errors_total{kind=\"protocol\"} 2",
        "dht_queries_running 1",
        "dht_table_size 1",
        "dht_connections 7",
        "# TYPE dht_query_duration_seconds histogram",
        "dht_query_duration_seconds_count 4",
        "dht_query_duration_seconds_sum 1.0",
        "dht_query_duration_seconds_bucket{le=\"0.25\"} 2",
        "dht_query_duration_seconds_bucket{le=\"+Inf\"} 4",
        "dht_request_duration_seconds_bucket{le=\"0.025\"} 1",
        "dht_request_duration_seconds_count 2",
        "# EOF",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
    }
}

#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn write(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Observer<Tiny> for Diary {
    fn metrics_updated(&self, snapshot: &Snapshot<Tiny>) {
        self.write(format!("updated {}", snapshot.queries.total));
    }
    fn query_started(&self, kind: OperationKind) {
        self.write(format!("started {kind:?}"));
    }
    fn query_completed(&self, kind: OperationKind, outcome: Outcome, took: Duration, requests: u32) {
        self.write(format!("completed {kind:?} {outcome:?} {took:?} {requests}"));
    }
    fn table_updated(&self, change: TableChange, size: usize) {
        self.write(format!("table {change:?} {size}"));
    }
    fn provider_operation(&self, kind: StoreKind, items: usize) {
        self.write(format!("providers {kind:?} {items}"));
    }
    fn network_request(&self, request: &NetworkRequest<Tiny>) {
        self.write(format!("{request:?}"));
    }
}

#[test]
fn observers_hear_of_everything_until_they_are_removed() {
    let metrics = Metrics::<Tiny>::new(Config { max_observers: 1, ..Config::default() }).unwrap();
    let diary = Arc::new(Diary::default());
    let id = metrics.add_observer(diary.clone()).unwrap();
    assert_eq!(metrics.add_observer(diary.clone()), Err(TooManyObservers { limit: 1 }));
    metrics.tick(at(0));
    observe(&metrics, query(OperationKind::Fetch, Outcome::NotFound, 5));
    observe(&metrics, [Seen::RequestSent { kind: RequestKind::Get }]);
    observe(&metrics, [Seen::RequestAnswered { kind: RequestKind::Get, rtt: Duration::from_secs(1) }]);
    observe(&metrics, [failed(3, Failure::Reset), Seen::RequestServed { kind: RequestKind::Ping, ok: true }]);
    observe(&metrics, [Seen::PeerAdded { table: 4 }, Seen::PeerRemoved { table: 3 }, Seen::BucketRefreshed]);
    let stored = |plural| Seen::Stored { kind: StoreKind::Saved, plural, items: 2 };
    observe(&metrics, [stored(true), stored(false)]);
    metrics.tick(at(59));
    metrics.tick(at(60));
    metrics.tick(at(61));
    metrics.tick(at(121));
    let lines = std::mem::take(&mut *diary.0.lock().unwrap());
    assert_eq!(
        lines,
        [
            "started Fetch",
            "completed Fetch NotFound 5ms 3",
            "Sent { kind: Get }",
            "Answered { kind: Get, rtt: 1s }",
            "Failed { kind: Get, peer: 3, why: Reset }",
            "Served { kind: Ping, ok: true }",
            "table Added 4",
            "table Removed 3",
            "table Refreshed 3",
            "providers Saved 2",
            "updated 1",
            "updated 1",
        ]
    );
    assert!(metrics.remove_observer(id));
    assert!(!metrics.remove_observer(id));
    observe(&metrics, everything());
    assert!(diary.0.lock().unwrap().is_empty());
    metrics.add_observer(diary).unwrap();
}

#[test]
fn an_observer_may_change_the_list_while_it_is_told() {
    struct Once(Arc<Metrics<Tiny>>);
    impl Observer<Tiny> for Once {
        fn query_started(&self, _: OperationKind) {
            self.0.add_observer(Arc::new(Diary::default())).unwrap();
            let _ = self.0.snapshot(at(0));
        }
    }
    let metrics = Arc::new(metrics());
    metrics.add_observer(Arc::new(Once(Arc::clone(&metrics)))).unwrap();
    observe(&metrics, [Seen::QueryStarted { kind: OperationKind::Fetch }]);
}

#[test]
fn options_that_cannot_be_are_named() {
    let bad = |config: Config| config.validate().unwrap_err().field;
    let good = Config::default();
    good.validate().unwrap();
    assert_eq!(bad(Config { interval: Duration::ZERO, ..good.clone() }), "interval");
    assert_eq!(bad(Config { error_peers: 0, ..good.clone() }), "error_peers");
    assert_eq!(bad(Config { error_peers_shown: 2_000, ..good.clone() }), "error_peers_shown");
    assert_eq!(bad(Config { max_observers: 2_000, ..good }), "max_observers");
}

#[test]
fn counting_goes_on_from_many_threads() {
    let metrics = Arc::new(metrics());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let metrics = Arc::clone(&metrics);
            std::thread::spawn(move || (0..1_000).for_each(|_| observe(&metrics, everything())))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(metrics.snapshot(at(0)).requests.total, 20_000);
}

proptest! {
    /// The sketch keeps who fails most: counts are at least the truth, and the truth at least the count less the doubt.
    #[test]
    fn heavy_failers_are_found(names in prop::collection::vec(0..64u8, 1..600), capacity in 1..20usize) {
        let mut top = Top::new(capacity);
        let mut truth: BTreeMap<u8, u64> = BTreeMap::new();
        for name in &names {
            top.add(name);
            *truth.entry(*name).or_default() += 1;
        }
        let kept = top.most(usize::MAX);
        prop_assert!(kept.len() <= capacity);
        prop_assert!(kept.is_sorted_by(|a, b| a.errors >= b.errors));
        for peer in &kept {
            prop_assert!(peer.errors >= truth[&peer.peer] && peer.errors - peer.uncertain <= truth[&peer.peer]);
        }
        for (name, count) in truth {
            if count > names.len() as u64 / capacity as u64 {
                prop_assert!(kept.iter().any(|peer| peer.peer == name), "{name} failed {count} times");
            }
        }
    }
}
