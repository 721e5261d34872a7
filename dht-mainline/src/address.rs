//! Which addresses mean something to whom. A datagram that names a private, multicast or otherwise impossible address must
//! not make this node send anything there.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Where the members of a network are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reach {
    /// On the public Internet. The default.
    #[default]
    Public,
    /// On loopback or private networks too: tests and closed networks.
    Local,
}

impl Reach {
    /// Whether a node or peer of this network can be at `addr`.
    pub fn allows(self, addr: SocketAddr) -> bool {
        addr.port() != 0 && !is_impossible(addr.ip()) && (self == Self::Local || !is_local(addr.ip()))
    }
}

/// Whether an address belongs to a network that is not the Internet: loopback, private, link-local.
pub fn is_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// The network that an address most likely shares its owner with: the /24 of IPv4, the /48 of IPv6. The two families never
/// share a number.
pub fn group(ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => u64::from(ip.to_bits() >> 8) | 1 << 63,
        IpAddr::V6(ip) => (ip.to_bits() >> 80) as u64,
    }
}

/// Addresses that nobody can answer from.
fn is_impossible(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let first = ip.octets()[0];
            first == 0 || first >= 240 || ip.is_multicast() || ip.is_documentation()
        }
        IpAddr::V6(ip) => {
            let mapped = ip.to_ipv4_mapped().is_some();
            ip.is_unspecified() || ip.is_multicast() || mapped || is_documentation(ip)
        }
    }
}

fn is_documentation(ip: Ipv6Addr) -> bool {
    ip.segments()[..2] == [0x2001, 0xdb8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_that_can_answer_are_allowed() {
        for (addr, public, local) in [
            ("8.8.8.8:1", true, true),
            ("8.8.8.8:0", false, false),
            ("[2a00:1450::1]:6881", true, true),
            ("127.0.0.1:6881", false, true),
            ("192.168.1.1:6881", false, true),
            ("[::1]:6881", false, true),
            ("[fe80::1]:6881", false, true),
            ("0.1.2.3:6881", false, false),
            ("224.0.0.1:6881", false, false),
            ("255.255.255.255:6881", false, false),
            ("250.0.0.1:6881", false, false),
            ("192.0.2.1:6881", false, false),
            ("[ff02::1]:6881", false, false),
            ("[::]:6881", false, false),
            ("[::ffff:8.8.8.8]:6881", false, false),
            ("[2001:db8::1]:6881", false, false),
        ] {
            let addr: SocketAddr = addr.parse().unwrap();
            assert_eq!((Reach::Public.allows(addr), Reach::Local.allows(addr)), (public, local), "{addr}");
        }
    }

    #[test]
    fn neighbours_share_a_group_and_families_do_not() {
        let group = |text: &str| group(text.parse().unwrap());
        assert_eq!(group("9.8.7.1"), group("9.8.7.250"));
        assert_ne!(group("9.8.7.1"), group("9.8.6.1"));
        assert_eq!(group("2a00:1:2:3::1"), group("2a00:1:2:9::9"));
        assert_ne!(group("2a00:1:2::1"), group("2a00:1:3::1"));
        assert_ne!(group("0.0.1.0"), group("::1:0:0:0:0:0"));
    }
}
