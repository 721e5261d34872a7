//! The same node on real sockets: TCP on loopback, ports from the system.

use std::time::Duration;

use dht::{
    Dht, Mode,
    ipfs::{AnyValue, BuildError, Builder, Ipfs},
};

fn on_loopback() -> Builder {
    Dht::<Ipfs>::builder()
        .network("/test")
        .mode(Mode::Server)
        .validator("v", AnyValue::default())
        .listen(["/ip4/127.0.0.1/tcp/0"])
        .bootstrap(Vec::<String>::new())
}

async fn joined(first: &Dht<Ipfs>, build: Builder) -> Dht<Ipfs> {
    let through = format!("{}/p2p/{}", first.listen_addrs()[0], first.local().peer);
    let node = build.bootstrap([through]).build().await.expect("the first node runs");
    node.bootstrap(Default::default()).await.expect("the first node runs");
    node
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_on_tcp_stores_and_finds() {
    let first = on_loopback().build().await.unwrap();
    let mut nodes = vec![first.clone()];
    for _ in 0..5 {
        nodes.push(joined(&first, on_loopback()).await);
    }
    let put = nodes[1].put_value("/v/tcp", "works").await.unwrap();
    assert!(!put.receipt.stored.is_empty(), "{put:?}");
    assert_eq!(nodes[4].get_value("/v/tcp").await.unwrap().as_deref(), Some(&b"works"[..]));
    let announced = nodes[2].provide(vec![5; 34], true).await.unwrap();
    assert!(!announced.receipt.stored.is_empty(), "{announced:?}");
    let found = nodes[5].find_providers(vec![5; 34], 0).await.unwrap().collect_all().await;
    assert_eq!(found.iter().map(|c| c.peer).collect::<Vec<_>>(), [nodes[2].local().peer]);
    assert!(found[0].is_located(), "{found:?}");
    let peer = nodes[3].local().peer;
    assert!(nodes[1].find_peer(peer).await.unwrap().is_some_and(|contact| contact.is_located()));
    nodes[1].ping(peer).await.unwrap();
    for node in &nodes {
        tokio::time::timeout(Duration::from_secs(2), node.close()).await.expect("within 2 s");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_named() {
    let first = on_loopback().build().await.unwrap();
    let taken = first.listen_addrs()[0].to_string();
    let error = on_loopback().listen([&taken]).build().await.err().expect("the port is in use");
    assert!(matches!(error, BuildError::Host(_)));
    assert!(error.to_string().contains(&taken), "{error}");
}

#[test]
fn the_hosts_defaults_are_those_of_the_settings() {
    // Both crates state them, for neither knows the other.
    let settings = dht::config::Settings::default();
    let host = dht::net::libp2p::Config::default();
    assert_eq!(dht::ipfs::host_config(&settings).unwrap(), host);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_resolved_before_it_is_dialled() {
    let first = on_loopback().build().await.unwrap();
    let port = first.listen_addrs()[0].to_string().rsplit('/').next().unwrap().to_owned();
    let through = format!("/dns4/localhost/tcp/{port}/p2p/{}", first.local().peer);
    let second = on_loopback().bootstrap([through]).build().await.unwrap();
    let report = second.bootstrap(Default::default()).await.unwrap();
    assert_eq!(report.peers, 1, "{report:?}");
}
