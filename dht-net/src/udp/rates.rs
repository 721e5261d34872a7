//! What others see of a running transport, and may change: rates and counters. The transport takes changed rates over when
//! it runs next, and is woken for it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use dht_core::InvalidConfig;
use futures::task::AtomicWaker;

use super::Limits;

/// A number that only the transport moves.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, n: usize) {
        // There is one writer.
        self.0.store(self.0.load(Relaxed).wrapping_add(n as u64), Relaxed);
    }

    pub(super) fn set(&self, n: usize) {
        self.0.store(n as u64, Relaxed);
    }
}

macro_rules! statistics {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What happened since the start, but for the last two, which are what is now.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Statistics {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Counter,)*
        }

        impl Counters {
            fn read(&self) -> Statistics {
                Statistics { $($name: self.$name.0.load(Relaxed),)* }
            }
        }
    };
}

statistics! {
    /// Datagrams that arrived.
    received,
    /// Their bytes.
    received_bytes,
    /// Datagrams that the system took.
    sent,
    /// Their bytes.
    sent_bytes,
    /// Questions of strangers that were handed to the driver.
    questions,
    /// Dropped before reading: their address asks too much.
    over_source,
    /// Dropped before reading: their neighbourhood asks too much.
    over_network,
    /// Dropped before reading: everybody together asks too much.
    over_answers,
    /// Answers that were not sent: too many bytes in all.
    over_bytes,
    /// Answers that were not sent, or were smaller, because their asker proved nothing and had got enough.
    withheld,
    /// Answers that were sent to an asker that proved nothing.
    unproven,
    /// Answers that waited for an echo.
    held,
    /// Of those, sent in full because it came.
    released,
    /// Questions that came twice.
    duplicates,
    /// Answers to nothing that was asked.
    stray,
    /// What could not be read, or was too long.
    malformed,
    /// Questions that were not answered because this node does not serve.
    unserved,
    /// Questions that gave way to later ones before the driver answered.
    gave_way,
    /// Answers that were dropped because the socket took no more for too long.
    unsent,
    /// Pauses because the system had no room or did not permit it.
    backoffs,
    /// Times that the system said that there is no way to the network.
    offline,
    /// Other errors of the socket.
    errors,
    /// Questions of ours that wait for an answer.
    waiting,
    /// Of those, that wait to be sent.
    queued,
}

#[derive(Debug)]
pub(super) struct Shared {
    limits: Mutex<Limits>,
    /// Moves with every change, so that nobody locks to find none.
    version: AtomicU64,
    pub(super) waker: AtomicWaker,
    pub(super) counters: Counters,
}

impl Shared {
    pub(super) fn version(&self) -> u64 {
        self.version.load(Relaxed)
    }

    pub(super) fn limits(&self) -> Limits {
        // They are plain numbers: whole at every step.
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running transport's rates and counters. Clones are the same; they outlive the transport.
#[derive(Clone, Debug)]
pub struct Rates(pub(super) Arc<Shared>);

impl Rates {
    pub(super) fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared {
            limits: Mutex::new(limits),
            version: AtomicU64::new(0),
            waker: AtomicWaker::new(),
            counters: Counters::default(),
        }))
    }

    /// The limits as they are.
    pub fn limits(&self) -> Limits {
        self.0.limits()
    }

    /// Changes the limits by `change`; they hold at once, for what is queued too.
    ///
    /// # Errors
    /// When one would be zero; then nothing changes.
    pub fn update(&self, change: impl FnOnce(&mut Limits)) -> Result<(), InvalidConfig> {
        let mut limits = self.0.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = *limits;
        change(&mut changed);
        changed.validate()?;
        *limits = changed;
        drop(limits);
        self.0.version.fetch_add(1, Relaxed);
        self.0.waker.wake();
        Ok(())
    }

    /// Sets [`Limits::max_qps`].
    ///
    /// # Errors
    /// When it is zero.
    pub fn set_max_qps(&self, qps: u32) -> Result<(), InvalidConfig> {
        self.update(|limits| limits.max_qps = qps)
    }

    /// Sets [`Limits::max_new_destinations`].
    ///
    /// # Errors
    /// When it is zero.
    pub fn set_max_new_destinations(&self, per_second: u32) -> Result<(), InvalidConfig> {
        self.update(|limits| limits.max_new_destinations = per_second)
    }

    /// Sets [`Limits::max_answers`].
    ///
    /// # Errors
    /// When it is zero.
    pub fn set_max_answers(&self, per_second: u32) -> Result<(), InvalidConfig> {
        self.update(|limits| limits.max_answers = per_second)
    }

    /// Sets [`Limits::max_answer_bytes`].
    ///
    /// # Errors
    /// When it is zero.
    pub fn set_max_answer_bytes(&self, per_second: u32) -> Result<(), InvalidConfig> {
        self.update(|limits| limits.max_answer_bytes = per_second)
    }

    /// The counters now.
    pub fn statistics(&self) -> Statistics {
        self.0.counters.read()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_zero_changes_nothing() {
        let rates = Rates::new(Limits::default());
        assert_eq!(rates.set_max_qps(0).unwrap_err().field, "max_qps");
        assert_eq!((rates.limits(), rates.0.version()), (Limits::default(), 0));
        rates.set_max_qps(7).unwrap();
        assert_eq!((rates.limits().max_qps, rates.0.version()), (7, 1));
        rates.0.counters.sent.add(3);
        assert_eq!(rates.statistics().sent, 3);
    }
}
