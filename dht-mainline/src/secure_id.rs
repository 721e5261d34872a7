//! Node ids tied to addresses (BEP 42): whoever wants to sit at a chosen place of the key space needs the address for it.
//!
//! This prefers, it does not exclude: queries of nodes with other ids are served all the same.

use std::net::IpAddr;

use crate::{NodeId, address};

const MASK_V4: u32 = 0x030f_3fff;
const MASK_V6: u64 = 0x0103_070f_1f3f_7fff;
/// The bits of the id that the address decides.
const FIXED_BITS: u32 = 21;

impl NodeId {
    /// An id that suits `ip`; what the address leaves open is taken from `random`.
    pub fn for_ip(ip: IpAddr, random: [u8; 20]) -> Self {
        let hash = prefix(ip, random[19]).to_be_bytes();
        let mut id = random;
        id[..2].copy_from_slice(&hash[..2]);
        id[2] = hash[2] & 0xf8 | random[2] & 0x07;
        Self(id)
    }

    /// Whether a node at `ip` may have this id. Addresses of local networks may have any.
    pub fn suits(&self, ip: IpAddr) -> bool {
        let first = u32::from_be_bytes([self.0[0], self.0[1], self.0[2], 0]);
        address::is_local(ip) || (first ^ prefix(ip, self.0[19])) >> (32 - FIXED_BITS) == 0
    }
}

fn prefix(ip: IpAddr, random: u8) -> u32 {
    let r = random & 7;
    match ip.to_canonical() {
        IpAddr::V4(ip) => crc32c::crc32c(&(ip.to_bits() & MASK_V4 | u32::from(r) << 29).to_be_bytes()),
        IpAddr::V6(ip) => {
            let high = (ip.to_bits() >> 64) as u64;
            crc32c::crc32c(&(high & MASK_V6 | u64::from(r) << 61).to_be_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_published_vectors_hold() {
        for (ip, random, want) in [
            ("124.31.75.21", 1, [0x5f, 0xbf, 0xbf]),
            ("21.75.31.124", 86, [0x5a, 0x3c, 0xe9]),
            ("65.23.51.170", 22, [0xa5, 0xd4, 0x32]),
            ("84.124.73.14", 65, [0x1b, 0x03, 0x21]),
            ("43.213.53.83", 90, [0xe5, 0x6f, 0x6c]),
            ("2001:b829:2123:be84:e16c:d6ae:5290:49f1", 4, [0x0a, 0x8a, 0xd1]),
        ] {
            let ip: IpAddr = ip.parse().unwrap();
            let mut bytes = [0x55; 20];
            bytes[..3].copy_from_slice(&want);
            bytes[19] = random;
            assert!(NodeId(bytes).suits(ip), "{ip}");
            assert_eq!(NodeId::for_ip(ip, bytes).0[..3], want, "{ip}");
            for bit in 0..21 {
                let mut other = bytes;
                other[bit / 8] ^= 0x80 >> (bit % 8);
                assert!(!NodeId(other).suits(ip), "{ip} bit {bit}");
            }
        }
    }

    #[test]
    fn local_addresses_may_have_any_id() {
        for ip in
            ["10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.3.4", "127.0.0.1", "::1", "fe80::1", "fd00::1"]
        {
            assert!(NodeId([7; 20]).suits(ip.parse().unwrap()), "{ip}");
        }
        assert!(!NodeId([7; 20]).suits("::ffff:9.9.9.9".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn ids_made_for_an_address_suit_it_and_keep_what_is_open(ip in any::<IpAddr>(), random in any::<[u8; 20]>()) {
            let id = NodeId::for_ip(ip, random);
            prop_assert!(id.suits(ip));
            prop_assert_eq!(&id.0[3..], &random[3..]);
            prop_assert_eq!(id.0[2] & 7, random[2] & 7);
        }
    }
}
