//! Random numbers for machines that want few of them, and of which one process may hold a million.

use rand_chacha::rand_core::{Rng as _, SeedableRng};

use crate::Rng;

/// The numbers that an [`Rng`] of this seed gives, in their order, with the state of two words instead of its 300 bytes.
/// Every draw begins from the seed, which costs as much as a hash.
#[derive(Clone, Debug)]
pub struct Draws {
    seed: u64,
    drawn: u64,
}

impl Draws {
    /// The numbers of a seed, from the first.
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        let mut rng = Rng::seed_from_u64(self.seed);
        // In words of 32 bits.
        rng.set_word_pos(2 * u128::from(self.drawn));
        self.drawn += 1;
        rng.next_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_generator() {
        let (mut draws, mut rng) = (Draws::new(7), Rng::seed_from_u64(7));
        for _ in 0..100 {
            assert_eq!(draws.next_u64(), rng.next_u64());
        }
    }
}
