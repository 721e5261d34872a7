//! Writes messages of the kad protocol as length-prefixed frames.
//!
//! Sizes are counted first and the buffer grows once; addresses are packed already and are copied. Fields with default
//! values are left out, as protobuf's canonical form has it.

use bytes::{BufMut, BytesMut};
use dht_core::Contact;

use crate::{AddrList, Ipfs, PeerId, ProviderRecord, Record, time, wire::kind};

/// A message to write.
pub(crate) struct Frame<'a> {
    kind: i32,
    key: &'a [u8],
    record: Option<(&'a Record, String)>,
    closer: &'a [Contact<Ipfs>],
    providers: Vec<&'a ProviderRecord>,
}

impl<'a> Frame<'a> {
    pub fn new(kind: i32, key: &'a [u8]) -> Self {
        Self { kind, key, record: None, closer: &[], providers: Vec::new() }
    }

    /// A ping, which says nothing else.
    pub fn ping() -> Self {
        Self::new(kind::PING, &[])
    }

    pub fn record(mut self, record: Option<&'a Record>) -> Self {
        self.record =
            record.map(|record| (record, record.time_received.map(time::format).unwrap_or_default()));
        self
    }

    /// Peers nearer to the key; those without an address are of no use to anybody and are left out.
    pub fn closer(mut self, closer: &'a [Contact<Ipfs>]) -> Self {
        self.closer = closer;
        self
    }

    pub fn providers(mut self, providers: impl IntoIterator<Item = &'a ProviderRecord>) -> Self {
        self.providers.extend(providers);
        self
    }

    /// Appends the length and the message. Peers that would make the message larger than `max` are left out, the last
    /// providers first.
    pub fn write(&self, max: usize, out: &mut BytesMut) {
        let mut size = self.head_len();
        let closer = fitting(self.closer.iter().filter_map(located), max, &mut size);
        let providers = fitting(self.providers.iter().map(|p| (&p.peer, &p.addrs)), max, &mut size);
        out.reserve(size + 10);
        varint(size, out);
        self.write_head(out);
        self.closer.iter().filter_map(located).take(closer).for_each(|peer| write_peer(8, peer, out));
        for provider in self.providers.iter().take(providers) {
            write_peer(9, (&provider.peer, &provider.addrs), out);
        }
    }

    fn head_len(&self) -> usize {
        let kind = if self.kind == 0 { 0 } else { 2 };
        let record = self.record.as_ref().map_or(0, |record| field_len(record_len(record)));
        kind + bytes_len(self.key) + record
    }

    fn write_head(&self, out: &mut BytesMut) {
        if self.kind != 0 {
            out.put_slice(&[1 << 3, self.kind as u8]);
        }
        bytes(2, self.key, out);
        if let Some(record) = &self.record {
            out.put_u8(3 << 3 | 2);
            varint(record_len(record), out);
            bytes(1, &record.0.key, out);
            bytes(2, &record.0.value, out);
            bytes(5, record.1.as_bytes(), out);
        }
    }
}

type Peer<'a> = (&'a PeerId, &'a AddrList);

fn located(contact: &Contact<Ipfs>) -> Option<Peer<'_>> {
    contact.is_located().then_some((&contact.peer, &contact.addr))
}

/// How many of the peers fit into `max` together with the `size` there is; adds theirs.
fn fitting<'a>(peers: impl Iterator<Item = Peer<'a>>, max: usize, size: &mut usize) -> usize {
    let mut count = 0;
    for peer in peers {
        let more = field_len(peer_len(peer));
        if *size + more > max {
            break;
        }
        *size += more;
        count += 1;
    }
    count
}

fn peer_len((peer, addrs): Peer<'_>) -> usize {
    bytes_len(peer.as_ref()) + addrs.as_ref().len()
}

/// Everything in front of the addresses goes out in one piece, and the id is copied with its padding: copies of a known
/// size are what makes this fast.
fn write_peer(number: u8, peer: Peer<'_>, out: &mut BytesMut) {
    let (id, padded) = (peer.0.as_ref(), peer.0.padded());
    let len = peer_len(peer);
    let mut front = [0; 5 + PeerId::MAX_LEN];
    front[0] = number << 3 | 2;
    let at = match len {
        0..0x80 => {
            front[1] = len as u8;
            2
        }
        // A peer record has less than 8 KiB.
        _ => {
            front[1..3].copy_from_slice(&[len as u8 | 0x80, (len >> 7) as u8]);
            3
        }
    };
    front[at] = 1 << 3 | 2;
    front[at + 1] = id.len() as u8;
    front[at + 2..][..PeerId::MAX_LEN].copy_from_slice(padded);
    out.put_slice(&front[..at + 2 + id.len()]);
    out.put_slice(peer.1.as_ref());
}

fn record_len((record, time): &(&Record, String)) -> usize {
    bytes_len(&record.key) + bytes_len(&record.value) + bytes_len(time.as_bytes())
}

/// Bytes of a length-delimited field with a one-byte tag.
fn field_len(len: usize) -> usize {
    1 + varint_len(len) + len
}

/// The same for one that is left out when it is empty.
fn bytes_len(bytes: &[u8]) -> usize {
    if bytes.is_empty() { 0 } else { field_len(bytes.len()) }
}

fn bytes(number: u8, bytes: &[u8], out: &mut BytesMut) {
    if !bytes.is_empty() {
        out.put_u8(number << 3 | 2);
        varint(bytes.len(), out);
        out.put_slice(bytes);
    }
}

fn varint_len(n: usize) -> usize {
    let bits = usize::BITS - (n | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

fn varint(mut n: usize, out: &mut BytesMut) {
    while n >= 0x80 {
        out.put_u8(n as u8 | 0x80);
        n >>= 7;
    }
    out.put_u8(n as u8);
}
