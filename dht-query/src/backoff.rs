//! How long to wait before trying again: longer each time, and not everybody at the same moment.

use std::time::Duration;

use crate::Config;

/// The wait before retry number `retry` (0 is the first); `random` decides its jitter.
pub(crate) fn delay(config: &Config, retry: u32, random: u64) -> Duration {
    let max = config.backoff_max.as_secs_f64();
    let mut wait = config.backoff_initial.as_secs_f64();
    // Multiplied out, not `powi`: the platforms round that differently, and a seed must give the same run everywhere.
    for _ in 0..retry {
        wait = (wait * config.backoff_factor).min(max);
    }
    let uniform = (random >> 11) as f64 / (1u64 << 53) as f64;
    wait *= 1.0 + config.backoff_jitter * (2.0 * uniform - 1.0);
    Duration::try_from_secs_f64(wait.min(max)).unwrap_or(config.backoff_max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dht_core::Draws;

    #[test]
    fn waits_grow_by_the_factor_up_to_the_maximum() {
        let config = Config { backoff_jitter: 0.0, ..Config::default() };
        let waits: Vec<u64> = (0..9).map(|i| delay(&config, i, 1 << 63).as_millis() as u64).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
        let config = Config { backoff_factor: 1.5, backoff_initial: Duration::from_millis(50), ..config };
        assert_eq!(delay(&config, 2, 1 << 63), Duration::from_micros(112_500));
    }

    #[test]
    fn jitter_stays_within_its_share_and_uses_it() {
        let config = Config::default();
        let mut draws = Draws::new(2);
        let waits: Vec<f64> = (0..1000).map(|_| delay(&config, 1, draws.next_u64()).as_secs_f64()).collect();
        assert!(waits.iter().all(|wait| (0.8..=1.2).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < 0.85) && waits.iter().any(|wait| *wait > 1.15));
    }
}
