//! More questions than anybody should be asked.

use dht_core::{Contact, Request};
use dht_net::{Transport, udp::Config};
use stats_alloc::Region;

use crate::{ALLOCATOR, parts::*};

/// Many made-up neighbours shout, one honest asker talks: a question, its answer, the next question.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_flood_leaves_the_honest_their_answers_and_grows_nothing() {
    let _alone = QUIET.write().await;
    // So few that all of them are used before it is counted.
    let mut udp = server(1, Config { max_held: 32, ..Config::default() }).await;
    let honest = Stranger::new().await;
    udp.send(id(1), Contact::new(9, honest.port()), Request::Ping);
    let tid = honest.asked(&mut udp).await;
    honest.send(&udp, &blank(tid, 9)).await;
    next(&mut udp).await;

    let mut flooders = Vec::new();
    for n in 0..250u8 {
        flooders.push(Stranger::at([127, n % 16, 1, n + 2]).await);
    }
    let (mut answered, mut tid) = (0, 0);
    // No more at a time than a small buffer of the system holds.
    let mut flood = async |udp: &mut Tiny, rounds: u32| {
        for _ in 0..rounds {
            for flooder in flooders.iter().cycle().take(5 * flooders.len()) {
                tid += 1;
                flooder.send(udp, &question(tid, 9, tid % 2 == 0, false, GET)).await;
                if tid % 64 == 0 {
                    answer_all(udp).await;
                }
            }
            tid += 1;
            honest.send(udp, &question(tid, 9, false, false, FIND)).await;
            loop {
                let heard = honest.hear(udp).await;
                if heard[0] == b'a' && heard[1..5] == tid.to_be_bytes() {
                    break;
                }
            }
            answered += 1;
        }
    };
    flood(&mut udp, 10).await;
    let region = Region::new(ALLOCATOR);
    flood(&mut udp, 30).await;
    let change = region.change();
    let kept = change.bytes_allocated as i64 - change.bytes_deallocated as i64;
    assert!(kept.abs() < 64 << 10, "{kept} bytes were kept");
    assert_eq!(answered, 40);
    let statistics = udp.rates().statistics();
    assert!(statistics.received > 49_000, "{statistics:?}");
    assert!(statistics.over_source + statistics.over_network > 30_000, "{statistics:?}");
    assert!(statistics.questions < 20_000, "{statistics:?}");
}
