//! PERFORMANCE B5: a find_node reply of 296 bytes, read with every check: as bencode, as a message, and written.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dht_mainline::{
    NodeId,
    bencode::{Canonical, Limits},
    compact::{Family, Nodes},
    krpc::{Body, Message, Reply, decode},
};

fn find_node(c: &mut Criterion) {
    let nodes = [0xa5; 208];
    let reply =
        Reply { nodes: Nodes::new(Family::V4, &nodes), port: Some(68), ..Reply::of(NodeId([0x5a; 20])) };
    let ip = Some(([127, 0, 0, 1], 6881).into());
    let message = Message { tid: b"abcd", version: Some(b"XX01"), ip, body: Body::Reply(reply) };
    let mut datagram = Vec::new();
    message.encode(&mut datagram);
    assert_eq!(datagram.len(), 296);
    assert_eq!(decode(&datagram), Ok(message));

    let mut group = c.benchmark_group("find_node_reply");
    group.bench_function("check", |b| {
        b.iter(|| Canonical::new(black_box(&datagram), Limits::default()).is_ok());
    });
    group.bench_function("decode", |b| b.iter(|| decode(black_box(&datagram)).is_ok()));
    let mut out = Vec::with_capacity(512);
    group.bench_function("encode", |b| {
        b.iter(|| {
            out.clear();
            black_box(&message).encode(&mut out);
        });
    });
    group.finish();
}

criterion_group!(benches, find_node);
criterion_main!(benches);
