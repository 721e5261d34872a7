//! Makes and signs IPNS records.

use std::time::Duration;

use dht_core::Wall;
use libp2p_identity::Keypair;
use quick_protobuf::Writer;
use thiserror::Error;

use super::{IpnsRecord, MAX_RECORD, Name, SIGNATURE_PREFIX, dag_cbor::Document};
use crate::{PeerId, time};

/// What a new record is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What the name points to, usually a path such as `/ipfs/<cid>`.
    pub value: Vec<u8>,
    /// Larger than that of the record before.
    pub sequence: u64,
    /// For how long the record holds. Default 48 h, the longest that the network keeps one.
    pub lifetime: Duration,
    /// How long a resolver may remember the value. Default 5 minutes.
    pub ttl: Duration,
    /// Whether to write the V1 fields too, for readers that know nothing else. Default true.
    pub with_v1: bool,
}

/// Why a record could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SignError {
    /// The key did not sign.
    #[error("the key did not sign: {0}")]
    Key(#[from] libp2p_identity::SigningError),
    /// The record would be refused by everybody.
    #[error("the record would have {0} bytes, more than {MAX_RECORD}")]
    TooLarge(usize),
    /// The record does not stand up to the checks that it will meet.
    #[error("the record is not valid: {0}")]
    Invalid(#[from] dht_records::Invalid),
}

impl Draft {
    /// A draft with the defaults.
    pub fn new(value: impl Into<Vec<u8>>, sequence: u64) -> Self {
        Self {
            value: value.into(),
            sequence,
            lifetime: Duration::from_secs(48 * 3600),
            ttl: Duration::from_secs(300),
            with_v1: true,
        }
    }

    /// Sets the lifetime.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets the time that resolvers may remember the value.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Whether the V1 fields are written.
    pub fn with_v1(mut self, with_v1: bool) -> Self {
        self.with_v1 = with_v1;
        self
    }

    /// The record, signed at `now`, and the name it belongs to. A key that the name does not carry goes into the record.
    ///
    /// # Errors
    /// When the key does not sign, or the record is too large or not valid.
    pub fn sign(&self, key: &Keypair, now: Wall) -> Result<(Name, IpnsRecord), SignError> {
        let name = Name(PeerId::from_public_key(&key.public()));
        let validity = time::format(now + self.lifetime);
        let document = Document {
            value: &self.value,
            validity: validity.as_bytes(),
            sequence: self.sequence,
            ttl: u64::try_from(self.ttl.as_nanos()).unwrap_or(u64::MAX),
        };
        let data = document.write();
        let signature = key.sign(&[SIGNATURE_PREFIX, &data].concat())?;
        let v1 = self
            .with_v1
            .then(|| key.sign(&[document.value, document.validity, b"EOL"].concat()))
            .transpose()?;
        let public_key = name.0.public_key().is_none().then(|| key.public().encode_protobuf());
        let bytes = envelope(&document, &data, &signature, v1.as_deref(), public_key.as_deref());
        if bytes.len() > MAX_RECORD {
            return Err(SignError::TooLarge(bytes.len()));
        }
        let record = IpnsRecord::parse(&bytes)?;
        record.verify(&name)?;
        Ok((name, record))
    }
}

/// The protobuf around the document.
fn envelope(
    document: &Document<'_>,
    data: &[u8],
    signature: &[u8],
    v1: Option<&[u8]>,
    public_key: Option<&[u8]>,
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    let written = (|| {
        if let Some(v1) = v1 {
            bytes(&mut writer, 1, document.value)?;
            bytes(&mut writer, 2, v1)?;
            number(&mut writer, 3, 0)?; // the validity is an end of life
            bytes(&mut writer, 4, document.validity)?;
            number(&mut writer, 5, document.sequence)?;
            number(&mut writer, 6, document.ttl)?;
        }
        if let Some(key) = public_key {
            bytes(&mut writer, 7, key)?;
        }
        bytes(&mut writer, 8, signature)?;
        bytes(&mut writer, 9, data)
    })();
    written.expect("writing to a vector does not fail");
    out
}

type Out<'a> = Writer<&'a mut Vec<u8>>;

fn bytes(out: &mut Out<'_>, field: u32, bytes: &[u8]) -> quick_protobuf::Result<()> {
    out.write_with_tag(field << 3 | 2, |out| out.write_bytes(bytes))
}

fn number(out: &mut Out<'_>, field: u32, number: u64) -> quick_protobuf::Result<()> {
    out.write_with_tag(field << 3, |out| out.write_uint64(number))
}
