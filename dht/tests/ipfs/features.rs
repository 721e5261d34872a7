//! What several parts promise together: kinds of errors, deadlines of every call, options from the text to their effect.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use dht::{
    Contact, Dht, ErrorKind, Failure, PeerError, PutError, QueryError, Request,
    config::Loader,
    core::{RequestId, Response},
    ipfs::{Builder, Ipfs, Query, ValueKey},
    net::{
        Incoming, Order, ReplyToken, Transport,
        memory::{Hub, Memory},
    },
    protocol::Refusal,
    records::{Invalid, StoreError},
    routing::Rejected,
};

use crate::network::{Net, addr, builder, contact, join, peer_id};

const HOUR: Duration = Duration::from_secs(3600);

/// A node whose only acquaintance takes requests and never answers: it joined and is not driven.
async fn with_a_mute_peer(build: Builder) -> (Hub<Ipfs>, Memory<Ipfs>, Dht<Ipfs>) {
    use dht::net::Transport as _;
    let hub = Hub::new();
    let mut mute = hub.join(contact(99));
    mute.order(Order::Serve(true));
    let node = join(&hub, 1, build.bootstrap_from(|| vec![contact(99)]));
    node.table().add(contact(99)).await.expect("it runs").expect("there is room");
    (hub, mute, node)
}

#[tokio::test(start_paused = true)]
async fn peers_fail_with_the_kind_that_says_what_to_do() {
    let once = |build: Builder| build.configure(|s| s.query.retries = 0);
    let (_hub, _mute, node) = with_a_mute_peer(once(builder(1))).await;
    let mute = node.ping_at(contact(99)).await.unwrap_err();
    assert!(matches!(mute, PeerError::Timeout { peer, .. } if peer == peer_id(99)));
    assert_eq!(mute.kind(), ErrorKind::Timeout);
    let gone = node.ping_at(contact(98)).await.unwrap_err();
    assert_eq!(gone, PeerError::Failed { peer: peer_id(98), why: Failure::Unreachable });
    assert_eq!(gone.kind(), ErrorKind::Network);
    let broken = PeerError::<Ipfs>::Failed { peer: peer_id(98), why: Failure::Malformed };
    assert_eq!(broken.kind(), ErrorKind::Protocol);
    assert!(!Failure::Malformed.is_retryable() && !Failure::Unsupported.is_retryable());
    assert!(Failure::Timeout.is_retryable() && Failure::Unreachable.is_retryable());
    let unknown = PeerError::<Ipfs>::Unknown { peer: peer_id(98) };
    assert_eq!(unknown.kind(), ErrorKind::Routing);

    let again = join(&Hub::new(), 2, builder(2));
    let gone = again.ping_at(contact(98)).await.unwrap_err();
    assert!(matches!(gone, PeerError::RetriesExhausted { attempts: 4, last: Failure::Unreachable, .. }));
    assert_eq!(gone.kind(), ErrorKind::RetriesExhausted);
}

#[tokio::test(start_paused = true)]
async fn lookups_fail_with_the_kind_that_says_what_to_do() {
    let alone = join(&Hub::new(), 2, builder(2));
    let nobody = alone.get_value("/v/x").await.unwrap_err();
    assert_eq!((&nobody, nobody.kind()), (&QueryError::NoPeers, ErrorKind::Routing));

    let (_hub, _mute, node) = with_a_mute_peer(builder(1).configure(|s| s.query.max_queries = 1)).await;
    let late = node.timeout(Duration::from_secs(1)).get_value("/v/x").await.unwrap_err();
    assert!(matches!(late, QueryError::Timeout { .. }), "{late:?}");
    assert_eq!(late.kind(), ErrorKind::Timeout);
    let (one, other) = tokio::join!(node.get_value("/v/x"), node.get_value("/v/y"));
    let busy = other.unwrap_err();
    assert_eq!((busy.kind(), one.is_err()), (ErrorKind::Capacity, true), "{busy:?}");

    let (_hub, mute, node) = with_a_mute_peer(builder(1).configure(|s| s.query.retries = 0)).await;
    drop(mute);
    let unanswered = node.get_value("/v/x").await.unwrap_err();
    assert!(matches!(unanswered, QueryError::Unanswered { asked: 1 }), "{unanswered:?}");
    assert_eq!(unanswered.kind(), ErrorKind::Network);
    let errors = node.metrics().errors;
    assert!(errors.values().sum::<u64>() > 0, "{errors:?}");
}

#[tokio::test(start_paused = true)]
async fn records_and_the_table_refuse_with_their_reason() {
    let net = Net::of(3).await;
    let node = &net.nodes[0];
    let mut draft = dht::ipfs::ipns::Draft::new("/ipfs/x", 1);
    draft = draft.lifetime(Duration::from_secs(60));
    let keypair = crate::network::keypair(30);
    let (name, record) = draft.sign(&keypair, node.handle().now().wall).unwrap();
    let key = ValueKey::ipns(&name).as_bytes().clone();
    tokio::time::sleep(Duration::from_secs(61)).await;
    let expired = node.put_record(key, record.as_bytes().clone()).await.unwrap_err();
    assert_eq!((&expired, expired.kind()), (&PutError::Invalid(Invalid::Expired), ErrorKind::Record));
    assert_eq!(PutError::<Ipfs>::Worse.kind(), ErrorKind::Record);

    let large = vec![7; 100 << 10];
    let too_large = node.values().put("/v/large", large).await.unwrap_err();
    assert_eq!(too_large.kind(), ErrorKind::Record, "{too_large:?}");
    let small = builder(7).configure(|s| (s.records.max_records, s.records.max_items_per_query) = (1, 1));
    let small = join(&net.hub, 7, small);
    small.put_value("/v/own", "never evicted").await.unwrap_err();
    let full = small.values().put("/v/other", "no room").await.unwrap_err();
    assert!(matches!(full, PutError::Store(StoreError::Full { .. })), "{full:?}");
    assert_eq!(full.kind(), ErrorKind::Capacity);

    let own = node.table().add(contact(1)).await.unwrap().unwrap_err();
    assert_eq!((own, own.kind()), (Rejected::Own, ErrorKind::Routing));
    let tiny = builder(8)
        .bucket_size(1)
        .resiliency(1)
        .configure(|s| (s.routing.max_size, s.routing.replacements) = (1, 0));
    let tiny = join(&net.hub, 8, tiny);
    let mut refused = Vec::new();
    for n in 10..40 {
        refused.extend(tiny.table().add(contact(n)).await.unwrap().err());
    }
    assert!(refused.iter().any(|why| why.kind() == ErrorKind::Capacity), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn every_call_ends_by_its_deadline() {
    let (_hub, _mute, node) = with_a_mute_peer(builder(1)).await;
    node.table().set_auto_refresh(false).await.unwrap();
    let limit = Duration::from_millis(700);
    let quick = node.timeout(limit);
    macro_rules! ends {
        ($($call:expr),* $(,)?) => {$({
            // The peer leaves the table when it stays silent.
            node.table().add(contact(99)).await.unwrap().unwrap();
            let start = tokio::time::Instant::now();
            let _ = $call.await;
            let took = start.elapsed();
            assert!(took <= limit + Duration::from_millis(2), "{} took {took:?}", stringify!($call));
        })*};
    }
    ends!(
        quick.find_peer(peer_id(50)),
        quick.closest_peers(vec![1]),
        quick.get_value("/v/x"),
        quick.put_value("/v/x", "y"),
        quick.provide(vec![1; 34], true),
        quick.public_key(dht::ipfs::PeerId::from_public_key(&dht::ipfs::Keypair::generate_ecdsa().public())),
        async { quick.find_providers(vec![1; 34], 0).await.unwrap().collect_all().await },
        async { quick.search_value("/v/z").await.unwrap().next().await },
        quick.ping(peer_id(99)),
        quick.ping(peer_id(50)),
        quick.dial(peer_id(50)),
        quick.bootstrap(Default::default()),
        quick.health(),
    );
    let start = tokio::time::Instant::now();
    let _ = node.get_value("/v/x").await;
    assert!(start.elapsed() <= Duration::from_secs(61), "the option of the node is inherited");
}

#[tokio::test(start_paused = true)]
async fn dropping_a_ping_stops_its_tries() {
    let (_hub, _mute, node) = with_a_mute_peer(builder(1)).await;
    node.table().set_auto_refresh(false).await.unwrap();
    let before = node.metrics().requests.total;
    let cut = tokio::time::timeout(Duration::from_millis(100), node.ping_at(contact(99))).await;
    assert!(cut.is_err());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(node.metrics().requests.total, before + 1, "it was not tried again");
}

#[tokio::test(start_paused = true)]
async fn a_network_without_values_or_providers_refuses_them() {
    let hub = Hub::new();
    let text = "[records]\nproviders = false\nnamespaces = ['free']\n[network]\nname = '/test'";
    let settings = Loader::new().text("test", text).load().unwrap().settings;
    let build = |n: u8| {
        let mode = dht::config::settings::Mode::Server;
        let built = builder(n).settings(settings.clone()).configure(|s| s.network.mode = mode);
        join(&hub, n, built.bootstrap_from(|| vec![contact(1)]))
    };
    let (_server, node) = (build(1), build(2));
    node.bootstrap(Default::default()).await.unwrap();
    node.put_value("/free/name", "taken as it is").await.unwrap();
    let refused = node.provide(vec![1; 34], true).await.unwrap_err();
    assert!(matches!(refused, PutError::NotStored { .. }), "{refused:?}");

    let hub = Hub::new();
    let build = |n: u8| {
        let built = builder(n).configure(|s| s.records.values = false);
        join(&hub, n, built.bootstrap_from(|| vec![contact(1)]))
    };
    let (_server, node) = (build(1), build(2));
    node.bootstrap(Default::default()).await.unwrap();
    assert!(node.put_value("/v/name", "x").await.is_err());
    node.provide(vec![1; 34], true).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn ages_and_intervals_are_those_of_the_settings() {
    let short = |n: u8| {
        builder(n).configure(|s| {
            (s.records.value_age, s.records.provider_age, s.records.address_age) =
                (4 * HOUR, 5 * HOUR, 3 * HOUR);
            s.republish.interval = 2 * HOUR;
            s.records.sweep_interval = Duration::from_secs(60);
        })
    };
    let net = Net::built(4, short).await;
    let key = vec![9; 34];
    net.nodes[0].put_value("/v/kept", "x").await.unwrap();
    let leaver = join(&net.hub, 90, short(90).bootstrap_from(|| vec![contact(1)]));
    leaver.bootstrap(Default::default()).await.unwrap();
    leaver.put_value("/v/left", "x").await.unwrap();
    leaver.provide(key.clone(), true).await.unwrap();
    leaver.close().await;

    let holder = &net.nodes[2];
    tokio::time::sleep(HOUR * 7 / 2).await;
    assert!(holder.values().has("/v/left").await.unwrap());
    assert_eq!(holder.local_providers(key.clone()).await.unwrap(), [Contact::unlocated(peer_id(90))]);
    tokio::time::sleep(HOUR).await;
    assert!(!holder.values().has("/v/left").await.unwrap() && holder.values().has("/v/kept").await.unwrap());
    tokio::time::sleep(HOUR).await;
    assert!(holder.local_providers(key).await.unwrap().is_empty());
    assert_eq!(holder.datastore().statistics().await.unwrap().records, 1, "the others were swept");
}

/// Notes what the transport is told to do.
struct Spy {
    inner: Memory<Ipfs>,
    orders: Arc<Mutex<Vec<Order<Ipfs>>>>,
}

#[async_trait]
impl Transport<Ipfs> for Spy {
    fn send(&mut self, id: RequestId, to: Contact<Ipfs>, request: Request<Ipfs>) {
        self.inner.send(id, to, request);
    }
    fn forget(&mut self, id: RequestId) {
        self.inner.forget(id);
    }
    fn reply(&mut self, token: ReplyToken, answer: Result<&mut Response<Ipfs>, Refusal>) {
        self.inner.reply(token, answer);
    }
    fn order(&mut self, order: Order<Ipfs>) {
        self.orders.lock().expect("nobody panics with it").push(order.clone());
        self.inner.order(order);
    }
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Incoming<Ipfs>> {
        self.inner.poll_next(cx)
    }
    async fn close(&mut self) {
        self.inner.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn bootstrap_peers_are_protected_and_joined_through_again() {
    let net = Net::of(4).await;
    let orders = Arc::new(Mutex::default());
    let build = builder(40).bootstrap_from(|| vec![contact(1), contact(77)]);
    let node = build
        .build_on(|local| {
            let inner = net.hub.join(Contact::new(local.peer, addr(40)));
            Spy { inner, orders: orders.clone() }
        })
        .unwrap();
    let report = node.bootstrap(Default::default()).await.unwrap();
    let protected = |n| Order::Protect { peer: peer_id(n), on: true };
    assert!(
        orders.lock().unwrap().contains(&protected(1)) && orders.lock().unwrap().contains(&protected(77))
    );
    let failed: Vec<_> = report.tried.iter().filter(|tried| tried.outcome.is_err()).map(|t| t.peer).collect();
    assert!(failed.is_empty() || failed == [peer_id(77)], "{report:?}");
    assert_eq!(node.table().len().await.unwrap(), 4);
}

#[cfg(feature = "libp2p")]
mod host {
    use super::*;
    use dht::ipfs::host_config;

    #[test]
    fn every_option_of_the_host_reaches_it() {
        let default = format!("{:?}", host_config(&Default::default()).unwrap());
        let options = Loader::new().load().unwrap();
        let options = options.show().into_iter().filter(|shown| shown.option.starts_with("host."));
        let mut seen = 0;
        for shown in options {
            let value = shown.value.clone().expect("every option of the host has a default");
            let changed = match value.as_str() {
                "true" => "false".to_owned(),
                "false" => "true".to_owned(),
                number if number.parse::<u64>().is_ok() => {
                    number.parse::<u64>().map(|n| n + 1).unwrap().to_string()
                }
                _ => "'77s'".to_owned(),
            };
            let name = shown.option.trim_start_matches("host.");
            // One above the low mark stays below the high one; the inbound share stays below all.
            let text = format!("[host]\n{name} = {changed}");
            let settings = Loader::new().text("test", text).load().unwrap().settings;
            let config = format!("{:?}", host_config(&settings).unwrap());
            assert_ne!(config, default, "{} changes nothing", shown.option);
            let field =
                config.split(&format!(" {name}: ")).nth(1).expect("the host has a field of this name");
            let field: &str = field.split([',', '}']).next().unwrap();
            assert_eq!(field.trim().trim_matches('"'), changed.trim_matches('\''), "{}", shown.option);
            seen += 1;
        }
        assert!(seen > 25, "{seen}");
    }

    #[tokio::test]
    async fn nodes_of_different_protocols_do_not_join_each_other() {
        let build = |extension: &str, through: Vec<String>| {
            let mut build = Dht::<Ipfs>::builder().network("/test").mode(dht::Mode::Server);
            build = build.listen(["/ip4/127.0.0.1/tcp/0"]).bootstrap(through);
            build.configure(|s| {
                s.network.extension = extension.into();
                s.bootstrap.timeout = Duration::from_secs(3);
            })
        };
        let first = build("", vec![]).build().await.unwrap();
        let through = vec![format!("{}/p2p/{}", first.listen_addrs()[0], first.local().peer)];
        let stranger = build("/lan", through.clone()).build().await.unwrap();
        let error = stranger.bootstrap(Default::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Bootstrap);
        let other =
            build("/lan", through).configure(|s| s.network.protocols = vec!["/test/kad/1.0.0".into()]);
        other.build().await.unwrap().bootstrap(Default::default()).await.unwrap();
        assert!(!first.datastore().has(&Query::Providers(vec![1].into())).await.unwrap());
    }
}
