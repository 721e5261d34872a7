//! What an answer takes from the heap: nothing, once the buffers are warm.

use std::{net::UdpSocket, time::Duration};

use dht_net::{Incoming, Transport, udp::Config};
use stats_alloc::Region;

use crate::{ALLOCATOR, parts::*};

#[tokio::test]
async fn a_question_and_its_answer_take_nothing_from_the_heap() {
    let _alone = QUIET.write().await;
    let config = Config { duplicate_window: Duration::ZERO, ..Config::local() };
    let mut udp = server(1, config).await;
    let asker = UdpSocket::bind("127.0.0.1:0").unwrap();
    asker.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let ask = question(1, 9, false, true, GET);
    let mut response = rich();
    let mut buffer = [0; 4096];
    let mut rounds = async |rounds: usize| {
        for _ in 0..rounds {
            for _ in 0..8 {
                asker.send_to(&ask, udp.local_addr()).unwrap();
            }
            for _ in 0..8 {
                let Incoming::Request { token, .. } = next(&mut udp).await else { panic!() };
                udp.reply(token, Ok(&mut response));
            }
            poll(&mut udp).await;
            for _ in 0..8 {
                assert!(asker.recv(&mut buffer).unwrap() > 300);
            }
        }
    };
    rounds(20).await;
    let region = Region::new(ALLOCATOR);
    rounds(100).await;
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{change:?}");
}
