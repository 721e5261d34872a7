//! Value keys as people write them: text with a namespace, where `pk` and `ipns` hide a binary id behind their text.

use std::{
    fmt::{self, Debug, Display},
    str::FromStr,
};

use bytes::Bytes;
use thiserror::Error;

use crate::{PeerId, Query, ipns::Name, namespaces::split_key};

/// Where keys without a namespace go.
const BARE_NAMESPACE: &str = "v";

/// The key of a value: `/namespace/rest` in the bytes of the wire.
///
/// Its text differs from its bytes for the two namespaces of the public network: `/pk/12D3…` and `/ipns/k51…` stand for
/// the prefix and the binary multihash. Everything else is taken as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueKey(Bytes);

/// Why a text is no value key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidValueKey {
    /// It does not begin with `/namespace/`.
    #[error("the key has no namespace: it must look like /namespace/key")]
    NoNamespace,
    /// After `/pk/` or `/ipns/` stands something else than a peer id or name.
    #[error("the key does not name a peer")]
    NotAPeer,
}

impl ValueKey {
    /// Reads a key. Where `bare` keys are allowed, as private networks may have it, one without a namespace (`my-key`)
    /// stands for `/v/my-key`.
    ///
    /// # Errors
    /// When there is no namespace, or the rest of a `/pk/` or `/ipns/` key is no peer id.
    pub fn parse(text: &str, bare: bool) -> Result<Self, InvalidValueKey> {
        if let Some(peer) = text.strip_prefix("/pk/") {
            let peer: PeerId = peer.parse().map_err(|_| InvalidValueKey::NotAPeer)?;
            return Ok(Self::pk(&peer));
        }
        if text.starts_with("/ipns/") {
            let name: Name = text.parse().map_err(|_| InvalidValueKey::NotAPeer)?;
            return Ok(Self(name.routing_key()));
        }
        if split_key(text.as_bytes()).is_some() {
            Ok(Self(Bytes::copy_from_slice(text.as_bytes())))
        } else if bare && !text.is_empty() && !text.starts_with('/') {
            Ok(Self(format!("/{BARE_NAMESPACE}/{text}").into()))
        } else {
            Err(InvalidValueKey::NoNamespace)
        }
    }

    /// A key from its bytes on the wire, which may be anything behind the namespace.
    ///
    /// # Errors
    /// When the bytes do not begin with `/namespace/`.
    pub fn from_bytes(key: impl Into<Bytes>) -> Result<Self, InvalidValueKey> {
        let key = key.into();
        if split_key(&key).is_some() { Ok(Self(key)) } else { Err(InvalidValueKey::NoNamespace) }
    }

    /// The key of a peer's public key.
    pub fn pk(peer: &PeerId) -> Self {
        Self([b"/pk/", peer.as_ref()].concat().into())
    }

    /// The key of an IPNS name's record.
    pub fn ipns(name: &Name) -> Self {
        Self(name.routing_key())
    }

    /// The bytes of the wire.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The bytes of the wire.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The namespace, without slashes.
    pub fn namespace(&self) -> &[u8] {
        split_key(&self.0).expect("checked when the key was made").0
    }
}

impl FromStr for ValueKey {
    type Err = InvalidValueKey;

    fn from_str(text: &str) -> Result<Self, InvalidValueKey> {
        Self::parse(text, false)
    }
}

impl Display for ValueKey {
    /// The text that [`ValueKey::parse`] reads; bytes that are no text are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(peer) = self.0.strip_prefix(b"/pk/").and_then(|id| PeerId::try_from(id).ok()) {
            return write!(f, "/pk/{peer}");
        }
        if let Some(name) = Name::from_routing_key(&self.0) {
            return write!(f, "/ipns/{name}");
        }
        match std::str::from_utf8(&self.0) {
            Ok(text) => f.write_str(text),
            Err(_) => write!(f, "{}", self.0.escape_ascii()),
        }
    }
}

impl Debug for ValueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl From<ValueKey> for Bytes {
    fn from(key: ValueKey) -> Self {
        key.0
    }
}

impl From<ValueKey> for Query {
    fn from(key: ValueKey) -> Self {
        Self::Value(key.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8";

    #[test]
    fn text_and_bytes_of_keys_stand_for_each_other() {
        let peer: PeerId = PEER.parse().unwrap();
        let key: ValueKey = format!("/pk/{PEER}").parse().unwrap();
        assert_eq!(key.as_bytes(), &[b"/pk/", peer.as_ref()].concat());
        assert_eq!(key.to_string(), format!("/pk/{PEER}"));
        let key: ValueKey = format!("/ipns/{PEER}").parse().unwrap();
        assert_eq!(key, ValueKey::ipns(&Name(peer)));
        assert_eq!(key.to_string(), format!("/ipns/{}", peer.to_cid_text()));
        assert_eq!(key.to_string().parse::<ValueKey>().unwrap(), key);
        let key: ValueKey = "/v/some/key".parse().unwrap();
        assert_eq!((key.namespace(), key.to_string().as_str()), (&b"v"[..], "/v/some/key"));
    }

    #[test]
    fn bare_keys_need_a_namespace_to_go_under() {
        assert_eq!("my-key".parse::<ValueKey>(), Err(InvalidValueKey::NoNamespace));
        assert_eq!(ValueKey::parse("my-key", true).unwrap().as_bytes(), &b"/v/my-key"[..]);
        assert_eq!(ValueKey::parse("a/b", true).unwrap().as_bytes(), &b"/v/a/b"[..]);
        for text in ["", "/", "//x", "/x"] {
            assert_eq!(ValueKey::parse(text, true), Err(InvalidValueKey::NoNamespace), "{text}");
        }
        assert_eq!("/ipns/example.com".parse::<ValueKey>(), Err(InvalidValueKey::NotAPeer));
        assert!(ValueKey::from_bytes(&b"/pk"[..]).is_err());
        assert_eq!(ValueKey::from_bytes(&b"/x/\xff"[..]).unwrap().to_string(), "/x/\\xff");
    }
}
