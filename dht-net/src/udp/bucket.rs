//! The token bucket, as one number: the time at which everything admitted so far would have been admitted at exactly the
//! rate (GCRA). Rates are arguments, so that they change while it runs.

use std::time::Duration;

use dht_core::Mono;

/// So many per second, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    per_second: u64,
    burst: u64,
}

impl Rate {
    /// A rate of nothing would divide by zero and is made one.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second: u64::from(per_second.max(1)), burst: u64::from(burst.max(1)) }
    }

    fn nanos(self, n: u64) -> u64 {
        n.saturating_mul(1_000_000_000) / self.per_second
    }
}

/// A bucket, full at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    /// Nanoseconds on the clock of [`Mono`].
    spent_until: u64,
}

fn nanos(now: Mono) -> u64 {
    u64::try_from(now.0.as_nanos()).unwrap_or(u64::MAX)
}

impl Bucket {
    /// How far ahead of the clock it is; never more than an empty bucket is, whatever the rate was before.
    fn ahead(self, now: u64, rate: Rate) -> u64 {
        self.spent_until.saturating_sub(now).min(rate.nanos(rate.burst))
    }

    /// Whether `n` tokens are there. More than the burst never are.
    pub(super) fn has(self, now: Mono, rate: Rate, n: u64) -> bool {
        self.ahead(nanos(now), rate) + rate.nanos(n) <= rate.nanos(rate.burst)
    }

    /// Takes `n` tokens; when they are not there it is as empty as it gets.
    pub(super) fn spend(&mut self, now: Mono, rate: Rate, n: u64) {
        let now = nanos(now);
        self.spent_until = now.saturating_add(self.ahead(now, rate)).saturating_add(rate.nanos(n));
    }

    /// Takes `n` tokens if they are there.
    pub(super) fn take(&mut self, now: Mono, rate: Rate, n: u64) -> bool {
        let has = self.has(now, rate, n);
        if has {
            self.spend(now, rate, n);
        }
        has
    }

    /// When one token will be there.
    pub(super) fn ready_at(self, now: Mono, rate: Rate) -> Mono {
        let short = (self.ahead(nanos(now), rate) + rate.nanos(1)).saturating_sub(rate.nanos(rate.burst));
        now + Duration::from_nanos(short)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Mono {
        Mono(Duration::from_millis(millis))
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let rate = Rate::new(10, 5);
        let mut bucket = Bucket::default();
        let passed = (0..2000).filter(|&ms| bucket.take(at(ms), rate, 1)).count();
        assert_eq!(passed, 5 + 19);
    }

    #[test]
    fn a_change_of_rate_holds_at_once() {
        let (slow, fast) = (Rate::new(1, 50), Rate::new(1000, 50));
        let mut bucket = Bucket::default();
        while bucket.take(at(0), slow, 1) {}
        assert!(!bucket.has(at(500), slow, 1));
        assert_eq!(bucket.ready_at(at(500), fast), at(501));
        assert!(bucket.has(at(501), slow, 0));
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_the_burst(
            per_second in 1u32..2000, burst in 1u32..200,
            steps in prop::collection::vec((0u64..300, 1u64..20), 1..200),
        ) {
            let rate = Rate::new(per_second, burst);
            let mut bucket = Bucket::default();
            let (mut now, mut passed) = (0, 0);
            for (step, n) in steps {
                now += step;
                if bucket.take(at(now), rate, n) {
                    passed += n;
                }
                prop_assert!(passed as f64 <= f64::from(burst) + f64::from(per_second) * now as f64 / 1e3 + 0.1);
                let ready = bucket.ready_at(at(now), rate);
                prop_assert!(bucket.has(ready, rate, 1));
            }
        }
    }
}
