//! Items of BEP 44: values under the hash of themselves, and values that the owner of a key may replace.
//!
//! An item carries its value as the bencode it came as: the signature and the hash are over these bytes.

use bytes::Bytes;
use dht_core::Key;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha1::{Digest, Sha1};
use thiserror::Error;

use crate::{
    bencode::{Canonical, Limits, Tree},
    krpc::code,
};

/// Bytes of the largest value, its bencode included.
pub const MAX_VALUE: usize = 1000;
/// Bytes of the longest salt.
pub const MAX_SALT: usize = 64;

/// A value that is kept under a point of the key space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The value in bencode.
    pub value: Bytes,
    /// What makes it mutable.
    pub signed: Option<Signed>,
}

/// What makes an item mutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The Ed25519 key.
    pub key: [u8; 32],
    /// The signature over salt, sequence number and value.
    pub signature: [u8; 64],
    /// The sequence number: a higher one replaces a lower one.
    pub seq: i64,
    /// Tells items of one key apart.
    pub salt: Bytes,
}

/// Why an item is refused; [`ItemError::code`] is what the wire says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ItemError {
    /// The value is no canonical bencode.
    #[error("the value is no canonical bencode")]
    Malformed,
    /// The sequence number is negative.
    #[error("the sequence number is negative")]
    NegativeSeq,
    /// The item belongs elsewhere.
    #[error("the item does not belong under this target")]
    Target,
    /// The value is too large.
    #[error("the value is larger than {MAX_VALUE} bytes")]
    ValueTooBig,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    Signature,
    /// The salt is too long.
    #[error("the salt is longer than {MAX_SALT} bytes")]
    SaltTooBig,
    /// `cas` names another sequence number than the stored one.
    #[error("another sequence number is stored: {0}")]
    Cas(i64),
    /// What is stored has a higher sequence number, or the same one with another value.
    #[error("what is stored is as new or newer: {0}")]
    OldSeq(i64),
}

impl ItemError {
    /// The number of the refusal on the wire.
    pub fn code(self) -> u32 {
        match self {
            Self::Malformed | Self::NegativeSeq | Self::Target => code::PROTOCOL,
            Self::ValueTooBig => code::TOO_BIG,
            Self::Signature => code::SIGNATURE,
            Self::SaltTooBig => code::SALT_TOO_BIG,
            Self::Cas(_) => code::CAS,
            Self::OldSeq(_) => code::OLD_SEQ,
        }
    }
}

impl Item {
    /// An item that nobody can change, under the hash of its value.
    ///
    /// # Errors
    /// [`ItemError::ValueTooBig`].
    pub fn immutable(value: &Tree) -> Result<Self, ItemError> {
        Ok(Self { value: encoded(value)?, signed: None })
    }

    /// An item that the owner of `key` can replace by one with a higher `seq`.
    ///
    /// # Errors
    /// When value or salt are too large or `seq` is negative.
    pub fn mutable(key: &SigningKey, salt: &[u8], seq: i64, value: &Tree) -> Result<Self, ItemError> {
        let value = encoded(value)?;
        if salt.len() > MAX_SALT {
            return Err(ItemError::SaltTooBig);
        }
        if seq < 0 {
            return Err(ItemError::NegativeSeq);
        }
        let signature = key.sign(&signed_text(salt, seq, &value)).to_bytes();
        let key = key.verifying_key().to_bytes();
        Ok(Self { value, signed: Some(Signed { key, signature, seq, salt: Bytes::copy_from_slice(salt) }) })
    }

    /// Where the item belongs.
    pub fn target(&self) -> Key<20> {
        match &self.signed {
            Some(signed) => mutable_target(&signed.key, &signed.salt),
            None => Key(Sha1::digest(&self.value).into()),
        }
    }

    /// The sequence number of a mutable item.
    pub fn seq(&self) -> Option<i64> {
        self.signed.as_ref().map(|signed| signed.seq)
    }

    /// The value, read.
    ///
    /// # Errors
    /// [`ItemError::Malformed`] when it is no bencode.
    pub fn tree(&self) -> Result<Tree, ItemError> {
        Tree::decode(&self.value, Limits::of(MAX_VALUE)).map_err(|_| ItemError::Malformed)
    }

    /// Whether the item is one, and belongs under `target`. The cheap reasons to refuse come first, the signature last.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, target: &Key<20>) -> Result<(), ItemError> {
        if self.value.len() > MAX_VALUE {
            return Err(ItemError::ValueTooBig);
        }
        if let Some(signed) = &self.signed {
            if signed.salt.len() > MAX_SALT {
                return Err(ItemError::SaltTooBig);
            }
            if signed.seq < 0 {
                return Err(ItemError::NegativeSeq);
            }
        }
        if Canonical::new(&self.value, Limits::of(MAX_VALUE)).is_err() {
            return Err(ItemError::Malformed);
        }
        if self.target() != *target {
            return Err(ItemError::Target);
        }
        self.signed.as_ref().map_or(Ok(()), |signed| signed.verify(&self.value))
    }

    /// Whether the item, which was checked, may take the place of `stored` in the hands of somebody who expects `cas` there.
    /// The same item again is welcome: it renews the stored one.
    ///
    /// # Errors
    /// [`ItemError::Cas`] or [`ItemError::OldSeq`] with the stored sequence number.
    pub fn replaces(&self, stored: Option<&Self>, cas: Option<i64>) -> Result<(), ItemError> {
        let Some(stored) = stored else { return Ok(()) };
        let (Some(new), Some(held)) = (self.seq(), stored.seq()) else { return Ok(()) };
        if cas.is_some_and(|cas| cas != held) {
            return Err(ItemError::Cas(held));
        }
        if new < held || new == held && self.value != stored.value {
            return Err(ItemError::OldSeq(held));
        }
        Ok(())
    }
}

impl Signed {
    fn verify(&self, value: &[u8]) -> Result<(), ItemError> {
        let key = VerifyingKey::from_bytes(&self.key).map_err(|_| ItemError::Signature)?;
        let text = signed_text(&self.salt, self.seq, value);
        // Strict: a key of small order would let anybody sign.
        key.verify_strict(&text, &Signature::from_bytes(&self.signature)).map_err(|_| ItemError::Signature)
    }
}

/// Where the mutable items of a key belong.
pub fn mutable_target(key: &[u8; 32], salt: &[u8]) -> Key<20> {
    Key(Sha1::new().chain_update(key).chain_update(salt).finalize().into())
}

fn encoded(value: &Tree) -> Result<Bytes, ItemError> {
    let value = Bytes::from(value.encode());
    if value.len() > MAX_VALUE { Err(ItemError::ValueTooBig) } else { Ok(value) }
}

/// What is signed: the entries of a bencoded dictionary without the dictionary.
fn signed_text(salt: &[u8], seq: i64, value: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(40 + salt.len() + value.len());
    if !salt.is_empty() {
        text.extend_from_slice(format!("4:salt{}:", salt.len()).as_bytes());
        text.extend_from_slice(salt);
    }
    text.extend_from_slice(format!("3:seqi{seq}e1:v").as_bytes());
    text.extend_from_slice(value);
    text
}

#[cfg(test)]
#[path = "item_tests.rs"]
mod tests;
