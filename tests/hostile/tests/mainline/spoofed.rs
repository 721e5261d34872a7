//! Questions in the name of somebody else: what goes to the victim is small, holds nothing that was stored, and is less
//! than what the attacker sends (SECURITY D9).
//!
//! On loopback the victim's own socket asks in its name, and never says another word.

use std::time::Duration;

use dht::mainline::krpc::{self, Body, Call};

use super::{
    server::Server,
    stranger::{SWARM, Stranger, TARGET, get_peers, is_question},
};

/// What SECURITY D9 allows the first reply to weigh, against the question.
const FIRST: f64 = 3.2;

/// Everything that may be asked.
fn calls() -> [Call<'static>; 8] {
    [
        get_peers(),
        Call::GetPeers { info_hash: SWARM, scrape: true, noseed: false },
        Call::FindNode { target: TARGET },
        Call::Get { target: TARGET, seq: None },
        Call::SampleInfohashes { target: TARGET },
        Call::Ping,
        Call::AnnouncePeer { info_hash: SWARM, port: 1, implied_port: true, seed: true, token: b"forged" },
        Call::Unknown { method: b"vote", target: None },
    ]
}

async fn rich() -> Server {
    let server = Server::start().await;
    server.knows(20).await;
    server.holds(60).await;
    server
}

/// What came to a victim is small, and says nothing that others said.
fn judge(heard: &[Vec<u8>]) -> usize {
    for bytes in heard {
        assert!(bytes.len() <= 300, "{} bytes", bytes.len());
        let message = krpc::decode(bytes).unwrap();
        if let Body::Reply(reply) = message.body {
            let told = reply.values.is_some() || reply.samples.is_some() || reply.scrape.is_some();
            assert!(!told && reply.v.is_none(), "{message:?}");
        }
    }
    heard.iter().map(Vec::len).sum()
}

#[tokio::test]
async fn the_first_answer_to_a_victim_is_small() {
    let _shared = super::QUIET.read().await;
    let server = rich().await;
    let mut worst: f64 = 0.0;
    for (n, call) in calls().into_iter().enumerate() {
        for read_only in [false, true] {
            let victim = Stranger::at([127, 1 + u8::from(read_only), n as u8, 1], 10).await;
            let question = super::stranger::question(victim.id, server.tid(), read_only, call);
            server.says(&victim, &question).await;
            server.pass(Duration::from_millis(300));
            server.done().await;
            let first = judge(&victim.heard());
            // What was held for an echo goes out small when none comes.
            server.pass(Duration::from_secs(2));
            server.done().await;
            let later = judge(&victim.heard());
            let ratio = (first + later) as f64 / question.len() as f64;
            println!(
                "{}: {} bytes, then {first} and {later}: {ratio:.2}",
                question.len(),
                call.method().escape_ascii()
            );
            worst = worst.max(ratio);
        }
    }
    assert!(worst <= FIRST, "the worst of the first answers is {worst:.2} times the question");
}

/// A minute at ten questions a second, and a minute at one a second.
#[tokio::test]
async fn a_flood_in_its_name_brings_a_victim_less_than_was_sent() {
    let _shared = super::QUIET.read().await;
    for (each_second, ip) in [(10u32, 1u8), (1, 2)] {
        let server = rich().await;
        let victim = Stranger::at([127, 3, 0, ip], 10).await;
        let (mut sent, mut came, mut longest) = (0, 0, 0);
        for second in 0..60 {
            for n in 0..each_second {
                let calls = calls();
                let call = calls[(second * each_second + n) as usize % calls.len()];
                let question = victim.question(server.tid(), call);
                longest = longest.max(question.len());
                sent += question.len();
                server.says(&victim, &question).await;
                server.pass(Duration::from_secs(1) / each_second);
            }
            server.done().await;
            came += judge(&victim.heard());
        }
        let ratio = came as f64 / sent as f64;
        println!("{each_second} a second: {sent} bytes sent, {came} came to the victim: {ratio:.2}");
        let first = (FIRST - 1.0) * longest as f64;
        assert!(came as f64 <= sent as f64 + first, "more than was sent and what the first answer may win");
        assert!(came <= 61 * 1_000, "more than a kilobyte a second");
        if each_second == 10 {
            assert!(ratio <= 1.0, "{ratio:.2}");
        }
    }
}

/// All of a /24 is flooded: 4 kB/s for it, and 1 kB/s for each.
#[tokio::test]
async fn a_network_of_victims_gets_no_more_than_its_own_rate() {
    let _shared = super::QUIET.read().await;
    let server = rich().await;
    let mut victims = Vec::new();
    for n in 1..=200 {
        victims.push(Stranger::at([127, 4, 0, n], u32::from(n)).await);
    }
    let (mut sent, mut came, mut seconds) = (0, vec![0; victims.len()], 0);
    while seconds < 20 {
        for victim in &victims {
            let question = victim.question(server.tid(), get_peers());
            sent += question.len();
            server.says(victim, &question).await;
        }
        server.pass(Duration::from_secs(1));
        seconds += 1;
        server.done().await;
        for (came, victim) in came.iter_mut().zip(&victims) {
            *came += judge(&victim.heard());
        }
    }
    let all: usize = came.iter().sum();
    println!("{sent} bytes sent, {all} came to the network");
    assert!(all <= 4_000 * (seconds + 1), "{all}");
    assert!(all <= sent && came.iter().all(|came| *came <= 1_000 * (seconds + 1)));
}

/// Who is there gets the whole answer, one round trip later.
#[tokio::test]
async fn who_echoes_is_told_everything() {
    let _shared = super::QUIET.read().await;
    let server = rich().await;
    let honest = Stranger::at([127, 5, 0, 1], 10).await;
    let tid = server.tid();
    server.says(&honest, &honest.question(tid, get_peers())).await;
    let mut answers = Vec::new();
    while answers.len() < 2 && !answers.iter().any(|bytes: &Vec<u8>| bytes.len() > 300) {
        let (bytes, _) = honest.hear().await;
        let message = krpc::decode(&bytes).unwrap();
        if is_question(&message) {
            server.says(&honest, &super::stranger::reply(message.tid, krpc::Reply::of(honest.id))).await;
        } else {
            answers.push(bytes);
        }
    }
    let last = krpc::decode(answers.last().unwrap()).unwrap();
    let Body::Reply(reply) = last.body else { panic!("{last:?}") };
    assert!(reply.values.is_some_and(|values| values.to_vec().len() > 20), "{reply:?}");
}
