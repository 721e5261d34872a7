//! One k-bucket: the peers that share a prefix of some length with the local key, and the candidates that wait for a
//! place among them. It keeps compact books and makes no decision about who is worth a place.

use std::collections::VecDeque;

use dht_core::{Contact, Mono, Overlay};

use crate::entry::{Entry, Secs, Spare};

/// The peers of one prefix length.
pub(crate) struct Bucket<O: Overlay> {
    /// Of each entry's key the bits that follow those that all have in common, in the order of `entries`: what searching
    /// and sorting read.
    prefixes: Vec<u32>,
    entries: Vec<Entry<O>>,
    /// Entries that the filter does not prefer.
    unpreferred: u16,
    /// Worst first: the preferred ones after the others, those who never answered before those who did in the order
    /// they were heard of, then by their last answer.
    #[expect(
        clippy::box_collection,
        reason = "most buckets are not full; with a million nodes every word of them counts"
    )]
    spares: Option<Box<VecDeque<Spare<O>>>>,
    /// Checks in flight whose peers may end up here.
    pub(crate) pending: u16,
    /// The last lookup within this bucket.
    refreshed: Option<Secs>,
}

impl<O: Overlay> Bucket<O> {
    pub(crate) fn new() -> Self {
        Self {
            prefixes: Vec::new(),
            entries: Vec::new(),
            unpreferred: 0,
            spares: None,
            pending: 0,
            refreshed: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn prefixes(&self) -> &[u32] {
        &self.prefixes
    }

    pub(crate) fn entries(&self) -> &[Entry<O>] {
        &self.entries
    }

    pub(crate) fn entry_mut(&mut self, i: usize) -> &mut Entry<O> {
        &mut self.entries[i]
    }

    pub(crate) fn position(&self, prefix: u32, peer: &O::PeerId) -> Option<usize> {
        self.prefixes
            .iter()
            .zip(&self.entries)
            .position(|(known, entry)| *known == prefix && entry.contact.peer == *peer)
    }

    /// Appends an entry; `k` is how many there will ever be, so that the last growth step does not overshoot.
    pub(crate) fn push(&mut self, prefix: u32, entry: Entry<O>, k: usize) {
        let len = self.entries.len();
        if len == self.entries.capacity() {
            self.entries.reserve_exact(growth(len, k));
            self.prefixes.reserve_exact(growth(len, k));
        }
        self.prefixes.push(prefix);
        self.unpreferred += u16::from(!entry.preferred());
        self.entries.push(entry);
    }

    pub(crate) fn take(&mut self, i: usize) -> Entry<O> {
        self.prefixes.swap_remove(i);
        let entry = self.entries.swap_remove(i);
        self.unpreferred -= u16::from(!entry.preferred());
        entry
    }

    /// The same peer elsewhere.
    pub(crate) fn relocate(&mut self, i: usize, contact: Contact<O>, preferred: bool) {
        let entry = &mut self.entries[i];
        self.unpreferred -= u16::from(!entry.preferred());
        self.unpreferred += u16::from(!preferred);
        entry.contact = contact;
        entry.prefer(preferred);
    }

    /// How many entries the filter does not prefer.
    pub(crate) fn unpreferred(&self) -> usize {
        self.unpreferred.into()
    }

    /// The entry that is not preferred and was silent for longest; of several, the first.
    pub(crate) fn dispensable(&self) -> Option<usize> {
        if self.unpreferred == 0 {
            return None;
        }
        let others = (0..self.len()).filter(|i| !self.entries[*i].preferred());
        others.min_by_key(|i| self.entries[*i].seen)
    }

    /// The entry that entered last; of several, the one appended last.
    pub(crate) fn newest(&self) -> Option<usize> {
        (0..self.len()).max_by_key(|i| self.entries[*i].added)
    }

    pub(crate) fn spares(&self) -> usize {
        self.spares.as_ref().map_or(0, |spares| spares.len())
    }

    /// The last lookup within this bucket, to the second.
    pub(crate) fn refreshed(&self) -> Option<Mono> {
        self.refreshed.map(Secs::mono)
    }

    /// A lookup ran within this bucket.
    pub(crate) fn refresh(&mut self, at: Mono) {
        self.refreshed = Some(Secs::of(at));
    }

    /// Remembers a candidate, at the expense of the worst one when there are `limit` already. Known candidates keep
    /// their better verification, and the address at which they answered. Says whether the number of spares grew.
    pub(crate) fn offer(&mut self, mut spare: Spare<O>, limit: usize) -> bool {
        let before = self.spares();
        if let Some(known) = self.take_spare(&spare.contact.peer) {
            let verified = spare.verified.max(known.verified);
            if known.verified >= spare.verified && known.contact.is_located() {
                spare = known;
            }
            spare.verified = verified;
        }
        if limit == 0 {
            return false;
        }
        let spares = self.spares.get_or_insert_default();
        if spares.len() >= limit {
            match spares.front() {
                Some(worst) if worst.rank() <= spare.rank() => drop(spares.pop_front()),
                _ => return false,
            }
        }
        if spares.len() == spares.capacity() {
            spares.reserve_exact(growth(spares.len(), limit));
        }
        self.enqueue(spare);
        self.spares() > before
    }

    /// A candidate in waiting answered us; says whether it is one.
    pub(crate) fn verify_spare(&mut self, now: Mono, peer: &O::PeerId) -> bool {
        let Some(mut spare) = self.take_spare(peer) else { return false };
        spare.verified = spare.verified.max(Some(Secs::of(now)));
        self.enqueue(spare);
        true
    }

    fn enqueue(&mut self, spare: Spare<O>) {
        let spares = self.spares.get_or_insert_default();
        let at = spares.partition_point(|other| other.rank() <= spare.rank());
        spares.insert(at, spare);
    }

    /// Whether a candidate in waiting has answered us before.
    pub(crate) fn has_verified_spare(&self) -> bool {
        self.spares.iter().flat_map(|spares| spares.iter()).any(|spare| spare.verified.is_some())
    }

    /// Whether the candidate whose turn is next is a preferred one; `None` when nobody waits.
    pub(crate) fn next_is_preferred(&self) -> Option<bool> {
        self.spares.as_ref()?.back().map(|spare| spare.preferred)
    }

    /// The peers, and the candidates in waiting, worst first.
    pub(crate) fn into_parts(self) -> (Vec<Entry<O>>, VecDeque<Spare<O>>) {
        (self.entries, self.spares.map(|spares| *spares).unwrap_or_default())
    }

    /// Takes the candidate that answered most recently, or else was heard of last, of the preferred ones first.
    pub(crate) fn best_spare(&mut self) -> Option<Contact<O>> {
        self.spares.as_mut()?.pop_back().map(|spare| spare.contact)
    }

    pub(crate) fn forget_spare(&mut self, peer: &O::PeerId) -> bool {
        self.take_spare(peer).is_some()
    }

    fn take_spare(&mut self, peer: &O::PeerId) -> Option<Spare<O>> {
        let spares = self.spares.as_mut()?;
        let at = spares.iter().position(|spare| spare.contact.peer == *peer)?;
        spares.remove(at)
    }
}

/// How many places a full vector of `len` grows by: it doubles, and stops at the `limit` it will never exceed.
fn growth(len: usize, limit: usize) -> usize {
    (len * 2).max(4).min(limit).max(len + 1) - len
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dht_core::testing::Tiny;

    use super::*;

    impl<O: Overlay> Bucket<O> {
        pub(crate) fn waiting(&self) -> impl Iterator<Item = &O::PeerId> {
            self.spares.iter().flat_map(|spares| spares.iter()).map(|spare| &spare.contact.peer)
        }
    }

    fn at(secs: u64) -> Mono {
        Mono(Duration::from_secs(secs))
    }

    fn spare(bucket: &mut Bucket<Tiny>, peer: u8, verified: Option<u64>) -> bool {
        offer(bucket, Contact::new(peer, peer.into()), verified, true)
    }

    fn offer(
        bucket: &mut Bucket<Tiny>,
        contact: Contact<Tiny>,
        verified: Option<u64>,
        preferred: bool,
    ) -> bool {
        let verified = verified.map(|s| Secs::of(at(s)));
        bucket.offer(Spare { contact, verified, preferred }, 3)
    }

    fn drain(bucket: &mut Bucket<Tiny>) -> Vec<u8> {
        std::iter::from_fn(|| bucket.best_spare()).map(|contact| contact.peer).collect()
    }

    #[test]
    fn the_best_spare_is_the_one_verified_last() {
        let mut bucket = Bucket::new();
        assert!(spare(&mut bucket, 1, Some(10)));
        assert!(spare(&mut bucket, 2, None));
        assert!(spare(&mut bucket, 3, Some(5)));
        assert_eq!(drain(&mut bucket), [1, 3, 2]);
    }

    #[test]
    fn spares_are_bounded_and_the_verified_outlast_the_merely_heard_of() {
        let mut bucket = Bucket::new();
        for peer in 1..=3 {
            assert!(spare(&mut bucket, peer, None));
        }
        assert!(!spare(&mut bucket, 4, Some(1)), "displaces 1, the first heard of");
        assert!(!spare(&mut bucket, 5, None), "displaces 2");
        assert!(bucket.forget_spare(&5) && spare(&mut bucket, 5, None));
        assert!(!spare(&mut bucket, 6, Some(2)));
        assert!(!spare(&mut bucket, 7, Some(3)));
        assert!(!spare(&mut bucket, 8, None), "all of them are verified");
        assert_eq!(drain(&mut bucket), [7, 6, 4]);
    }

    #[test]
    fn a_spare_that_answers_moves_up_and_keeps_its_address() {
        let mut bucket = Bucket::new();
        spare(&mut bucket, 1, None);
        spare(&mut bucket, 2, None);
        assert!(bucket.verify_spare(at(3), &1));
        assert!(!bucket.verify_spare(at(3), &9));
        offer(&mut bucket, Contact::new(1, 77), None, true);
        assert_eq!(bucket.best_spare(), Some(Contact::new(1, 1)));
        assert!(bucket.forget_spare(&2) && !bucket.forget_spare(&2));
    }

    #[test]
    fn preferred_spares_come_first_and_outlast_the_others() {
        let mut bucket = Bucket::new();
        let contact = |peer: u8| Contact::new(peer, peer.into());
        assert!(offer(&mut bucket, contact(1), None, true));
        assert!(offer(&mut bucket, contact(2), Some(9), false));
        assert!(offer(&mut bucket, contact(3), Some(5), true));
        assert!(!offer(&mut bucket, contact(4), None, true), "displaces 2");
        assert!(!offer(&mut bucket, contact(5), Some(10), false), "all of them are preferred");
        assert_eq!(bucket.next_is_preferred(), Some(true));
        assert_eq!(drain(&mut bucket), [3, 4, 1]);
    }

    #[test]
    fn the_dispensable_entry_is_the_one_that_is_not_preferred_and_silent_for_longest() {
        let mut bucket: Bucket<Tiny> = Bucket::new();
        let entries = [(1, 3, true), (2, 7, false), (3, 5, false), (4, 5, false)];
        for (peer, seen, preferred) in entries {
            bucket.push(peer, Entry::new(at(seen), Contact::unlocated(peer as u8), None, preferred), 8);
        }
        assert_eq!((bucket.unpreferred(), bucket.dispensable()), (3, Some(2)));
        bucket.relocate(2, Contact::new(3, 9), true);
        bucket.take(3);
        assert_eq!((bucket.unpreferred(), bucket.dispensable()), (1, Some(1)));
        bucket.take(1);
        assert_eq!((bucket.unpreferred(), bucket.dispensable()), (0, None));
    }

    #[test]
    fn a_full_bucket_holds_no_unused_memory() {
        let mut bucket: Bucket<Tiny> = Bucket::new();
        for peer in 0..20 {
            bucket.push(peer.into(), Entry::new(at(0), Contact::unlocated(peer), None, true), 20);
        }
        assert_eq!((bucket.entries.capacity(), bucket.prefixes.capacity()), (20, 20));
        assert_eq!(bucket.newest(), Some(19));
    }
}
