//! What strangers make this node hold: counters per peer and for all, taken from before memory is.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// One counter with what it counts: bytes, streams or requests.
#[derive(Debug, Default)]
pub(super) struct Budget(AtomicUsize);

impl Budget {
    /// Takes `n` unless that would be more than `limit` in all.
    pub(super) fn take(&self, n: usize, limit: usize) -> bool {
        let fits = |held: usize| held.checked_add(n).filter(|sum| *sum <= limit);
        self.0.fetch_update(Relaxed, Relaxed, fits).is_ok()
    }

    /// Gives back what was taken.
    pub(super) fn give(&self, n: usize) {
        self.0.fetch_sub(n, Relaxed);
    }

    /// What is taken now.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// A peer's budget and everybody's, with their limits; taking needs both.
#[derive(Clone, Debug)]
pub(super) struct Purse {
    own: Arc<Budget>,
    own_limit: usize,
    all: Arc<Budget>,
    all_limit: usize,
}

impl Purse {
    pub(super) fn new(own: Arc<Budget>, own_limit: usize, all: Arc<Budget>, all_limit: usize) -> Self {
        Self { own, own_limit, all, all_limit }
    }

    /// An empty charge on this purse.
    pub(super) fn charge(&self) -> Charge {
        Charge { purse: self.clone(), held: 0 }
    }

    /// What the peer holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.own.held()
    }

    fn take(&self, n: usize) -> bool {
        if !self.own.take(n, self.own_limit) {
            return false;
        }
        let fits = self.all.take(n, self.all_limit);
        if !fits {
            self.own.give(n);
        }
        fits
    }

    fn give(&self, n: usize) {
        self.own.give(n);
        self.all.give(n);
    }
}

/// Something held; given back when dropped.
#[derive(Debug)]
pub(super) struct Charge {
    purse: Purse,
    held: usize,
}

impl Charge {
    /// How much this holds.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Holds `n` from now on; `false` and unchanged when there is no room.
    pub(super) fn set(&mut self, n: usize) -> bool {
        if n > self.held {
            if !self.purse.take(n - self.held) {
                return false;
            }
        } else {
            self.purse.give(self.held - n);
        }
        self.held = n;
        true
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.purse.give(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_needs_room_in_both_and_dropping_gives_back() {
        let all = Arc::new(Budget::default());
        let purse = |limit| Purse::new(Arc::new(Budget::default()), limit, all.clone(), 10);
        let (a, b) = (purse(8), purse(8));
        let mut first = a.charge();
        assert!(first.set(8) && !first.set(9));
        let mut second = b.charge();
        assert!(!second.set(3) && second.set(2));
        assert_eq!((a.held(), b.held(), all.held()), (8, 2, 10));
        drop(first);
        assert!(second.set(8));
        drop(second);
        assert_eq!(all.held(), 0);
    }
}
