//! Starting, joining, closing; deadlines, cancellation, events, metrics and health.

use std::time::Duration;

use dht::{
    BootstrapError, Dht, ErrorKind, Mode, QueryError,
    ipfs::Ipfs,
    net::{RunError, memory::Hub},
    protocol::Event,
    routing::BootstrapOptions,
};

use crate::network::{Net, builder, contact, eventually, join, peer_id};

#[tokio::test(start_paused = true)]
async fn start_joins_in_the_background_and_twice_is_fine() {
    let net = Net::of(6).await;
    let node = join(&net.hub, 40, builder(40).bootstrap_from(|| vec![contact(1)]));
    node.start().await.unwrap();
    node.start().await.unwrap();
    eventually("the table fills", || async { node.table().len().await.unwrap() >= 6 }).await;
}

#[tokio::test(start_paused = true)]
async fn after_close_every_call_says_so() {
    let net = Net::of(3).await;
    let node = net.nodes[1].clone();
    let before = tokio::time::Instant::now();
    node.close().await;
    node.close().await;
    assert!(before.elapsed() < Duration::from_secs(2) && node.is_closed());
    assert_eq!(node.start().await, Err(RunError::Closed));
    let closed = QueryError::Run(RunError::Closed);
    assert_eq!(node.find_peer(peer_id(1)).await, Err(closed.clone()));
    assert_eq!(node.closest_peers(b"x".to_vec()).await, Err(closed.clone()));
    assert_eq!(
        node.get_value("/ipns/12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8").await,
        Err(closed)
    );
    assert_eq!(node.ping(peer_id(1)).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(node.table().len().await, Err(RunError::Closed));
    assert_eq!(node.provide(vec![1], true).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(node.bootstrap(Default::default()).await, Err(BootstrapError::Run(RunError::Closed)));
    assert_eq!(node.health().await.verdict, "closed");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_closes() {
    let net = Net::of(3).await;
    let hub: Hub<Ipfs> = net.hub.clone();
    let one = join(&hub, 50, builder(50).bootstrap_from(|| vec![contact(1)]));
    one.bootstrap(Default::default()).await.unwrap();
    let two = one.clone();
    drop(one);
    assert!(net.nodes[0].is_reachable(peer_id(50)).await);
    drop(two);
    eventually("it is gone", || async { net.nodes[0].dial_at(contact(50)).await.is_err() }).await;
}

#[tokio::test(start_paused = true)]
async fn bootstrap_fails_with_who_was_tried_and_within_its_limit() {
    let hub = Hub::new();
    let node = join(&hub, 1, builder(1).bootstrap_from(|| vec![contact(7), contact(8)]));
    let before = tokio::time::Instant::now();
    let error = node.bootstrap(BootstrapOptions::default()).await.unwrap_err();
    assert!(before.elapsed() <= Duration::from_secs(31));
    assert_eq!(error.kind(), ErrorKind::Bootstrap);
    let BootstrapError::Failed(failed) = error else { panic!("{error:?}") };
    let mut tried: Vec<_> = failed.tried.iter().map(|tried| tried.peer).collect();
    tried.sort();
    let mut wanted = vec![peer_id(7), peer_id(8)];
    wanted.sort();
    assert_eq!(tried, wanted);
}

#[tokio::test(start_paused = true)]
async fn an_empty_table_heals_itself_once_a_seed_is_back() {
    let hub = Hub::new();
    let node = join(&hub, 1, builder(1).bootstrap_from(|| vec![contact(7)]));
    node.bootstrap(BootstrapOptions::default()).await.unwrap_err();
    let _seed = join(&hub, 7, builder(7));
    eventually("it joins by itself", || async { !node.table().is_empty().await.unwrap() }).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline() {
    let net = Net::of(4).await;
    // A peer that takes requests and never answers: joined, never driven.
    let _mute = net.hub.join(contact(99));
    let before = tokio::time::Instant::now();
    let result = net.nodes[0].timeout(Duration::from_millis(700)).ping_at(contact(99)).await;
    assert!(result.is_err() && before.elapsed() <= Duration::from_millis(701));
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_stops_its_traffic() {
    let net = Net::of(30).await;
    let client = net.client(99).await;
    client.table().set_auto_refresh(false).await.unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let before = client.metrics();
    {
        let lookup = client.closest_peers(b"gone".to_vec());
        tokio::pin!(lookup);
        // Far enough to have started, not to have ended.
        let cut = futures::poll!(&mut lookup);
        assert!(cut.is_pending());
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let after = client.metrics();
    assert_eq!(after.queries.cancelled, before.queries.cancelled + 1);
    assert!(after.requests.total - before.requests.total < 20, "{:?}", after.requests);
    assert_eq!(after.queries_running, 0);
}

#[tokio::test(start_paused = true)]
async fn events_tell_of_queries_and_the_table() {
    let net = Net::of(4).await;
    let mut events = net.nodes[0].events();
    net.nodes[0].closest_peers(b"x".to_vec()).await.unwrap();
    let _late = net.client(70).await;
    let _server = join(&net.hub, 71, builder(71).bootstrap_from(|| vec![contact(1)]));
    _server.bootstrap(Default::default()).await.unwrap();
    let (mut finished, mut added) = (false, false);
    while !(finished && added) {
        let event = tokio::time::timeout(Duration::from_secs(60), events.recv()).await.unwrap().unwrap();
        finished |= matches!(&*event, Event::Finished(..));
        added |= matches!(&*event, Event::Table(dht::routing::Event::Added { .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_count_what_happened() {
    let net = Net::of(6).await;
    let node: &Dht<Ipfs> = &net.nodes[0];
    node.put_value("/v/m", "1").await.unwrap();
    node.get_value("/v/nothing").await.unwrap();
    node.provide(vec![1, 2, 3], true).await.unwrap();
    net.nodes[1].get_value("/v/m").await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let snapshot = node.metrics();
    assert!(snapshot.queries.ok >= 2 && snapshot.queries.not_found >= 1, "{:?}", snapshot.queries);
    assert!(snapshot.requests.ok > 0 && snapshot.served.ok > 0 && snapshot.table.size == 5);
    assert!(snapshot.query_latency.is_some() && snapshot.rates.requests_sent > 0.0);
    assert_eq!(snapshot.connections, 5);
    let holder = net.nodes[1].metrics();
    assert!(holder.values.stored > 0 && holder.providers.stored > 0);
    let text = dht::metrics::Exporter::new(node.metrics_registry().clone()).text().unwrap();
    assert!(text.contains("dht_") && text.ends_with("# EOF\n"));
    node.metrics_registry().reset(node.handle().now());
    assert_eq!(node.metrics().queries.total, 0);
}

#[tokio::test(start_paused = true)]
async fn health_tells_what_is_wrong() {
    let net = Net::of(6).await;
    let health = net.nodes[0].health().await;
    assert_eq!((health.table, health.can_find_self, health.can_store), (5, true, true));
    assert_eq!((health.verdict, health.errors), ("healthy", vec![]));
    let alone = join(&Hub::new(), 9, builder(9));
    let health = alone.health().await;
    assert!(!health.can_find_self && health.can_store && health.verdict.starts_with("alone"));
    assert_eq!(health.errors.len(), 1);
    assert_eq!(net.nodes[0].datastore().statistics().await.unwrap().records, 0, "nothing is left behind");
}

#[tokio::test(start_paused = true)]
async fn the_mode_decides_who_serves() {
    let hub = Hub::new();
    let _first = join(&hub, 1, builder(1));
    // In memory everybody can be reached from everywhere, so `auto` serves.
    let auto = join(&hub, 2, builder(2).mode(Mode::Auto).bootstrap_from(|| vec![contact(1)]));
    let mut role = auto.mode();
    role.wait_for(|role| *role == dht::Role::Server).await.unwrap();
    let client = join(&hub, 3, builder(3).mode(Mode::Client).bootstrap_from(|| vec![contact(1)]));
    client.bootstrap(Default::default()).await.unwrap();
    assert_eq!(*client.mode().borrow(), dht::Role::Client);
    client.set_mode(Mode::Server).await.unwrap();
    eventually("the first knows it as a server", || async {
        _first.table().peers().await.unwrap().iter().any(|entry| entry.contact.peer == peer_id(3))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn calls_run_in_spans_of_their_name() {
    use std::sync::{Arc, Mutex};
    use tracing::span::{Attributes, Id};
    use tracing_subscriber::{Layer, layer::Context, prelude::*};

    #[derive(Clone, Default)]
    struct Names(Arc<Mutex<Vec<String>>>);
    impl<S: tracing::Subscriber> Layer<S> for Names {
        fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
            let name = format!("{}::{}", span.metadata().target(), span.metadata().name());
            self.0.lock().expect("nobody panics with it").push(name);
        }
    }

    let names = Names::default();
    let _guard = tracing_subscriber::registry().with(names.clone()).set_default();
    let net = Net::of(3).await;
    net.nodes[0].get_value("/v/nothing").await.unwrap();
    net.nodes[0].provide(vec![1; 34], true).await.unwrap();
    net.nodes[0].ping(peer_id(2)).await.unwrap();
    let seen = names.0.lock().unwrap();
    for name in ["bootstrap", "get_value", "provide", "ping"] {
        let is_it = |seen: &&String| seen.starts_with("dht::") && seen.ends_with(&format!("::{name}"));
        assert!(seen.iter().any(|seen| is_it(&seen)), "{name} in {seen:?}");
    }
}
