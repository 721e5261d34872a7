//! Time as an argument. Nothing here reads a clock: a driver or a simulator does, once per call into a machine.
//!
//! All arithmetic saturates, so a clock that jumps by years cannot overflow a deadline.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

/// A point on a clock that never goes back, as the time since an origin that its owner chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub Duration);

/// Wall-clock time since the Unix epoch, UTC. It may jump; only the age of stored records is measured with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(pub Duration);

/// Both clocks, read together. Timers use [`Now::mono`], record lifetimes use [`Now::wall`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For deadlines and intervals.
    pub mono: Mono,
    /// For expiry that must survive a restart.
    pub wall: Wall,
}

impl Mono {
    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Wall {
    /// From whole seconds since the Unix epoch.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Now {
    /// Both clocks, `by` later.
    pub fn after(self, by: Duration) -> Self {
        Self { mono: self.mono + by, wall: self.wall + by }
    }
}

macro_rules! saturating {
    ($($t:ident),*) => {$(
        impl Add<Duration> for $t {
            type Output = Self;
            fn add(self, by: Duration) -> Self {
                Self(self.0.saturating_add(by))
            }
        }
        impl Sub<Duration> for $t {
            type Output = Self;
            fn sub(self, by: Duration) -> Self {
                Self(self.0.saturating_sub(by))
            }
        }
    )*};
}
saturating!(Mono, Wall);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Mono(Duration::MAX) + Duration::from_secs(1), Mono(Duration::MAX));
        assert_eq!(Wall::from_secs(1) - Duration::from_secs(2), Wall::default());
        assert_eq!(Wall::from_secs(1).since(Wall::from_secs(5)), Duration::ZERO);
    }
}
