//! Where a peer can be reached: several multiaddrs packed into one buffer.
//!
//! The packed form is the run of `addrs` fields of the wire's Peer message (tag `0x12`, length, bytes, again and again):
//! a list is read from an answer by taking a slice of it and written by copying one. Every address inside is well-formed;
//! the list neither resolves nor ranks them.

use std::{
    fmt::{self, Debug},
    net::IpAddr,
};

use bytes::{BufMut, Bytes, BytesMut};
use multiaddr::Multiaddr;
use thiserror::Error;

use crate::{
    AddressKind, PeerId,
    address::{leading_ip, walk},
};

/// Tag of the field `addrs` of a Peer message: number 2, length-delimited.
pub(crate) const TAG: u8 = 0x12;

/// Multiaddrs of one peer: at most [`AddrList::MAX_ADDRS`] in at most [`AddrList::MAX_BYTES`].
///
/// Two lists are equal when they hold the same addresses in the same order.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct AddrList(Bytes);

/// The bytes are not the packed form of a list of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a packed list of multiaddrs")]
pub struct InvalidAddrList;

impl AddrList {
    /// Addresses in one list.
    pub const MAX_ADDRS: usize = 32;
    /// Bytes of the packed form. With the longest id and the connection field the peer record stays below 8 KiB, which is
    /// what the network keeps of one.
    pub const MAX_BYTES: usize = 8192 - 64;

    /// The addresses of `peer`: those that end in another peer are left out, a trailing `/p2p/<peer>` is cut off,
    /// duplicates and what exceeds the bounds is dropped.
    pub fn for_peer<'a>(peer: &PeerId, addresses: impl IntoIterator<Item = &'a Multiaddr>) -> Self {
        let mut list = Packer::default();
        addresses.into_iter().for_each(|address| list.push_for(peer, address.as_ref()));
        list.finish()
    }

    /// The packed form from raw multiaddrs; broken and unknown ones, duplicates and what exceeds the bounds is dropped.
    pub fn from_raw<'a>(addresses: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut list = Packer::default();
        addresses.into_iter().for_each(|address| list.push(address));
        list.finish()
    }

    /// A list from bytes that [`run`] found clean.
    pub(crate) fn from_clean(packed: Bytes) -> Self {
        Self(packed)
    }

    /// How many addresses there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The addresses as bytes, in order.
    pub fn iter(&self) -> Addresses<'_> {
        Addresses { rest: &self.0 }
    }

    /// The addresses as values.
    pub fn multiaddrs(&self) -> impl Iterator<Item = Multiaddr> {
        self.iter().filter_map(|address| Multiaddr::try_from(address.to_vec()).ok())
    }

    /// The IP addresses that the multiaddrs begin with, duplicates included; DNS names have none.
    pub fn ips(&self) -> impl Iterator<Item = IpAddr> {
        self.iter().filter_map(leading_ip)
    }

    /// Whether any address is of a kind that `want` names.
    pub fn any(&self, want: impl Fn(AddressKind) -> bool) -> bool {
        self.iter().any(|address| want(AddressKind::of(address)))
    }

    /// The addresses whose kind `keep` names; shares the buffer when that is all of them.
    pub fn filter(&self, keep: impl Fn(AddressKind) -> bool) -> Self {
        if self.iter().all(|address| keep(AddressKind::of(address))) {
            return self.clone();
        }
        let mut list = Packer::default();
        self.iter().filter(|address| keep(AddressKind::of(address))).for_each(|address| list.put(address));
        list.finish()
    }

    /// These addresses, then those of `other` that are new, up to the bounds.
    pub fn merge(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        Self::from_raw(self.iter().chain(other.iter()))
    }

    /// The same list in a buffer of its own, so that it does not hold the message it came in.
    pub fn detach(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }
}

impl AsRef<[u8]> for AddrList {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Bytes> for AddrList {
    type Error = InvalidAddrList;

    fn try_from(packed: Bytes) -> Result<Self, InvalidAddrList> {
        match run(&packed) {
            Run { taken, clean: true, .. } if taken == packed.len() => Ok(Self(packed)),
            _ => Err(InvalidAddrList),
        }
    }
}

/// The addresses of an [`AddrList`] as bytes, in order.
#[derive(Clone, Debug)]
pub struct Addresses<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Addresses<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (address, after) = field(self.rest)?;
        self.rest = after;
        Some(address)
    }
}

impl<'a> IntoIterator for &'a AddrList {
    type Item = &'a [u8];
    type IntoIter = Addresses<'a>;

    fn into_iter(self) -> Addresses<'a> {
        self.iter()
    }
}

impl FromIterator<Multiaddr> for AddrList {
    fn from_iter<I: IntoIterator<Item = Multiaddr>>(addresses: I) -> Self {
        let mut list = Packer::default();
        addresses.into_iter().for_each(|address| list.push(address.as_ref()));
        list.finish()
    }
}

impl<'a> FromIterator<&'a Multiaddr> for AddrList {
    fn from_iter<I: IntoIterator<Item = &'a Multiaddr>>(addresses: I) -> Self {
        Self::from_raw(addresses.into_iter().map(AsRef::as_ref))
    }
}

impl From<Multiaddr> for AddrList {
    fn from(address: Multiaddr) -> Self {
        Self::from_iter([address])
    }
}

impl Debug for AddrList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.multiaddrs().map(|address| address.to_string())).finish()
    }
}

/// The first packed field and what follows; `None` when the bytes do not begin with one in its shortest form.
#[inline]
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [TAG, a, rest @ ..] = bytes else { return None };
    if *a < 0x80 {
        return rest.split_at_checked(usize::from(*a));
    }
    let [b, rest @ ..] = rest else { return None };
    if !(1..0x80).contains(b) {
        return None;
    }
    rest.split_at_checked(usize::from(a & 0x7f) | usize::from(*b) << 7)
}

/// What [`run`] found at the start of some bytes.
pub(crate) struct Run {
    /// Bytes of the packed fields, good or not.
    pub taken: usize,
    /// Whether the fields are a list as they stand: all well-formed, within the bounds, none ending in a peer id.
    pub clean: bool,
}

/// Walks over the packed fields at the start of `bytes`, as far as they go.
pub(crate) fn run(bytes: &[u8]) -> Run {
    let (mut rest, mut count, mut clean) = (bytes, 0, true);
    while let Some((address, after)) = field(rest) {
        clean &= clean && walk(address).is_some_and(|walked| walked.trailing_peer.is_none());
        count += 1;
        rest = after;
    }
    let taken = bytes.len() - rest.len();
    Run { taken, clean: clean && count <= AddrList::MAX_ADDRS && taken <= AddrList::MAX_BYTES }
}

/// Whether what stands in front of a peer id can be reached: it is there, and does not itself end in somebody.
fn is_place(before: &[u8]) -> bool {
    walk(before).is_some_and(|walked| walked.trailing_peer.is_none())
}

/// Builds a list address by address.
#[derive(Default)]
pub(crate) struct Packer {
    packed: BytesMut,
    count: usize,
}

impl Packer {
    /// Adds an address of `peer`, unless it ends in another one; its own id at the end is cut off.
    pub fn push_for(&mut self, peer: &PeerId, address: &[u8]) {
        match walk(address).map(|walked| walked.trailing_peer) {
            None => {}
            Some(None) => self.put(address),
            Some(Some((before, last))) if last == peer.as_ref() && is_place(before) => self.put(before),
            // A relay's id in front of `/p2p-circuit` is not trailing, so this address leads to somebody else.
            Some(Some(_)) => {}
        }
    }

    /// Adds an address if it is well-formed; a trailing peer id is cut off, for nobody knows here whose it is.
    pub fn push(&mut self, address: &[u8]) {
        match walk(address).map(|walked| walked.trailing_peer) {
            None => {}
            Some(None) => self.put(address),
            Some(Some((before, _))) if is_place(before) => self.put(before),
            Some(Some(_)) => {}
        }
    }

    /// Adds a well-formed address, unless it is there or does not fit.
    fn put(&mut self, address: &[u8]) {
        let len = address.len();
        let size = 2 + usize::from(len >= 0x80) + len;
        if self.count == AddrList::MAX_ADDRS
            || self.packed.len() + size > AddrList::MAX_BYTES
            || self.holds(address)
        {
            return;
        }
        self.packed.put_u8(TAG);
        if len < 0x80 {
            self.packed.put_u8(len as u8);
        } else {
            self.packed.put_slice(&[len as u8 | 0x80, (len >> 7) as u8]);
        }
        self.packed.put_slice(address);
        self.count += 1;
    }

    fn holds(&self, address: &[u8]) -> bool {
        let mut rest = &self.packed[..];
        while let Some((known, after)) = field(rest) {
            if known == address {
                return true;
            }
            rest = after;
        }
        false
    }

    /// The list.
    pub fn finish(self) -> AddrList {
        AddrList(self.packed.freeze())
    }
}

#[cfg(test)]
#[path = "addr_list_tests.rs"]
mod tests;
