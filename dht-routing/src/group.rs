//! How many peers of one network group the table takes: whoever owns a network of a few hundred addresses can have as
//! many names as he likes, and is to fill no bucket with them. Which contacts form a group is the overlay's to say.

use std::collections::BTreeMap;

use dht_core::{Contact, Overlay};

use crate::bucket::Bucket;

/// The limits, and the table's peers of each group.
pub(crate) struct Groups {
    per_bucket: usize,
    per_table: usize,
    /// No more groups than the table has peers; empty while there are no limits.
    counts: BTreeMap<u64, usize>,
}

impl Groups {
    /// `usize::MAX` stands for no limit.
    pub(crate) fn new(per_bucket: usize, per_table: usize) -> Self {
        Self { per_bucket, per_table, counts: BTreeMap::new() }
    }

    /// The group of a contact, if it has one and groups matter.
    fn of<O: Overlay>(&self, contact: &Contact<O>) -> Option<u64> {
        let limited = self.per_bucket.min(self.per_table) < usize::MAX;
        if limited { O::contact_group(contact) } else { None }
    }

    /// Whether one more contact of this group may be in the bucket and in the table.
    pub(crate) fn have_room<O: Overlay>(&self, bucket: Option<&Bucket<O>>, contact: &Contact<O>) -> bool {
        let Some(group) = self.of(contact) else { return true };
        let of_group = || {
            let entries = bucket.map_or(&[][..], Bucket::entries).iter();
            entries.filter(|entry| O::contact_group(&entry.contact) == Some(group)).count()
        };
        self.counts.get(&group).is_none_or(|count| *count < self.per_table && of_group() < self.per_bucket)
    }

    /// A peer entered.
    pub(crate) fn enter<O: Overlay>(&mut self, contact: &Contact<O>) {
        if let Some(group) = self.of(contact) {
            *self.counts.entry(group).or_default() += 1;
        }
    }

    /// A peer left.
    pub(crate) fn leave<O: Overlay>(&mut self, contact: &Contact<O>) {
        let Some(group) = self.of(contact) else { return };
        if let Some(count) = self.counts.get_mut(&group) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&group);
            }
        }
    }

    /// A peer of the bucket moves from one address to another, if the group that it has there may have it.
    pub(crate) fn shift<O: Overlay>(
        &mut self,
        bucket: &Bucket<O>,
        from: &Contact<O>,
        to: &Contact<O>,
    ) -> bool {
        if self.of(from) != self.of(to) {
            if !self.have_room(Some(bucket), to) {
                return false;
            }
            self.leave(from);
            self.enter(to);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Groups {
        pub(crate) fn audit_bucket<O: Overlay>(&self, bucket: &Bucket<O>) {
            let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
            for group in bucket.entries().iter().filter_map(|entry| self.of(&entry.contact)) {
                *counts.entry(group).or_default() += 1;
            }
            assert!(counts.values().all(|count| *count <= self.per_bucket), "{counts:?} in a bucket");
        }

        pub(crate) fn audit<'a, O: Overlay>(&self, contacts: impl Iterator<Item = &'a Contact<O>>) {
            let mut counts = BTreeMap::new();
            for group in contacts.filter_map(|contact| self.of(contact)) {
                *counts.entry(group).or_default() += 1;
            }
            assert_eq!(self.counts, counts);
            assert!(counts.values().all(|count| *count <= self.per_table), "{counts:?}");
        }
    }
}
