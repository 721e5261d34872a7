//! Messages of the kad protocol by hand, so that they may be wrong.

pub const PUT_VALUE: u8 = 0;
pub const GET_VALUE: u8 = 1;
pub const ADD_PROVIDER: u8 = 2;
pub const GET_PROVIDERS: u8 = 3;
pub const FIND_NODE: u8 = 4;

pub fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

/// A frame: its length, then the message.
pub fn frame(message: &[u8]) -> Vec<u8> {
    [varint(message.len() as u64), message.to_vec()].concat()
}

/// A length-delimited field.
pub fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], varint(bytes.len() as u64), bytes.to_vec()].concat()
}

pub fn message(kind: u8, key: &[u8]) -> Vec<u8> {
    [vec![8, kind], field(2, key)].concat()
}

pub fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    field(3, &[field(1, key), field(2, value)].concat())
}

pub fn peer(id: &[u8], addr: &[u8]) -> Vec<u8> {
    [field(1, id), field(2, addr)].concat()
}

/// An id that nobody has.
pub fn nobody(n: u64) -> Vec<u8> {
    let mut id = vec![0x12, 32];
    id.extend(n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().repeat(4));
    id
}

/// `/ip4/…/tcp/…`
pub fn tcp(ip: [u8; 4], port: u16) -> Vec<u8> {
    [&[4][..], &ip, &[6], &port.to_be_bytes()].concat()
}
