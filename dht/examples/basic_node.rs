//! A node of a private network that does what is typed: `help` says what that may be.
//!
//! Start one, copy the address it prints, and start a second one with it in another terminal:
//!
//! `cargo run -p dht --example basic_node`
//! `cargo run -p dht --example basic_node -- /ip4/127.0.0.1/tcp/…/p2p/…`

use std::io::{BufRead as _, Write as _};

use dht::{
    Dht, Mode,
    ipfs::{AnyValue, ContentKey, Ipfs, PeerId},
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const HELP: &str = "\
stats                   the table, the store, and what was done so far
store NAME VALUE…       stores a value under /v/NAME
get NAME                finds the best value under /v/NAME
announce TEXT…          says that this node provides the content TEXT
find content TEXT…      finds who provides it
find peer ID            finds a peer's addresses
closest TEXT…           the peers closest to a key
ping ID                 how long a peer takes to answer
health                  how this node is doing
quit";

/// Does one line; what there is to say about it.
async fn command(dht: &Dht<Ipfs>, line: &str) -> Outcome<String> {
    let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    let (first, tail) = rest.split_once(' ').unwrap_or((rest, ""));
    Ok(match (word, first) {
        ("stats", _) => {
            let (metrics, store) = (dht.metrics(), dht.datastore().statistics().await?);
            format!(
                "{} peers in the table, {} records, {} bytes; {} queries, {} of them ok; {} requests",
                dht.table().len().await?,
                store.records,
                store.bytes,
                metrics.queries.total,
                metrics.queries.ok,
                metrics.requests.total,
            )
        }
        ("store", name) => {
            let put = dht.put_value(&format!("/v/{name}"), tail.to_owned()).await?;
            format!("stored by {} peers", put.receipt.stored.len())
        }
        ("get", name) => match dht.get_value(&format!("/v/{name}")).await? {
            Some(value) => String::from_utf8_lossy(&value).into_owned(),
            None => "nobody has it".into(),
        },
        ("announce", _) => {
            let announced = dht.provide(ContentKey::of_bytes(rest.as_bytes()).into_bytes(), true).await?;
            format!("announced to {} peers", announced.receipt.stored.len())
        }
        ("find", "content") => {
            let content = ContentKey::of_bytes(tail.as_bytes());
            let providers = dht.find_providers(content.into_bytes(), 0).await?.collect_all().await;
            let names: Vec<_> = providers.iter().map(|provider| provider.peer.to_string()).collect();
            if names.is_empty() { "nobody provides it".into() } else { names.join("\n") }
        }
        ("find", "peer") => match dht.find_peer(tail.parse::<PeerId>()?).await? {
            Some(contact) => contact.addr.multiaddrs().map(|addr| format!("{addr}\n")).collect(),
            None => "nobody knows it".into(),
        },
        ("closest", _) => {
            let closest = dht.closest_peers(rest.as_bytes().to_vec()).await?;
            closest.iter().map(|contact| format!("{}\n", contact.peer)).collect()
        }
        ("ping", id) => format!("{:?}", dht.ping(id.parse::<PeerId>()?).await?),
        ("health", _) => dht.health().await.verdict.into(),
        _ => HELP.into(),
    })
}

async fn node(through: Vec<String>) -> Outcome<Dht<Ipfs>> {
    let dht = Dht::<Ipfs>::builder()
        .network("/basic")
        .mode(Mode::Server)
        .validator("v", AnyValue::default())
        .listen(["/ip4/127.0.0.1/tcp/0"])
        .bootstrap(&through)
        .build()
        .await?;
    if !through.is_empty() {
        dht.bootstrap(Default::default()).await?;
    }
    Ok(dht)
}

/// What another node takes to join through this one.
fn addresses(dht: &Dht<Ipfs>) -> Vec<String> {
    let peer = dht.local().peer;
    dht.listen_addrs().iter().map(|addr| format!("{addr}/p2p/{peer}")).collect()
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let dht = node(std::env::args().skip(1).collect()).await?;
    println!("{}", addresses(&dht).join("\n"));
    // A thread of its own reads the keyboard, so that the node goes on while nobody types.
    let (lines, mut typed) = tokio::sync::mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                break;
            }
        }
    });
    while let Some(line) = typed.recv().await {
        if line.trim() == "quit" {
            break;
        }
        match command(&dht, &line).await {
            Ok(text) => println!("{}", text.trim_end()),
            Err(error) => println!("error: {error}"),
        }
        std::io::stdout().flush()?;
    }
    dht.close().await;
    Ok(())
}

#[tokio::test]
async fn two_nodes_do_what_is_typed() {
    let first = node(Vec::new()).await.unwrap();
    let second = node(addresses(&first)).await.unwrap();
    let said = command(&second, "store greeting hello world").await.unwrap();
    assert_eq!(said, "stored by 1 peers");
    assert_eq!(command(&first, "get greeting").await.unwrap(), "hello world");
    assert_eq!(command(&first, "get nothing").await.unwrap(), "nobody has it");
    assert_eq!(command(&second, "announce some text").await.unwrap(), "announced to 1 peers");
    let found = command(&first, "find content some text").await.unwrap();
    assert_eq!(found, second.local().peer.to_string());
    let found = command(&second, &format!("find peer {}", first.local().peer)).await.unwrap();
    assert!(found.starts_with("/ip4/127.0.0.1/tcp/"), "{found}");
    assert!(command(&first, "stats").await.unwrap().contains("1 peers in the table"));
    assert!(command(&first, "get").await.unwrap().contains("nobody"));
    assert!(command(&first, "find peer nobody").await.is_err());
}
