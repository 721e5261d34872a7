//! Strangers that store as much as they can: the store keeps its caps, and what is the node's own.

use std::time::Duration;

use dht::CallOptions;
use futures::{AsyncReadExt, AsyncWriteExt, future::join_all};
use tokio::time::timeout;

use super::{
    ALONE, Honest, KEY, VALUE, Victim, builder,
    message::{ADD_PROVIDER, FIND_NODE, PUT_VALUE, field, frame, message, peer, record, tcp},
    raw::{Raw, receive, send},
    within,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_values_stays_within_the_caps_of_the_store() {
    let _alone = ALONE.lock().await;
    let small = builder().configure(|s| {
        s.records.max_records = 300;
        s.records.max_records_per_peer = 100;
        s.records.max_bytes = 256 << 10;
        s.records.max_item_bytes = 8 << 10;
    });
    let victim = Victim::start(small).await;
    let honest = Honest::start(&victim).await;
    // What the node itself publishes is its own, and is not evicted.
    let here = victim.node.with(CallOptions { local_only: true, ..CallOptions::default() });
    here.put_value(KEY, VALUE).await.unwrap();
    let raws = join_all((0..6).map(|_| Raw::connected(&victim.addr))).await;
    let floods = raws.iter().enumerate().map(|(who, raw)| {
        let victim = &victim;
        async move {
            let (mut taken, mut refused) = (0, 0);
            for n in 0..400u32 {
                let key = format!("/v/{who}/{n}").into_bytes();
                let size = if n % 50 == 0 { 9 << 10 } else { 200 + n as usize };
                let put = frame(&[message(PUT_VALUE, &key), record(&key, &vec![n as u8; size])].concat());
                // A refused put resets its stream, so each has its own.
                let mut stream = raw.open(victim.peer).await;
                send(&mut stream, &put).await;
                match within(receive(&mut stream)).await {
                    Some(_) => taken += 1,
                    None => refused += 1,
                }
                let _ = stream.close().await;
            }
            (taken, refused)
        }
    });
    let ends = within(join_all(floods)).await;
    let (taken, refused) = ends.iter().fold((0, 0), |sum, end| (sum.0 + end.0, sum.1 + end.1));
    let statistics = victim.node.datastore().statistics().await.unwrap();
    println!("{taken} puts taken, {refused} refused; {statistics:?}");
    assert!(statistics.records <= 300 && statistics.bytes <= 256 << 10);
    assert!(taken > 0 && refused > 6 * (400 / 50), "what is too large, and what is above the quota");
    assert_eq!(victim.node.values().get(KEY).await.unwrap().as_deref(), Some(VALUE), "its own stays");
    honest.finish("a flood of values").await;
    victim.node.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_providers_leaves_those_that_were_there() {
    let _alone = ALONE.lock().await;
    let victim = Victim::start(builder().configure(|s| s.records.max_items_per_query = 8)).await;
    let honest = Honest::start(&victim).await;
    let key = vec![5u8; 34];
    let announced = honest.node.provide_once(key.clone()).await.unwrap();
    assert_eq!(announced.stored.len(), 1, "{announced:?}");
    let mut flood = Vec::new();
    for i in 0..24u8 {
        let raw = Raw::connected(&victim.addr).await;
        let mut stream = raw.open(victim.peer).await;
        // Whether it was taken shows in the answer behind it; the announcement itself has none. Each comes from a
        // network of its own.
        let own = field(9, &peer(&raw.peer.to_bytes(), &tcp([11 + i, 2, 3, 4], 4001)));
        let announce = frame(&[message(ADD_PROVIDER, &key), own].concat());
        let behind = frame(&message(FIND_NODE, &key));
        for _ in 0..3 {
            if !send(&mut stream, &[announce.clone(), behind.clone()].concat()).await {
                break;
            }
            let mut answer = [0; 1];
            if !timeout(Duration::from_secs(10), stream.read(&mut answer))
                .await
                .unwrap()
                .is_ok_and(|n| n == 1)
            {
                break;
            }
            let mut rest = vec![0; usize::from(answer[0])];
            let _ = stream.read_exact(&mut rest).await;
        }
        flood.push(raw);
    }
    let held = victim.node.local_providers(key).await.unwrap();
    println!("24 providers announced themselves, {} are held", held.len());
    assert_eq!(held.len(), 8);
    let first = honest.node.local().peer;
    assert!(held.iter().any(|contact| contact.peer == first), "who was there stays");
    drop(flood);
    honest.finish("a flood of providers").await;
    victim.node.close().await;
}
