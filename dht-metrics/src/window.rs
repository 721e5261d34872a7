//! How much happened within the last minute: one tally per second, in a ring.

use std::time::Duration;

use dht_core::Mono;

use crate::Rates;

/// Seconds that rates look back.
const SECONDS: usize = 60;

/// What rates are told of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rate {
    QueryFinished,
    RequestSent,
    RequestAnswered,
    RequestFailed,
    RequestServed,
    Error,
}

/// The last minute.
#[derive(Debug)]
pub(crate) struct Window {
    ring: [[u32; 6]; SECONDS],
    /// The second that counts at present.
    second: u64,
    /// Since when there is something to look back on.
    since: Option<Mono>,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self { ring: [[0; 6]; SECONDS], second: 0, since: None }
    }

    /// Counts into the second of the latest [`Window::advance`].
    pub(crate) fn add(&mut self, rate: Rate) {
        let tally = &mut self.ring[(self.second % SECONDS as u64) as usize][rate as usize];
        *tally = tally.saturating_add(1);
    }

    /// It is now `now`; what is older than a minute is forgotten. A time before the latest changes nothing.
    pub(crate) fn advance(&mut self, now: Mono) {
        let second = now.0.as_secs();
        if self.since.is_none() {
            // What came before the first time was told counts as of now.
            self.ring.swap(0, (second % SECONDS as u64) as usize);
            (self.since, self.second) = (Some(now), second);
        }
        for passed in (self.second + 1..=second).rev().take(SECONDS) {
            self.ring[(passed % SECONDS as u64) as usize] = [0; 6];
        }
        self.second = self.second.max(second);
    }

    /// Per second, over the last minute or as much of it as there was, at least a second.
    pub(crate) fn rates(&self, now: Mono) -> Rates {
        let span = now.since(self.since.unwrap_or(now));
        let span = span.clamp(Duration::from_secs(1), Duration::from_secs(SECONDS as u64)).as_secs_f64();
        let per_second = |rate: Rate| {
            let sum: u64 = self.ring.iter().map(|tally| u64::from(tally[rate as usize])).sum();
            sum as f64 / span
        };
        Rates {
            queries: per_second(Rate::QueryFinished),
            requests_sent: per_second(Rate::RequestSent),
            requests_answered: per_second(Rate::RequestAnswered),
            requests_failed: per_second(Rate::RequestFailed),
            requests_served: per_second(Rate::RequestServed),
            errors: per_second(Rate::Error),
        }
    }

    /// Forgets the minute.
    pub(crate) fn reset(&mut self, now: Mono) {
        *self = Self { second: now.0.as_secs(), since: Some(now), ..Self::new() };
    }
}
