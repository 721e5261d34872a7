//! How long an answer usually takes, so that a request that takes much longer can be told from one that is on its way;
//! and how many requests nobody answers, so that a lookup can ask more from the outset.
//!
//! One estimate for the whole node: most peers of a lookup are asked once, so a peer's own history is no help. Smoothed
//! mean and deviation as in RFC 6298, the deviation moving by an eighth, not a quarter. Two times follow. After mean and
//! one and a half deviations a request is *overdue*: of log-normal delays one in eight is, and somebody else is asked as
//! well, which costs a lookup a request or two and spares it the wait for its slowest peers. After mean and eight
//! deviations it is *given up*: round trips to strangers have a heavy tail (half of them begin with a handshake), and eight
//! keeps false alarms well below one in a hundred.
//!
//! Answers that took many times as long as the median do not count: a minority of very slow peers would raise mean and
//! deviation until nothing is overdue any more. The median is followed in small steps and does not care how slow the slower
//! half is; when most answers have become slower it rises, and they count. Whoever gives less than half of the answers can
//! neither raise the estimate without bound nor keep the others out of it.

use std::time::Duration;

/// Before the first answer (RFC 6298).
const INITIAL: Duration = Duration::from_secs(1);
/// No round trip counts for more, so that the arithmetic below cannot overflow.
const LONGEST: Duration = Duration::from_secs(3600);
/// Least that the median is taken for, so that its steps do not vanish.
const SHORTEST: Duration = Duration::from_micros(100);
/// An answer that took more than that many times as long as the median does not count.
const OUTLIER: u32 = 12;

#[derive(Clone, Debug, Default)]
pub(crate) struct RttEstimate {
    smoothed: Option<Duration>,
    deviation: Duration,
    /// Half of the answers are quicker. Zero before the first.
    median: Duration,
    silence: Share,
}

/// A share of all, lately: it follows about thirty events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share(u32);

impl Share {
    const ONE: u32 = 1 << 16;
    /// Above this it says more about our own line than about others.
    const MOST: u32 = Self::ONE / 4 * 3;

    fn event(&mut self, counts: bool) {
        self.0 -= self.0 / 32;
        if counts {
            self.0 = (self.0 + Self::ONE / 32).min(Self::MOST);
        }
    }

    /// How many of `n` these are, rounded down.
    pub(crate) fn of(self, n: usize) -> usize {
        (n as u64 * u64::from(self.0) / u64::from(Self::ONE)) as usize
    }

    /// How many there must be so that `n` are left when this share is taken away; more than a quarter counts as one.
    pub(crate) fn before(self, n: usize) -> usize {
        let left = u64::from(Self::ONE - self.0);
        ((n as u64 * u64::from(Self::ONE) + left * 3 / 4) / left) as usize
    }
}

impl RttEstimate {
    pub(crate) fn sample(&mut self, rtt: Duration) {
        let rtt = rtt.min(LONGEST);
        // Equal steps both ways: it stands still where as many are above as below.
        if self.median.is_zero() {
            self.median = rtt.clamp(SHORTEST, INITIAL);
        } else if rtt > self.median {
            self.median += self.median / 32;
        } else {
            self.median = (self.median - self.median / 32).max(SHORTEST);
        }
        if rtt > self.median.saturating_mul(OUTLIER) {
            return;
        }
        let Some(smoothed) = self.smoothed else {
            self.smoothed = Some(rtt);
            self.deviation = rtt / 2;
            return;
        };
        self.deviation = self.deviation * 7 / 8 + smoothed.abs_diff(rtt) / 8;
        self.smoothed = Some(smoothed * 7 / 8 + rtt / 8);
    }

    /// A request of a lookup was answered before it was given up, or not.
    pub(crate) fn silent(&mut self, silent: bool) {
        self.silence.event(silent);
    }

    /// Share of the requests of lookups that were not answered before they were given up.
    pub(crate) fn silence(&self) -> Share {
        self.silence
    }

    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// After this a request is overdue. One and a half means at least: on a line without jitter the deviation vanishes.
    pub(crate) fn overdue_after(&self, floor: Duration, ceiling: Duration) -> Duration {
        let usual = self.smoothed.map_or(INITIAL, |mean| (mean * 3 / 2).max(mean + self.deviation * 3 / 2));
        usual.clamp(floor, ceiling)
    }

    /// After this a request is given up, or after half as long again by whoever is `patient`; never before it is overdue.
    /// Before the first answer nothing is known that patience could be measured by.
    pub(crate) fn given_up_after(&self, patient: bool, floor: Duration, ceiling: Duration) -> Duration {
        let usual = |mean: Duration| {
            let usual = (mean * 2).max(mean + self.deviation * 8);
            if patient { usual * 3 / 2 } else { usual }
        };
        let usual = self.smoothed.map_or(INITIAL * 2, usual);
        usual.clamp(floor, ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: Duration = Duration::from_millis(10);
    const CEILING: Duration = Duration::from_secs(10);

    /// Shares of the samples that were overdue and given up.
    fn run(samples: impl Iterator<Item = Duration>, estimate: &mut RttEstimate) -> [f64; 2] {
        let (mut late, mut n) = ([0.0; 2], 0.0);
        for rtt in samples {
            late[0] += f64::from(u8::from(rtt > estimate.overdue_after(FLOOR, CEILING)));
            late[1] += f64::from(u8::from(rtt > estimate.given_up_after(false, FLOOR, CEILING)));
            n += 1.0;
            estimate.sample(rtt);
        }
        late.map(|late| late / n)
    }

    /// A log-normal with the median 1 and the given sigma, by the sum of twelve uniforms.
    fn heavy(sigma: f64, seed: u64) -> impl Iterator<Item = f64> {
        let mut state = seed;
        std::iter::repeat_with(move || {
            let normal: f64 = (0..12)
                .map(|_| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (state >> 11) as f64 / (1u64 << 53) as f64
                })
                .sum::<f64>()
                - 6.0;
            (normal * sigma).exp()
        })
    }

    #[test]
    fn heavy_tails_raise_few_false_alarms() {
        let mut estimate = RttEstimate::default();
        let [overdue, given_up] =
            run(heavy(0.5, 1).take(20_000).map(|x| Duration::from_secs_f64(x * 0.3)), &mut estimate);
        assert!(overdue < 0.15 && given_up < 0.005, "{overdue} {given_up}");
        assert!(estimate.given_up_after(false, FLOOR, CEILING) < Duration::from_millis(2500));
    }

    #[test]
    fn a_third_of_slow_peers_does_not_raise_the_estimate_even_when_they_are_first() {
        for (every, first) in [(5, 4), (5, 0), (3, 0)] {
            let mut estimate = RttEstimate::default();
            let samples = heavy(0.2, 2).take(10_000).enumerate();
            run(
                samples.map(|(i, x)| match i % every == first {
                    true => Duration::from_millis(9500),
                    false => Duration::from_secs_f64(x * 0.1),
                }),
                &mut estimate,
            );
            assert!(estimate.given_up_after(false, FLOOR, CEILING) < Duration::from_millis(500));
        }
    }

    #[test]
    fn a_quick_minority_does_not_keep_the_others_out() {
        for quick in [36, 40, 45] {
            let mut estimate = RttEstimate::default();
            let samples = heavy(0.3, 3).take(10_000).enumerate();
            let near = samples.map(|(i, x)| (i * 37 % 100 < quick, x));
            let [_, given_up] = run(
                near.map(|(near, x)| Duration::from_secs_f64(x * if near { 0.002 } else { 0.12 })),
                &mut estimate,
            );
            assert!(given_up < 0.02, "{quick} %: {given_up}");
        }
    }

    #[test]
    fn a_network_that_becomes_slower_is_followed() {
        let mut estimate = RttEstimate::default();
        run(std::iter::repeat_n(Duration::from_millis(50), 200), &mut estimate);
        assert_eq!(estimate.overdue_after(FLOOR, CEILING).as_millis(), 75);
        assert_eq!(estimate.given_up_after(false, FLOOR, CEILING).as_millis(), 100);
        run(std::iter::repeat_n(Duration::from_millis(700), 40), &mut estimate);
        assert!(estimate.overdue_after(FLOOR, CEILING) > Duration::from_millis(700));
    }

    #[test]
    fn the_estimate_stays_between_floor_and_ceiling() {
        let mut estimate = RttEstimate::default();
        assert_eq!(estimate.overdue_after(FLOOR, CEILING), INITIAL);
        assert_eq!(estimate.overdue_after(FLOOR, FLOOR), FLOOR);
        estimate.sample(Duration::ZERO);
        assert_eq!(estimate.overdue_after(FLOOR, CEILING), FLOOR);
        for _ in 0..1000 {
            estimate.sample(Duration::MAX);
        }
        assert_eq!(estimate.overdue_after(FLOOR, CEILING), CEILING);
    }

    #[test]
    fn silence_is_a_share_of_what_was_asked_lately() {
        let mut estimate = RttEstimate::default();
        assert_eq!((estimate.silence().of(20), estimate.silence().before(3)), (0, 3));
        for i in 0..400 {
            estimate.silent(i % 2 == 0);
        }
        assert!((9..=10).contains(&estimate.silence().of(20)), "{:?}", estimate.silence());
        assert!((3..=4).contains(&estimate.silence().before(2)));
        for _ in 0..400 {
            estimate.silent(true);
        }
        assert_eq!((estimate.silence().of(20), estimate.silence().before(2)), (15, 8));
        for _ in 0..400 {
            estimate.silent(false);
        }
        assert_eq!(estimate.silence().of(20), 0);
    }
}
