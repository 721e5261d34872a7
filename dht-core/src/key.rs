//! Points of a Kademlia key space and the XOR metric between them.

use std::{
    fmt::{self, Debug, Display},
    hash::Hash,
};

/// A point of a key space with the XOR metric.
///
/// `Ord` is the numeric order of the big-endian bits. Implemented by [`Key`]; a test or a simulator may bring a smaller one.
pub trait KadKey: Copy + Ord + Hash + Debug + Send + Sync + 'static {
    /// Width of the key space in bits.
    const BITS: u32;

    /// The distance to another point; ordered, smallest is nearest.
    type Distance: Copy + Ord + Debug + Send + Sync + 'static;

    /// XOR of both points.
    fn distance(&self, other: &Self) -> Self::Distance;

    /// How many leading bits both points share: `0..=BITS`, `BITS` only for equal points.
    fn common_prefix_len(&self, other: &Self) -> u32;

    /// The leading 64 bits, left-aligned and zero-padded when the key is shorter; equal prefixes do not imply equal keys.
    fn prefix64(&self) -> u64;

    /// Bit `i` counted from the most significant; `i < BITS`.
    fn bit(&self, i: u32) -> bool;
}

/// A key of `N` bytes: 32 or 20 in large networks, 1 in tests.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key<const N: usize>(pub [u8; N]);

/// XOR distance of two [`Key`]s, ordered as a big-endian number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Distance<const N: usize>(pub [u8; N]);

impl<const N: usize> KadKey for Key<N> {
    const BITS: u32 = N as u32 * 8;
    type Distance = Distance<N>;

    fn distance(&self, other: &Self) -> Distance<N> {
        Distance(std::array::from_fn(|i| self.0[i] ^ other.0[i]))
    }

    fn common_prefix_len(&self, other: &Self) -> u32 {
        for (i, (a, b)) in self.0.iter().zip(&other.0).enumerate() {
            if a != b {
                return i as u32 * 8 + (a ^ b).leading_zeros();
            }
        }
        Self::BITS
    }

    fn prefix64(&self) -> u64 {
        let mut first = [0; 8];
        let n = N.min(8);
        first[..n].copy_from_slice(&self.0[..n]);
        u64::from_be_bytes(first)
    }

    fn bit(&self, i: u32) -> bool {
        self.0[i as usize / 8] & (0x80 >> (i % 8)) != 0
    }
}

impl<const N: usize> AsRef<[u8]> for Key<N> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> Distance<N> {
    /// The distance as a fraction of the whole key space, `0.0..1.0`, to the precision of an `f64`.
    pub fn fraction(&self) -> f64 {
        self.0.iter().rev().fold(0.0, |acc, byte| (acc + f64::from(*byte)) / 256.0)
    }

    /// Position of the highest set bit counted from the least significant (`floor(log2)`); `None` for zero.
    pub fn ilog2(&self) -> Option<u32> {
        let i = self.0.iter().position(|byte| *byte != 0)?;
        Some((N - i) as u32 * 8 - 1 - self.0[i].leading_zeros())
    }
}

macro_rules! hex {
    ($($t:ident),*) => {$(
        impl<const N: usize> Display for $t<N> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl<const N: usize> Debug for $t<N> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Display::fmt(self, f)
            }
        }
    )*};
}
hex!(Key, Distance);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> impl Strategy<Value = Key<32>> {
        any::<[u8; 32]>().prop_map(Key)
    }

    proptest! {
        #[test]
        fn the_metric_is_symmetric_and_unidirectional(a in key(), b in key(), c in key()) {
            prop_assert_eq!(a.distance(&b), b.distance(&a));
            prop_assert_eq!(a.distance(&a), Distance([0; 32]));
            prop_assert_eq!(a.distance(&b) == a.distance(&c), b == c);
        }

        #[test]
        fn the_common_prefix_is_where_the_distance_begins(a in key(), b in key()) {
            let shared = a.common_prefix_len(&b);
            prop_assert_eq!(shared, a.distance(&b).ilog2().map_or(256, |top| 255 - top));
            prop_assert!((0..shared).all(|i| a.bit(i) == b.bit(i)));
            prop_assert!(shared == 256 || a.bit(shared) != b.bit(shared));
        }

        #[test]
        fn prefixes_order_as_keys_do(a in key(), b in key()) {
            prop_assume!(a.prefix64() != b.prefix64());
            prop_assert_eq!(a < b, a.prefix64() < b.prefix64());
        }

        #[test]
        fn the_fraction_grows_with_the_distance(a in any::<[u8; 4]>(), b in any::<[u8; 4]>()) {
            prop_assert_eq!(Distance(a) < Distance(b), Distance(a).fraction() < Distance(b).fraction());
        }
    }

    #[test]
    fn a_short_key_is_left_aligned_in_its_prefix() {
        assert_eq!(Key([0x80u8]).prefix64(), 1 << 63);
        assert_eq!(Key([0xffu8]).common_prefix_len(&Key([0xfe])), 7);
        assert_eq!(Key([7u8; 20]).common_prefix_len(&Key([7; 20])), 160);
    }
}
