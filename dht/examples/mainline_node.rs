//! A BitTorrent network of five nodes on this machine: a swarm is announced and found, a value is stored and read, and the
//! info dictionary of a torrent is fetched by its link alone.
//!
//! `cargo run -p dht --example mainline_node`
//!
//! On the Internet it is the same with one node, `Dht::<Mainline>::builder().build()`: it listens on port 6881 and joins
//! through the hosts that everybody uses.

use std::net::SocketAddr;

use dht::{
    Dht,
    mainline::{Announcement, Magnet, Mainline, Torrent, bencode::Tree},
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// A node at any free port, joined through another.
async fn node(through: Option<SocketAddr>) -> Outcome<Dht<Mainline>> {
    let node = Dht::<Mainline>::builder()
        .listen([SocketAddr::from(([127, 0, 0, 1], 0))])
        .bootstrap(through)
        .build()
        .await?;
    if through.is_some() {
        node.bootstrap(Default::default()).await?;
    }
    Ok(node)
}

/// A torrent of one file that nobody has; only its description is exchanged here.
fn torrent() -> Outcome<Torrent> {
    let info: Tree = [
        ("length", Tree::from(20)),
        ("name", Tree::from("example.bin")),
        ("piece length", Tree::from(16384)),
        ("pieces", Tree::from([7; 20].as_slice())),
    ]
    .into_iter()
    .collect();
    Ok(Torrent::of(info.encode().into())?)
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let first = node(None).await?;
    let mut nodes = vec![first];
    for _ in 0..4 {
        nodes.push(node(nodes[0].socket()).await?);
    }

    // Who is in a swarm.
    let torrent = torrent()?;
    let swarm = torrent.v1().ok_or("it has no hash of the first version")?;
    let told = nodes[1].announce(swarm, Announcement { port: Some(5000), seed: true }).await?;
    println!("{} nodes were told", told.stored.len());
    let peers = nodes[2].get_peers(swarm).await?.finish().await?;
    assert!(peers.iter().any(|peer| peer.addr.port() == 5000));

    // A value under its hash.
    let put = nodes[2].put_immutable(&Tree::from("hello")).await?;
    let item = nodes[3].get_immutable(put.target).await?.ok_or("nobody has it")?;
    println!("{} is {:?}", put.target, item.tree()?);
    assert_eq!(item.tree()?, Tree::from("hello"));

    // What a torrent is about, known by its link alone.
    nodes[3].serve_metadata(&torrent).await?;
    let link: Magnet = format!("magnet:?xt=urn:btih:{swarm}").parse()?;
    let info = nodes[4].fetch_metadata(&link).await?;
    println!("{swarm} is {}", Torrent::of(info.clone())?.name());
    assert_eq!(info, torrent.info());

    for node in nodes {
        node.close_all().await;
    }
    Ok(())
}

#[test]
fn a_swarm_a_value_and_a_torrent_are_found() {
    main().unwrap();
}
