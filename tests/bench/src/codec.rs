//! Line B4: a FIND_NODE answer of 20 peers with 4 addresses each, written and read.
//!
//! libp2p-kad's codec is private; it is `prost` for the message and `multiaddr` and `PeerId` for what is in it, and that
//! is what stands here. "With validation" means that ids and addresses were found to be ids and addresses.

use bytes::{Bytes, BytesMut};
use dht_core::{Contact, Request, Response};
use dht_ipfs::{Codec, Ipfs, Multiaddr};
use dht_protocol::StreamCodec as _;
use prost::Message as _;

use crate::{
    args::Args,
    contest::{Contest, nanos, note},
    world::World,
};

#[path = "../../../dht-ipfs/src/oracle.rs"]
mod oracle;

/// Line B4.
pub fn run(args: &Args) {
    let mut world = World::new(4);
    let closer: Vec<Contact<Ipfs>> = world.strangers(20, 4).into_iter().map(|s| s.contact).collect();
    let request: Request<Ipfs> = Request::FindNode { target: world.far(1).remove(0).bytes };
    let response = Response { closer, ..Response::default() };
    let mut frame = BytesMut::new();
    Codec.encode_response(&request, &response, &mut frame);
    let body: Bytes = frame.freeze().slice(2..);
    let theirs = oracle::Message::decode(body.clone()).expect("what we wrote");
    note(args, "b4", &format!("message of {} bytes", body.len()));
    encode(args, &request, &response, &theirs);
    decode(args, &request, &body);
}

fn encode(args: &Args, request: &Request<Ipfs>, response: &Response<Ipfs>, theirs: &oracle::Message) {
    let calls = args.size(100_000, 8);
    let (mut out, mut out2) = (BytesMut::with_capacity(4096), BytesMut::with_capacity(4096));
    Contest::new("b4", "encode a FIND_NODE answer, 20 peers x 4 addresses", "ns/message")
        .with("dht-ipfs", || {
            nanos(calls, |_| {
                out.clear();
                Codec.encode_response(request, response, &mut out)
            })
        })
        .with("prost 0.14.4, message prepared", || {
            nanos(calls, |_| {
                out2.clear();
                theirs.encode_length_delimited(&mut out2).expect("the buffer grows");
            })
        })
        .run(args);
}

fn decode(args: &Args, request: &Request<Ipfs>, body: &Bytes) {
    let calls = args.size(30_000, 8);
    Contest::new("b4", "decode it, with validation", "ns/message")
        .with("dht-ipfs", || {
            nanos(calls, |_| Codec.decode_response(request, body.clone()).expect("what we wrote"))
        })
        .with("prost 0.14.4, no validation", || {
            nanos(calls, |_| oracle::Message::decode(body.clone()).expect("what we wrote"))
        })
        .with("prost 0.14.4 + multiaddr 0.19", || {
            nanos(calls, |_| {
                let message = oracle::Message::decode(body.clone()).expect("what we wrote");
                let peers = message.closer.into_iter().map(|peer| {
                    let id = libp2p::PeerId::from_bytes(&peer.id).expect("an id");
                    let addrs =
                        peer.addrs.into_iter().map(|addr| Multiaddr::try_from(addr).expect("a multiaddr"));
                    (id, addrs.collect::<Vec<_>>())
                });
                peers.collect::<Vec<_>>()
            })
        })
        .run(args);
}
