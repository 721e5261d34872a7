//! The clocks that drivers read, once per turn.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dht_core::{Mono, Now, Wall};

/// Where a driver gets the time from.
pub trait Clock: Send + Sync + 'static {
    /// Both clocks, read together.
    fn now(&self) -> Now;
}

/// The clocks of the system. Under a paused tokio runtime the monotonic one follows virtual time.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: tokio::time::Instant,
}

impl SystemClock {
    /// Starts the monotonic clock at zero.
    #[expect(clippy::new_without_default, reason = "a clock that starts now is not a default value")]
    pub fn new() -> Self {
        Self { origin: tokio::time::Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the engine's time is read")]
    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now { mono: Mono(self.origin.elapsed()), wall: Wall(wall) }
    }
}

/// Both clocks derived from tokio's, so that a paused runtime moves wall time too; for tests and demonstrations.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    origin: tokio::time::Instant,
    start: Wall,
}

impl TokioClock {
    /// Starts the monotonic clock at zero and the wall clock at `start`.
    pub fn starting_at(start: Wall) -> Self {
        Self { origin: tokio::time::Instant::now(), start }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Now {
        let elapsed = self.origin.elapsed();
        Now { mono: Mono(elapsed), wall: self.start + elapsed }
    }
}
