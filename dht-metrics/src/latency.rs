//! How long things take: a histogram of bounded size for quantiles, and fixed buckets for Prometheus.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::Latency;

/// The longest time that the histogram tells from longer ones, in microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;

/// Upper bounds of the Prometheus buckets, in seconds; an implicit last one has none.
const BOUNDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// Durations since the last reset (for snapshots) and ever (for Prometheus, whose counters never go back).
#[derive(Debug)]
pub(crate) struct Latencies {
    histogram: Histogram<u64>,
    sum: Duration,
    min: Duration,
    max: Duration,
    buckets: [u64; BOUNDS.len() + 1],
    total: Duration,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        // Two digits: quantiles are within a hundredth of the truth, in about 27 KiB.
        let histogram = Histogram::new_with_bounds(1, LONGEST, 2).expect("the bounds are constants in order");
        let zero = Duration::ZERO;
        Self { histogram, sum: zero, min: zero, max: zero, buckets: [0; BOUNDS.len() + 1], total: zero }
    }

    pub(crate) fn record(&mut self, took: Duration) {
        self.min = if self.histogram.is_empty() { took } else { self.min.min(took) };
        self.max = self.max.max(took);
        self.sum = self.sum.saturating_add(took);
        self.histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(LONGEST));
        let seconds = took.as_secs_f64();
        self.buckets[BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len())] += 1;
        self.total = self.total.saturating_add(took);
    }

    /// `None` while nothing was recorded since the last reset.
    pub(crate) fn summary(&self) -> Option<Latency> {
        let count = self.histogram.len();
        let average = self.sum.as_nanos().checked_div(u128::from(count))?;
        let quantile =
            |q| Duration::from_micros(self.histogram.value_at_quantile(q)).clamp(self.min, self.max);
        Some(Latency {
            count,
            average: Duration::from_nanos(u64::try_from(average).unwrap_or(u64::MAX)),
            min: self.min,
            max: self.max,
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
        })
    }

    /// Forgets what summaries are made of.
    pub(crate) fn reset(&mut self) {
        self.histogram.reset();
        (self.sum, self.min, self.max) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    }

    /// Sum in seconds, count, and the buckets with their upper bounds, as Prometheus wants them: over all times.
    pub(crate) fn exposition(&self) -> (f64, u64, Vec<(f64, u64)>) {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let buckets = bounds.zip(self.buckets).collect();
        (self.total.as_secs_f64(), self.buckets.iter().sum(), buckets)
    }
}
