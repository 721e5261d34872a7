//! The table: one bucket for each length of prefix shared with the local key, allocated as deep as somebody was found.
//! It places, finds and removes peers; when to ask whom is not its business.

use std::cmp::Reverse;

use dht_core::{Contact, KadKey, Mono, Overlay};

use crate::{
    Config, EntryView, Rejected,
    bucket::Bucket,
    entry::{Entry, Spare},
    group::Groups,
};

/// Where a peer belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Length of the prefix shared with the local key, less than `Key::BITS`.
    pub(crate) bucket: usize,
    /// The bits of the peer's key that follow those by which it belongs there.
    prefix: u32,
}

/// How one more peer would be taken in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Room {
    /// There is a free place.
    Free,
    /// Instead of the peer of this bucket at this position.
    Instead(usize, usize),
}

/// Everybody known, in buckets.
pub(crate) struct Table<O: Overlay> {
    local: O::PeerId,
    key: O::Key,
    prefix: u64,
    k: usize,
    max_size: usize,
    /// Candidates in waiting for each bucket.
    replacements: usize,
    /// Bit 63 - i: bucket i holds somebody; buckets beyond the 64th are few or none and are looked at one by one.
    occupied: u64,
    len: usize,
    /// Sum over the buckets.
    spares: usize,
    /// Sum over the buckets.
    pending: usize,
    groups: Groups,
    buckets: Vec<Bucket<O>>,
}

impl<O: Overlay> Table<O> {
    pub(crate) fn new(local: O::PeerId, config: &Config) -> Self {
        let key = O::peer_key(&local);
        let prefix = key.prefix64();
        Self {
            local,
            key,
            prefix,
            k: config.k,
            max_size: config.max_size,
            replacements: config.replacements,
            occupied: 0,
            len: 0,
            spares: 0,
            pending: 0,
            groups: Groups::new(config.max_per_group_bucket, config.max_per_group),
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

    /// Peers of a bucket.
    pub(crate) fn k(&self) -> usize {
        self.k
    }

    /// The first prefix from which on there are fewer than so many peers, all deeper ones and those who are about to enter
    /// included.
    pub(crate) fn first_with_fewer(&self, peers: usize) -> u32 {
        let mut deeper = 0;
        let enough = self.buckets.iter().rposition(|bucket| {
            deeper += bucket.len() + usize::from(bucket.pending);
            deeper >= peers
        });
        enough.map_or(0, |bucket| bucket as u32 + 1)
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
        (bucket < O::Key::BITS).then(|| Place { bucket: bucket as usize, prefix: beyond(prefix, bucket) })
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
    pub(crate) fn has_use(&self, bucket: usize, preferred: bool) -> bool {
        let (len, pending) = self.buckets.get(bucket).map_or((0, 0), |b| (b.len(), b.pending.into()));
        let room = len + pending < self.k
            && (self.len + self.pending < self.max_size
                || self.displaceable(bucket, len + pending).is_some());
        room || preferred && self.buckets.get(bucket).is_some_and(|bucket| pending < bucket.unpreferred())
    }

    /// Whether the peer's network group may have one more peer in its bucket and in the table.
    pub(crate) fn has_group_room(&self, place: Place, contact: &Contact<O>) -> bool {
        self.groups.have_room(self.buckets.get(place.bucket), contact)
    }

    /// The bucket that gives up a peer for one of `bucket`, which holds `len`, while the table is at its maximum: the
    /// fullest of the farther ones, if the exchange evens them out. Without this a large `k` would fill the table with
    /// far peers, and the closest ones, which every lookup near us ends at, would find no place.
    fn displaceable(&self, bucket: usize, len: usize) -> Option<usize> {
        let farther = self.buckets.iter().take(bucket).enumerate();
        let (i, fullest) = farther.max_by_key(|(i, farther)| (farther.len(), Reverse(*i)))?;
        (fullest.len() >= len + 2).then_some(i)
    }

    /// How one more peer would find a place: at the expense of a farther one if the table is at its maximum, or of one
    /// that is not preferred if the newcomer is.
    pub(crate) fn room(&self, place: Place, contact: &Contact<O>, preferred: bool) -> Result<Room, Rejected> {
        let bucket = self.buckets.get(place.bucket);
        if !self.groups.have_room(bucket, contact) {
            return Err(Rejected::Group);
        }
        if self.occupant(contact).is_some() {
            return Err(Rejected::Place);
        }
        let len = bucket.map_or(0, Bucket::len);
        if len < self.k {
            if self.len < self.max_size {
                return Ok(Room::Free);
            }
            let farther = self.displaceable(place.bucket, len);
            if let Some((from, i)) = farther.and_then(|from| Some((from, self.buckets[from].newest()?))) {
                return Ok(Room::Instead(from, i));
            }
        }
        let instead = bucket.filter(|_| preferred).and_then(Bucket::dispensable);
        let full = Rejected::Capacity { bucket: place.bucket as u32 };
        instead.map(|i| Room::Instead(place.bucket, i)).ok_or(full)
    }

    /// Gives the peer the place that [`Table::room`] found. Says whom it displaced, if anybody.
    pub(crate) fn insert(&mut self, place: Place, room: Room, entry: Entry<O>) -> Option<Entry<O>> {
        let displaced = match room {
            Room::Free => None,
            Room::Instead(bucket, i) => Some(self.take(bucket, i)),
        };
        self.push(place, entry);
        displaced
    }

    fn push(&mut self, place: Place, entry: Entry<O>) {
        let k = self.k;
        self.groups.enter(&entry.contact);
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
        self.groups.leave(&entry.contact);
        self.len -= 1;
        if self.buckets[bucket].is_empty() {
            self.occupied &= !flag(bucket);
        }
        entry
    }

    /// The peer can be reached elsewhere, where the filter may think otherwise of it. It stays known where it was when
    /// somebody else is there, or when the network group there has no room for it.
    pub(crate) fn relocate(
        &mut self,
        place: Place,
        contact: Contact<O>,
        preferred: bool,
    ) -> Result<(), Rejected> {
        let Some(i) = self.position(place, &contact.peer) else { return Ok(()) };
        if self.occupant(&contact).is_some() {
            return Err(Rejected::Place);
        }
        let bucket = &mut self.buckets[place.bucket];
        if !self.groups.shift(bucket, &bucket.entries()[i].contact, &contact) {
            return Err(Rejected::Group);
        }
        bucket.relocate(i, contact, preferred);
        Ok(())
    }

    /// The peer failed. Says whether it has to leave: after `most` failures in a row, or because somebody waits who is
    /// known to answer.
    pub(crate) fn miss(&mut self, place: Place, peer: &O::PeerId, most: u32) -> bool {
        let Some(i) = self.position(place, peer) else { return false };
        let bucket = &mut self.buckets[place.bucket];
        bucket.entry_mut(i).miss();
        bucket.entries()[i].failures() >= most || bucket.has_verified_spare()
    }

    /// Remembers a candidate for whom there is no room.
    pub(crate) fn offer(&mut self, place: Place, spare: Spare<O>) {
        let limit = self.replacements;
        let grew = self.bucket_mut(place.bucket).offer(spare, limit);
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

    /// Takes the best candidate of the nearest bucket that has use for one; drops those on the way whose place is taken, or
    /// whose network group has got its places meanwhile.
    pub(crate) fn promotable(&mut self) -> Option<Contact<O>> {
        while self.spares > 0 {
            let useful = |i: &usize| {
                self.buckets[*i].next_is_preferred().is_some_and(|preferred| self.has_use(*i, preferred))
            };
            let bucket = (0..self.buckets.len()).rev().find(useful)?;
            self.spares -= 1;
            let contact = self.buckets[bucket].best_spare()?;
            let fits = self.groups.have_room(self.buckets.get(bucket), &contact);
            if fits && self.occupant(&contact).is_none() {
                return Some(contact);
            }
        }
        None
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

    /// Sorts everybody anew under the name that `new`, an empty table, is made for; nobody is expected in any bucket
    /// then. Says who left.
    pub(crate) fn rename(&mut self, new: Self) -> Vec<O::PeerId> {
        let shared = self.key.common_prefix_len(&new.key) as usize;
        let old = std::mem::replace(self, new);
        let (mut entries, mut spares) = (Vec::with_capacity(old.len), Vec::with_capacity(old.spares));
        for (i, bucket) in old.buckets.into_iter().enumerate() {
            // Only the buckets before the first changed bit cover the keys that they covered before.
            if let Some(at) = bucket.refreshed().filter(|_| i < shared) {
                self.bucket_mut(i).refresh(at);
            }
            let (members, waiting) = bucket.into_parts();
            entries.extend(members);
            spares.extend(waiting);
        }
        entries.sort_by_key(|entry| (!entry.preferred(), entry.added));
        let mut left = Vec::new();
        for entry in entries {
            let place = self.place(&entry.contact.peer);
            // Nobody is displaced for it: the better ones had their turn before.
            match place.filter(|place| matches!(self.room(*place, &entry.contact, false), Ok(Room::Free))) {
                Some(place) => self.push(place, entry),
                None => {
                    left.push(entry.contact.peer.clone());
                    spares.push(entry.into_spare());
                }
            }
        }
        for spare in spares {
            if let Some(place) = self.place(&spare.contact.peer) {
                self.offer(place, spare);
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

/// 32 bits of a key, the first of the bits in which peers of this bucket may differ. Of a key's 64 leading ones; what lies
/// beyond counts as zero.
pub(crate) fn beyond(prefix: u64, bucket: u32) -> u32 {
    (prefix.checked_shl(bucket + 1).unwrap_or(0) >> 32) as u32
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
        failures: entry.failures(),
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
                    assert_eq!(*prefix, beyond(O::peer_key(peer).prefix64(), i as u32));
                }
                for peer in members.chain(bucket.waiting()) {
                    assert_eq!(self.place(peer).map(|place| place.bucket), Some(i), "{peer} is elsewhere");
                    assert!(known.insert(peer.clone()), "{peer} is here twice");
                }
            }
            let sum = |count: fn(&Bucket<O>) -> usize| self.buckets.iter().map(count).sum::<usize>();
            assert_eq!(self.len, sum(Bucket::len));
            assert_eq!(self.spares, sum(Bucket::spares));
            let entries = || self.buckets.iter().flat_map(Bucket::entries);
            for bucket in &self.buckets {
                let unpreferred = bucket.entries().iter().filter(|entry| !entry.preferred()).count();
                assert_eq!(bucket.unpreferred(), unpreferred);
                self.groups.audit_bucket(bucket);
            }
            self.groups.audit(entries().map(|entry| &entry.contact));
            assert!(entries().all(|entry| self.occupant(&entry.contact).is_none()), "two at one place");
            assert_eq!(self.pending, sum(|bucket| usize::from(bucket.pending)));
        }
    }
}
