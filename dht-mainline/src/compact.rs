//! Compact forms: a peer is an address of 6 or 18 bytes, a node an id before it (BEP 5, BEP 32).
//!
//! Lists stay the bytes they came as and are read where they are used.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{
    NodeId,
    bencode::{Error, Limits, Reader, Writer},
};

/// The version of the Internet protocol that a table, a list or a socket belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address; an IPv4 address mapped into IPv6 counts as IPv4.
    pub fn of(ip: IpAddr) -> Self {
        if ip.to_canonical().is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Bytes of one address with its port.
    pub const fn peer_len(self) -> usize {
        match self {
            Self::V4 => 6,
            Self::V6 => 18,
        }
    }

    /// Bytes of one node.
    pub const fn node_len(self) -> usize {
        20 + self.peer_len()
    }
}

/// An address with its port, 6 bytes or 18 for IPv6, without the heap.
pub(crate) struct CompactAddr {
    length: usize,
    bytes: [u8; 18],
}

impl CompactAddr {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        let mut bytes = [0; 18];
        let length = match addr.ip().to_canonical() {
            IpAddr::V4(ip) => {
                bytes[..4].copy_from_slice(&ip.octets());
                6
            }
            IpAddr::V6(ip) => {
                bytes[..16].copy_from_slice(&ip.octets());
                18
            }
        };
        bytes[length - 2..length].copy_from_slice(&addr.port().to_be_bytes());
        Self { length, bytes }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Appends an address with its port: 6 bytes, or 18 for IPv6.
pub fn push_addr(out: &mut Vec<u8>, addr: SocketAddr) {
    out.extend_from_slice(CompactAddr::new(addr).as_bytes());
}

/// Reads an address with its port; `None` unless there are 6 or 18 bytes.
#[inline]
pub fn read_addr(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_last_chunk::<2>()?;
    let ip = match ip.len() {
        4 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(ip).ok()?)),
        16 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(ip).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
}

/// Nodes in compact form, as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nodes<'a> {
    family: Family,
    bytes: &'a [u8],
}

impl<'a> Nodes<'a> {
    /// Nodes of one family; `None` when `bytes` are no whole number of them.
    pub fn new(family: Family, bytes: &'a [u8]) -> Option<Self> {
        bytes.len().is_multiple_of(family.node_len()).then_some(Self { family, bytes })
    }

    /// Appends one node to what will be a list of its address's family.
    pub fn push(out: &mut Vec<u8>, id: &NodeId, addr: SocketAddr) {
        out.extend_from_slice(&id.0);
        push_addr(out, addr);
    }

    /// The bytes of the wire.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.family.node_len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Every node, whatever its address is worth.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, SocketAddr)> + use<'a> {
        self.bytes.chunks_exact(self.family.node_len()).filter_map(|node| {
            let (id, addr) = node.split_first_chunk::<20>()?;
            Some((NodeId(*id), read_addr(addr)?))
        })
    }
}

/// The `values` of an answer: a bencoded list of compact peers, as it came. Both families may be mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peers<'a>(&'a [u8]);

impl<'a> Peers<'a> {
    /// Peers of a bencoded list; `None` when `list` is none.
    pub fn new(list: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(list, Limits::of(list.len())).ok()?;
        reader.value().list(|peer| peer.skip()).ok()?;
        reader.finish().ok()?;
        Some(Self(list))
    }

    /// Of a list that was read, and so checked, already.
    pub(crate) fn checked(list: &'a [u8]) -> Self {
        Self(list)
    }

    /// Appends a list of these peers, to be read with [`Peers::new`].
    pub fn write(out: &mut Vec<u8>, peers: impl IntoIterator<Item = SocketAddr>) {
        Writer::new(out).list(|list| {
            for peer in peers {
                list.bytes(CompactAddr::new(peer).as_bytes());
            }
        });
    }

    /// Calls `each` with every element that is a compact peer; others are passed over.
    pub fn for_each(&self, mut each: impl FnMut(SocketAddr)) {
        let Ok(mut reader) = Reader::new(self.0, Limits::of(self.0.len())) else { return };
        // Checked when it was made; a fault could only end the walk early.
        let _ = reader.value().list(|peer| {
            if let Some(addr) = peer.bytes().ok().and_then(read_addr) {
                each(addr);
            }
            Ok::<_, Error>(())
        });
    }

    /// The peers, collected.
    pub fn to_vec(&self) -> Vec<SocketAddr> {
        let mut peers = Vec::new();
        self.for_each(|peer| peers.push(peer));
        peers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection, prelude::*};

    proptest! {
        #[test]
        fn addresses_are_read_back(ip in any::<IpAddr>(), port in any::<u16>()) {
            let addr = SocketAddr::new(ip, port);
            let mut out = Vec::new();
            push_addr(&mut out, addr);
            prop_assert_eq!(out.len(), Family::of(ip).peer_len());
            prop_assert_eq!(read_addr(&out), Some(SocketAddr::new(ip.to_canonical(), port)));
        }

        #[test]
        fn nodes_are_read_back(nodes in collection::vec((any::<[u8; 20]>(), any::<[u8; 16]>(), any::<u16>()), 0..20)) {
            for family in [Family::V4, Family::V6] {
                let nodes: Vec<_> = nodes
                    .iter()
                    .map(|(id, ip, port)| {
                        let ip = match family {
                            Family::V4 => IpAddr::from([ip[0], ip[1], ip[2], ip[3]]),
                            Family::V6 => IpAddr::from([[0x20], [ip[1]]].concat().repeat(8).first_chunk::<16>().copied().unwrap_or_default()),
                        };
                        (NodeId(*id), SocketAddr::new(ip, *port))
                    })
                    .collect();
                let mut out = Vec::new();
                nodes.iter().for_each(|(id, addr)| Nodes::push(&mut out, id, *addr));
                let read = Nodes::new(family, &out).unwrap();
                prop_assert_eq!(read.len(), nodes.len());
                prop_assert_eq!(read.iter().collect::<Vec<_>>(), nodes);
                out.push(0);
                prop_assert!(Nodes::new(family, &out).is_none());
            }
        }

        #[test]
        fn peers_of_both_families_are_read_back(peers in collection::vec((any::<IpAddr>(), any::<u16>()), 0..20)) {
            let peers: Vec<_> =
                peers.into_iter().map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port)).collect();
            let mut out = Vec::new();
            Peers::write(&mut out, peers.iter().copied());
            prop_assert_eq!(Peers::new(&out).unwrap().to_vec(), peers);
        }
    }

    #[test]
    fn what_is_no_peer_is_passed_over() {
        let list = b"l6:abcdef5:abcdei7e0:le18:0123456789abcdef\x1a\xe1e";
        let peers = Peers::new(list).unwrap().to_vec();
        assert_eq!(peers.iter().map(SocketAddr::is_ipv6).collect::<Vec<_>>(), [false, true]);
        assert_eq!(peers[1].port(), 6881);
        for bad in [&b""[..], b"d1:a0:e", b"l6:abc", b"le0:", b"6:abcdef"] {
            assert_eq!(Peers::new(bad), None);
        }
    }
}
