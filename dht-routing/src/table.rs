//! The table: one bucket for each length of prefix shared with the local key, allocated as deep as somebody was found.
//! It places, finds and removes peers; when to ask whom is not its business.

use std::{cmp::Reverse, time::Duration};

use dht_core::{Contact, KadKey, Mono, Overlay};

use crate::{
    EntryView, Rejected,
    bucket::{Bucket, Entry, Rtt, Secs},
};

/// Where a peer belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Length of the prefix shared with the local key, less than `Key::BITS`.
    pub(crate) bucket: usize,
    /// Leading bits of the peer's key.
    prefix: u64,
}

/// Everybody known, in buckets.
pub(crate) struct Table<O: Overlay> {
    local: O::PeerId,
    key: O::Key,
    prefix: u64,
    k: usize,
    max_size: usize,
    /// Bit 63 - i: bucket i holds somebody; buckets beyond the 64th are few or none and are looked at one by one.
    occupied: u64,
    len: usize,
    /// Sum over the buckets.
    spares: usize,
    /// Sum over the buckets.
    pending: usize,
    buckets: Vec<Bucket<O>>,
}

impl<O: Overlay> Table<O> {
    pub(crate) fn new(local: O::PeerId, k: usize, max_size: usize) -> Self {
        let key = O::peer_key(&local);
        let prefix = key.prefix64();
        Self {
            local,
            key,
            prefix,
            k,
            max_size,
            occupied: 0,
            len: 0,
            spares: 0,
            pending: 0,
            buckets: Vec::new(),
        }
    }

    pub(crate) fn local(&self) -> &O::PeerId {
        &self.local
    }

    pub(crate) fn local_key(&self) -> &O::Key {
        &self.key
    }

    pub(crate) fn local_prefix(&self) -> u64 {
        self.prefix
    }

    pub(crate) fn occupied(&self) -> u64 {
        self.occupied
    }

    pub(crate) fn buckets(&self) -> &[Bucket<O>] {
        &self.buckets
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending
    }

    /// The deepest bucket that holds somebody or may do so soon.
    pub(crate) fn deepest(&self) -> Option<usize> {
        self.buckets.iter().rposition(|bucket| !bucket.is_empty() || bucket.pending > 0)
    }

    /// Whether the bucket holds nobody and nobody is about to enter.
    pub(crate) fn is_gap(&self, bucket: usize) -> bool {
        self.buckets.get(bucket).is_none_or(|bucket| bucket.is_empty() && bucket.pending == 0)
    }

    /// Where the peer belongs; `None` for the local one.
    pub(crate) fn place(&self, peer: &O::PeerId) -> Option<Place> {
        self.place_of(&O::peer_key(peer))
    }

    pub(crate) fn place_of(&self, key: &O::Key) -> Option<Place> {
        let prefix = key.prefix64();
        let bucket = match (prefix ^ self.prefix).leading_zeros() {
            64 => self.key.common_prefix_len(key),
            shared => shared,
        };
        (bucket < O::Key::BITS).then_some(Place { bucket: bucket as usize, prefix })
    }

    fn bucket_len(&self, bucket: usize) -> usize {
        self.buckets.get(bucket).map_or(0, Bucket::len)
    }

    fn position(&self, place: Place, peer: &O::PeerId) -> Option<usize> {
        self.buckets.get(place.bucket)?.position(place.prefix, peer)
    }

    pub(crate) fn contains(&self, place: Place, peer: &O::PeerId) -> bool {
        self.position(place, peer).is_some()
    }

    pub(crate) fn entry_mut(&mut self, place: Place, peer: &O::PeerId) -> Option<&mut Entry<O>> {
        let i = self.position(place, peer)?;
        Some(self.buckets[place.bucket].entry_mut(i))
    }

    /// The bucket, allocated now if nobody was there before.
    pub(crate) fn bucket_mut(&mut self, bucket: usize) -> &mut Bucket<O> {
        if bucket >= self.buckets.len() {
            self.buckets.reserve_exact(bucket + 1 - self.buckets.len());
            self.buckets.resize_with(bucket + 1, Bucket::new);
        }
        &mut self.buckets[bucket]
    }

    /// Whether one more candidate for this bucket could enter if all checks in flight succeed.
    pub(crate) fn has_use(&self, bucket: usize) -> bool {
        let (len, pending) = self.buckets.get(bucket).map_or((0, 0), |b| (b.len(), b.pending as usize));
        len + pending < self.k
            && (self.len + self.pending < self.max_size || self.displaceable(bucket, len + pending).is_some())
    }

    /// The bucket that gives up a peer for one of `bucket`, which holds `len`, while the table is at its maximum: the
    /// fullest of the farther ones, if the exchange evens them out. Without this a large `k` would fill the table with
    /// far peers, and the closest ones, which every lookup near us ends at, would find no place.
    fn displaceable(&self, bucket: usize, len: usize) -> Option<usize> {
        let farther = self.buckets.iter().take(bucket).enumerate();
        let (i, fullest) = farther.max_by_key(|(i, farther)| (farther.len(), Reverse(*i)))?;
        (fullest.len() >= len + 2).then_some(i)
    }

    /// Whether one more peer would find a place, at the expense of a farther one if need be.
    pub(crate) fn has_room(&self, place: Place) -> Result<(), Rejected> {
        let len = self.bucket_len(place.bucket);
        let room =
            len < self.k && (self.len < self.max_size || self.displaceable(place.bucket, len).is_some());
        if room { Ok(()) } else { Err(Rejected::Capacity { bucket: place.bucket as u32 }) }
    }

    /// Gives the peer a place, after [`Table::has_room`] said that there is one. Says whom it displaced, if anybody.
    pub(crate) fn insert(
        &mut self,
        now: Mono,
        place: Place,
        contact: Contact<O>,
        rtt: Option<Duration>,
    ) -> Option<Contact<O>> {
        let mut displaced = None;
        if self.len >= self.max_size {
            let len = self.bucket_len(place.bucket);
            let from = self.displaceable(place.bucket, len)?;
            displaced = self.buckets[from].newest().map(|i| self.take(from, i).contact);
        }
        let seen = Secs::of(now);
        self.push(place, Entry { contact, rtt: Rtt::new(rtt), seen, added: seen });
        displaced
    }

    fn push(&mut self, place: Place, entry: Entry<O>) {
        let k = self.k;
        self.bucket_mut(place.bucket).push(place.prefix, entry, k);
        self.len += 1;
        self.occupied |= flag(place.bucket);
    }

    /// Takes the peer out.
    pub(crate) fn remove(&mut self, place: Place, peer: &O::PeerId) -> Option<Contact<O>> {
        let i = self.position(place, peer)?;
        Some(self.take(place.bucket, i).contact)
    }

    fn take(&mut self, bucket: usize, i: usize) -> Entry<O> {
        let entry = self.buckets[bucket].take(i);
        self.len -= 1;
        if self.buckets[bucket].is_empty() {
            self.occupied &= !flag(bucket);
        }
        entry
    }

    /// Remembers a candidate for whom there is no room. `verified`: when it answered.
    pub(crate) fn offer(&mut self, place: Place, contact: Contact<O>, verified: Option<Mono>, limit: usize) {
        let grew = self.bucket_mut(place.bucket).offer(contact, verified.map(Secs::of), limit);
        self.spares += usize::from(grew);
    }

    /// A candidate in waiting answered us.
    pub(crate) fn verify_spare(&mut self, now: Mono, place: Place, peer: &O::PeerId) {
        if let Some(bucket) = self.buckets.get_mut(place.bucket) {
            bucket.verify_spare(now, peer);
        }
    }

    pub(crate) fn forget_spare(&mut self, place: Place, peer: &O::PeerId) {
        if self.buckets.get_mut(place.bucket).is_some_and(|bucket| bucket.forget_spare(peer)) {
            self.spares -= 1;
        }
    }

    /// Takes the best candidate of the nearest bucket that has use for one.
    pub(crate) fn promotable(&mut self) -> Option<Contact<O>> {
        if self.spares == 0 {
            return None;
        }
        let bucket =
            (0..self.buckets.len()).rev().find(|i| self.buckets[*i].spares() > 0 && self.has_use(*i))?;
        self.spares -= 1;
        self.buckets[bucket].best_spare()
    }

    /// A check of a candidate for this bucket began.
    pub(crate) fn expect(&mut self, bucket: usize) {
        self.bucket_mut(bucket).pending += 1;
        self.pending += 1;
    }

    /// It ended.
    pub(crate) fn expected(&mut self, bucket: usize) {
        self.buckets[bucket].pending -= 1;
        self.pending -= 1;
    }

    /// Sorts everybody anew under another own name, with at most `limit` candidates in waiting for each bucket, and
    /// nobody expected in any. Says who left.
    pub(crate) fn rename(&mut self, local: O::PeerId, limit: usize) -> Vec<O::PeerId> {
        let new = Self::new(local, self.k, self.max_size);
        let shared = self.key.common_prefix_len(&new.key) as usize;
        let old = std::mem::replace(self, new);
        let (mut entries, mut spares) = (Vec::with_capacity(old.len), Vec::with_capacity(old.spares));
        for (i, bucket) in old.buckets.into_iter().enumerate() {
            // Only the buckets before the first changed bit cover the keys that they covered before.
            if let Some(at) = bucket.refreshed.filter(|_| i < shared) {
                self.bucket_mut(i).refreshed = Some(at);
            }
            let (members, waiting) = bucket.into_parts();
            entries.extend(members);
            spares.extend(waiting);
        }
        entries.sort_by_key(|entry| entry.added);
        let mut left = Vec::new();
        for entry in entries {
            let place = self.place(&entry.contact.peer);
            match place.filter(|place| self.bucket_len(place.bucket) < self.k) {
                Some(place) => self.push(place, entry),
                None => {
                    left.push(entry.contact.peer.clone());
                    spares.push((entry.contact, Some(entry.seen)));
                }
            }
        }
        for (contact, verified) in spares {
            if let Some(place) = self.place(&contact.peer) {
                self.offer(place, contact, verified.map(Secs::mono), limit);
            }
        }
        left
    }

    pub(crate) fn get(&self, peer: &O::PeerId) -> Option<EntryView<'_, O>> {
        let place = self.place(peer)?;
        let i = self.position(place, peer)?;
        Some(view(place.bucket, &self.buckets[place.bucket].entries()[i]))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = EntryView<'_, O>> {
        let buckets = self.buckets.iter().enumerate();
        buckets.flat_map(|(i, bucket)| bucket.entries().iter().map(move |entry| view(i, entry)))
    }
}

/// The bit of `occupied` for a bucket, aligned with the bits of a 64-bit key prefix; none beyond the 64th.
fn flag(bucket: usize) -> u64 {
    (1u64 << 63).checked_shr(bucket as u32).unwrap_or(0)
}

fn view<O: Overlay>(bucket: usize, entry: &Entry<O>) -> EntryView<'_, O> {
    EntryView {
        contact: &entry.contact,
        bucket: bucket as u32,
        rtt: entry.rtt.get(),
        last_seen: entry.seen.mono(),
        added: entry.added.mono(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    impl<O: Overlay> Table<O> {
        /// Counts everything anew and compares it with the books.
        pub(crate) fn audit(&self) {
            let mut known = BTreeSet::new();
            for (i, bucket) in self.buckets.iter().enumerate() {
                assert_eq!(bucket.is_empty(), self.occupied & flag(i) == 0 || i >= 64);
                let members = bucket.entries().iter().map(|entry| &entry.contact.peer);
                for (peer, prefix) in members.clone().zip(bucket.prefixes()) {
                    assert_eq!(*prefix, O::peer_key(peer).prefix64());
                }
                for peer in members.chain(bucket.waiting()) {
                    assert_eq!(self.place(peer).map(|place| place.bucket), Some(i), "{peer} is elsewhere");
                    assert!(known.insert(peer.clone()), "{peer} is here twice");
                }
            }
            let sum = |count: fn(&Bucket<O>) -> usize| self.buckets.iter().map(count).sum::<usize>();
            assert_eq!(self.len, sum(Bucket::len));
            assert_eq!(self.spares, sum(Bucket::spares));
            assert_eq!(self.pending, sum(|bucket| bucket.pending as usize));
        }
    }
}
