//! A peer and its address as people write them: one multiaddr that ends in `/p2p/<id>`.

use dht_core::Contact;
use thiserror::Error;

use crate::{AddrList, Ipfs, Multiaddr, PeerId};

/// The text is no address of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidPeerAddr {
    /// It is no multiaddr.
    #[error("not a multiaddr")]
    NotAnAddress,
    /// It does not end in `/p2p/<id>`.
    #[error("the address does not end in /p2p/<peer id>")]
    NoPeer,
    /// There is no address in front of the peer.
    #[error("there is no address in front of the peer")]
    NoAddress,
}

/// Reads an address such as `/ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…`.
///
/// # Errors
/// When it is no multiaddr, names no peer at its end, or nothing but the peer.
pub fn parse_peer_addr(text: &str) -> Result<Contact<Ipfs>, InvalidPeerAddr> {
    let address: Multiaddr = text.parse().map_err(|_| InvalidPeerAddr::NotAnAddress)?;
    let Some(multiaddr::Protocol::P2p(peer)) = address.iter().last() else {
        return Err(InvalidPeerAddr::NoPeer);
    };
    let peer = PeerId::try_from(peer).map_err(|_| InvalidPeerAddr::NoPeer)?;
    let addr = AddrList::for_peer(&peer, [&address]);
    if addr.is_empty() { Err(InvalidPeerAddr::NoAddress) } else { Ok(Contact::new(peer, addr)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_its_peer_is_taken_apart() {
        const PEER: &str = "12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8";
        let contact = parse_peer_addr(&format!("/ip4/192.0.2.1/tcp/4001/p2p/{PEER}")).unwrap();
        assert_eq!(contact.peer.to_string(), PEER);
        assert_eq!(format!("{:?}", contact.addr), r#"["/ip4/192.0.2.1/tcp/4001"]"#);
        let error = |text: &str| parse_peer_addr(text).unwrap_err();
        assert_eq!(error("192.0.2.1:4001"), InvalidPeerAddr::NotAnAddress);
        assert_eq!(error("/ip4/192.0.2.1/tcp/4001"), InvalidPeerAddr::NoPeer);
        assert_eq!(error(""), InvalidPeerAddr::NoPeer);
        assert_eq!(error(&format!("/p2p/{PEER}")), InvalidPeerAddr::NoAddress);
    }
}
