//! A network of 32-bit ids that stand for hashed keys: the smallest contacts the engine can have, for the largest runs.
//!
//! An id is a number, its key a mix of that number, so that ids are spread over 64 bits as hashes are; where a node
//! is follows from its number. Values are versions, the highest is best; a crowd holds one entry for each of its members, as provider
//! records do. Nothing is signed: who may write what is not this network's question.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use dht_core::{
    Contact, KadKey, Now, Overlay, Request, Rng,
    rand_core::{Rng as _, SeedableRng},
};
use dht_protocol::{Parts, Refusal, Rules};
use dht_records::{Invalid, MemoryConfig, Stored, Validator};
use dht_routing::AdmitAll;

use super::{Content, Engine, Manners, Mark, Network};
use crate::dice::{mix, unmix};

/// The compact overlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compact;

/// A point of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point(pub u64);

impl KadKey for Point {
    const BITS: u32 = 64;
    type Distance = u64;

    fn distance(&self, other: &Self) -> u64 {
        self.0 ^ other.0
    }
    fn common_prefix_len(&self, other: &Self) -> u32 {
        (self.0 ^ other.0).leading_zeros()
    }
    fn prefix64(&self) -> u64 {
        self.0
    }
    fn bit(&self, i: u32) -> bool {
        self.0 << i >> 63 == 1
    }
}

/// Who a node is: its number, as bytes, so that a contact takes five of them and not eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompactId([u8; 4]);

impl CompactId {
    /// The number.
    pub fn number(self) -> u32 {
        u32::from_be_bytes(self.0)
    }
}

impl From<u32> for CompactId {
    fn from(number: u32) -> Self {
        Self(number.to_be_bytes())
    }
}

impl fmt::Display for CompactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

/// Whether it is known where a node is. Its number says the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place(pub bool);

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// Whether entries stand side by side, one for each writer.
    pub crowd: bool,
    /// Which one.
    pub key: u32,
}

/// What can be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whether it is one of a crowd.
    pub crowd: bool,
    /// Who wrote it.
    pub writer: u32,
    /// Which version it is; 0 is invalid.
    pub version: u32,
}

/// Keys of subjects must not be those of ids.
const SUBJECTS: u64 = 1 << 32;
/// Neither must those of crowds be those of values.
const CROWDS: u64 = 2 << 32;

impl Overlay for Compact {
    type Key = Point;
    type Target = Point;
    type PeerId = CompactId;
    type Addr = Place;
    type Query = Subject;
    type Item = Entry;
    type Slot = Option<u32>;
    type Ticket = Infallible;
    const TICKETED: bool = false;

    fn peer_key(peer: &CompactId) -> Point {
        Point(mix(u64::from(peer.number()) + 1))
    }
    fn key_of(target: &Point) -> Point {
        *target
    }
    fn peer_target(peer: &CompactId) -> Point {
        Self::peer_key(peer)
    }
    fn target_peer(target: &Point) -> Option<CompactId> {
        u32::try_from(unmix(target.0).checked_sub(1)?).ok().map(CompactId::from)
    }
    fn target_of(query: &Subject) -> Point {
        let kind = if query.crowd { CROWDS } else { SUBJECTS };
        Point(mix(kind + u64::from(query.key) + 1))
    }
    fn refresh_target(local: &Point, prefix: u32, seed: u64) -> Point {
        let flipped = 1 << 63 >> prefix.min(63);
        let below = flipped - 1;
        Point((local.0 ^ flipped) & !below | Rng::seed_from_u64(seed).next_u64() & below)
    }
    fn slot(item: &Entry) -> Option<u32> {
        item.crowd.then_some(item.writer)
    }
    fn weight(_: &Entry) -> usize {
        size_of::<Entry>()
    }
    fn corrects(query: &Subject) -> bool {
        !query.crowd
    }
}

/// Takes every version above 0; the highest is best, and of equals the first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Versions;

impl Validator<Compact> for Versions {
    fn check(&self, query: &Subject, item: &Entry, _: Now) -> Result<(), Invalid> {
        match item.version {
            0 => Err(Invalid::Signature),
            _ if item.crowd != query.crowd => Err(Invalid::KeyMismatch),
            _ => Ok(()),
        }
    }
    fn best(&self, _: &Subject, items: &[Entry]) -> Option<usize> {
        (0..items.len()).rev().max_by_key(|i| items[*i].version)
    }
}

/// Serves everybody, and keeps items for some time.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// How long an item is kept.
    pub lifetime: Duration,
}

impl Default for Open {
    /// 48 hours, as on IPFS.
    fn default() -> Self {
        Self { lifetime: Duration::from_secs(48 * 3600) }
    }
}

impl Rules<Compact> for Open {
    fn admit(&self, from: &Contact<Compact>, request: &Request<Compact>, _: Now) -> Result<(), Refusal> {
        match request {
            // Nobody speaks for others.
            Request::Put { item, .. } if item.crowd && item.writer != from.peer.number() => {
                Err(Refusal::NotAdmitted)
            }
            _ => Ok(()),
        }
    }
    fn show(&self, contact: &Contact<Compact>, _: &Contact<Compact>) -> Option<Place> {
        contact.is_located().then_some(contact.addr)
    }
    fn ticket(&self, _: &Contact<Compact>, _: &Subject, _: usize, _: Now) -> Option<Infallible> {
        None
    }
    fn redeem(
        &self,
        _: &Contact<Compact>,
        _: &Subject,
        _: Option<&Infallible>,
        _: Now,
    ) -> Result<(), Refusal> {
        Ok(())
    }
    fn lifetime(&self, _: &Subject, _: &Entry) -> Duration {
        self.lifetime
    }
    fn receive(&self, item: Entry, _: Now) -> Entry {
        item
    }
    fn present(&self, stored: &Stored<Compact>, _: Now) -> Option<Entry> {
        Some(stored.item)
    }
    fn renew(&self, item: Entry, _: &Contact<Compact>) -> Entry {
        item
    }
}

/// The network of this overlay, with rules that may be replaced.
#[derive(Clone)]
pub struct CompactNetwork {
    /// Which entries are true.
    pub validator: Arc<dyn Validator<Compact>>,
    /// What is served and kept.
    pub rules: Arc<dyn Rules<Compact>>,
}

impl Default for CompactNetwork {
    fn default() -> Self {
        Self { validator: Arc::new(Versions), rules: Arc::new(Open::default()) }
    }
}

impl Network<Compact> for CompactNetwork {
    fn contact(&self, node: u32) -> Contact<Compact> {
        Contact::new(node.into(), Place(true))
    }

    fn locate(&self, contact: &Contact<Compact>) -> Option<u32> {
        contact.addr.0.then(|| contact.peer.number())
    }

    fn parts(&self, _: u32, engine: &Engine, seed: u64) -> Parts<Compact> {
        Parts {
            config: engine.node(dht_protocol::Config { max_known_peers: 0, ..Default::default() }),
            routing: engine.routing(dht_routing::Config::default()),
            queries: engine.queries(dht_query::Config::default()),
            admit: Box::new(AdmitAll),
            filter: None,
            validator: self.validator.clone(),
            rules: self.rules.clone(),
            seed,
        }
    }

    fn memory(&self) -> MemoryConfig {
        MemoryConfig::default()
    }

    fn manners(&self) -> Manners {
        Manners::datagrams()
    }

    fn target(&self, random: u64) -> Point {
        Point(random)
    }

    fn query(&self, content: Content, key: u32) -> Subject {
        Subject { crowd: content == Content::Provider, key }
    }

    fn item(&self, content: Content, _: u32, writer: u32, version: u32, _: Now) -> Entry {
        Entry { crowd: content == Content::Provider, writer, version }
    }

    fn mark(&self, item: &Entry) -> Option<Mark> {
        Some(Mark { writer: item.writer, version: item.version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_their_targets_belong_together_and_subjects_are_nobody() {
        for id in [0, 1, 77, u32::MAX].map(CompactId::from) {
            assert_eq!(Compact::target_peer(&Compact::peer_target(&id)), Some(id));
        }
        for crowd in [false, true] {
            let target = Compact::target_of(&Subject { crowd, key: 5 });
            assert_eq!(Compact::target_peer(&target), None);
        }
    }

    #[test]
    fn refresh_targets_share_exactly_the_prefix() {
        for (seed, prefix) in (0..200u64).flat_map(|seed| (0..64).map(move |prefix| (seed, prefix))) {
            let local = Point(mix(seed));
            assert_eq!(Compact::refresh_target(&local, prefix, seed).common_prefix_len(&local), prefix);
        }
    }

    #[test]
    fn contacts_are_as_small_as_can_be() {
        assert_eq!(size_of::<Contact<Compact>>(), 5);
        let network = CompactNetwork::default();
        assert_eq!(network.locate(&network.contact(9)), Some(9));
        assert_eq!(network.locate(&Contact::unlocated(9.into())), None);
    }
}
