//! What time a node thinks it is. Most clocks are right; one that is not steps, drifts, or stands still.
//!
//! A step moves the wall clock only; drift is the fault of one crystal and shows in both clocks; a frozen wall clock leaves
//! the monotonic one alone; while a machine sleeps its monotonic clock stands still and its wall clock does not.

use std::time::Duration;

use dht_core::{Mono, Now, Wall};

/// The wall-clock time at which simulations begin, in nanoseconds: September 2026.
const EPOCH: u64 = 1_790_000_000_000_000_000;
/// Drift beyond which a clock is no clock.
const MAX_DRIFT: i64 = 500_000;

/// A clock that may be wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clock {
    /// True time of the last change.
    anchor: u64,
    /// What the clocks showed then.
    mono: u64,
    wall: u64,
    /// Parts per million that it is fast.
    drift: i64,
    frozen: bool,
    /// Whether the wall clock was ever wrong; sleep does not make it so.
    astray: bool,
}

/// A right clock at a true time.
pub(crate) fn right(true_time: u64) -> Now {
    Now { mono: Mono(Duration::from_nanos(true_time)), wall: Wall(Duration::from_nanos(EPOCH + true_time)) }
}

/// Nanoseconds of a duration, saturating.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Clock {
    /// One that is right so far.
    pub(crate) fn at(true_time: u64) -> Self {
        Self {
            anchor: true_time,
            mono: true_time,
            wall: EPOCH + true_time,
            drift: 0,
            frozen: false,
            astray: false,
        }
    }

    pub(crate) fn now(&self, true_time: u64) -> Now {
        let passed = self.passed(true_time);
        let wall = if self.frozen { self.wall } else { self.wall.saturating_add(passed) };
        Now {
            mono: Mono(Duration::from_nanos(self.mono.saturating_add(passed))),
            wall: Wall(Duration::from_nanos(wall)),
        }
    }

    /// The first true time at which the monotonic clock shows at least `mono`.
    pub(crate) fn when(&self, mono: Mono) -> u64 {
        let ahead = nanos(mono.0).saturating_sub(self.mono);
        let span = u128::from(ahead) * 1_000_000 / (1_000_000 + i128::from(self.drift)) as u128;
        // One more than rounding may have lost.
        let slack = u64::from(self.drift != 0) * 2;
        self.anchor.saturating_add(u64::try_from(span).unwrap_or(u64::MAX)).saturating_add(slack)
    }

    pub(crate) fn step(&mut self, true_time: u64, seconds: f64) {
        self.rebase(true_time);
        self.astray = true;
        let by = nanos(crate::network::seconds_of(seconds.abs()));
        self.wall = if seconds < 0.0 { self.wall.saturating_sub(by) } else { self.wall.saturating_add(by) };
    }

    /// Parts per million from now on.
    pub(crate) fn drift(&mut self, true_time: u64, ppm: i64) {
        self.rebase(true_time);
        self.astray = true;
        self.drift = ppm.clamp(-MAX_DRIFT, MAX_DRIFT);
    }

    pub(crate) fn freeze(&mut self, true_time: u64, frozen: bool) {
        self.rebase(true_time);
        self.astray = true;
        self.frozen = frozen;
    }

    /// Whether the wall clock was ever wrong.
    pub(crate) fn was_astray(&self) -> bool {
        self.astray
    }

    /// The machine slept since `from`.
    pub(crate) fn slept(&mut self, from: u64, true_time: u64) {
        let asleep = self.now(from).mono;
        self.rebase(true_time);
        self.mono = nanos(asleep.0);
    }

    fn passed(&self, true_time: u64) -> u64 {
        let passed = i128::from(true_time.saturating_sub(self.anchor));
        u64::try_from(passed + passed * i128::from(self.drift) / 1_000_000).unwrap_or(u64::MAX)
    }

    fn rebase(&mut self, true_time: u64) {
        let now = self.now(true_time);
        (self.anchor, self.mono, self.wall) = (true_time, nanos(now.mono.0), nanos(now.wall.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000_000;

    #[test]
    fn a_step_moves_the_wall_clock_only() {
        let mut clock = Clock::at(HOUR);
        assert_eq!(clock.now(2 * HOUR), right(2 * HOUR));
        clock.step(2 * HOUR, -3600.0);
        let now = clock.now(3 * HOUR);
        assert_eq!((now.mono, now.wall), (right(3 * HOUR).mono, right(2 * HOUR).wall));
    }

    #[test]
    fn deadlines_are_kept_under_any_drift() {
        for ppm in [-200_000, -7, 0, 7, 100_000] {
            let mut clock = Clock::at(5);
            clock.drift(HOUR + 3, ppm);
            for deadline in [HOUR + 4, HOUR + 1_000_000_007, 9 * HOUR + 1] {
                let deadline = Mono(Duration::from_nanos(deadline));
                let at = clock.when(deadline);
                assert!(clock.now(at).mono >= deadline, "{ppm}");
                assert!(clock.now(at.saturating_sub(10)).mono < deadline, "{ppm}");
            }
        }
    }

    #[test]
    fn sleep_and_frost_stop_one_clock_each() {
        let mut clock = Clock::at(0);
        clock.slept(HOUR, 9 * HOUR);
        assert_eq!(clock.now(10 * HOUR).mono, right(2 * HOUR).mono);
        assert_eq!(clock.now(10 * HOUR).wall, right(10 * HOUR).wall);
        assert!(!clock.was_astray());
        clock.freeze(10 * HOUR, true);
        assert!(clock.was_astray());
        assert_eq!(clock.now(11 * HOUR).wall, right(10 * HOUR).wall);
        assert_eq!(clock.now(11 * HOUR).mono, right(3 * HOUR).mono);
    }
}
