//! A small overlay and its codec: what is asked for comes back as an item.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use dht_core::{Key, Overlay, Request, Response};
use dht_protocol::{Malformed, StreamCodec};
use libp2p::Multiaddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Net {}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Vec<u8>);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?}", self.0)
    }
}

impl AsRef<[u8]> for Id {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Id {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<libp2p::PeerId> for Id {
    fn from(peer: libp2p::PeerId) -> Self {
        Self(peer.to_bytes())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addrs(pub Vec<Multiaddr>);

impl FromIterator<Multiaddr> for Addrs {
    fn from_iter<I: IntoIterator<Item = Multiaddr>>(addrs: I) -> Self {
        Self(addrs.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Addrs {
    type Item = &'a [u8];
    type IntoIter = std::iter::Map<std::slice::Iter<'a, Multiaddr>, fn(&'a Multiaddr) -> &'a [u8]>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl Overlay for Net {
    type Key = Key<1>;
    type Target = Bytes;
    type PeerId = Id;
    type Addr = Addrs;
    type Query = Bytes;
    type Item = Bytes;
    type Slot = ();
    type Ticket = std::convert::Infallible;
    const TICKETED: bool = false;

    fn peer_key(peer: &Id) -> Key<1> {
        Key([*peer.0.last().unwrap()])
    }
    fn key_of(target: &Bytes) -> Key<1> {
        Key([target[0]])
    }
    fn peer_target(peer: &Id) -> Bytes {
        Bytes::copy_from_slice(&peer.0)
    }
    fn target_peer(target: &Bytes) -> Option<Id> {
        Some(Id(target.to_vec()))
    }
    fn target_of(query: &Bytes) -> Bytes {
        query.clone()
    }
    fn refresh_target(_: &Key<1>, prefix: u32, _: u64) -> Bytes {
        Bytes::from(vec![prefix as u8])
    }
    fn slot(_: &Bytes) {}
    fn weight(item: &Bytes) -> usize {
        item.len()
    }
    fn corrects(_: &Bytes) -> bool {
        false
    }
}

/// Bytes of the largest frame.
pub const MAX_FRAME: usize = 1 << 20;
pub const FIND: u8 = 1;
pub const GET: u8 = 2;
/// Is not answered; a [`FIND`] follows it, whose answer proves it.
pub const PUT: u8 = 3;
pub const ANSWER: u8 = 0x81;
pub const ECHO: u8 = 0x83;

pub struct Echoes;

pub fn frame(kind: u8, body: &[u8], out: &mut BytesMut) {
    let mut n = body.len() + 1;
    while n >= 0x80 {
        out.put_u8(n as u8 | 0x80);
        n >>= 7;
    }
    out.put_u8(n as u8);
    out.put_u8(kind);
    out.put_slice(body);
}

impl StreamCodec<Net> for Echoes {
    fn max_frame(&self) -> usize {
        MAX_FRAME
    }

    fn encode_request(&self, request: &Request<Net>, out: &mut BytesMut) {
        match request {
            Request::Ping => unreachable!("transports have their own ping"),
            Request::FindNode { target } => frame(FIND, target, out),
            Request::Get { query } => frame(GET, query, out),
            Request::Put { query, item, .. } => {
                frame(PUT, item, out);
                frame(FIND, query, out);
            }
        }
    }

    fn decode_response(
        &self,
        _: &Request<Net>,
        mut frame: Bytes,
    ) -> Result<Option<Response<Net>>, Malformed> {
        match frame.first() {
            Some(&ANSWER) => {
                frame.advance(1);
                Ok(Some(Response { items: vec![frame], ..Response::default() }))
            }
            Some(&ECHO) => Ok(None),
            _ => Err(Malformed("no answer")),
        }
    }

    fn decode_request(&self, _: &Id, mut frame: Bytes) -> Result<Request<Net>, Malformed> {
        if frame.is_empty() {
            return Err(Malformed("empty"));
        }
        match frame.get_u8() {
            FIND => Ok(Request::FindNode { target: frame }),
            GET => Ok(Request::Get { query: frame }),
            PUT => Ok(Request::Put { query: Bytes::new(), item: frame, ticket: None }),
            _ => Err(Malformed("no request")),
        }
    }

    fn encode_response(&self, request: &Request<Net>, response: &Response<Net>, out: &mut BytesMut) -> bool {
        let answered = !matches!(request, Request::Put { .. });
        if answered {
            frame(ANSWER, &response.items[0], out);
        }
        answered
    }
}

pub fn find(target: impl Into<Bytes>) -> Request<Net> {
    Request::FindNode { target: target.into() }
}

pub fn answer(item: impl Into<Bytes>) -> Response<Net> {
    Response { items: vec![item.into()], ..Response::default() }
}
