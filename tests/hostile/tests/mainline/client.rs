//! The node that a user runs, on a closed network of this machine, with little patience.

use std::{net::SocketAddr, time::Duration};

use dht::{
    Dht,
    mainline::{Builder, Mainline},
};

pub fn builder(n: u64) -> Builder {
    Dht::<Mainline>::builder()
        .listen([SocketAddr::from(([127, 0, 0, 1], 0))])
        .bootstrap(Vec::<String>::new())
        .configure(|options| {
            options.udp = dht::net::udp::Config::local();
            options.routing.auto_refresh = false;
            // A busy machine is slower than a network: nobody is passed over for that.
            options.queries.min_timeout = Duration::from_millis(400);
            options.queries.request_timeout = Duration::from_millis(1500);
            options.queries.retries = 1;
            options.queries.query_timeout = Duration::from_secs(20);
        })
        .seed(n)
}

pub async fn node(n: u64) -> Dht<Mainline> {
    builder(n).build().await.unwrap()
}

pub fn contact(node: &Dht<Mainline>) -> dht::Contact<Mainline> {
    dht::Contact::new(node.local().peer, node.socket().unwrap().into())
}

/// Puts somebody into the table without asking him; whether there was room.
pub async fn add(node: &Dht<Mainline>, contact: dht::Contact<Mainline>) -> bool {
    node.table().add(contact).await.unwrap().is_ok()
}
