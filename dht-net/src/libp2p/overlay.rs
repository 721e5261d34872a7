//! What the host needs of an overlay: how its peers and addresses look to libp2p.
//!
//! Written as a trait with one blanket implementation, so that a dialect fits by its own standard conversions and
//! neither it nor this crate has to know the other.

use dht_core::Overlay;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};

/// Addresses kept of one peer.
pub(super) const MAX_ADDRS: usize = 32;
/// Bytes kept of one peer's addresses.
pub(super) const MAX_ADDR_BYTES: usize = 8 << 10;

/// An overlay whose peers are libp2p peers. Implemented for every overlay with these conversions:
///
/// - `PeerId: AsRef<[u8]> + TryFrom<&[u8]>`, the bytes being the multihash;
/// - `Addr: FromIterator<Multiaddr>` and `&Addr: IntoIterator<Item = &[u8]>`, the bytes being one binary multiaddr each.
pub trait HostOverlay: Overlay {
    /// The libp2p name of a peer; `None` when its bytes are no multihash.
    fn to_libp2p(peer: &Self::PeerId) -> Option<PeerId>;
    /// The overlay's name of a peer; `None` when it knows no such peers.
    fn from_libp2p(peer: &PeerId) -> Option<Self::PeerId>;
    /// The addresses that are well-formed; a `/p2p` at the end is cut off, and one naming another peer drops the address.
    fn multiaddrs(peer: &PeerId, addr: &Self::Addr) -> Vec<Multiaddr>;
    /// Packs addresses, at most 32 and 8 KiB.
    fn pack(addrs: Vec<Multiaddr>) -> Self::Addr;
}

impl<O> HostOverlay for O
where
    O: Overlay,
    O::PeerId: AsRef<[u8]> + for<'a> TryFrom<&'a [u8]>,
    O::Addr: FromIterator<Multiaddr>,
    for<'a> &'a O::Addr: IntoIterator<Item = &'a [u8]>,
{
    fn to_libp2p(peer: &O::PeerId) -> Option<PeerId> {
        PeerId::from_bytes(peer.as_ref()).ok()
    }

    fn from_libp2p(peer: &PeerId) -> Option<O::PeerId> {
        O::PeerId::try_from(peer.to_bytes().as_slice()).ok()
    }

    fn multiaddrs(peer: &PeerId, addr: &O::Addr) -> Vec<Multiaddr> {
        let known = addr.into_iter().filter_map(|bytes| Multiaddr::try_from(bytes.to_vec()).ok());
        known.filter_map(|addr| without_peer(addr, peer)).take(MAX_ADDRS).collect()
    }

    fn pack(addrs: Vec<Multiaddr>) -> O::Addr {
        bounded(addrs).into_iter().collect()
    }
}

/// The address without its `/p2p`; `None` when that names another peer or the address is empty.
pub(super) fn without_peer(mut addr: Multiaddr, peer: &PeerId) -> Option<Multiaddr> {
    if let Some(Protocol::P2p(named)) = addr.iter().last() {
        if named != *peer {
            return None;
        }
        addr.pop();
    }
    (!addr.is_empty()).then_some(addr)
}

/// The first addresses that fit the bounds, without repetitions.
pub(super) fn bounded(addrs: Vec<Multiaddr>) -> Vec<Multiaddr> {
    let mut kept: Vec<Multiaddr> = Vec::new();
    let mut bytes = 0;
    for addr in addrs {
        if kept.len() == MAX_ADDRS {
            break;
        }
        if bytes + addr.len() <= MAX_ADDR_BYTES && !kept.contains(&addr) {
            bytes += addr.len();
            kept.push(addr);
        }
    }
    kept
}
