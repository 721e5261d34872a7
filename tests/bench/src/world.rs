//! The peers and targets that all contenders are given: the same keys, so that their tables have the same shape.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use bytes::Bytes;
use dht_core::{
    Contact, Key, Mono, Now, Overlay, Rng, Wall,
    rand_core::{Rng as _, SeedableRng},
};
use dht_ipfs::{AddrList, Ipfs, Multiaddr, PeerId};
use libp2p::{PeerId as TheirPeerId, kad::KBucketKey};

/// Somebody, in everybody's words.
#[derive(Clone)]
pub struct Somebody {
    /// Ours.
    pub contact: Contact<Ipfs>,
    /// libp2p's name of it.
    pub peer: TheirPeerId,
    /// libp2p's form of its addresses.
    pub addrs: Vec<Multiaddr>,
    /// Its place in the key space.
    pub key: Key<32>,
}

/// A target, in everybody's words.
pub struct Target {
    /// As it goes over the wire.
    pub bytes: Bytes,
    /// Its place in the key space.
    pub key: Key<32>,
    /// libp2p's form of the same place.
    pub theirs: KBucketKey<Vec<u8>>,
    /// Mainline's keys are shorter.
    pub short: mainline::Id,
}

/// A world that repeats.
#[derive(Clone)]
pub struct World {
    rng: Rng,
    /// The node that the tables belong to.
    pub local: Somebody,
}

impl World {
    /// Another one for each seed.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::seed_from_u64(seed);
        let local = somebody(&mut rng, 4);
        Self { rng, local }
    }

    /// The world around that node, another one for each seed.
    pub fn around(peer: TheirPeerId, seed: u64) -> Self {
        let contact = Contact::unlocated(PeerId::try_from(peer).expect("an id made from a key"));
        let local = Somebody { key: contact.key(), peer, contact, addrs: Vec::new() };
        Self { rng: Rng::seed_from_u64(seed), local }
    }

    /// Strangers with that many addresses each.
    pub fn strangers(&mut self, count: usize, addrs: usize) -> Vec<Somebody> {
        (0..count).map(|_| somebody(&mut self.rng, addrs)).collect()
    }

    /// Targets anywhere: half of them agree with the local key in no bit.
    pub fn far(&mut self, count: usize) -> Vec<Target> {
        (0..count)
            .map(|_| target(Bytes::copy_from_slice(somebody(&mut self.rng, 0).contact.peer.as_ref())))
            .collect()
    }

    /// Targets that agree with the local key in 6 to 13 bits: those that the last steps of lookups near us ask for.
    pub fn near(&mut self, count: usize) -> Vec<Target> {
        let of = |i| target(Ipfs::refresh_target(&self.local.key, 6 + i as u32 % 8, self.rng.next_u64()));
        (0..count).map(of).collect()
    }
}

fn somebody(rng: &mut Rng, addrs: usize) -> Somebody {
    let mut id = [0; 38];
    rng.fill_bytes(&mut id);
    // An inline Ed25519 key: identity multihash, 36 bytes, protobuf of the key. Whether it is on the curve nobody asks.
    id[..6].copy_from_slice(&[0, 36, 8, 1, 18, 32]);
    let addrs: Vec<Multiaddr> = (0..addrs).map(|i| address(rng, i)).collect();
    let peer = PeerId::try_from(&id[..]).expect("an inline key");
    let contact = Contact::new(peer, addrs.iter().cloned().collect::<AddrList>());
    Somebody { key: contact.key(), peer: peer.into(), contact, addrs }
}

/// A public address of the kinds that peers of the network have.
fn address(rng: &mut Rng, kind: usize) -> Multiaddr {
    let (a, b, c) = (rng.next_u32() as u8, rng.next_u32() as u8, rng.next_u32() as u16);
    let text = match kind % 4 {
        0 => format!("/ip4/18.{a}.{b}.9/tcp/4001"),
        1 => format!("/ip4/18.{a}.{b}.9/udp/4001/quic-v1"),
        2 => format!("/ip6/2604:1380::{c:x}/tcp/4001"),
        _ => format!("/ip4/19.{a}.{b}.7/tcp/4001"),
    };
    text.parse().expect("a multiaddr")
}

fn target(bytes: Bytes) -> Target {
    let key = Ipfs::key_of(&bytes);
    Target { key, theirs: KBucketKey::from(bytes.to_vec()), short: short(&key), bytes }
}

/// The first 160 bits.
pub fn short(key: &Key<32>) -> mainline::Id {
    mainline::Id::from_bytes(&key.0[..20]).expect("twenty bytes")
}

/// Mainline's form of somebody: its keys are shorter, and it knows one IPv4 address.
pub fn node(somebody: &Somebody) -> mainline::Node {
    let ip = Ipv4Addr::new(18, somebody.key.0[20], somebody.key.0[21], somebody.key.0[22]);
    mainline::Node::new(short(&somebody.key), SocketAddrV4::new(ip, 4001))
}

/// A moment of virtual time.
pub fn at(secs: u64) -> Now {
    Now { mono: Mono(Duration::from_secs(secs)), wall: Wall::from_secs(secs) }
}
