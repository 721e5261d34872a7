//! Line B5: a find_node reply of 296 bytes, read. Ours checks depth, lengths, numbers and the lists of nodes; a second row
//! is the check that the bytes are canonical, without looking at what they mean.
//!
//! The peers are bencode crates without a notion of KRPC. Each is asked for the same fields, borrowed where it can borrow;
//! none of them is asked to check what it does not check by itself.

use anyhow::{Context as _, Result, anyhow, ensure};
use dht_mainline::{
    NodeId,
    bencode::{Canonical, Limits},
    compact::{Family, Nodes},
    krpc::{self, Body, Message, Reply},
};
use serde::Deserialize;

use crate::{
    args::Args,
    contest::{Contest, nanos},
};

const TID: &[u8] = b"abcd";
const NODES: [u8; 208] = [0xa5; 208];

/// The fields of the reply, borrowed.
#[derive(Debug, Default, Deserialize)]
struct Borrowed<'a> {
    #[serde(borrow, with = "serde_bytes")]
    ip: &'a [u8],
    #[serde(borrow)]
    r: Fields<'a>,
    #[serde(borrow, with = "serde_bytes")]
    t: &'a [u8],
    #[serde(borrow, with = "serde_bytes")]
    v: &'a [u8],
    #[serde(borrow, with = "serde_bytes")]
    y: &'a [u8],
}

#[derive(Debug, Default, Deserialize)]
struct Fields<'a> {
    #[serde(borrow, with = "serde_bytes")]
    id: &'a [u8],
    #[serde(borrow, with = "serde_bytes")]
    nodes: &'a [u8],
    p: i64,
}

/// The same, owned: one of the crates cannot borrow.
#[derive(Debug, Deserialize)]
struct Owned {
    #[serde(with = "serde_bytes")]
    ip: Vec<u8>,
    r: OwnedFields,
    #[serde(with = "serde_bytes")]
    t: Vec<u8>,
    #[serde(with = "serde_bytes")]
    v: Vec<u8>,
    #[serde(with = "serde_bytes")]
    y: Vec<u8>,
}

#[derive(Debug, Deserialize)]
struct OwnedFields {
    #[serde(with = "serde_bytes")]
    id: Vec<u8>,
    #[serde(with = "serde_bytes")]
    nodes: Vec<u8>,
    p: i64,
}

/// Line B5.
///
/// # Errors
/// When somebody does not read what is there.
pub fn run(args: &Args) -> Result<()> {
    let datagram = datagram()?;
    check(&datagram)?;
    let input = || std::hint::black_box(&datagram[..]);
    let (fast, slow) = (args.size(500_000, 100), args.size(100_000, 100));
    Contest::new("b5", "read a find_node reply of 296 bytes", "ns")
        .with("dht-mainline, the message, all checks", || nanos(fast, |_| krpc::decode(input()).is_ok()))
        .with("dht-mainline, canonical or not", || {
            nanos(fast, |_| Canonical::new(input(), Limits::default()).is_ok())
        })
        .with("librqbit-bencode 9.1.0, borrowed", || nanos(fast, |_| librqbit(input()).is_ok()))
        .with("bt_bencode 0.8.2, borrowed", || nanos(fast, |_| bt(input()).is_ok()))
        .with("bendy 0.6.1, its decoder", || nanos(slow, |_| bendy(input()).is_ok()))
        .with("serde_bencode 0.2.4, owned", || nanos(slow, |_| owned(input()).is_ok()))
        .run(args);
    Ok(())
}

fn datagram() -> Result<Vec<u8>> {
    let nodes = Nodes::new(Family::V4, &NODES);
    let reply = Reply { nodes, port: Some(68), ..Reply::of(NodeId([0x5a; 20])) };
    let ip = Some(([127, 0, 0, 1], 6881).into());
    let mut datagram = Vec::new();
    Message { tid: TID, version: Some(b"XX01"), ip, body: Body::Reply(reply) }.encode(&mut datagram);
    ensure!(datagram.len() == 296, "{} bytes", datagram.len());
    Ok(datagram)
}

/// All of them see the same.
fn check(datagram: &[u8]) -> Result<()> {
    let Ok(Message { tid: TID, body: Body::Reply(reply), .. }) = krpc::decode(datagram) else {
        return Err(anyhow!("not a reply"));
    };
    ensure!(reply.nodes.context("nodes")?.as_bytes() == NODES && reply.port == Some(68));
    for message in [librqbit(datagram)?, bt(datagram)?, bendy(datagram)?] {
        let r = &message.r;
        ensure!(message.t == TID && message.y == b"r" && message.v == b"XX01" && message.ip.len() == 6);
        ensure!(r.nodes == NODES && r.p == 68 && r.id == [0x5a; 20]);
    }
    let message = owned(datagram)?;
    let (r, lengths) = (&message.r, (message.ip.len(), message.v.len(), message.y.len()));
    ensure!(message.t == TID && lengths == (6, 4, 1) && r.nodes == NODES && r.p == 68 && r.id == [0x5a; 20]);
    Ok(())
}

fn librqbit(datagram: &[u8]) -> Result<Borrowed<'_>> {
    librqbit_bencode::from_bytes(datagram).map_err(|error| anyhow!("{error}"))
}

fn bt(datagram: &[u8]) -> Result<Borrowed<'_>> {
    Ok(bt_bencode::from_slice(datagram)?)
}

fn owned(datagram: &[u8]) -> Result<Owned> {
    Ok(serde_bencode::from_bytes(datagram)?)
}

fn bendy(datagram: &[u8]) -> Result<Borrowed<'_>> {
    use bendy::decoding::{Decoder, Error};
    let read = || -> Result<_, Error> {
        let mut message = Borrowed::default();
        let mut decoder = Decoder::new(datagram);
        let top = decoder.next_object()?.ok_or(Error::missing_field("top"))?;
        let mut top = top.try_into_dictionary()?;
        while let Some((key, value)) = top.next_pair()? {
            match key {
                b"ip" => message.ip = value.try_into_bytes()?,
                b"t" => message.t = value.try_into_bytes()?,
                b"v" => message.v = value.try_into_bytes()?,
                b"y" => message.y = value.try_into_bytes()?,
                b"r" => {
                    let mut r = value.try_into_dictionary()?;
                    while let Some((key, value)) = r.next_pair()? {
                        match key {
                            b"id" => message.r.id = value.try_into_bytes()?,
                            b"nodes" => message.r.nodes = value.try_into_bytes()?,
                            b"p" => {
                                message.r.p =
                                    value.try_into_integer()?.parse().map_err(Error::malformed_content)?
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(message)
    };
    read().map_err(|error| anyhow!("{error}"))
}
