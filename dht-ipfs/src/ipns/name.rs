//! The name of an IPNS record: the peer id of the key that signs it.

use std::{
    fmt::{self, Display},
    str::FromStr,
};

use bytes::Bytes;

use crate::{InvalidPeerId, PeerId};

const PREFIX: &[u8] = b"/ipns/";

/// An IPNS name. Its text is a CIDv1 with the codec `libp2p-key` in base 36 (`k51…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub PeerId);

impl Name {
    /// The key under which the record stands in the DHT: `/ipns/` and the binary name.
    pub fn routing_key(&self) -> Bytes {
        [PREFIX, self.0.as_ref()].concat().into()
    }

    /// The name that a DHT key belongs to.
    pub fn from_routing_key(key: &[u8]) -> Option<Self> {
        PeerId::try_from(key.strip_prefix(PREFIX)?).ok().map(Self)
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_cid_text())
    }
}

impl FromStr for Name {
    type Err = InvalidPeerId;

    /// Reads a name in base 58 or as a CIDv1 in any base, with or without `/ipns/` in front.
    fn from_str(text: &str) -> Result<Self, InvalidPeerId> {
        text.strip_prefix("/ipns/").unwrap_or(text).parse().map(Self)
    }
}
