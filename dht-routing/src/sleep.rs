//! Whether the machine slept. The monotonic clock stands still meanwhile, and by it alone every peer was heard lately; the
//! wall clock goes on. A clock that is set forward looks the same and costs the same, so it happens once in a while only.

use std::time::Duration;

use dht_core::{Mono, Now};

/// Seconds by which the wall clock has to get ahead of the monotonic one between two calls. Peers stay in tables for hours, so
/// a shorter nap is none.
const NAP: u64 = 60;

#[derive(Default)]
pub(crate) struct Sleep {
    /// By how many seconds the wall clock was ahead of the monotonic one at the last call. Whole ones: it is asked for at
    /// every call.
    lead: Option<u64>,
    /// When a sleep was last noticed.
    woken: Option<Mono>,
    /// Whether the next refresh is to check everybody, however lately they were heard.
    pub(crate) doubts: bool,
}

impl Sleep {
    /// Whether there was one since the last call; at most once in so long a `rest`.
    pub(crate) fn noticed(&mut self, now: Now, rest: Duration) -> bool {
        let lead = now.wall.0.as_secs().saturating_sub(now.mono.0.as_secs());
        let slept = self.lead.replace(lead).is_some_and(|before| lead.saturating_sub(before) >= NAP);
        let noticed = slept && self.woken.is_none_or(|at| now.mono.since(at) >= rest);
        if noticed {
            self.woken = Some(now.mono);
        }
        noticed
    }
}
