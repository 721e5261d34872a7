//! Which of a connection's streams have something to do.
//!
//! A handler polls all its streams from one task. With a waker per stream that sets one bit, only those streams are
//! looked at that were woken: a silent one costs nothing while another is busy.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Wake, Waker},
};

use futures::task::AtomicWaker;

/// Streams that one handler can hold.
pub(super) const SLOTS: usize = 128;

#[derive(Debug, Default)]
struct Ready {
    bits: [AtomicU64; SLOTS / 64],
    task: AtomicWaker,
}

#[derive(Debug)]
struct Bit {
    ready: Arc<Ready>,
    slot: usize,
}

impl Wake for Bit {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.bits[self.slot / 64].fetch_or(1 << (self.slot % 64), Ordering::Release);
        self.ready.task.wake();
    }
}

/// A place for a stream.
#[derive(Debug)]
struct Place<T> {
    stream: T,
    waker: Waker,
}

/// The streams of one connection, each in a numbered slot.
#[derive(Debug)]
pub(super) struct Slots<T> {
    places: Vec<Option<Place<T>>>,
    ready: Arc<Ready>,
    live: usize,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { places: Vec::new(), ready: Arc::default(), live: 0 }
    }
}

impl<T> Slots<T> {
    /// Puts a stream into a free slot and marks it as ready; gives it back when all are taken.
    pub(super) fn insert(&mut self, stream: T) -> Result<usize, T> {
        let slot = match self.places.iter().position(Option::is_none) {
            Some(slot) => slot,
            None if self.places.len() < SLOTS => {
                self.places.push(None);
                self.places.len() - 1
            }
            None => return Err(stream),
        };
        let waker = Waker::from(Arc::new(Bit { ready: self.ready.clone(), slot }));
        self.places[slot] = Some(Place { stream, waker });
        self.live += 1;
        self.mark(slot);
        Ok(slot)
    }

    pub(super) fn remove(&mut self, slot: usize) -> Option<T> {
        let place = self.places.get_mut(slot)?.take()?;
        self.live -= 1;
        if self.live == 0 {
            self.places = Vec::new();
        }
        Some(place.stream)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live == 0
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut T> {
        Some(&mut self.places.get_mut(slot)?.as_mut()?.stream)
    }

    /// The stream in a slot with the waker to poll it with.
    pub(super) fn with_waker(&mut self, slot: usize) -> Option<(&mut T, &Waker)> {
        let place = self.places.get_mut(slot)?.as_mut()?;
        Some((&mut place.stream, &place.waker))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        self.places
            .iter_mut()
            .enumerate()
            .filter_map(|(slot, place)| place.as_mut().map(|place| (slot, &mut place.stream)))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.places
            .iter()
            .enumerate()
            .filter_map(|(slot, place)| place.as_ref().map(|place| (slot, &place.stream)))
    }

    /// Has the stream in this slot polled.
    pub(super) fn mark(&self, slot: usize) {
        self.ready.bits[slot / 64].fetch_or(1 << (slot % 64), Ordering::Relaxed);
    }

    /// Who is woken when a stream is; to be set before [`Slots::next_ready`] says that none is.
    pub(super) fn register(&self, task: &Waker) {
        self.ready.task.register(task);
    }

    /// A slot that was woken, each wake once.
    pub(super) fn next_ready(&self) -> Option<usize> {
        self.ready.bits.iter().enumerate().find_map(|(word, bits)| {
            let set = bits.load(Ordering::Acquire);
            if set == 0 {
                return None;
            }
            let bit = set.trailing_zeros();
            bits.fetch_and(!(1 << bit), Ordering::Acquire);
            Some(word * 64 + bit as usize)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_woken_slots_are_ready_and_once() {
        let mut slots = Slots::default();
        for i in 0..SLOTS {
            assert_eq!(slots.insert(i), Ok(i));
        }
        assert_eq!(slots.insert(999), Err(999));
        while slots.next_ready().is_some() {}
        for slot in [127, 3, 64] {
            slots.with_waker(slot).unwrap().1.wake_by_ref();
        }
        let ready: Vec<_> = std::iter::from_fn(|| slots.next_ready()).collect();
        assert_eq!(ready, [3, 64, 127]);
        assert_eq!(slots.remove(64), Some(64));
        assert_eq!((slots.remove(64), slots.insert(7)), (None, Ok(64)));
    }
}
