//! The signed part of an IPNS record: a DAG-CBOR map of five fields.
//!
//! Strict where two readers could disagree about what was signed: the map has a definite length, its keys are strings in
//! strictly ascending order (shorter first, then by bytes), numbers are in their shortest form, nothing follows the map.
//! Fields that are not known are passed over.

use std::cmp::Ordering;

use dht_records::Invalid;
use minicbor::{Decoder, Encoder, data::Type};

/// The five fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document<'a> {
    pub value: &'a [u8],
    pub validity: &'a [u8],
    pub sequence: u64,
    pub ttl: u64,
}

/// The only way there is to limit a record's validity: by its end of life.
const END_OF_LIFE: u64 = 0;
const BROKEN: Invalid = Invalid::Malformed("the signed document is not DAG-CBOR");

impl<'a> Document<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, Invalid> {
        let mut cbor = Decoder::new(bytes);
        let fields = definite(&mut cbor, |cbor| cbor.map())?;
        let (mut value, mut validity) = (None, None);
        let (mut validity_type, mut sequence, mut ttl) = (None, None, None);
        let mut last: Option<&str> = None;
        for _ in 0..fields {
            let key = text(&mut cbor)?;
            if last.is_some_and(|last| order(last, key).is_ge()) {
                return Err(Invalid::Malformed("the fields of the signed document are out of order"));
            }
            last = Some(key);
            match key {
                "Value" => value = Some(byte_string(&mut cbor)?),
                "Validity" => validity = Some(byte_string(&mut cbor)?),
                "ValidityType" => validity_type = Some(number(&mut cbor)?),
                "Sequence" => sequence = Some(number(&mut cbor)?),
                "TTL" => ttl = Some(number(&mut cbor)?),
                _ => cbor.skip().map_err(|_| BROKEN)?,
            }
        }
        if cbor.position() != bytes.len() {
            return Err(BROKEN);
        }
        match (value, validity, validity_type, sequence, ttl) {
            (Some(value), Some(validity), Some(END_OF_LIFE), Some(sequence), Some(ttl)) => {
                Ok(Self { value, validity, sequence, ttl })
            }
            (_, _, Some(kind), _, _) if kind != END_OF_LIFE => {
                Err(Invalid::Malformed("the validity is of an unknown type"))
            }
            _ => Err(Invalid::Malformed("the signed document lacks a field")),
        }
    }

    pub fn write(&self) -> Vec<u8> {
        let mut cbor = Encoder::new(Vec::new());
        let written = (|| {
            cbor.map(5)?;
            cbor.str("TTL")?.u64(self.ttl)?;
            cbor.str("Value")?.bytes(self.value)?;
            cbor.str("Sequence")?.u64(self.sequence)?;
            cbor.str("Validity")?.bytes(self.validity)?;
            cbor.str("ValidityType")?.u64(END_OF_LIFE)?.ok()
        })();
        written.expect("writing to a vector does not fail");
        cbor.into_writer()
    }
}

/// The order of map keys in DAG-CBOR.
fn order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Reads an item whose head holds a number (a length or itself) and checks that it is there and in its shortest form.
fn definite<'a>(
    cbor: &mut Decoder<'a>,
    head: impl Fn(&mut Decoder<'a>) -> Result<Option<u64>, minicbor::decode::Error>,
) -> Result<u64, Invalid> {
    let start = cbor.position();
    let n = head(cbor).ok().flatten().ok_or(BROKEN)?;
    if cbor.position() - start != head_len(n) {
        return Err(BROKEN);
    }
    Ok(n)
}

/// Bytes of the shortest head that holds `n`.
fn head_len(n: u64) -> usize {
    match n {
        0..24 => 1,
        24..0x100 => 2,
        0x100..0x1_0000 => 3,
        0x1_0000..0x1_0000_0000 => 5,
        _ => 9,
    }
}

fn number(cbor: &mut Decoder<'_>) -> Result<u64, Invalid> {
    definite(cbor, |cbor| cbor.u64().map(Some))
}

fn byte_string<'a>(cbor: &mut Decoder<'a>) -> Result<&'a [u8], Invalid> {
    string(cbor, Type::Bytes, |cbor| cbor.bytes())
}

fn text<'a>(cbor: &mut Decoder<'a>) -> Result<&'a str, Invalid> {
    string(cbor, Type::String, |cbor| cbor.str().map(str::as_bytes))
        .and_then(|bytes| std::str::from_utf8(bytes).map_err(|_| BROKEN))
}

fn string<'a>(
    cbor: &mut Decoder<'a>,
    kind: Type,
    read: impl Fn(&mut Decoder<'a>) -> Result<&'a [u8], minicbor::decode::Error>,
) -> Result<&'a [u8], Invalid> {
    let start = cbor.position();
    if cbor.datatype().ok() != Some(kind) {
        return Err(BROKEN); // an indefinite length has a type of its own
    }
    let bytes = read(cbor).map_err(|_| BROKEN)?;
    if cbor.position() - start != head_len(bytes.len() as u64) + bytes.len() {
        return Err(BROKEN);
    }
    Ok(bytes)
}
