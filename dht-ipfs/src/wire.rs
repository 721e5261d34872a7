//! The protobuf of the kad protocol, read field by field from bytes that strangers chose.
//!
//! `quick-protobuf` gives the varints and slices; its nested readers are never used, because they do not bound a child by
//! its parent. A nested message is taken as a slice of bytes first and read by a reader of its own, so a length can only
//! ever point inside the slice it stands in. Field number 0, group wire types, overlong varints and known fields of the
//! wrong wire type break the message; unknown fields are passed over.
//!
//! Nothing here knows which fields a request or an answer needs; that is the codec's part.

use bytes::Bytes;
use dht_core::Contact;
use dht_protocol::Malformed;
use quick_protobuf::BytesReader;

use crate::{
    AddrList, Ipfs, PeerId,
    addr_list::{Packer, TAG as ADDRS_TAG, run},
};

/// Peers that are read of one message, closer peers and providers together; an entry of two bytes on the wire takes
/// eighty in memory.
pub(crate) const MAX_PEERS: usize = 128;
/// Addresses of one peer that are looked at to find the 32 that are kept.
const MAX_ADDRS_SEEN: usize = 4 * AddrList::MAX_ADDRS;

/// The `type` of a message.
pub(crate) mod kind {
    pub(crate) const PUT_VALUE: i32 = 0;
    pub(crate) const GET_VALUE: i32 = 1;
    pub(crate) const ADD_PROVIDER: i32 = 2;
    pub(crate) const GET_PROVIDERS: i32 = 3;
    pub(crate) const FIND_NODE: i32 = 4;
    pub(crate) const PING: i32 = 5;
}

/// What one field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// The fields of one message, in order.
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    reader: BytesReader,
}

impl<'a> Fields<'a> {
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, reader: BytesReader::from_bytes(bytes) }
    }

    /// What has not been read yet.
    #[inline]
    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.bytes.len() - self.reader.len()..]
    }

    /// Goes on behind the next `n` bytes, which somebody else has read.
    fn skip(&mut self, n: usize) {
        *self = Self::new(&self.rest()[n..]);
    }

    /// The next field; `None` at the end.
    #[inline]
    pub fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.reader.is_eof() {
            return Ok(None);
        }
        let tag = u32::try_from(self.varint()?).map_err(|_| Malformed("a field tag is too large"))?;
        if tag >> 3 == 0 {
            return Err(Malformed("field number 0"));
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            2 => Value::Bytes(self.slice()?),
            1 | 5 => {
                self.reader.read_unknown(self.bytes, tag).map_err(|_| Malformed("a field is cut off"))?;
                Value::Fixed
            }
            _ => return Err(Malformed("a wire type that is not used")),
        };
        Ok(Some((tag >> 3, value)))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        match self.rest().first() {
            Some(byte) if *byte < 0x80 => self.reader.read_u8(self.bytes).map(u64::from).map_err(|_| CUT_OFF),
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let before = self.reader.len();
        let value = self.reader.read_varint64(self.bytes).map_err(|_| CUT_OFF)?;
        // The reader drops what a tenth byte has beyond 64 bits.
        if before - self.reader.len() == 10 && self.bytes[self.bytes.len() - self.reader.len() - 1] > 1 {
            return Err(Malformed("a varint is too large"));
        }
        Ok(value)
    }

    #[inline]
    fn slice(&mut self) -> Result<&'a [u8], Malformed> {
        // `read_bytes` cuts its length to 32 bits, so a length is compared with what is left before it is used.
        let rest = self.rest();
        if rest.first().is_none_or(|byte| *byte >= 0x80) {
            let mut ahead = Self::new(rest);
            if ahead.varint()? > ahead.reader.len() as u64 {
                return Err(Malformed("a field is longer than its message"));
            }
        }
        self.reader.read_bytes(self.bytes).map_err(|_| Malformed("a field is longer than its message"))
    }
}

const CUT_OFF: Malformed = Malformed("a varint is cut off");
const WRONG_WIRE_TYPE: Malformed = Malformed("a field has the wrong wire type");

/// The record of a message, as the wire has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordView<'a> {
    pub key: &'a [u8],
    pub value: &'a [u8],
    pub time_received: &'a [u8],
}

/// A message without its peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    /// Kept as it is: a number that is not known must not turn into one that is.
    pub kind: i32,
    pub key: &'a [u8],
    pub record: Option<RecordView<'a>>,
}

/// Which list of a message a peer stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Closer,
    Provider,
}

/// Reads a message, handing the first [`MAX_PEERS`] peers of the lists that are wanted to `peer`.
pub(crate) fn message<'a>(
    bytes: &'a [u8],
    mut peer: impl FnMut(Side, &'a [u8]) -> Result<(), Malformed>,
) -> Result<Head<'a>, Malformed> {
    let mut head = Head::default();
    let mut peers = 0;
    let mut fields = Fields::new(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, Value::Varint(kind)) => head.kind = kind as i32,
            (2, Value::Bytes(key)) => head.key = key,
            (3, Value::Bytes(bytes)) => record(bytes, head.record.get_or_insert_default())?,
            (number @ (8 | 9), Value::Bytes(bytes)) => {
                peers += 1;
                if peers <= MAX_PEERS {
                    peer(if number == 8 { Side::Closer } else { Side::Provider }, bytes)?;
                }
            }
            (10, Value::Varint(_)) => {}
            (1..=3 | 8..=10, _) => return Err(WRONG_WIRE_TYPE),
            _ => {}
        }
    }
    Ok(head)
}

/// Reads a record into `view`; a field that stands twice keeps its last value, as protobuf has it.
fn record<'a>(bytes: &'a [u8], view: &mut RecordView<'a>) -> Result<(), Malformed> {
    let mut fields = Fields::new(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, Value::Bytes(key)) => view.key = key,
            (2, Value::Bytes(value)) => view.value = value,
            (5, Value::Bytes(time)) => view.time_received = time,
            (1 | 2 | 5, _) => return Err(WRONG_WIRE_TYPE),
            _ => {}
        }
    }
    Ok(())
}

/// How what is kept of a message is kept.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// As slices of this frame.
    Borrow(&'a Bytes),
    /// As copies, so that a few bytes do not hold a frame of megabytes.
    Copy,
}

impl Source<'_> {
    /// These bytes of the frame, to keep.
    pub fn keep(self, bytes: &[u8]) -> Bytes {
        match self {
            Self::Borrow(frame) => frame.slice_ref(bytes),
            Self::Copy => Bytes::copy_from_slice(bytes),
        }
    }
}

/// Reads a peer. `None` when its id is none; broken and unknown addresses are left out. The connection field is read and
/// ignored whatever it says: it tells nothing about our own way to the peer.
pub(crate) fn contact(bytes: &[u8], source: Source<'_>) -> Result<Option<Contact<Ipfs>>, Malformed> {
    let (mut id, mut addrs, mut clean): (&[u8], &[u8], bool) = (&[], &[], true);
    let mut fields = Fields::new(bytes);
    loop {
        let rest = fields.rest();
        if rest.first() == Some(&ADDRS_TAG) && addrs.is_empty() {
            let found = run(rest);
            addrs = &rest[..found.taken];
            clean &= found.clean;
            fields.skip(found.taken);
        }
        match fields.next()? {
            None => break,
            Some((1, Value::Bytes(bytes))) => id = bytes,
            // Addresses that do not stand in one run, or in an unusual spelling.
            Some((2, Value::Bytes(_))) => clean = false,
            Some((3, Value::Varint(_))) => {}
            Some((1..=3, _)) => return Err(WRONG_WIRE_TYPE),
            Some(_) => {}
        }
    }
    let Ok(peer) = PeerId::try_from(id) else { return Ok(None) };
    let addr = if !clean {
        pack(&peer, bytes)?
    } else if addrs.is_empty() {
        AddrList::default()
    } else {
        AddrList::from_clean(source.keep(addrs))
    };
    Ok(Some(Contact::new(peer, addr)))
}

/// The addresses of a peer record that are worth keeping, in a buffer of their own.
fn pack(peer: &PeerId, bytes: &[u8]) -> Result<AddrList, Malformed> {
    let mut list = Packer::default();
    let mut seen = 0;
    let mut fields = Fields::new(bytes);
    while let Some(field) = fields.next()? {
        if let (2, Value::Bytes(address)) = field {
            list.push_for(peer, address);
            seen += 1;
            if seen == MAX_ADDRS_SEEN {
                break;
            }
        }
    }
    Ok(list.finish())
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
