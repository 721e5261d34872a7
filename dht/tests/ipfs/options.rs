//! Options: what is wrong is named, what is set has an effect.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use dht::{
    Contact, Dht, Request,
    ipfs::{AnyValue, BuildError, Ipfs},
    net::memory::Hub,
};

use crate::network::{Net, addr, builder, contact, join, peer_id};

fn error(build: impl FnOnce(dht::ipfs::Builder) -> dht::ipfs::Builder) -> String {
    let hub = Hub::<Ipfs>::new();
    let built = build(Dht::<Ipfs>::builder()).build_on(|local: Contact<Ipfs>| hub.join(local));
    built.err().expect("it must not be built").to_string()
}

#[tokio::test(start_paused = true)]
async fn wrong_values_name_their_field() {
    assert!(error(|b| b.concurrency(0)).contains("query.alpha"));
    assert!(error(|b| b.network("/test").bucket_size(0)).contains("routing.bucket_size"));
    assert!(error(|b| b.bootstrap(["nonsense"])).contains("bootstrap.peers"));
    assert!(error(|b| b.network("/test").validator("a/b", AnyValue::default())).contains("a/b"));
}

#[tokio::test(start_paused = true)]
async fn the_public_network_takes_no_other_rules() {
    assert!(error(|b| b.bucket_size(30)).contains("routing.bucket_size"));
    assert!(error(|b| b.configure(|s| s.records.providers = false)).contains("records.providers"));
    assert!(error(|b| b.configure(|s| s.records.values = false)).contains("records.values"));
    let hub = Hub::<Ipfs>::new();
    let built = Dht::<Ipfs>::builder().validator("v", AnyValue::default()).build_on(|local| hub.join(local));
    assert!(matches!(built.err(), Some(BuildError::Config(_))));
}

#[tokio::test(start_paused = true)]
async fn the_bucket_size_decides_how_many_store() {
    let net = Net::built(12, |n| builder(n).bucket_size(4)).await;
    let announced = net.nodes[0].provide(vec![7; 34], true).await.unwrap();
    assert_eq!(announced.receipt.stored.len(), 4);
    assert_eq!(net.nodes[3].closest_peers(vec![1]).await.unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_request_hook_sees_and_refuses() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = seen.clone();
    let hub = Hub::new();
    let hook = move |_: &Contact<Ipfs>, request: &Request<Ipfs>| {
        counted.fetch_add(1, Ordering::Relaxed);
        !matches!(request, Request::Put { .. })
    };
    let _server = join(&hub, 1, builder(1).on_request(hook));
    let node = join(&hub, 2, builder(2).bootstrap_from(|| vec![contact(1)]));
    node.bootstrap(Default::default()).await.unwrap();
    assert!(seen.load(Ordering::Relaxed) > 0);
    assert!(node.provide(vec![1; 34], true).await.is_err(), "the hook refused it");
}

#[tokio::test(start_paused = true)]
async fn filters_keep_peers_out_of_tables_lookups_and_answers() {
    struct Not9;
    impl dht::routing::Admit<Ipfs> for Not9 {
        fn admit(&self, contact: &Contact<Ipfs>) -> bool {
            contact.peer != peer_id(9)
        }
    }
    let net = Net::built(10, |n| match n {
        3 => builder(n).table_filter(Not9),
        4 => builder(n).query_filter(|contact| contact.peer != peer_id(9)).table_filter(Not9),
        _ => builder(n),
    })
    .await;
    let peers = net.nodes[2].table().peers().await.unwrap();
    assert!(peers.len() > 5 && peers.iter().all(|entry| entry.contact.peer != peer_id(9)));
    let found = net.nodes[3].closest_peers(b"x".to_vec()).await.unwrap();
    assert!(found.len() > 5 && found.iter().all(|contact| contact.peer != peer_id(9)));

    let hub = Hub::new();
    let hiding =
        builder(1).address_filter(|addrs| if *addrs == addr(3) { Default::default() } else { addrs.clone() });
    let _first = join(&hub, 1, hiding);
    let join_it = |n: u8| join(&hub, n, builder(n).bootstrap_from(|| vec![contact(1)]));
    let (two, three) = (join_it(2), join_it(3));
    three.bootstrap(Default::default()).await.unwrap();
    two.bootstrap(Default::default()).await.unwrap();
    assert_eq!(two.find_peer(peer_id(3)).await.unwrap(), None, "the only one who knows does not tell");
}

#[tokio::test(start_paused = true)]
async fn localhost_is_hidden_on_the_public_network_and_shown_in_private_ones() {
    let public: dht::config::Settings = Default::default();
    assert!(public.hides_localhost() && public.public_addresses_only());
    let mut private = public.clone();
    private.network.name = "/test".into();
    assert!(!private.hides_localhost() && !private.public_addresses_only());
}
