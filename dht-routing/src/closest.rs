//! The peers closest to a target, in exact XOR order, without looking at more buckets than it takes.
//!
//! Let `d = local XOR target`. A peer of bucket `i` agrees with the local key before bit `i` and differs from it there,
//! so its distance to the target agrees with `d` before bit `i` and differs from it there. Hence every bucket `i` with
//! bit `i` of `d` set is nearer to the target than the local key is, the shorter prefixes first; the others are farther,
//! the longer prefixes first. Inside a bucket keys are compared.

use std::ops::ControlFlow;

use dht_core::{Contact, KadKey, Overlay};

use crate::{
    bucket::Bucket,
    table::{Table, beyond},
};

/// Low bits of a sort word that hold the entry's index; `k` is at most 256.
const INDEX: u64 = 0xff;

impl<O: Overlay> Table<O> {
    /// Appends the `n` peers closest to the target that `skip` does not name, nearest first.
    pub(crate) fn closest(
        &self,
        target: &O::Key,
        n: usize,
        skip: impl Fn(&O::PeerId) -> bool,
        out: &mut Vec<Contact<O>>,
    ) {
        let mut missing = n.min(self.len());
        if missing == 0 {
            return;
        }
        out.reserve(missing);
        // Whether it broke off or ran out of peers makes no difference.
        let _ = self.visit(target, |contact| {
            if !skip(&contact.peer) {
                out.push(contact.clone());
                missing -= 1;
            }
            if missing == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }

    /// Shows all peers to `each`, nearest to the target first, until it breaks.
    fn visit(
        &self,
        target: &O::Key,
        mut each: impl FnMut(&Contact<O>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let near = target.prefix64();
        let differing = near ^ self.local_prefix();
        let buckets = self.buckets();
        let mut set = self.occupied() & differing;
        while set != 0 {
            let i = set.leading_zeros();
            set ^= 1 << (63 - i);
            visit_bucket(&buckets[i as usize], i, target, near, &mut each)?;
        }
        // Prefixes beyond 64 bits exist only where somebody can choose keys.
        if buckets.len() > 64 {
            let differs = |i: &u32| self.local_key().bit(*i) != target.bit(*i);
            let deep = 64..buckets.len() as u32;
            for i in deep.clone().filter(differs) {
                visit_bucket(&buckets[i as usize], i, target, near, &mut each)?;
            }
            for i in deep.rev().filter(|i| !differs(i)) {
                visit_bucket(&buckets[i as usize], i, target, near, &mut each)?;
            }
        }
        let mut clear = self.occupied() & !differing;
        while clear != 0 {
            let i = 63 - clear.trailing_zeros();
            clear &= clear - 1;
            visit_bucket(&buckets[i as usize], i, target, near, &mut each)?;
        }
        ControlFlow::Continue(())
    }
}

/// Shows the peers of bucket `i`, nearest first.
fn visit_bucket<O: Overlay>(
    bucket: &Bucket<O>,
    i: u32,
    target: &O::Key,
    near: u64,
    each: &mut impl FnMut(&Contact<O>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    // On the stack, and small in the usual case: clearing the buffer is part of the price.
    if bucket.len() <= 32 {
        visit_sorted(bucket, i, target, near, &mut [0; 32], each)
    } else {
        visit_sorted(bucket, i, target, near, &mut [0; 256], each)
    }
}

fn visit_sorted<O: Overlay>(
    bucket: &Bucket<O>,
    i: u32,
    target: &O::Key,
    near: u64,
    words: &mut [u64],
    each: &mut impl FnMut(&Contact<O>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let words = &mut words[..bucket.len()];
    // All keys of a bucket agree in the bits before.
    let near = beyond(near, i);
    for (at, (word, prefix)) in words.iter_mut().zip(bucket.prefixes()).enumerate() {
        *word = u64::from(prefix ^ near) << 8 | at as u64;
    }
    words.sort_unstable();
    if words.windows(2).any(|pair| pair[0] & !INDEX == pair[1] & !INDEX) {
        let peer = |word: &u64| &bucket.entries()[(word & INDEX) as usize].contact.peer;
        for run in words.chunk_by_mut(|a, b| a & !INDEX == b & !INDEX) {
            run.sort_by_cached_key(|word| O::peer_key(peer(word)).distance(target));
        }
    }
    words.iter().try_for_each(|word| each(&bucket.entries()[(word & INDEX) as usize].contact))
}
