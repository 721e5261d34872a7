//! The queue against a binary heap, at as many waiting events as a network of that size has: one event out, one in.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{cmp::Reverse, collections::BinaryHeap};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use dht_sim::{Dice, Queue};

/// Delays of up to 200 ms, as links have them, and one in eight of up to 10 s, as alarms have them.
fn delay(dice: &mut Dice) -> u64 {
    let random = dice.roll();
    if random.is_multiple_of(8) { random % 10_000_000_000 } else { random % 200_000_000 }
}

fn hold(c: &mut Criterion) {
    let mut group = c.benchmark_group("hold");
    for pending in [10_000u64, 1_000_000] {
        let mut dice = Dice::new(1, 1);
        let mut queue = Queue::new();
        (0..pending).for_each(|i| queue.push(delay(&mut dice), i));
        group.bench_function(BenchmarkId::new("queue", pending), |b| {
            b.iter(|| {
                let (at, event) = queue.pop_until(u64::MAX).unwrap();
                queue.push(at + delay(&mut dice), event);
            });
        });
        let (mut dice, mut heap, mut sequence) = (Dice::new(1, 1), BinaryHeap::new(), pending);
        (0..pending).for_each(|i| heap.push(Reverse((delay(&mut dice), i, i))));
        group.bench_function(BenchmarkId::new("heap", pending), |b| {
            b.iter(|| {
                let Reverse((at, _, event)) = heap.pop().unwrap();
                sequence += 1;
                heap.push(Reverse((at + delay(&mut dice), sequence, event)));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, hold);
criterion_main!(benches);
