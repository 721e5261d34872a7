//! Chance as a function of a seed: one small generator, and the distributions that links, sessions and readers follow.
//!
//! Every use has a stream of its own, so that one more draw in one place does not change what happens elsewhere. Not for
//! secrets.

use std::time::Duration;

/// The finaliser of SplitMix64: a bijection whose every output bit depends on every input bit.
pub const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// What [`mix`] was given.
pub const fn unmix(x: u64) -> u64 {
    let x = (x ^ (x >> 31) ^ (x >> 62)).wrapping_mul(0x3196_42b2_d24d_8ec3);
    let x = (x ^ (x >> 27) ^ (x >> 54)).wrapping_mul(0x96de_1b17_3f11_9089);
    x ^ (x >> 30) ^ (x >> 60)
}

/// A number that depends on all of these.
pub const fn hash(seed: u64, a: u64, b: u64) -> u64 {
    mix(mix(seed.wrapping_add(a.wrapping_mul(0x9e37_79b9_7f4a_7c15))) ^ b.wrapping_mul(0xd1b5_4a32_d192_ed03))
}

/// The part of the way from 0 to 1 that a random number stands for.
pub fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1u64 << 53) as f64
}

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The stream of this number under a seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(hash(seed, stream, 0x5eed))
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `n`; 0 when there is none.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.roll()) * u128::from(n)) >> 64) as u64
    }

    /// From 0 to 1, without 1.
    pub fn unit(&mut self) -> f64 {
        unit(self.roll())
    }

    /// Whether something of this probability happens. What never happens costs nothing.
    pub fn chance(&mut self, p: f64) -> bool {
        p > 0.0 && self.unit() < p
    }

    /// A wait of this mean, memoryless.
    pub fn wait(&mut self, mean: Duration) -> Duration {
        scaled(mean, -(1.0 - self.unit()).ln())
    }

    /// One of a slice; `None` when it is empty.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len() as u64) as usize)
    }

    /// Moves `n` random members of a slice to its front, or all of them.
    pub fn draw<T>(&mut self, n: usize, from: &mut [T]) {
        for i in 0..n.min(from.len()) {
            let other = i + self.below((from.len() - i) as u64) as usize;
            from.swap(i, other);
        }
    }

    /// Leaves `n` random members of a list, or all of them, in random order.
    pub fn keep<T>(&mut self, n: usize, of: &mut Vec<T>) {
        self.draw(n, of);
        of.truncate(n);
    }
}

/// A duration times a factor, saturating.
pub fn scaled(duration: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor.max(0.0)).unwrap_or(Duration::MAX)
}

/// How many standard deviations above the mean the given share of a normal distribution lies below (Acklam's rational
/// approximation, relative error below 1.2e-9).
pub fn normal(share: f64) -> f64 {
    const A: [f64; 6] = [
        -39.696_830_286_653_76,
        220.946_098_424_520_5,
        -275.928_510_446_968_7,
        138.357_751_867_269,
        -30.664_798_066_147_16,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -54.476_098_798_224_06,
        161.585_836_858_040_9,
        -155.698_979_859_886_6,
        66.801_311_887_719_72,
        -13.280_681_552_885_72,
    ];
    const C: [f64; 6] = [
        -0.007_784_894_002_430_293,
        -0.322_396_458_041_136_5,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] =
        [0.007_784_695_709_041_462, 0.322_467_129_070_039_8, 2.445_134_137_142_996, 3.754_408_661_907_416];
    let poly = |c: &[f64], x: f64| c.iter().fold(0.0, |sum, c| sum * x + c);
    let share = share.clamp(1e-12, 1.0 - 1e-12);
    if share > 1.0 - 0.024_25 {
        return -normal(1.0 - share);
    }
    if share < 0.024_25 {
        let q = (-2.0 * share.ln()).sqrt();
        return poly(&C, q) / (poly(&D, q) * q + 1.0);
    }
    let q = share - 0.5;
    let r = q * q;
    q * poly(&A, r) / (poly(&B, r) * r + 1.0)
}

/// A distribution as a table of its quantiles: one memory access per draw, whatever it is.
#[derive(Clone, Debug)]
pub struct Quantiles(Vec<f32>);

impl Quantiles {
    const STEPS: usize = 4096;

    /// Tabulates the inverse of a cumulative distribution.
    pub fn of(inverse: impl Fn(f64) -> f64) -> Self {
        Self((0..Self::STEPS).map(|i| inverse((i as f64 + 0.5) / Self::STEPS as f64) as f32).collect())
    }

    /// Lognormal around a median of 1.
    pub fn lognormal(sigma: f64) -> Self {
        Self::of(|share| (sigma * normal(share)).exp())
    }

    /// The value that a random number stands for.
    pub fn at(&self, random: u64) -> f64 {
        f64::from(self.0[(random >> 52) as usize])
    }
}

/// Ranks by Zipf's law: rank `i` is drawn in proportion to `1 / (i + 1)^exponent`.
#[derive(Clone, Debug)]
pub struct Zipf(Vec<f64>);

impl Zipf {
    /// The law over `n` ranks; an exponent of 0 draws all alike.
    pub fn new(n: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let mut add = |i: usize| {
            sum += ((i + 1) as f64).powf(-exponent);
            sum
        };
        Self((0..n).map(&mut add).collect())
    }

    /// A rank; 0 when there is none.
    pub fn rank(&self, dice: &mut Dice) -> usize {
        let point = dice.unit() * self.0.last().copied().unwrap_or(0.0);
        self.0.partition_point(|sum| *sum <= point).min(self.0.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixing_can_be_undone() {
        let mut dice = Dice::new(1, 0);
        for _ in 0..1000 {
            let x = dice.roll();
            assert_eq!(unmix(mix(x)), x);
        }
    }

    #[test]
    fn the_normal_quantiles_are_the_known_ones() {
        for (share, want) in [(0.5, 0.0), (0.8, 0.841_621), (0.975, 1.959_964), (0.001, -3.090_232)] {
            assert!((normal(share) - want).abs() < 1e-5, "{share}");
        }
    }

    #[test]
    fn draws_follow_their_distributions() {
        let mut dice = Dice::new(7, 3);
        let n = 100_000;
        let mean: f64 =
            (0..n).map(|_| dice.wait(Duration::from_secs(2)).as_secs_f64()).sum::<f64>() / f64::from(n);
        assert!((1.97..2.03).contains(&mean), "{mean}");
        let sessions = Quantiles::lognormal(1.647);
        let within = (0..n).filter(|_| sessions.at(dice.roll()) <= 4.0).count() as f64 / f64::from(n);
        assert!((0.79..0.81).contains(&within), "{within}");
        let zipf = Zipf::new(100, 1.0);
        let first = (0..n).filter(|_| zipf.rank(&mut dice) == 0).count() as f64 / f64::from(n);
        assert!((0.185..0.2).contains(&first), "{first}");
        assert_eq!(Zipf::new(0, 1.0).rank(&mut dice), 0);
        let mut members = [0, 1, 2, 3];
        dice.draw(9, &mut members);
        members.sort_unstable();
        assert_eq!(members, [0, 1, 2, 3]);
        let mut kept = members.to_vec();
        dice.keep(2, &mut kept);
        assert!(kept.len() == 2 && kept[0] != kept[1] && kept.iter().all(|member| members.contains(member)));
        dice.keep(9, &mut kept);
        assert_eq!(kept.len(), 2);
    }
}
