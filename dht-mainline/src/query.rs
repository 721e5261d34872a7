//! What can be asked for. What only says how to answer, or how to read the answer, takes no part in what a query is: it
//! finds the same things in a store.

use std::{
    cmp::Ordering,
    fmt::{self, Debug, Display},
    hash::{Hash, Hasher},
};

use bytes::Bytes;
use dht_core::Key;

use crate::{InfoHash, item};

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Query {
    /// The peers of a swarm.
    Peers(Swarm),
    /// The item under a point of the key space.
    Item(ItemKey),
    /// Some of the swarms that whoever is asked knows (BEP 51), and nodes close to this point.
    Samples(Key<20>),
}

impl From<InfoHash> for Query {
    /// The peers of a swarm, all of them.
    fn from(info_hash: InfoHash) -> Self {
        Self::Peers(Swarm::new(info_hash))
    }
}

/// A swarm, and what of it is wanted. Two with the same infohash are the same swarm.
#[derive(Clone, Copy)]
pub struct Swarm {
    /// Which.
    pub info_hash: InfoHash,
    /// Whether its size is wanted: [`Record::Scrape`](crate::Record::Scrape) beside peers (BEP 33).
    pub scrape: bool,
    /// Whether seeds are of no use to who asks (BEP 33).
    pub noseed: bool,
}

impl Swarm {
    /// A swarm of which every peer is wanted.
    pub const fn new(info_hash: InfoHash) -> Self {
        Self { info_hash, scrape: false, noseed: false }
    }
}

impl Debug for Swarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.info_hash, f)
    }
}

/// Where an item is, what an answer leaves out, and what it may leave out.
///
/// Two keys with the same target are the same key: the target is a hash that the salt is part of.
#[derive(Clone)]
pub struct ItemKey {
    target: Key<20>,
    salt: Bytes,
    known: Option<i64>,
}

impl ItemKey {
    /// The item under this target: an immutable one, or a mutable one without salt.
    pub fn new(target: Key<20>) -> Self {
        Self { target, salt: Bytes::new(), known: None }
    }

    /// The mutable item of a key. Answers do not repeat the salt, so who asks must know it to check the signature.
    pub fn mutable(key: &[u8; 32], salt: impl Into<Bytes>) -> Self {
        let salt = salt.into();
        Self { target: item::mutable_target(key, &salt), salt, known: None }
    }

    /// The point of the key space.
    pub fn target(&self) -> &Key<20> {
        &self.target
    }

    /// The same place where only a later item than this is of use (`seq` of BEP 44): others need not send theirs to somebody
    /// who is about to put one. Not for who looks for the latest: who answers without an item may have none at all.
    #[must_use]
    pub fn later_than(self, seq: i64) -> Self {
        Self { known: Some(seq), ..self }
    }

    /// Beyond which sequence number an item is of use, if that was given.
    pub fn known(&self) -> Option<i64> {
        self.known
    }

    /// The salt, if it was given.
    pub fn salt(&self) -> &Bytes {
        &self.salt
    }
}

impl Debug for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.target, f)
    }
}

/// Makes values equal, ordered and hashed by one of their fields.
macro_rules! identified_by {
    ($name:ident, $field:ident) => {
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.$field == other.$field
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.$field.cmp(&other.$field)
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.$field.hash(state);
            }
        }
    };
}
identified_by!(Swarm, info_hash);
identified_by!(ItemKey, target);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_salt_does_not_make_another_key() {
        let salted = ItemKey::mutable(&[1; 32], &b"salt"[..]);
        let bare = ItemKey::new(*salted.target());
        assert_eq!(salted, bare);
        assert_eq!(salted.cmp(&bare), Ordering::Equal);
        assert_ne!(salted, ItemKey::mutable(&[1; 32], &b"other"[..]));
        assert_eq!((bare.known(), bare.clone().later_than(5).known()), (None, Some(5)));
        assert_eq!(bare.clone().later_than(5), bare);
        assert!(HashSet::from([salted]).contains(&bare));
    }

    #[test]
    fn what_is_wanted_does_not_make_another_swarm() {
        let swarm = Swarm::new(InfoHash([1; 20]));
        let wanting = Swarm { scrape: true, noseed: true, ..swarm };
        assert_eq!(Query::Peers(swarm), Query::Peers(wanting));
        assert!(HashSet::from([wanting]).contains(&swarm));
        assert!(swarm < Swarm::new(InfoHash([2; 20])));
        assert_ne!(Query::Peers(swarm), Query::Samples(swarm.info_hash.key()));
    }
}
