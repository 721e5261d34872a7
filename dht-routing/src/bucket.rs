//! One k-bucket: the peers that share a prefix of some length with the local key, and the candidates that wait for a
//! place among them. It keeps compact books and makes no decision about who is worth a place.

use std::{collections::VecDeque, time::Duration};

use dht_core::{Contact, Mono, Overlay};

/// A time in whole seconds since the origin of the clock: the books of a thousand peers stay small, and nothing here
/// is decided at a finer grain. 136 years fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Secs(u32);

impl Secs {
    pub(crate) fn of(at: Mono) -> Self {
        Self(u32::try_from(at.0.as_secs()).unwrap_or(u32::MAX))
    }

    pub(crate) fn mono(self) -> Mono {
        Mono(Duration::from_secs(self.0.into()))
    }
}

/// A smoothed round trip in microseconds; more than an hour counts as an hour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rtt(u32);

impl Rtt {
    const UNKNOWN: u32 = u32::MAX;

    pub(crate) fn new(sample: Option<Duration>) -> Self {
        Self(sample.map_or(Self::UNKNOWN, micros))
    }

    /// Moves an eighth of the way to the sample, as TCP does.
    fn observe(&mut self, sample: Duration) {
        let sample = micros(sample);
        self.0 = match self.0 {
            Self::UNKNOWN => sample,
            old => (old as i64 + (i64::from(sample) - i64::from(old)) / 8) as u32,
        };
    }

    pub(crate) fn get(self) -> Option<Duration> {
        (self.0 != Self::UNKNOWN).then(|| Duration::from_micros(self.0.into()))
    }
}

fn micros(rtt: Duration) -> u32 {
    rtt.as_micros().min(3_600_000_000) as u32
}

/// A peer of the table.
pub(crate) struct Entry<O: Overlay> {
    pub(crate) contact: Contact<O>,
    pub(crate) rtt: Rtt,
    pub(crate) seen: Secs,
    pub(crate) added: Secs,
}

impl<O: Overlay> Entry<O> {
    /// The peer answered.
    pub(crate) fn touch(&mut self, now: Mono, rtt: Option<Duration>) {
        self.seen = self.seen.max(Secs::of(now));
        if let Some(rtt) = rtt {
            self.rtt.observe(rtt);
        }
    }
}

/// A candidate in waiting. `verified` is when it last answered us, `None` if it never did.
struct Spare<O: Overlay> {
    contact: Contact<O>,
    verified: Option<Secs>,
}

/// The peers of one prefix length.
pub(crate) struct Bucket<O: Overlay> {
    /// Leading bits of each entry's key, in the order of `entries`: what searching and sorting read.
    prefixes: Vec<u64>,
    entries: Vec<Entry<O>>,
    /// Worst first: those who never answered in the order they were heard of, then by their last answer.
    spares: VecDeque<Spare<O>>,
    /// Checks in flight whose peers may end up here.
    pub(crate) pending: u32,
    /// The last lookup within this bucket.
    pub(crate) refreshed: Option<Mono>,
}

impl<O: Overlay> Bucket<O> {
    pub(crate) fn new() -> Self {
        Self {
            prefixes: Vec::new(),
            entries: Vec::new(),
            spares: VecDeque::new(),
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

    pub(crate) fn prefixes(&self) -> &[u64] {
        &self.prefixes
    }

    pub(crate) fn entries(&self) -> &[Entry<O>] {
        &self.entries
    }

    pub(crate) fn entry_mut(&mut self, i: usize) -> &mut Entry<O> {
        &mut self.entries[i]
    }

    pub(crate) fn position(&self, prefix: u64, peer: &O::PeerId) -> Option<usize> {
        self.prefixes
            .iter()
            .zip(&self.entries)
            .position(|(known, entry)| *known == prefix && entry.contact.peer == *peer)
    }

    /// Appends an entry; `k` is how many there will ever be, so that the last growth step does not overshoot.
    pub(crate) fn push(&mut self, prefix: u64, entry: Entry<O>, k: usize) {
        let len = self.entries.len();
        if len == self.entries.capacity() {
            self.entries.reserve_exact(growth(len, k));
            self.prefixes.reserve_exact(growth(len, k));
        }
        self.prefixes.push(prefix);
        self.entries.push(entry);
    }

    pub(crate) fn take(&mut self, i: usize) -> Entry<O> {
        self.prefixes.swap_remove(i);
        self.entries.swap_remove(i)
    }

    /// The entry that entered last; of several, the one appended last.
    pub(crate) fn newest(&self) -> Option<usize> {
        (0..self.len()).max_by_key(|i| self.entries[*i].added)
    }

    pub(crate) fn spares(&self) -> usize {
        self.spares.len()
    }

    /// Remembers a candidate, at the expense of the worst one when there are `limit` already. Known candidates keep
    /// their better verification, and the address at which they answered. Says whether the number of spares grew.
    pub(crate) fn offer(
        &mut self,
        mut contact: Contact<O>,
        mut verified: Option<Secs>,
        limit: usize,
    ) -> bool {
        let before = self.spares.len();
        if let Some(known) = self.take_spare(&contact.peer) {
            if known.verified >= verified && known.contact.is_located() {
                contact = known.contact;
            }
            verified = verified.max(known.verified);
        }
        if self.spares.len() >= limit {
            match self.spares.front() {
                Some(worst) if worst.verified <= verified => drop(self.spares.pop_front()),
                _ => return false,
            }
        }
        if self.spares.len() == self.spares.capacity() {
            self.spares.reserve_exact(growth(self.spares.len(), limit));
        }
        let at = self.spares.partition_point(|spare| spare.verified <= verified);
        self.spares.insert(at, Spare { contact, verified });
        self.spares.len() > before
    }

    /// A candidate in waiting answered us; says whether it is one.
    pub(crate) fn verify_spare(&mut self, now: Mono, peer: &O::PeerId) -> bool {
        let Some(mut spare) = self.take_spare(peer) else { return false };
        spare.verified = spare.verified.max(Some(Secs::of(now)));
        let at = self.spares.partition_point(|other| other.verified <= spare.verified);
        self.spares.insert(at, spare);
        true
    }

    /// The peers, and the candidates in waiting with the time of their last answer, worst first.
    pub(crate) fn into_parts(self) -> (Vec<Entry<O>>, impl Iterator<Item = (Contact<O>, Option<Secs>)>) {
        (self.entries, self.spares.into_iter().map(|spare| (spare.contact, spare.verified)))
    }

    /// Takes the candidate that answered most recently, or else was heard of last.
    pub(crate) fn best_spare(&mut self) -> Option<Contact<O>> {
        self.spares.pop_back().map(|spare| spare.contact)
    }

    pub(crate) fn forget_spare(&mut self, peer: &O::PeerId) -> bool {
        self.take_spare(peer).is_some()
    }

    fn take_spare(&mut self, peer: &O::PeerId) -> Option<Spare<O>> {
        let at = self.spares.iter().position(|spare| spare.contact.peer == *peer)?;
        self.spares.remove(at)
    }
}

/// How many places a full vector of `len` grows by: it doubles, and stops at the `limit` it will never exceed.
fn growth(len: usize, limit: usize) -> usize {
    (len * 2).max(4).min(limit).max(len + 1) - len
}

#[cfg(test)]
mod tests {
    use dht_core::testing::Tiny;

    use super::*;

    impl<O: Overlay> Bucket<O> {
        pub(crate) fn waiting(&self) -> impl Iterator<Item = &O::PeerId> {
            self.spares.iter().map(|spare| &spare.contact.peer)
        }
    }

    fn at(secs: u64) -> Mono {
        Mono(Duration::from_secs(secs))
    }

    fn spare(bucket: &mut Bucket<Tiny>, peer: u8, verified: Option<u64>) -> bool {
        bucket.offer(Contact::new(peer, peer.into()), verified.map(|s| Secs::of(at(s))), 3)
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
        bucket.offer(Contact::new(1, 77), None, 3);
        assert_eq!(bucket.best_spare(), Some(Contact::new(1, 1)));
        assert!(bucket.forget_spare(&2) && !bucket.forget_spare(&2));
    }

    #[test]
    fn round_trips_are_smoothed_and_bounded() {
        let mut rtt = Rtt::new(None);
        assert_eq!(rtt.get(), None);
        rtt.observe(Duration::from_millis(80));
        rtt.observe(Duration::from_millis(160));
        assert_eq!(rtt.get(), Some(Duration::from_millis(90)));
        rtt.observe(Duration::ZERO);
        assert!(rtt.get() < Some(Duration::from_millis(80)));
        assert_eq!(Rtt::new(Some(Duration::MAX)).get(), Some(Duration::from_secs(3600)));
    }

    #[test]
    fn a_full_bucket_holds_no_unused_memory() {
        let mut bucket: Bucket<Tiny> = Bucket::new();
        for peer in 0..20 {
            let entry = Entry {
                contact: Contact::unlocated(peer),
                rtt: Rtt::new(None),
                seen: Secs::of(at(0)),
                added: Secs::of(at(0)),
            };
            bucket.push(peer.into(), entry, 20);
        }
        assert_eq!((bucket.entries.capacity(), bucket.prefixes.capacity()), (20, 20));
        assert_eq!(bucket.newest(), Some(19));
    }
}
