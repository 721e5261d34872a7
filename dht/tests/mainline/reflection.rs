//! What a victim gets whose address somebody else writes on his questions: on real sockets, in every method, byte for byte.

use std::{net::SocketAddr, time::Duration};

use dht::{
    Dht,
    mainline::{Announcement, InfoHash, Mainline},
};
use tokio::net::UdpSocket;

use crate::network::{info_hash, swarm};

/// Longer than an answer waits for an echo, and than a question of ours would for its repetition.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// The smallest question of every method that is answered, in the order of their sizes.
fn smallest(swarm: InfoHash, value: [u8; 20]) -> [(&'static str, usize, Vec<u8>); 9] {
    let ask = |method: &str, rest: &[&[u8]]| {
        let mut out = b"d1:ad2:id20:victimvictimvictimvi".to_vec();
        rest.iter().for_each(|part| out.extend_from_slice(part));
        out.extend_from_slice(format!("e1:q{}:{method}1:t0:1:y1:qe", method.len()).as_bytes());
        out
    };
    let target: [&[u8]; 2] = [b"6:target20:", &value];
    let swarm: [&[u8]; 2] = [b"9:info_hash20:", &swarm.0];
    [
        ("unknown", 50, ask("", &[])),
        ("ping", 54, ask("ping", &[])),
        ("put", 67, ask("put", &[b"5:token0:1:v0:"])),
        ("unknown with a target", 81, ask("", &target)),
        ("get", 84, ask("get", &target)),
        ("find_node", 90, ask("find_node", &target)),
        ("get_peers", 93, ask("get_peers", &swarm)),
        ("sample_infohashes", 99, ask("sample_infohashes", &target)),
        (
            "announce_peer",
            125,
            ask("announce_peer", &[b"12:implied_porti1e", swarm[0], swarm[1], b"5:token0:"]),
        ),
    ]
}

/// A node with a full bucket of others that holds a peer and an item; where it is, and what under.
async fn rich(nodes: &[Dht<Mainline>]) -> (SocketAddr, InfoHash, [u8; 20]) {
    let swarm = info_hash(1);
    let how = Announcement { port: Some(7000), seed: false };
    nodes[1].announce(swarm, how).await.expect("others take it");
    let value = "v".repeat(900);
    let put = nodes[1].put_immutable(&value.as_str().into()).await.expect("others take it");
    (nodes[0].socket().expect("it has a socket"), swarm, put.target.0)
}

/// The sizes of the datagrams that came so far.
fn came(victim: &UdpSocket) -> Vec<usize> {
    let mut buffer = [0; 4096];
    std::iter::from_fn(|| victim.try_recv(&mut buffer).ok()).collect()
}

#[tokio::test]
async fn a_first_question_is_worth_little_more_than_three_times_itself() {
    let nodes = swarm(9).await;
    let (place, swarm, value) = rich(&nodes).await;
    let mut victims = Vec::new();
    for (method, length, question) in smallest(swarm, value) {
        assert_eq!(question.len(), length, "{method}");
        let victim = UdpSocket::bind("127.0.0.1:0").await.expect("loopback has ports");
        victim.send_to(&question, place).await.expect("it goes out");
        victims.push((method, length, victim));
    }
    tokio::time::sleep(PATIENCE).await;
    for (method, length, victim) in victims {
        victim.readable().await.expect("something came");
        let came = came(&victim);
        let all: usize = came.iter().sum();
        assert!(5 * all <= 16 * length, "{method} of {length} bytes brought {came:?}");
        assert!(came.iter().all(|bytes| *bytes <= 300), "{method} brought {came:?}");
    }
}

#[tokio::test]
async fn many_questions_are_worth_less_than_themselves() {
    let nodes = swarm(9).await;
    let (place, swarm, value) = rich(&nodes).await;
    let victim = UdpSocket::bind("127.0.0.1:0").await.expect("loopback has ports");
    let (mut sent, mut got) = (0, 0);
    for round in 0..20u8 {
        for (_, _, mut question) in smallest(swarm, value) {
            // No question is the one before it: the node would not answer it again.
            let id = question.windows(6).position(|part| part == b"victim").expect("it has one");
            question[id] = round;
            victim.send_to(&question, place).await.expect("it goes out");
            sent += question.len();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        got += came(&victim).iter().sum::<usize>();
    }
    tokio::time::sleep(PATIENCE).await;
    got += came(&victim).iter().sum::<usize>();
    assert!(0 < got && got <= sent, "{got} for {sent}");
}
