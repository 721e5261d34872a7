//! The wall clock as records age by it: it may step, they must not live for ever because of that.
//!
//! Record time is wall time plus an offset. When the wall clock is set back, the offset grows by as much, so record time
//! stands still for a moment and goes on: what has five hours left before the step has five hours left after it. A step
//! forward counts as time that passed, as it is after a machine slept.

use std::time::Duration;

use dht_core::Wall;

/// Steps back up to this are callers that overtook each other, not somebody setting the clock.
const OVERTAKEN: u64 = MINUTE;

/// Nanoseconds of a second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// Nanoseconds of a minute.
pub(crate) const MINUTE: u64 = 60 * SECOND;

/// The latest wall-clock time that is believed (the year 2116), so that a clock gone mad leaves room to go on from.
const LATEST: u64 = u64::MAX / 4;

/// A moment of record time, in nanoseconds; `Moment::MAX` is never.
pub(crate) type Moment = u64;

/// Nanoseconds of a duration, saturating.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Turns wall-clock readings into a time that never goes back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    offset: u64,
    latest: Moment,
}

impl Clock {
    /// Takes a reading; the moment it stands for is not before any earlier one.
    pub(crate) fn read(&mut self, wall: Wall) -> Moment {
        let moment = self.moment(wall);
        let back = self.latest.saturating_sub(moment);
        if back > OVERTAKEN {
            self.offset = self.offset.saturating_add(back);
        }
        self.latest = self.latest.max(moment);
        self.latest
    }

    /// What [`Clock::read`] would say.
    pub(crate) fn would_read(mut self, wall: Wall) -> Moment {
        self.read(wall)
    }

    /// Where a wall-clock time lies in record time; a future one counts as the latest reading.
    pub(crate) fn past(&self, wall: Wall) -> Moment {
        self.moment(wall).min(self.latest)
    }

    /// A moment as the wall clock of today tells it.
    pub(crate) fn wall(&self, moment: Moment) -> Wall {
        if moment == Moment::MAX {
            return Wall(Duration::MAX);
        }
        Wall(Duration::from_nanos(moment.saturating_sub(self.offset)))
    }

    fn moment(&self, wall: Wall) -> Moment {
        nanos(wall.0).min(LATEST).saturating_add(self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_freezes_ages_and_small_ones_are_ignored() {
        let mut clock = Clock::default();
        let born = clock.read(Wall::from_secs(10_000));
        assert_eq!(clock.read(Wall::from_secs(9_999)), born, "callers overtook each other");
        assert_eq!(clock.read(Wall::from_secs(10_010)), born + 10 * SECOND);
        assert_eq!(clock.read(Wall::from_secs(100)), born + 10 * SECOND, "the clock was set back");
        assert_eq!(clock.read(Wall::from_secs(105)), born + 15 * SECOND, "and goes on from there");
        assert_eq!(clock.wall(born), Wall::from_secs(90), "ages stay what they were");
    }

    #[test]
    fn a_clock_gone_mad_leaves_room_to_go_on() {
        let mut clock = Clock::default();
        let mad = clock.read(Wall(Duration::MAX));
        assert_eq!(mad, LATEST);
        assert_eq!(clock.read(Wall::default()), mad);
        assert_eq!(clock.read(Wall::from_secs(7)), mad + 7 * SECOND);
        assert_eq!(clock.wall(mad), Wall::default());
        assert_eq!(clock.wall(Moment::MAX), Wall(Duration::MAX));
        assert_eq!(
            clock.past(Wall::from_secs(1_000)),
            mad + 7 * SECOND,
            "nothing was received in the future"
        );
    }
}
