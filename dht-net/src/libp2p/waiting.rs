//! Streams that a peer opened beyond those that are served at a time. They wait, unread, until one of those ends.
//!
//! Other stacks open a stream per request, a few hundred at once when they are busy. Resetting what is too much would fail
//! requests that need a few milliseconds of patience. What waits is counted among the peer's bytes and not for long.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::budget::Charge;

/// Streams of one connection that wait at most.
const MAX_WAITING: usize = 224;
/// What a waiting stream is charged for what may lie unread in it.
const UNREAD: usize = 16 << 10;
/// How often to look whether another connection with the peer has made room.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Waiter<T> {
    stream: T,
    until: Instant,
    _unread: Charge,
}

/// The streams of one connection that wait, in the order in which they came.
#[derive(Debug)]
pub(super) struct Waiting<T>(VecDeque<Waiter<T>>);

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Waiting<T> {
    /// Has a stream wait; it is dropped when there is no room for it.
    pub(super) fn push(&mut self, stream: T, mut unread: Charge, until: Instant) {
        if self.0.len() < MAX_WAITING && unread.set(UNREAD) {
            self.0.push_back(Waiter { stream, until, _unread: unread });
        }
    }

    /// The stream that has waited longest.
    pub(super) fn pop(&mut self) -> Option<T> {
        let first = self.0.pop_front()?;
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
        Some(first.stream)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops those that have waited too long.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.0.front().is_some_and(|first| first.until <= now) {
            self.pop();
        }
    }

    /// When to look again.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        (!self.is_empty()).then(|| now + LOOK)
    }

    pub(super) fn clear(&mut self) {
        self.0 = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::libp2p::budget::{Budget, Purse};

    fn purse(bytes: usize) -> Purse {
        Purse::new(Arc::new(Budget::default()), bytes, Arc::new(Budget::default()), bytes)
    }

    #[test]
    fn the_first_to_come_is_the_first_to_go_and_nobody_waits_for_ever() {
        let (purse, now) = (purse(usize::MAX), Instant::now());
        let mut waiting = Waiting::default();
        assert_eq!(waiting.due(now), None);
        for i in 0..300u64 {
            waiting.push(i, purse.charge(), now + Duration::from_secs(i));
        }
        assert_eq!(purse.held(), MAX_WAITING * UNREAD);
        assert_eq!((waiting.pop(), waiting.pop()), (Some(0), Some(1)));
        assert_eq!(waiting.due(now), Some(now + LOOK));
        waiting.expire(now + Duration::from_secs(10));
        assert_eq!(waiting.pop(), Some(11));
        waiting.clear();
        assert_eq!((waiting.pop(), waiting.is_empty(), purse.held()), (None, true, 0));
    }

    #[test]
    fn what_waits_counts_among_the_bytes_of_the_peer() {
        let (purse, now) = (purse(2 * UNREAD), Instant::now());
        let mut waiting = Waiting::default();
        (0..3).for_each(|i| waiting.push(i, purse.charge(), now));
        assert_eq!((waiting.pop(), waiting.pop(), waiting.pop()), (Some(0), Some(1), None));
    }
}
