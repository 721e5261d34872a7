//! Answers that name nodes of the own table at places where they are not: those who are there stay, where they are.

use std::{collections::BTreeSet, time::Duration};

use dht::{
    Contact, Failure, Request,
    mainline::{
        Endpoint, Mainline, NodeId,
        compact::{Family, Nodes},
        krpc::{self, Body, Reply},
    },
};

use super::{
    client::{add, contact, node},
    stranger::{SWARM, Stranger, id, reply},
    within,
};

/// Who is asked elsewhere than where it is fails there, and not where it is.
#[tokio::test]
async fn a_stranger_at_another_place_speaks_for_nobody() {
    let _shared = super::QUIET.read().await;
    let (client, honest) = (node(1).await, node(2).await);
    let living = contact(&honest);
    assert!(add(&client, living.clone()).await);
    let liar = Stranger::at([127, 0, 0, 1], 3).await;
    let (place, id) = (liar.addr, liar.id);
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = liar.socket.recv_from(&mut buffer).await {
            let Ok(message) = krpc::decode(&buffer[..length]) else { continue };
            let _ = liar.socket.send_to(&reply(message.tid, Reply::of(id)), from).await;
        }
    });
    // Of the one place another name is heard, from the other nothing.
    for (at, why) in [(place, Failure::WrongPeer), (([127, 0, 0, 9], 9).into(), Failure::Timeout)] {
        for _ in 0..3 {
            let named = Contact::new(living.peer, Endpoint::from(at));
            let asked = client.handle().ask(named, Request::Ping, Duration::from_millis(200)).await.unwrap();
            assert_eq!(asked.result.map(|_| ()), Err(why));
        }
    }
    let kept = client.table().peers().await.unwrap();
    assert!(kept.iter().any(|entry| entry.contact == living), "it was driven out");
    futures::join!(client.close_all(), honest.close_all());
}

fn known_as(contact: Contact<Mainline>) -> (NodeId, Endpoint) {
    (contact.peer, contact.addr)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn naming_the_living_at_dead_places_drives_nobody_out() {
    let _shared = super::QUIET.read().await;
    let client = node(1).await;
    // Nearest of all to what is looked up, so that it is asked first and every time.
    let mut liar = Stranger::at([127, 0, 0, 1], 0).await;
    liar.id = NodeId(SWARM.0);
    assert!(add(&client, liar.contact()).await);
    let mut honest = Vec::new();
    for n in 0..16 {
        let node = node(10 + n).await;
        if add(&client, contact(&node)).await {
            honest.push(node);
        }
    }
    assert!(honest.len() > 8, "more than the closest to anything");
    let living: BTreeSet<_> = honest.iter().map(contact).map(known_as).collect();
    let names: Vec<_> = living.iter().map(|(peer, _)| *peer).collect();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = liar.socket.recv_from(&mut buffer).await {
            let Ok(krpc::Message { tid, body: Body::Query(_), .. }) = krpc::decode(&buffer[..length]) else {
                continue;
            };
            let mut nodes = Vec::new();
            names.iter().for_each(|name| Nodes::push(&mut nodes, name, ([127, 0, 0, 9], 9).into()));
            let says = Reply { nodes: Nodes::new(Family::V4, &nodes), ..Reply::of(liar.id) };
            let _ = liar.socket.send_to(&reply(tid, says), from).await;
        }
    });
    for n in 0..6 {
        let target = if n % 2 == 0 { SWARM.key() } else { id(n).key() };
        within(client.closest_to(target)).await.unwrap();
    }
    let kept: BTreeSet<_> =
        client.table().peers().await.unwrap().into_iter().map(|entry| known_as(entry.contact)).collect();
    assert!(living.is_subset(&kept), "{} of {} are left", living.intersection(&kept).count(), living.len());
    for node in honest {
        node.close_all().await;
    }
    client.close_all().await;
}
