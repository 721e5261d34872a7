//! Which IP address a multiaddr leads to. What that one tells is the same for every transport.

use std::net::IpAddr;

use libp2p::{Multiaddr, multiaddr::Protocol};

pub(super) use crate::ip::{group, is_global};

/// The address at the start of a multiaddr.
pub(super) fn ip_of(addr: &Multiaddr) -> Option<IpAddr> {
    match addr.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

/// Whether the address leads through a relay.
pub(super) fn is_relayed(addr: &Multiaddr) -> bool {
    addr.iter().any(|part| part == Protocol::P2pCircuit)
}
