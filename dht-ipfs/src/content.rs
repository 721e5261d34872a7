//! Keys of content: what providers are stored under. A CID's version and codec do not matter, its multihash does.

use std::{
    fmt::{self, Debug, Display},
    str::FromStr,
};

use bytes::Bytes;
use cid::{Cid, Version};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{MAX_PROVIDER_KEY, Query, peer_id::SHA2_256};

/// Multicodec of raw bytes.
const RAW: u64 = 0x55;
/// Characters of the longest text that is looked at; a CIDv1 of the longest key has 176 in base 16.
const MAX_TEXT: usize = 256;

/// The key of some content: the multihash of its CID, 1 to 80 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentKey(Bytes);

/// The text or bytes are no content key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a content key: {0}")]
pub struct InvalidContentKey(&'static str);

impl ContentKey {
    /// A key from its bytes; servers take any 1 to 80 bytes.
    ///
    /// # Errors
    /// When there are none or more than that.
    pub fn from_bytes(key: impl Into<Bytes>) -> Result<Self, InvalidContentKey> {
        let key = key.into();
        if (1..=MAX_PROVIDER_KEY).contains(&key.len()) {
            Ok(Self(key))
        } else {
            Err(InvalidContentKey("it must have 1 to 80 bytes"))
        }
    }

    /// The meeting place of a namespace: where peers advertise that they belong to it, and are found.
    pub fn of_namespace(namespace: &str) -> Self {
        Self::of_bytes(namespace.as_bytes())
    }

    /// The key of content that is these bytes: their SHA-256 as a multihash.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self([&[SHA2_256, 32], &Sha256::digest(bytes)[..]].concat().into())
    }

    /// A CIDv1 of the key with the codec `raw`; `None` when the key is no multihash.
    pub fn to_cid(&self) -> Option<Cid> {
        let hash = multihash::Multihash::from_bytes(&self.0).ok()?;
        Some(Cid::new_v1(RAW, hash))
    }

    /// The bytes of the wire.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The bytes of the wire.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl From<&Cid> for ContentKey {
    fn from(cid: &Cid) -> Self {
        Self(cid.hash().to_bytes().into())
    }
}

impl FromStr for ContentKey {
    type Err = InvalidContentKey;

    /// Reads a CID of either version, with or without `/ipfs/` in front.
    fn from_str(text: &str) -> Result<Self, InvalidContentKey> {
        let text = text.strip_prefix("/ipfs/").unwrap_or(text);
        if text.len() > MAX_TEXT || text.contains('/') {
            return Err(InvalidContentKey("not a CID"));
        }
        let bytes = if Version::is_v0_str(text) {
            bs58::decode(text).into_vec().map_err(|_| InvalidContentKey("not a CID"))?
        } else {
            cid::multibase::decode(text).map_err(|_| InvalidContentKey("not a CID"))?.1
        };
        let mut rest = &bytes[..];
        match Cid::read_bytes(&mut rest) {
            Ok(cid) if rest.is_empty() => Ok(Self::from(&cid)),
            _ => Err(InvalidContentKey("not a CID")),
        }
    }
}

impl Display for ContentKey {
    /// The CIDv1 in base 32; bytes that are no multihash in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_cid() {
            Some(cid) => write!(f, "{cid}"),
            None => self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

impl Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl From<ContentKey> for Bytes {
    fn from(key: ContentKey) -> Self {
        key.0
    }
}

impl From<ContentKey> for Query {
    fn from(key: ContentKey) -> Self {
        Self::Providers(key.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_a_cid_are_one_key() {
        let v0: ContentKey = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n".parse().unwrap();
        let v1: ContentKey = "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku".parse().unwrap();
        assert_eq!(v0, v1);
        assert_eq!(v0, "/ipfs/QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n".parse().unwrap());
        assert_eq!(v0.to_string().parse::<ContentKey>().unwrap(), v0);
    }

    #[test]
    fn a_namespace_meets_where_the_hash_of_its_name_points() {
        let key = ContentKey::of_namespace("my-app");
        assert_eq!(key.as_bytes()[..2], [0x12, 0x20]);
        let cid = key.to_cid().unwrap();
        assert_eq!((cid.version(), cid.codec()), (Version::V1, RAW));
        assert_eq!(ContentKey::from(&cid), key);
        assert!(cid.to_string().starts_with("bafkrei"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in
            ["", "/ipfs/", "Qm", "bafk", "/ipns/x", "l0l", "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n/a"]
        {
            assert!(text.parse::<ContentKey>().is_err(), "{text}");
        }
        assert!("b".repeat(300).parse::<ContentKey>().is_err());
        assert!(ContentKey::from_bytes(Vec::new()).is_err());
        assert!(ContentKey::from_bytes(vec![0; 81]).is_err());
        assert_eq!(ContentKey::from_bytes(vec![0xff; 80]).unwrap().to_string(), "ff".repeat(80));
    }
}
