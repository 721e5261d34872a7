//! Bloom filters of swarms (BEP 33): how many addresses take part, without naming them.

use std::{
    fmt::{self, Debug},
    net::IpAddr,
};

use sha1::{Digest, Sha1};

/// Bits of a filter.
const BITS: usize = 2048;
/// Bits that an address sets.
const HASHES: f64 = 2.0;

/// A set of addresses that only tells how many there are, up to about 6,000.
#[derive(Clone, PartialEq, Eq)]
pub struct Bloom([u8; BITS / 8]);

impl Bloom {
    /// The set of nobody.
    pub const fn new() -> Self {
        Self([0; BITS / 8])
    }

    /// A filter as it came.
    pub const fn from_bytes(bytes: [u8; BITS / 8]) -> Self {
        Self(bytes)
    }

    /// The bytes of the wire.
    pub const fn as_bytes(&self) -> &[u8; BITS / 8] {
        &self.0
    }

    /// Adds an address.
    pub fn insert(&mut self, ip: IpAddr) {
        let hash: [u8; 20] = match ip.to_canonical() {
            IpAddr::V4(ip) => Sha1::digest(ip.octets()).into(),
            IpAddr::V6(ip) => Sha1::digest(ip.octets()).into(),
        };
        for at in [0, 2] {
            let bit = usize::from(u16::from_le_bytes([hash[at], hash[at + 1]])) % BITS;
            self.0[bit / 8] |= 1 << (bit % 8);
        }
    }

    /// Adds whoever is in `other`.
    pub fn union(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(ours, theirs)| *ours |= theirs);
    }

    /// About how many addresses are in it; a full filter says about 7,800.
    pub fn estimate(&self) -> f64 {
        let zeros: u32 = self.0.iter().map(|byte| byte.count_zeros()).sum();
        let m = BITS as f64;
        // The last zero of a full filter is made up: the logarithm of none is not a number.
        (m / f64::from(zeros.max(1))).ln() / (-HASHES * (1.0 - 1.0 / m).ln())
    }
}

impl Default for Bloom {
    fn default() -> Self {
        Self::new()
    }
}

impl Debug for Bloom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bloom(about {:.0})", self.estimate())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED: &str = "\
        F6C3F5EAA07FFD91BDE89F777F26FB2BFF37BDB8FB2BBAA2FD3DDDE7BACFFF75EE7CCBAE\
        FE5EEDB1FBFAFF67F6ABFF5E43DDBCA3FD9B9FFDF4FFD3E9DFF12D1BDF59DB53DBE9FA5B\
        7FF3B8FDFCDE1AFB8BEDD7BE2F3EE71EBBBFE93BCDEEFE148246C2BC5DBFF7E7EFDCF24F\
        D8DC7ADFFD8FFFDFDDFFF7A4BBEEDF5CB95CE81FC7FCFF1FF4FFFFDFE5F7FDCBB7FD79B3\
        FA1FC77BFE07FFF905B7B7FFC7FEFEFFE0B8370BB0CD3F5B7F2BD93FEB4386CFDD6F7FD5\
        BFAF2E9EBFFFFEECD67ADBF7C67F17EFD5D75EBA6FFEBA7FFF47A91EB1BFBB53E8ABFB57\
        62ABE8FF237279BFEFBFEEF5FFC5FEBFDFE5ADFFADFEE1FB737FFFFBFD9F6AEFFEEE76B6\
        FD8F72EF";

    #[test]
    fn the_published_vector_holds() {
        let mut v4 = Bloom::new();
        (0..=255).for_each(|last| v4.insert(IpAddr::from([192, 0, 2, last])));
        let mut v6 = Bloom::new();
        (0..=0x3e7).for_each(|last| v6.insert(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last])));
        v4.union(&v6);
        assert_eq!(data_encoding::HEXUPPER.encode(v4.as_bytes()), PUBLISHED);
        assert_eq!((v4.estimate() * 10_000.0).floor(), 12_249_308.0);
        assert_eq!(Bloom::from_bytes(*v4.as_bytes()), v4);
    }

    #[test]
    fn the_ends_of_the_scale_are_numbers() {
        assert_eq!(Bloom::new().estimate().to_bits(), 0, "not even a negative zero");
        let full = Bloom::from_bytes([0xff; 256]).estimate();
        assert!((7_800.0..7_810.0).contains(&full), "{full}");
        let mut one = Bloom::new();
        one.insert(IpAddr::from([1, 2, 3, 4]));
        assert!((0.9..1.1).contains(&one.estimate()));
        assert_eq!(format!("{one:?}"), "Bloom(about 1)");
    }
}
