//! What a fetch has found: the best valid item of every slot, who holds it, and whether that is enough.
//!
//! An item counts only after the judge believed it. The quorum counts answers (with at least one valid item), the limit
//! counts slots; what this node holds itself comes first and counts as one answer.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use dht_core::Overlay;

use crate::{Config, Judge, QueryOptions};

struct Best<O: Overlay> {
    item: O::Item,
    /// Who has it; kept only where the others are to be corrected.
    holders: BTreeSet<O::PeerId>,
}

pub(crate) struct Gather<O: Overlay> {
    pub(crate) query: O::Query,
    quorum: usize,
    limit: usize,
    max_items: usize,
    max_bytes: usize,
    answers: usize,
    slots: BTreeMap<O::Slot, Best<O>>,
    bytes: usize,
}

impl<O: Overlay> Gather<O> {
    pub(crate) fn new(query: O::Query, options: &QueryOptions, config: &Config) -> Self {
        let wanted = |n: Option<usize>| n.filter(|n| *n > 0).unwrap_or(usize::MAX);
        Self {
            query,
            quorum: wanted(options.quorum),
            limit: wanted(options.limit),
            max_items: config.max_items,
            max_bytes: config.max_bytes,
            answers: 0,
            slots: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Items that this node holds; the caller has judged them, of one slot the first counts. Returns what was taken.
    pub(crate) fn take_local(&mut self, items: Vec<O::Item>) -> Vec<O::Item> {
        self.answers += usize::from(!items.is_empty());
        let mut news = Vec::new();
        for item in items {
            if !self.slots.contains_key(&O::slot(&item)) && self.insert(&item) {
                news.push(item);
            }
        }
        news
    }

    /// Items of an answer. Returns how many were valid, and those that are new or better than what was known.
    pub(crate) fn take(
        &mut self,
        from: &O::PeerId,
        items: Vec<O::Item>,
        judge: &dyn Judge<O>,
    ) -> (usize, Vec<O::Item>) {
        let (mut valid, mut news) = (0, Vec::new());
        // Judging costs a signature check: an answer of nothing but forgeries is not read to its end.
        for item in items.into_iter().take(self.max_items) {
            if !judge.is_valid(&self.query, &item) {
                continue;
            }
            valid += 1;
            if self.offer(from, &item, judge) {
                news.push(item);
            }
        }
        self.answers += usize::from(valid > 0);
        (valid, news)
    }

    /// Whether the item is news.
    fn offer(&mut self, from: &O::PeerId, item: &O::Item, judge: &dyn Judge<O>) -> bool {
        let corrects = O::corrects(&self.query);
        let slot = O::slot(item);
        let Some(best) = self.slots.get_mut(&slot) else {
            let news = self.insert(item);
            if let Some(best) = self.slots.get_mut(&slot).filter(|_| corrects) {
                best.holders.insert(from.clone());
            }
            return news;
        };
        let first_wins = |a: &O::Item, b: &O::Item| {
            judge.best(&self.query, &[a.clone(), b.clone()]).is_none_or(|best| best == 0)
        };
        if *item == best.item || first_wins(&best.item, item) {
            // Equals win in either order: items may differ in what does not matter, such as when they were received.
            if corrects && (*item == best.item || first_wins(item, &best.item)) {
                best.holders.insert(from.clone());
            }
            return false;
        }
        let bytes = self.bytes - O::weight(&best.item) + O::weight(item);
        if bytes > self.max_bytes {
            return false;
        }
        self.bytes = bytes;
        best.item = O::detach_item(item.clone());
        best.holders.clear();
        if corrects {
            best.holders.insert(from.clone());
        }
        true
    }

    fn insert(&mut self, item: &O::Item) -> bool {
        let bytes = self.bytes.saturating_add(O::weight(item));
        if self.slots.len() >= self.limit.min(self.max_items) || bytes > self.max_bytes {
            return false;
        }
        match self.slots.entry(O::slot(item)) {
            Entry::Occupied(_) => false,
            Entry::Vacant(slot) => {
                slot.insert(Best { item: O::detach_item(item.clone()), holders: BTreeSet::new() });
                self.bytes = bytes;
                true
            }
        }
    }

    /// Whether the caller has what it asked for.
    pub(crate) fn is_enough(&self) -> bool {
        self.answers >= self.quorum || self.slots.len() >= self.limit
    }

    /// Whether anybody had something.
    pub(crate) fn has_found(&self) -> bool {
        self.answers > 0
    }

    /// How many further answers can be of use.
    pub(crate) fn missing(&self) -> usize {
        self.quorum.saturating_sub(self.answers)
    }

    /// Whether a peer that answered lacks the best item of some slot and is to be given it.
    pub(crate) fn is_outdated(&self, peer: &O::PeerId) -> bool {
        O::corrects(&self.query) && self.slots.values().any(|best| !best.holders.contains(peer))
    }

    pub(crate) fn into_items(self) -> Vec<O::Item> {
        self.slots.into_values().map(|best| best.item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dht_core::testing::{Tiny, TinyItem, TinyQuery};

    /// Versions of the same ten are equally good, as records are that differ in when they were received.
    struct ByTens;

    impl Judge<Tiny> for ByTens {
        fn is_valid(&self, _: &TinyQuery, item: &TinyItem) -> bool {
            item.version > 0
        }
        fn best(&self, _: &TinyQuery, items: &[TinyItem]) -> Option<usize> {
            (0..items.len()).rev().max_by_key(|i| items[*i].version / 10)
        }
    }

    fn gather(query: TinyQuery) -> Gather<Tiny> {
        Gather::new(query, &QueryOptions::default(), &Config::default())
    }

    #[test]
    fn equals_are_no_news_and_their_holders_are_up_to_date() {
        let mut gather = gather(TinyQuery::Value(1));
        let take = |gather: &mut Gather<Tiny>, from: u8, version| {
            gather.take(&from, vec![TinyItem::value(version)], &ByTens)
        };
        assert_eq!(take(&mut gather, 1, 20), (1, vec![TinyItem::value(20)]));
        assert_eq!(take(&mut gather, 2, 25), (1, vec![]));
        assert_eq!(take(&mut gather, 3, 19), (1, vec![]));
        assert_eq!(take(&mut gather, 4, 0), (0, vec![]));
        assert_eq!([1, 2, 3, 4].map(|peer| gather.is_outdated(&peer)), [false, false, true, true]);
        // A better one makes everybody before it outdated.
        assert_eq!(take(&mut gather, 5, 30), (1, vec![TinyItem::value(30)]));
        assert_eq!([1, 2, 5].map(|peer| gather.is_outdated(&peer)), [true, true, false]);
        assert_eq!(gather.into_items(), [TinyItem::value(30)]);
    }

    #[test]
    fn one_answer_counts_once_however_many_items_it_has() {
        let mut gather = Gather::<Tiny>::new(
            TinyQuery::Value(1),
            &QueryOptions { quorum: Some(3), ..QueryOptions::default() },
            &Config::default(),
        );
        gather.take_local(vec![TinyItem::value(1), TinyItem::value(2)]);
        assert_eq!(gather.missing(), 2);
        gather.take(&1, vec![TinyItem::value(3), TinyItem::value(4), TinyItem::value(0)], &ByTens);
        assert_eq!((gather.missing(), gather.is_enough()), (1, false));
        gather.take(&2, vec![TinyItem::value(0)], &ByTens);
        assert!(!gather.is_enough());
        gather.take(&3, vec![TinyItem::value(1)], &ByTens);
        assert!(gather.is_enough());
    }
}
