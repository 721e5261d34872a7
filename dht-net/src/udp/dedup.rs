//! Networks deliver a datagram twice now and then. A question that came a moment ago from the same place, byte for byte, is
//! not served again. One that is repeated because its answer was lost comes later than that.

use std::time::Duration;

use dht_core::Mono;

/// Questions that came last, by their keyed hash. Of two that fall on one place the later one stays: a missed duplicate
/// costs one more answer.
pub(super) struct Recent {
    places: Box<[(u64, Mono)]>,
    window: Duration,
}

impl Recent {
    /// Room for `capacity`, rounded up to a power of two.
    pub(super) fn new(capacity: usize, window: Duration) -> Self {
        Self { places: vec![(0, Mono::default()); capacity.max(1).next_power_of_two()].into(), window }
    }

    /// Whether this came within the window; from now on it did. Duplicates do not make the window longer.
    pub(super) fn seen(&mut self, now: Mono, hash: u64) -> bool {
        let at = hash as usize & (self.places.len() - 1);
        let place = &mut self.places[at];
        if place.0 == hash && now.since(place.1) < self.window {
            return true;
        }
        *place = (hash, now);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_is_one_only_within_the_window() {
        let at = |ms| Mono(Duration::from_millis(ms));
        let mut recent = Recent::new(64, Duration::from_millis(250));
        assert!(!recent.seen(at(0), 9));
        assert!(recent.seen(at(0), 9));
        assert!(recent.seen(at(249), 9));
        assert!(!recent.seen(at(250), 9));
        assert!(!recent.seen(at(251), 9 + 64));
        assert!(!recent.seen(at(252), 9));
    }
}
