//! What is asked for and what is stored: values under namespaced keys, and who provides a content key.

use bytes::Bytes;
use dht_core::Wall;

use crate::{AddrList, PeerId};

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Query {
    /// The value under a binary key such as `/ipns/<multihash>`.
    Value(Bytes),
    /// The providers of a multihash.
    Providers(Bytes),
}

impl Query {
    /// The raw key, as it goes over the wire.
    pub fn key(&self) -> &Bytes {
        match self {
            Self::Value(key) | Self::Providers(key) => key,
        }
    }
}

/// What can be stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// A value.
    Value(Record),
    /// A provider.
    Provider(ProviderRecord),
}

impl Item {
    /// The value, if it is one.
    pub fn as_value(&self) -> Option<&Record> {
        match self {
            Self::Value(record) => Some(record),
            Self::Provider(_) => None,
        }
    }

    /// The provider record, if it is one.
    pub fn as_provider(&self) -> Option<&ProviderRecord> {
        match self {
            Self::Provider(record) => Some(record),
            Self::Value(_) => None,
        }
    }
}

/// A value with its key.
///
/// Two records are equal when key and value are: every holder stamps its own time, and a holder of the same value is not
/// to be corrected.
#[derive(Clone, Debug)]
pub struct Record {
    /// The key, the same as that of the query.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// When its holder received it, to the nanosecond; a remote's is shown to users and judges nothing.
    pub time_received: Option<Wall>,
}

impl Record {
    /// A record nobody has received yet.
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self { key: key.into(), value: value.into(), time_received: None }
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

impl Eq for Record {}

impl std::hash::Hash for Record {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key.hash(state);
        self.value.hash(state);
    }
}

/// A peer that says it has the content.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProviderRecord {
    /// Who.
    pub peer: PeerId,
    /// Where.
    pub addrs: AddrList,
}
