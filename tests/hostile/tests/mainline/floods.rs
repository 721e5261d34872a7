//! Many who ask, and many who send what is no question: the honest are served, and nothing grows (SECURITY D11, D17).

use std::{net::SocketAddr, time::Duration};

use dht::mainline::krpc;

use super::{
    server::Server,
    stranger::{Stranger, get_peers, id, question, refusal},
};

/// Bytes of memory of this process; nothing where the system does not tell.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

/// A hundred thousand addresses ask, five times as many questions a second as are answered at all, while somebody honest
/// asks ten times a second.
#[tokio::test]
async fn a_hundred_thousand_sources_leave_the_honest_their_answers() {
    let _alone = super::QUIET.write().await;
    let server = Server::start().await;
    server.knows(20).await;
    server.holds(60).await;
    let before = resident();
    let (mut asked, mut grown) = (0, 0);
    for n in 0..1000u32 {
        for m in 0..100u32 {
            let source = 1 + n * 100 + m;
            let ip = [127, 100 + (source >> 16) as u8, (source >> 8) as u8, source as u8];
            let socket = std::net::UdpSocket::bind(SocketAddr::from((ip, 0))).unwrap();
            let bytes = question(id(source), server.tid(), source % 2 == 0, get_peers());
            socket.send_to(&bytes, server.addr).unwrap();
        }
        server.takes(100);
        server.pass(Duration::from_millis(1));
        if n % 100 == 99 {
            // All of them, and every one is answered: it fails otherwise.
            server.done().await;
            asked += 1;
            grown = grown.max(resident().saturating_sub(before));
        } else {
            server.caught_up().await;
        }
    }
    let statistics = server.rates.statistics();
    println!("{asked} honest questions answered, {} MiB more in memory, {statistics:?}", grown >> 20);
    assert!(statistics.received >= 100_000);
    assert!(
        statistics.over_answers > 50_000,
        "three quarters of 20,000 a second, for a second, and a little at once"
    );
    assert!(grown < 32 << 20, "{grown}");
}

/// One address asks without end: it gets its 50 at once and 10 a second.
#[tokio::test]
async fn one_address_gets_its_rate_and_no_more() {
    let _shared = super::QUIET.read().await;
    let server = Server::start().await;
    let stranger = Stranger::at([127, 6, 0, 1], 10).await;
    for _ in 0..50 {
        for _ in 0..100 {
            let bytes = question(stranger.id, server.tid(), true, krpc::Call::Ping);
            server.says(&stranger, &bytes).await;
        }
        server.pass(Duration::from_millis(200));
        server.done().await;
    }
    let answers = stranger.heard().len();
    println!("{answers} of 5000 questions within 10 s were answered");
    assert!((50..=50 + 100).contains(&answers), "{answers}");
}

/// Datagrams that are no messages.
fn malformed() -> Vec<Vec<u8>> {
    let good = question(id(10), 7, false, get_peers());
    let nested = |open: &[u8], depth: usize| open.repeat(depth)[..4000.min(open.len() * depth)].to_vec();
    let mut all: Vec<Vec<u8>> = (0..good.len()).map(|end| good[..end].to_vec()).collect();
    all.extend([nested(b"l", 4000), nested(b"d1:a", 1000), nested(b"d0:", 1300)]);
    for text in [
        "999999999999999999999:a",
        "4294967295:a",
        "d1:ai99999999999999999999999999999999ee",
        "d1:ai--1ee",
        "i0e",
        "le",
        "de",
        "d1:y1:qe",
        "d1:t2:aa1:y1:re",
        "d1:t2:aa1:y1:xe",
        "d1:t999:aa1:y1:qe",
        "\0\0\0\0",
        "GET / HTTP/1.1\r\n\r\n",
    ] {
        all.push(text.as_bytes().to_vec());
    }
    // Answers to what nobody asked, and errors of all sizes.
    all.push(super::stranger::reply(b"abcd", krpc::Reply::of(id(10))));
    all.push(b"d1:eli201e1:xe1:t4:abcd1:y1:ee".to_vec());
    all.push(
        b"d1:e3000:".iter().copied().chain(std::iter::repeat_n(b'x', 3000)).chain(*b"1:y1:ee").collect(),
    );
    all.push(vec![0xff; 4096]);
    all.push(vec![b'd'; 65_000]);
    all.push(Vec::new());
    all
}

#[tokio::test]
async fn storms_of_nonsense_get_silence() {
    let _alone = super::QUIET.write().await;
    let server = Server::start().await;
    let stranger = Stranger::at([127, 7, 0, 1], 10).await;
    let before = resident();
    for bytes in malformed() {
        server.says(&stranger, &bytes).await;
        server.pass(Duration::from_millis(100));
        server.caught_up().await;
    }
    server.done().await;
    let said: Vec<_> = stranger.heard().iter().map(|bytes| bytes.escape_ascii().to_string()).collect();
    assert!(said.is_empty(), "{said:?}");
    // Questions that are sound so far are refused, in a few bytes.
    for bytes in [
        &b"d1:ad2:id20:abcdefghij0123456789e1:q4:vote1:t2:aa1:y1:qe"[..],
        b"d1:ad2:id20:abcdefghij0123456789e1:q9:get_peers1:t2:ab1:y1:qe",
        b"d1:ad2:id20:abcdefghij01234567896:target3:abce1:q9:find_node1:t2:ac1:y1:qe",
    ] {
        server.says(&stranger, bytes).await;
        server.pass(Duration::from_secs(1));
        server.done().await;
        let answers = stranger.answers();
        assert_eq!(answers.len(), 1);
        assert!(
            refusal(&answers[0]).is_some_and(|code| (203..=204).contains(&code)) && answers[0].len() < 100
        );
    }
    // At full speed, in a storm.
    let all = malformed();
    for _ in 0..200 {
        for bytes in all.iter().cycle().take(100) {
            if bytes.len() < 2000 {
                server.says(&stranger, bytes).await;
            }
        }
        server.pass(Duration::from_millis(100));
        server.done().await;
    }
    let grown = resident().saturating_sub(before);
    println!("{:?}, {} KiB more in memory", server.rates.statistics(), grown >> 10);
    assert!(grown < 16 << 20, "{grown}");
}
