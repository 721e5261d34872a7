//! What happens next: a queue of events in the order of their time, and of their arrival where times are equal.
//!
//! A hierarchical timer wheel of exact order. Times are numbers of nanoseconds; an event waits at the level of the
//! highest byte in which its time differs from the present, in the slot of that byte, and moves down when the present
//! gets there. So it is moved at most eight times, three on average, however many others wait: a heap of a million
//! pays a cache miss for each of its twenty levels. Nothing can be scheduled for the past.

use std::collections::VecDeque;

/// Bits of a time that one level looks at.
const BITS: u32 = 8;
const SLOTS: usize = 1 << BITS;
const LEVELS: usize = 64 / BITS as usize;
/// Entries whose memory a slot keeps after it was emptied.
const KEPT: usize = 64;

/// Events by time, first come first served among equals.
#[derive(Debug)]
pub struct Queue<T> {
    /// The time of the event popped last.
    now: u64,
    len: usize,
    /// Events of the present, in order.
    ready: VecDeque<T>,
    levels: Vec<Level<T>>,
}

#[derive(Debug)]
struct Level<T> {
    occupied: [u64; SLOTS / 64],
    slots: Vec<Vec<(u64, T)>>,
}

impl<T> Level<T> {
    fn new() -> Self {
        Self { occupied: [0; SLOTS / 64], slots: (0..SLOTS).map(|_| Vec::new()).collect() }
    }

    fn first(&self) -> Option<usize> {
        let word = self.occupied.iter().position(|word| *word != 0)?;
        Some(word * 64 + self.occupied[word].trailing_zeros() as usize)
    }

    fn push(&mut self, slot: usize, at: u64, event: T) {
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.slots[slot].push((at, event));
    }

    fn take(&mut self, slot: usize) -> Vec<(u64, T)> {
        self.occupied[slot / 64] &= !(1 << (slot % 64));
        std::mem::take(&mut self.slots[slot])
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { now: 0, len: 0, ready: VecDeque::new(), levels: (0..LEVELS).map(|_| Level::new()).collect() }
    }
}

impl<T> Queue<T> {
    /// An empty queue at time zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many events wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Schedules an event. A time before that of the event popped last counts as that time.
    pub fn push(&mut self, at: u64, event: T) {
        self.len += 1;
        self.place(at.max(self.now), event);
    }

    /// The next event, unless it comes after `limit`; then nothing changes, and earlier events may still be scheduled.
    pub fn pop_until(&mut self, limit: u64) -> Option<(u64, T)> {
        loop {
            if !self.ready.is_empty() {
                if self.now > limit {
                    return None;
                }
                self.len -= 1;
                return self.ready.pop_front().map(|event| (self.now, event));
            }
            let (level, slot) =
                self.levels.iter().enumerate().find_map(|(i, level)| level.first().map(|slot| (i, slot)))?;
            // All events of the first slot of the lowest level come before all others.
            let next = self.levels[level].slots[slot].iter().map(|(at, _)| *at).min()?;
            if next > limit {
                return None;
            }
            self.now = next;
            let mut events = self.levels[level].take(slot);
            if let [_] = &events[..] {
                self.len -= 1;
                let event = events.pop();
                self.give_back(level, slot, events);
                return event;
            }
            for (at, event) in events.drain(..) {
                if at == next {
                    self.ready.push_back(event);
                } else {
                    self.place(at, event);
                }
            }
            self.give_back(level, slot, events);
        }
    }

    fn place(&mut self, at: u64, event: T) {
        let level = (at ^ self.now).checked_ilog2().map_or(0, |bit| bit / BITS);
        let slot = (at >> (level * BITS)) as usize % SLOTS;
        self.levels[level as usize].push(slot, at, event);
    }

    /// Leaves an emptied slot its memory, within reason.
    fn give_back(&mut self, level: usize, slot: usize, events: Vec<(u64, T)>) {
        let place = &mut self.levels[level].slots[slot];
        if events.capacity() <= KEPT && place.capacity() == 0 {
            *place = events;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cmp::Reverse, collections::BinaryHeap};

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push(u64),
        Pop,
        PopUntil(u64),
    }

    fn delays() -> impl Strategy<Value = u64> {
        prop_oneof![Just(0), 0..4u64, 0..2000u64, 0..1u64 << 20, 0..1u64 << 40, any::<u64>()]
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_a_sorted_list(
            steps in prop::collection::vec(
                prop_oneof![3 => delays().prop_map(Step::Push), 2 => Just(Step::Pop), 1 => delays().prop_map(Step::PopUntil)],
                0..300,
            ),
        ) {
            let (mut queue, mut model, mut now) = (Queue::new(), BinaryHeap::new(), 0u64);
            for (i, step) in steps.into_iter().enumerate() {
                let limit = match step {
                    Step::Push(delay) => {
                        let at = now.saturating_add(delay);
                        queue.push(at, i);
                        model.push(Reverse((at, i)));
                        continue;
                    }
                    Step::Pop => u64::MAX,
                    Step::PopUntil(delay) => now.saturating_add(delay),
                };
                let want = model.peek().filter(|Reverse((at, _))| *at <= limit).map(|Reverse(next)| *next);
                prop_assert_eq!(queue.pop_until(limit), want);
                if let Some((at, _)) = want {
                    model.pop();
                    now = at;
                } else if limit < u64::MAX {
                    now = now.max(limit);
                }
                prop_assert_eq!(queue.len(), model.len());
            }
        }
    }

    #[test]
    fn nothing_is_scheduled_for_the_past() {
        let mut queue = Queue::new();
        queue.push(10, 'a');
        assert_eq!(queue.pop_until(9), None);
        assert_eq!(queue.pop_until(10), Some((10, 'a')));
        queue.push(3, 'b');
        assert_eq!(queue.pop_until(u64::MAX), Some((10, 'b')));
        assert!(queue.is_empty());
    }
}
