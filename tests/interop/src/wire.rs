//! Kademlia messages by hand, for the operation `raw`: what our own codec writes and reads must not be judged by itself.

use base64::{Engine, engine::general_purpose::STANDARD};

pub const PUT_VALUE: u64 = 0;
pub const GET_VALUE: u64 = 1;
pub const ADD_PROVIDER: u64 = 2;
pub const FIND_NODE: u64 = 4;

/// A request without a payload.
pub fn request(kind: u64, key: &[u8]) -> Vec<u8> {
    let mut out = vec![0x08, kind as u8];
    field(&mut out, 2, key);
    out
}

/// A PUT_VALUE.
pub fn put(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut record = Vec::new();
    field(&mut record, 1, key);
    field(&mut record, 2, value);
    let mut out = request(PUT_VALUE, key);
    field(&mut out, 3, &record);
    out
}

/// An ADD_PROVIDER with one address, packed.
pub fn add_provider(key: &[u8], peer: &[u8], address: &[u8]) -> Vec<u8> {
    let mut provider = Vec::new();
    field(&mut provider, 1, peer);
    field(&mut provider, 2, address);
    let mut out = request(ADD_PROVIDER, key);
    field(&mut out, 9, &provider);
    out
}

fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

/// What a test wants to know of a reply.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reply {
    pub kind: u64,
    pub key: Vec<u8>,
    /// The value of its record.
    pub value: Option<Vec<u8>>,
}

impl Reply {
    /// Reads a reply; `None` when it is no message.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reply = Self::default();
        fields(bytes, |number, number_value, contents| match number {
            1 => reply.kind = number_value,
            2 => reply.key = contents.to_vec(),
            3 => {
                // A record that is none shows as a missing value.
                let _ = fields(contents, |number, _, contents| {
                    if number == 2 {
                        reply.value = Some(contents.to_vec());
                    }
                });
            }
            _ => {}
        })?;
        Some(reply)
    }
}

fn fields(mut bytes: &[u8], mut each: impl FnMut(u64, u64, &[u8])) -> Option<()> {
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        match tag & 7 {
            0 => each(tag >> 3, varint(&mut bytes)?, &[]),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (contents, rest) = bytes.split_at_checked(length)?;
                each(tag >> 3, 0, contents);
                bytes = rest;
            }
            _ => return None,
        }
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// As bytes travel in the line protocol.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes behind a text of the line protocol.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let value = [7; 300];
        let reply = Reply::parse(&put(b"/v/key", &value)).unwrap();
        assert_eq!(reply, Reply { kind: PUT_VALUE, key: b"/v/key".to_vec(), value: Some(value.to_vec()) });
        let reply = Reply::parse(&request(FIND_NODE, b"k")).unwrap();
        assert_eq!((reply.kind, reply.value), (FIND_NODE, None));
        assert_eq!(Reply::parse(&add_provider(b"k", b"p", b"a")).unwrap().kind, ADD_PROVIDER);
        assert_eq!(Reply::parse(&[0x12, 9, 1]), None);
    }
}
