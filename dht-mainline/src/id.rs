//! The 160-bit names of this network: node ids and infohashes, two types because one is never the other by accident.
//!
//! Which ids an address may have is `secure_id`'s duty.

use std::{
    fmt::{self, Debug, Display},
    str::FromStr,
};

use data_encoding::HEXLOWER_PERMISSIVE;
use dht_core::Key;
use thiserror::Error;

/// The text is not 40 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not 40 hexadecimal digits")]
pub struct InvalidId;

macro_rules! twenty {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 20]);

        impl $name {
            /// Its place in the key space.
            pub fn key(&self) -> Key<20> {
                Key(self.0)
            }
        }

        impl From<Key<20>> for $name {
            fn from(key: Key<20>) -> Self {
                Self(key.0)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Reads 40 hexadecimal digits.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| InvalidId)?;
                bytes.try_into().map(Self).map_err(|_| InvalidId)
            }
        }

        impl Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Display::fmt(&self.key(), f)
            }
        }

        impl Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Display::fmt(self, f)
            }
        }
    };
}

twenty! {
    /// The id of a node.
    NodeId
}
twenty! {
    /// What a swarm is known by: the SHA-1 of a torrent's info dictionary, or the first 20 bytes of its SHA-256 (BEP 52).
    InfoHash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_forty_hexadecimal_digits() {
        let id: NodeId = "5FBFbf00000000000000000000000000000000ff".parse().unwrap();
        assert_eq!(id.to_string(), "5fbfbf00000000000000000000000000000000ff");
        assert_eq!(id.key().0, id.0);
        for text in ["", "5f", &"0".repeat(39), &"0".repeat(42), &"g".repeat(40)] {
            assert_eq!(text.parse::<InfoHash>(), Err(InvalidId), "{text}");
        }
    }
}
