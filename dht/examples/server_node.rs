//! A server that others join through: the options of the `server` preset, its peers and numbers told as they change.
//!
//! `cargo run -p dht --example server_node -- /ip4/127.0.0.1/tcp/4001`, until Ctrl-C. It is a private network; for the
//! public one leave out `.network` and `.bootstrap`, and let the mode be `auto`.

use std::time::Duration;

use dht::{
    Dht, Mode,
    config::{Loader, Preset},
    ipfs::{AnyValue, Builder, Ipfs},
    metrics::Exporter,
    protocol::Event,
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// A server's options; file, environment and flags would be further layers of the loader.
fn server(listen: &str) -> Outcome<Builder> {
    let settings = Loader::new().preset(Preset::Server).load()?.settings;
    Ok(Dht::<Ipfs>::builder()
        .settings(settings)
        .network("/served")
        .mode(Mode::Server)
        .validator("v", AnyValue::default())
        .listen([listen])
        .bootstrap(Vec::<String>::new()))
}

/// Tells what happens until `stop` ends, then closes. Whoever reads the numbers gets them as Prometheus text.
async fn serve(dht: Dht<Ipfs>, stop: impl Future<Output = ()>) -> Outcome<String> {
    let exporter = Exporter::new(dht.metrics_registry().clone());
    let mut events = dht.events();
    let mut minute = tokio::time::interval(Duration::from_secs(60));
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = minute.tick() => println!("{}", summary(&dht).await?),
            event = events.recv() => match event.as_deref() {
                Ok(Event::Table(event)) => println!("{event:?}"),
                Ok(_) => {}
                // We were too slow; the numbers are right nevertheless.
                Err(error) => println!("{error}"),
            }
        }
    }
    let text = exporter.text()?;
    dht.close().await;
    Ok(text)
}

async fn summary(dht: &Dht<Ipfs>) -> Outcome<String> {
    let metrics = dht.metrics();
    Ok(format!(
        "{} peers, {} connections, {} requests served, {} records",
        dht.table().len().await?,
        metrics.connections,
        metrics.served.ok,
        dht.datastore().statistics().await?.records,
    ))
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let listen = std::env::args().nth(1).unwrap_or_else(|| "/ip4/127.0.0.1/tcp/0".into());
    let dht = server(&listen)?.build().await?;
    dht.start().await?;
    for addr in dht.listen_addrs() {
        println!("{addr}/p2p/{}", dht.local().peer);
    }
    let numbers = serve(dht, async {
        // Without a signal handler there is no end but the process's own.
        let _ = tokio::signal::ctrl_c().await;
    })
    .await?;
    println!("{numbers}");
    Ok(())
}

#[tokio::test]
async fn a_server_serves_until_it_is_stopped() {
    let server = server("/ip4/127.0.0.1/tcp/0").unwrap().build().await.unwrap();
    let address = format!("{}/p2p/{}", server.listen_addrs()[0], server.local().peer);
    let client = Dht::<Ipfs>::builder()
        .network("/served")
        .mode(Mode::Client)
        .validator("v", AnyValue::default())
        .listen(["/ip4/127.0.0.1/tcp/0"])
        .bootstrap([address])
        .build()
        .await
        .unwrap();
    let used = async {
        client.bootstrap(Default::default()).await.unwrap();
        client.put_value("/v/greeting", "hello").await.unwrap();
        assert_eq!(client.get_value("/v/greeting").await.unwrap().as_deref(), Some(&b"hello"[..]));
    };
    let numbers = serve(server.clone(), used).await.unwrap();
    assert!(numbers.lines().any(|line| line.contains("served") && !line.ends_with(" 0")), "{numbers}");
    assert!(server.is_closed());
}
