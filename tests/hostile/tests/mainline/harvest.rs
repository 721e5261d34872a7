//! A harvest among nodes that want it to run: they name one another without end, and say that they may be asked again at
//! once. It stays polite to the host that they are on.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use dht::mainline::{
    NodeId,
    compact::{Family, Nodes},
    harvest::HarvestConfig,
    krpc::{self, Body, Call, Reply, Samples},
};
use tokio::time::Instant;

use super::{
    client::{add, node},
    stranger::{Stranger, id, reply},
    until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_full_of_eager_nodes_is_asked_once_a_second() {
    let _shared = super::QUIET.read().await;
    let node = node(1).await;
    // When which of them was asked for samples.
    let asked: Arc<Mutex<Vec<(Instant, NodeId)>>> = Arc::default();
    let mut strangers = Vec::new();
    for n in 0..20 {
        strangers.push(Stranger::at([127, 0, 5, 1 + n as u8], n).await);
    }
    let contacts: Vec<_> = strangers.iter().map(|stranger| (stranger.id, stranger.addr)).collect();
    for stranger in strangers {
        // The table has no room for all of them, but they name one another.
        add(&node, stranger.contact()).await;
        let (contacts, asked) = (contacts.clone(), asked.clone());
        tokio::spawn(async move {
            let (mut buffer, mut turn) = ([0; 4096], 0);
            while let Ok((length, from)) = stranger.socket.recv_from(&mut buffer).await {
                let Ok(krpc::Message { tid, body: Body::Query(query), .. }) = krpc::decode(&buffer[..length])
                else {
                    continue;
                };
                let mut nodes = Vec::new();
                contacts.iter().for_each(|(id, addr)| Nodes::push(&mut nodes, id, *addr));
                let hashes: Vec<u8> = (0..100).flat_map(|n| id(turn * 100 + n).0).collect();
                let mut says = Reply { nodes: Nodes::new(Family::V4, &nodes), ..Reply::of(stranger.id) };
                if let Call::SampleInfohashes { .. } = query.call {
                    turn += 1;
                    says.samples = Samples::new(&hashes, u32::MAX, 0);
                    asked.lock().unwrap().push((Instant::now(), stranger.id));
                }
                let _ = stranger.socket.send_to(&reply(tid, says), from).await;
            }
        });
    }
    let config = HarvestConfig { passive: false, metadata: false, ..HarvestConfig::default() };
    let start = Instant::now();
    let mut harvest = node.harvest(config).unwrap();
    let collecting = tokio::spawn(async move { while harvest.next().await.is_some() {} });
    until(async || asked.lock().unwrap().len() >= 4).await;
    let took = start.elapsed();
    collecting.abort();
    let asked = asked.lock().unwrap().clone();
    println!("{} questions for samples in {took:?}", asked.len());
    // The fourth second has begun: timers are no earlier than they are asked to be, give or take a millisecond.
    assert!(took >= Duration::from_millis(2_990), "{took:?}");
    let mut ids: Vec<_> = asked.iter().map(|(_, id)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), asked.len(), "an interval of nothing is ten minutes");
    node.close_all().await;
}
