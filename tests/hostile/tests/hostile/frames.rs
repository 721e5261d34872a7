//! Frames that break the rules of the network: each resets its stream and nothing else.

use dht::ipfs::MAX_FRAME;
use futures::AsyncWriteExt;
use libp2p::Stream;

use super::{
    ALONE, Honest, Victim, builder,
    message::{
        ADD_PROVIDER, FIND_NODE, GET_PROVIDERS, GET_VALUE, PUT_VALUE, field, frame, message, nobody, peer,
        record, tcp, varint,
    },
    raw::{Raw, is_reset, receive, send},
    within,
};

/// Whether the stream still answers.
async fn answers(stream: &mut Stream) -> bool {
    let asked = send(stream, &frame(&message(FIND_NODE, b"anything"))).await;
    asked && within(receive(stream)).await.is_some_and(|answer| answer.starts_with(&[8, FIND_NODE]))
}

/// A nested peer that overruns its own length, with an unknown field of length near 2^64 behind it.
fn overrun() -> Vec<u8> {
    let mut bytes = vec![0x08, FIND_NODE, 0x42, 3, 0x0a, 12];
    bytes.extend([0; 12]);
    bytes.extend([0x7a, 0xf3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    bytes
}

fn bad_frames(victim: &Victim) -> Vec<(&'static str, Vec<u8>)> {
    let (key, own) = (b"/v/some-key", victim.peer.to_bytes());
    let somebody = peer(&nobody(1), &tcp([1, 2, 3, 4], 1));
    let other = peer(&own, &tcp([1, 2, 3, 4], 1));
    vec![
        ("a length above the cap", varint(MAX_FRAME as u64 + 1)),
        ("a length of 2^63", varint(1 << 63)),
        ("a length of 2^64 - 1", varint(u64::MAX)),
        ("a length without end", vec![0xff; 11]),
        ("a length that is not in its shortest form", vec![0x81, 0]),
        ("4 MiB of zeros", frame(&vec![0; MAX_FRAME])),
        ("an empty message", frame(&[])),
        ("garbage", frame(b"GET / HTTP/1.1\r\n\r\n")),
        ("the overrun", frame(&overrun())),
        ("an unknown type", frame(&message(99, key))),
        ("no key", frame(&[8, FIND_NODE])),
        ("a group", frame(&[8, FIND_NODE, 0x0b, 0x0c])),
        ("a content key of 81 bytes", frame(&message(GET_PROVIDERS, &[7; 81]))),
        ("a put without a record", frame(&message(PUT_VALUE, key))),
        ("a record under another key", frame(&[message(PUT_VALUE, key), record(b"/v/x", b"1")].concat())),
        ("an unknown namespace", frame(&[message(PUT_VALUE, b"/no/x"), record(b"/no/x", b"1")].concat())),
        ("a public key that is none", {
            let key = [&b"/pk/"[..], &own].concat();
            frame(&[message(PUT_VALUE, &key), record(&key, b"1")].concat())
        }),
        ("an IPNS record that is none", {
            let key = [&b"/ipns/"[..], &own].concat();
            frame(&[message(PUT_VALUE, &key), record(&key, &[0x4a; 200])].concat())
        }),
        (
            "somebody else as a provider",
            frame(&[message(ADD_PROVIDER, &[5; 34]), field(9, &somebody)].concat()),
        ),
        ("the server as a provider", frame(&[message(ADD_PROVIDER, &[5; 34]), field(9, &other)].concat())),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_the_rules_resets_its_stream_and_no_other() {
    let _alone = ALONE.lock().await;
    let victim = Victim::start(builder()).await;
    let honest = Honest::start(&victim).await;
    let raw = Raw::connected(&victim.addr).await;
    let mut good = raw.open(victim.peer).await;
    assert!(answers(&mut good).await);
    let bad = bad_frames(&victim);
    for (what, bytes) in &bad {
        let mut stream = raw.open(victim.peer).await;
        send(&mut stream, bytes).await;
        assert!(is_reset(&mut stream).await, "{what}");
        assert!(answers(&mut good).await, "after {what}");
    }
    // Cut off at every byte, the end said properly: a reset, for half a message is no end.
    let whole = frame(&message(GET_VALUE, b"/v/some-key"));
    for cut in 1..whole.len() {
        let mut stream = raw.open(victim.peer).await;
        send(&mut stream, &whole[..cut]).await;
        let _ = stream.close().await;
        assert!(within(receive(&mut stream)).await.is_none(), "cut at {cut}");
    }
    assert!(answers(&mut good).await);
    let statistics = victim.node.datastore().statistics().await.unwrap();
    assert_eq!(statistics.records, 1, "nothing of it was stored");
    assert_eq!(victim.node.table().len().await.unwrap(), 0, "who only asks does not enter the table");
    honest.finish(&format!("{} broken frames", bad.len() + whole.len() - 1)).await;
    victim.node.close().await;
}
