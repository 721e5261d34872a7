//! How long an answer usually takes, so that a request that takes much longer can be told from one that is on its way.
//!
//! One estimate for the whole node: most peers of a lookup are asked once, so a peer's own history is no help. Smoothed
//! mean and deviation as in RFC 6298, with two changes that lookups ask for. The deviation counts six times, not four,
//! and moves by an eighth, not a quarter:
//! round trips to strangers have a heavy tail (half of them begin with a handshake), and six keeps false alarms below one
//! in a hundred for log-normal delays. And overdue answers do not count while they are a minority: otherwise one slow
//! peer in eight would raise the estimate to the hard limit and end all hedging.

use std::time::Duration;

/// Before the first answer (RFC 6298).
const INITIAL: Duration = Duration::from_secs(1);
/// No round trip counts for more, so that the arithmetic below cannot overflow.
const LONGEST: Duration = Duration::from_secs(3600);
/// Of `ONE`: above this share overdue answers are the rule, so the network has become slower.
const MAJORITY: u32 = ONE / 3;
const ONE: u32 = 1 << 16;

#[derive(Clone, Debug, Default)]
pub(crate) struct RttEstimate {
    smoothed: Option<Duration>,
    deviation: Duration,
    /// Share of overdue answers lately, of `ONE`; it follows about thirty answers.
    overdue: u32,
}

impl RttEstimate {
    pub(crate) fn sample(&mut self, rtt: Duration, overdue: bool) {
        let rtt = rtt.min(LONGEST);
        self.overdue -= self.overdue / 32;
        if overdue {
            self.overdue += ONE / 32;
        }
        let Some(smoothed) = self.smoothed else {
            self.smoothed = Some(rtt);
            self.deviation = rtt / 2;
            return;
        };
        if overdue && self.overdue <= MAJORITY {
            return;
        }
        self.deviation = self.deviation * 7 / 8 + smoothed.abs_diff(rtt) / 8;
        self.smoothed = Some(smoothed * 7 / 8 + rtt / 8);
    }

    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// After this a request is overdue. Twice the mean at least: on a line without jitter the deviation vanishes.
    pub(crate) fn overdue_after(&self, floor: Duration, ceiling: Duration) -> Duration {
        let usual = self.smoothed.map_or(INITIAL, |mean| (mean * 2).max(mean + self.deviation * 6));
        usual.clamp(floor, ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: Duration = Duration::from_millis(10);
    const CEILING: Duration = Duration::from_secs(10);

    fn run(samples: impl Iterator<Item = Duration>, estimate: &mut RttEstimate) -> f64 {
        let (mut late, mut n) = (0, 0);
        for rtt in samples {
            let overdue = rtt > estimate.overdue_after(FLOOR, CEILING);
            late += u32::from(overdue);
            n += 1;
            estimate.sample(rtt, overdue);
        }
        f64::from(late) / f64::from(n)
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
        let late = run(heavy(0.5, 1).take(20_000).map(|x| Duration::from_secs_f64(x * 0.3)), &mut estimate);
        assert!(late < 0.01, "{late}");
        assert!(estimate.overdue_after(FLOOR, CEILING) < Duration::from_millis(2500));
    }

    #[test]
    fn a_fifth_of_slow_peers_does_not_raise_the_estimate() {
        let mut estimate = RttEstimate::default();
        let samples = heavy(0.2, 2).take(10_000).enumerate();
        run(
            samples.map(|(i, x)| if i % 5 == 4 { CEILING } else { Duration::from_secs_f64(x * 0.1) }),
            &mut estimate,
        );
        assert!(estimate.overdue_after(FLOOR, CEILING) < Duration::from_millis(500));
    }

    #[test]
    fn a_network_that_becomes_slower_is_followed() {
        let mut estimate = RttEstimate::default();
        run(std::iter::repeat_n(Duration::from_millis(50), 200), &mut estimate);
        assert_eq!(estimate.overdue_after(FLOOR, CEILING), Duration::from_millis(100));
        run(std::iter::repeat_n(Duration::from_millis(700), 40), &mut estimate);
        assert!(estimate.overdue_after(FLOOR, CEILING) > Duration::from_millis(700));
    }

    #[test]
    fn the_estimate_stays_between_floor_and_ceiling() {
        let mut estimate = RttEstimate::default();
        assert_eq!(estimate.overdue_after(FLOOR, CEILING), INITIAL);
        assert_eq!(estimate.overdue_after(FLOOR, FLOOR), FLOOR);
        estimate.sample(Duration::ZERO, false);
        assert_eq!(estimate.overdue_after(FLOOR, CEILING), FLOOR);
        estimate.sample(Duration::MAX, false);
        assert_eq!(estimate.overdue_after(FLOOR, CEILING), CEILING);
    }
}
