//! Attempts on the table: many ids at one address, and ids of others.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use dht::mainline::{
    Endpoint, NodeId,
    krpc::{self, Body, Call, Reply},
};

use super::{
    server::Server,
    stranger::{Stranger, TARGET, id, reply},
    until,
};

/// Answers every question under its own id; how often it did is what [`Server::takes`] is told.
fn answering(server: &Arc<Server>, stranger: Stranger) -> Arc<Stranger> {
    let stranger = Arc::new(stranger);
    let (me, server) = (stranger.clone(), server.clone());
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = me.socket.recv_from(&mut buffer).await {
            let Ok(message) = krpc::decode(&buffer[..length]) else { continue };
            if matches!(message.body, Body::Query(_)) {
                server.takes(1);
                let _ = me.socket.send_to(&reply(message.tid, Reply::of(me.id)), from).await;
            }
        }
    });
    stranger
}

async fn entries(server: &Server) -> Vec<(NodeId, SocketAddr, u32)> {
    let visit = |node: &mut dht::protocol::Node<_>, _| {
        let all = node.routing().iter();
        all.map(|entry| (entry.contact.peer, entry.contact.addr, entry.bucket)).collect::<Vec<_>>()
    };
    let all = server.handle.visit(visit).await.unwrap();
    all.into_iter().filter_map(|(peer, Endpoint(addr), bucket)| Some((peer, addr?, bucket))).collect()
}

/// Three hundred ids at one address, all of them alive and eager (SECURITY D4: at most 2 of a /24 in a bucket and 10 in
/// the table; D5: who is there stays).
#[tokio::test]
async fn many_ids_of_one_network_get_few_places() {
    let _shared = super::QUIET.read().await;
    let server = Arc::new(Server::start().await);
    let known = server.knows(30).await;
    for n in 0..300 {
        let sybil = answering(&server, Stranger::at([127, 0, 7, 1 + (n % 3) as u8], 5000 + n).await);
        for _ in 0..2 {
            // The first question may only be answered with another, which proves that it is there.
            let question = sybil.question(server.tid(), Call::FindNode { target: TARGET });
            server.says(&sybil, &question).await;
            server.pass(Duration::from_millis(250));
            server.caught_up().await;
            until(async || server.rates.statistics().waiting == 0).await;
        }
    }
    let entries = entries(&server).await;
    let theirs: Vec<_> =
        entries.iter().filter(|(_, addr, _)| addr.ip().to_string().starts_with("127.0.7.")).collect();
    println!(
        "{} of 300 ids of a network are in the table, beside {}",
        theirs.len(),
        entries.len() - theirs.len()
    );
    assert!((1..=10).contains(&theirs.len()), "{theirs:?}");
    for bucket in 0..160 {
        assert!(theirs.iter().filter(|(_, _, of)| *of == bucket).count() <= 2, "bucket {bucket}");
    }
    assert!(known.iter().all(|id| entries.iter().any(|(peer, ..)| peer == id)), "somebody was driven out");
}

/// Whoever is asked may say any name. That moves nobody, and drives nobody out.
#[tokio::test]
async fn the_name_of_another_moves_nobody() {
    let _shared = super::QUIET.read().await;
    let server = Arc::new(Server::start().await);
    let known = server.knows(20).await;
    let before = entries(&server).await;
    for (n, name) in known.iter().enumerate() {
        let liar = Stranger { id: *name, ..Stranger::at([127, 0, 8, n as u8 + 1], 10).await };
        let liar = answering(&server, liar);
        let question = liar.question(server.tid(), Call::FindNode { target: TARGET });
        server.says(&liar, &question).await;
        server.pass(Duration::from_millis(250));
        server.caught_up().await;
        // Asked under another name, it answers under the one that it stole.
        let to = dht::Contact::new(id(7000 + n as u32), Endpoint::from(liar.addr));
        let asked = server.handle.ask(to, dht::Request::Ping, Duration::from_secs(5)).await.unwrap();
        assert_eq!(asked.result.map(|_| ()), Err(dht::Failure::WrongPeer));
    }
    until(async || server.rates.statistics().waiting == 0).await;
    assert_eq!(entries(&server).await, before);
}

/// An answer counts when it comes from where the question went, under its name, and once.
#[tokio::test]
async fn answers_of_others_are_not_heard() {
    let _shared = super::QUIET.read().await;
    let server = Server::start().await;
    let (asked, liar) = (Stranger::at([127, 0, 9, 1], 20).await, Stranger::at([127, 0, 9, 2], 20).await);
    let neighbour = Stranger { id: asked.id, ..Stranger::at([127, 0, 9, 1], 20).await };
    let ping = server.handle.ask(asked.contact(), dht::Request::Ping, Duration::from_secs(20));
    let lies = async {
        let (question, _) = asked.hear().await;
        let tid = krpc::decode(&question).unwrap().tid.to_vec();
        let strays = server.rates.statistics().stray;
        let mut others = 0;
        for from in [&liar, &neighbour] {
            server.says(from, &reply(&tid, Reply::of(asked.id))).await;
            others += 1;
        }
        // The limits let an address that is no asker say little; a guesser of 2^32 names has no more.
        for bit in 0..32 {
            let mut other = tid.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            server.says(&asked, &reply(&other, Reply::of(asked.id))).await;
            others += 1;
            server.pass(Duration::from_millis(100));
        }
        for length in [0, 1, 3, 5, 8] {
            let other = tid.iter().copied().cycle().take(length).collect::<Vec<_>>();
            server.says(&asked, &reply(&other, Reply::of(asked.id))).await;
            others += 1;
        }
        server.caught_up().await;
        assert_eq!(server.rates.statistics().stray - strays, others);
        assert_eq!(server.rates.statistics().waiting, 1, "the question still waits");
        server.says(&asked, &reply(&tid, Reply::of(asked.id))).await;
        server.says(&asked, &reply(&tid, Reply::of(id(21)))).await;
    };
    let (answered, ()) = tokio::join!(ping, lies);
    assert!(answered.unwrap().result.is_ok());
}
