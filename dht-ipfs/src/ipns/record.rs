//! An IPNS record as it is read: the protobuf envelope, the document it carries, and whether both may be believed.

use std::time::Duration;

use bytes::Bytes;
use dht_core::Wall;
use dht_records::Invalid;
use libp2p_identity::PublicKey;

use super::{Name, SIGNATURE_PREFIX, dag_cbor::Document};
use crate::{
    pk::read_key,
    time,
    wire::{Fields, Value},
};

/// Bytes of the largest record; larger ones are refused before they are parsed.
pub const MAX_RECORD: usize = 10 << 10;

/// A well-formed IPNS record. Reading one says nothing about who signed it; [`IpnsRecord::verify`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpnsRecord {
    bytes: Bytes,
    value: Bytes,
    sequence: u64,
    end_of_life: Wall,
    ttl: Duration,
    data: Bytes,
    signature: Bytes,
    public_key: Option<PublicKey>,
}

impl IpnsRecord {
    /// Reads a record.
    ///
    /// # Errors
    /// When it is larger than [`MAX_RECORD`], is not well-formed, lacks the V2 signature, or when its V1 fields say
    /// something else than what is signed.
    pub fn parse(bytes: &[u8]) -> Result<Self, Invalid> {
        if bytes.len() > MAX_RECORD {
            return Err(Invalid::TooLarge { limit: MAX_RECORD });
        }
        let bytes = Bytes::copy_from_slice(bytes);
        let envelope = Envelope::read(&bytes)?;
        if envelope.signature_v2.is_empty() || envelope.data.is_empty() {
            return Err(Invalid::Signature); // the V1 signature alone proves nothing
        }
        let document = Document::read(envelope.data)?;
        envelope.agrees_with(&document)?;
        let end_of_life =
            time::parse(document.validity).ok_or(Invalid::Malformed("the end of life is not a time"))?;
        Ok(Self {
            value: bytes.slice_ref(document.value),
            sequence: document.sequence,
            end_of_life,
            ttl: Duration::from_nanos(document.ttl),
            data: bytes.slice_ref(envelope.data),
            signature: bytes.slice_ref(envelope.signature_v2),
            public_key: Some(envelope.public_key).filter(|key| !key.is_empty()).map(read_key).transpose()?,
            bytes,
        })
    }

    /// Whether the owner of `name` signed the record. Says nothing about its age.
    ///
    /// # Errors
    /// [`Invalid::KeyMismatch`] when the key inside is another's, [`Invalid::Signature`] when the signature is wrong.
    pub fn verify(&self, name: &Name) -> Result<(), Invalid> {
        let key = match &self.public_key {
            Some(key) if Name(key.into()) != *name => return Err(Invalid::KeyMismatch),
            Some(key) => key.clone(),
            None => {
                name.0.public_key().ok_or(Invalid::Malformed("neither record nor name has the public key"))?
            }
        };
        if key.verify(&[SIGNATURE_PREFIX, &self.data].concat(), &self.signature) {
            Ok(())
        } else {
            Err(Invalid::Signature)
        }
    }

    /// Whether the record is still to be believed at that time.
    ///
    /// # Errors
    /// [`Invalid::Expired`] from its end of life on.
    pub fn check_age(&self, now: Wall) -> Result<(), Invalid> {
        if now < self.end_of_life { Ok(()) } else { Err(Invalid::Expired) }
    }

    /// The record as it is stored and sent.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What the name points to, usually a path such as `/ipfs/<cid>`.
    pub fn value(&self) -> &Bytes {
        &self.value
    }

    /// Grows with every change of the value; a new record of the name must have a larger one.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// From when on the record is worthless.
    pub fn end_of_life(&self) -> Wall {
        self.end_of_life
    }

    /// How long a resolver may remember the value without asking again.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The public key that the record carries, for names that do not.
    pub fn public_key(&self) -> Option<&PublicKey> {
        self.public_key.as_ref()
    }
}

/// The fields of the protobuf, absent ones empty.
#[derive(Default)]
struct Envelope<'a> {
    value: &'a [u8],
    signature_v1: &'a [u8],
    validity_type: u64,
    validity: &'a [u8],
    sequence: u64,
    ttl: u64,
    public_key: &'a [u8],
    signature_v2: &'a [u8],
    data: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Invalid> {
        let mut envelope = Self::default();
        let mut fields = Fields::new(bytes);
        while let Some(field) = fields.next().map_err(|malformed| Invalid::Malformed(malformed.0))? {
            match field {
                (1, Value::Bytes(bytes)) => envelope.value = bytes,
                (2, Value::Bytes(bytes)) => envelope.signature_v1 = bytes,
                (3, Value::Varint(n)) => envelope.validity_type = n,
                (4, Value::Bytes(bytes)) => envelope.validity = bytes,
                (5, Value::Varint(n)) => envelope.sequence = n,
                (6, Value::Varint(n)) => envelope.ttl = n,
                (7, Value::Bytes(bytes)) => envelope.public_key = bytes,
                (8, Value::Bytes(bytes)) => envelope.signature_v2 = bytes,
                (9, Value::Bytes(bytes)) => envelope.data = bytes,
                (1..=9, _) => return Err(Invalid::Malformed("a field has the wrong wire type")),
                _ => {}
            }
        }
        Ok(envelope)
    }

    /// Old readers believe the fields beside the document, so they must say the same. They may be absent altogether.
    fn agrees_with(&self, document: &Document<'_>) -> Result<(), Invalid> {
        if self.signature_v1.is_empty() && self.value.is_empty() {
            return Ok(());
        }
        let same = self.value == document.value
            && self.validity == document.validity
            && self.validity_type == 0
            && self.sequence == document.sequence
            && self.ttl == document.ttl;
        if same { Ok(()) } else { Err(Invalid::Malformed("the unsigned fields differ from the signed ones")) }
    }
}
