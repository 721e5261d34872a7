//! PERFORMANCE B5: a find_node reply of 296 bytes, read with every check.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dht_mainline::bencode::{Error, Limits, Reader, Writer};

/// Eight nodes, a transaction id of four bytes, a version and the asker's address: 296 bytes.
fn reply() -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out).dict(|top| {
        top.bytes(b"ip", &[127, 0, 0, 1, 0x1a, 0xe1]);
        top.entry(b"r", |value| {
            value.dict(|r| {
                r.bytes(b"id", &[0x5a; 20]);
                r.bytes(b"nodes", &[0xa5; 208]);
            });
        });
        top.bytes(b"t", b"abcd");
        top.bytes(b"v", b"XX01");
        top.bytes(b"y", b"r");
    });
    out
}

fn find_node(c: &mut Criterion) {
    let message = reply();
    println!("message of {} bytes", message.len());
    let mut group = c.benchmark_group("find_node_reply");
    group.bench_function("walk", |b| {
        b.iter(|| {
            let mut reader = Reader::new(black_box(&message), Limits::default())?;
            let (mut id, mut nodes, mut tid) = (None, None, None);
            reader.value().dict(|key, value| {
                match key {
                    b"t" => tid = Some(value.bytes()?),
                    b"r" => value.dict(|key, value| {
                        match key {
                            b"id" => id = value.array::<20>()?,
                            b"nodes" => nodes = Some(value.bytes()?),
                            _ => {}
                        }
                        Ok::<_, Error>(())
                    })?,
                    _ => {}
                }
                Ok::<_, Error>(())
            })?;
            reader.finish()?;
            Ok::<_, Error>((id, nodes, tid, reader.deviation()))
        });
    });
    group.finish();
}

criterion_group!(benches, find_node);
criterion_main!(benches);
