//! What can be stored, and what is only told.

use std::{
    hash::Hasher,
    net::{IpAddr, SocketAddr},
};

use siphasher::sip::SipHasher24;

use crate::{Bloom, InfoHash, Item, address};

/// What can be stored, and what is only told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Somebody who takes part in a swarm.
    Peer(Peer),
    /// An item, and the sequence number that whoever sends it expects to replace.
    Item(Item, Option<i64>),
    /// How many take part in a swarm, by one node (BEP 33). Never stored: nodes make it out of the peers they know.
    Scrape(Box<Scrape>),
    /// Some of the swarms that one node knows (BEP 51). Never stored either.
    Samples(Box<Samples>),
}

/// Somebody who takes part in a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Where.
    pub addr: SocketAddr,
    /// Whether he has everything.
    pub seed: bool,
    /// In an announcement: the port of the datagram counts, and not that of `addr`.
    pub implied_port: bool,
}

impl Peer {
    /// Whether this is the node's own announcement, made while it did not know its address.
    pub fn is_here(&self) -> bool {
        self.addr.ip().is_unspecified()
    }
}

/// The members of a swarm as one node knows them. Those of several nodes are united.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrape {
    /// Those that have everything.
    pub seeds: Bloom,
    /// Those that do not.
    pub peers: Bloom,
}

impl Scrape {
    /// Counts one more member.
    pub fn insert(&mut self, peer: &Peer) {
        let filter = if peer.seed { &mut self.seeds } else { &mut self.peers };
        filter.insert(peer.addr.ip());
    }

    /// Adds what another node knows.
    pub fn union(&mut self, other: &Self) {
        self.seeds.union(&other.seeds);
        self.peers.union(&other.peers);
    }
}

/// Some of the swarms that one node knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// The swarms.
    pub hashes: Vec<InfoHash>,
    /// How many the node knows in all.
    pub num: u32,
    /// Seconds until it may be asked again, at most six hours.
    pub interval: u32,
}

/// What of a query an item competes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// The only one there is.
    Single,
    /// One for each address (BEP 33).
    Address(IpAddr),
    /// One for each address with its port: where many share few addresses, as on one machine or behind one translator.
    Place(SocketAddr),
    /// One for each content: what several nodes tell stands side by side.
    Content(u64),
}

impl Record {
    /// What it competes for.
    pub fn slot(&self) -> Slot {
        match self {
            Self::Peer(peer) if address::is_local(peer.addr.ip()) => Slot::Place(peer.addr),
            Self::Peer(peer) => Slot::Address(peer.addr.ip()),
            Self::Item(..) => Slot::Single,
            Self::Scrape(scrape) => content([&scrape.seeds.as_bytes()[..], scrape.peers.as_bytes()]),
            Self::Samples(samples) => {
                let numbers = [samples.num.to_be_bytes(), samples.interval.to_be_bytes()].concat();
                content([&numbers[..]].into_iter().chain(samples.hashes.iter().map(AsRef::as_ref)))
            }
        }
    }

    /// Bytes that it takes.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Peer(_) => size_of::<Peer>(),
            Self::Item(item, _) => {
                item.value.len()
                    + item.signed.as_ref().map_or(0, |signed| size_of_val(signed) + signed.salt.len())
            }
            Self::Scrape(scrape) => size_of_val(&**scrape),
            Self::Samples(samples) => size_of_val(&**samples) + size_of_val(&samples.hashes[..]),
        }
    }
}

/// No secret is needed: who makes two contents of one slot loses one of his own.
fn content<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Slot {
    let mut hasher = SipHasher24::new();
    parts.into_iter().for_each(|part| hasher.write(part));
    Slot::Content(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str, seed: bool) -> Peer {
        Peer { addr: text.parse().unwrap(), seed, implied_port: false }
    }

    #[test]
    fn what_several_nodes_tell_stands_side_by_side() {
        let samples = |num, hashes: &[u8]| {
            let hashes = hashes.iter().map(|byte| InfoHash([*byte; 20])).collect();
            Record::Samples(Box::new(Samples { hashes, num, interval: 60 })).slot()
        };
        assert_eq!(samples(7, &[1]), samples(7, &[1]));
        assert_ne!(samples(7, &[1]), samples(8, &[1]));
        assert_ne!(samples(7, &[1]), samples(7, &[1, 2]));
        let mut scrape = Scrape::default();
        let empty = Record::Scrape(Box::new(scrape.clone()));
        scrape.insert(&peer("9.8.7.6:1", true));
        let one = Record::Scrape(Box::new(scrape));
        assert_ne!(empty.slot(), one.slot());
        assert_eq!(one.weight(), 512);
    }

    #[test]
    fn scrapes_add_up() {
        let (mut a, mut b) = (Scrape::default(), Scrape::default());
        a.insert(&peer("9.8.7.6:1", true));
        b.insert(&peer("9.8.7.5:1", true));
        b.insert(&peer("9.8.7.4:1", false));
        a.union(&b);
        assert_eq!((a.seeds.estimate().round(), a.peers.estimate().round()), (2.0, 1.0));
    }
}
