//! PERFORMANCE B4: a FIND_NODE answer of 20 peers with 4 addresses each, written and read by this crate and by `prost` with
//! the `multiaddr` crate, in one run.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, criterion_group, criterion_main};
use dht_core::{Contact, Request, Response};
use dht_ipfs::{AddrList, Codec, Ipfs, Multiaddr, PeerId};
use dht_protocol::StreamCodec;
use prost::Message as _;

#[path = "../src/oracle.rs"]
mod oracle;

fn peer(i: u8) -> PeerId {
    let mut id = [0x5a ^ i; 38];
    id[..6].copy_from_slice(&[0, 36, 8, 1, 18, 32]);
    PeerId::try_from(&id[..]).expect("an inline Ed25519 key")
}

fn contacts() -> Vec<Contact<Ipfs>> {
    (0..20u8)
        .map(|i| {
            let addrs: AddrList = [
                format!("/ip4/18.{i}.7.9/tcp/4001"),
                format!("/ip4/18.{i}.7.9/udp/4001/quic-v1"),
                format!("/ip6/2604:1380::{i}/tcp/4001"),
                format!("/ip4/19.{i}.7.9/tcp/4001"),
            ]
            .iter()
            .map(|text| text.parse::<Multiaddr>().expect("a multiaddr"))
            .collect();
            Contact::new(peer(i), addrs)
        })
        .collect()
}

fn find_node(c: &mut Criterion) {
    let codec = Codec;
    let request: Request<Ipfs> = Request::FindNode { target: Bytes::copy_from_slice(peer(99).as_ref()) };
    let response = Response { closer: contacts(), ..Response::default() };
    let mut frame = BytesMut::new();
    codec.encode_response(&request, &response, &mut frame);
    let body = Bytes::copy_from_slice(&frame[2..]);
    let theirs = oracle::Message::decode(body.clone()).expect("our message");
    println!("message of {} bytes", body.len());

    let mut group = c.benchmark_group("find_node_20x4");
    let mut out = BytesMut::with_capacity(4096);
    group.bench_function("encode/ours", |b| {
        b.iter(|| {
            out.clear();
            codec.encode_response(black_box(&request), black_box(&response), &mut out)
        });
    });
    group.bench_function("encode/prost", |b| {
        b.iter(|| {
            out.clear();
            black_box(&theirs).encode_length_delimited(&mut out)
        });
    });
    group.bench_function("decode/ours", |b| {
        b.iter(|| codec.decode_response(black_box(&request), black_box(body.clone())).expect("valid"));
    });
    group.bench_function("decode/prost", |b| {
        b.iter(|| oracle::Message::decode(black_box(body.clone())).expect("valid"));
    });
    group.bench_function("decode/prost+multiaddr", |b| {
        b.iter(|| {
            let message = oracle::Message::decode(black_box(body.clone())).expect("valid");
            let peers = message.closer.into_iter().map(|peer| {
                let id = libp2p_identity::PeerId::from_bytes(&peer.id).expect("valid");
                let addrs: Vec<_> =
                    peer.addrs.into_iter().map(|addr| Multiaddr::try_from(addr).expect("valid")).collect();
                (id, addrs)
            });
            peers.collect::<Vec<_>>()
        });
    });
    group.finish();
}

criterion_group!(benches, find_node);
criterion_main!(benches);
