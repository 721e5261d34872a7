//! What is let in of the peers that an answer names.
//!
//! First everything goes that could not be asked anyway: ourselves, duplicates, peers without an address, peers that
//! the node's filter refuses. Then the rest is sorted by distance, and only then cut: a cut in the sender's order would
//! let it hide the near ones behind forty far ones.

use dht_core::{Contact, KadKey, Overlay};

use crate::{Filter, lookup::DistanceOf};

/// The peers worth hearing of, nearest first, at most `max`. `exempt` passes the filter.
pub(crate) fn intake<O: Overlay>(
    named: Vec<Contact<O>>,
    target: &O::Key,
    local: &O::PeerId,
    exempt: Option<&O::PeerId>,
    filter: Option<&Filter<O>>,
    max: usize,
) -> Vec<(DistanceOf<O>, Contact<O>)> {
    let mut kept: Vec<_> = named
        .into_iter()
        .filter(|contact| {
            contact.peer != *local
                && contact.is_located()
                && (exempt == Some(&contact.peer) || filter.is_none_or(|filter| filter(contact)))
        })
        .map(|contact| (target.distance(&contact.key()), contact))
        .collect();
    kept.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.peer.cmp(&b.1.peer)));
    kept.dedup_by(|later, first| later.1.peer == first.1.peer);
    kept.truncate(max);
    kept
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use dht_core::{Key, testing::Tiny};

    fn peers(kept: &[(DistanceOf<Tiny>, Contact<Tiny>)]) -> Vec<u8> {
        kept.iter().map(|(_, contact)| contact.peer).collect()
    }

    #[test]
    fn answers_are_sorted_before_they_are_cut() {
        // Sixty far peers first, the near ones last, as a sender would that wants to hide them.
        let named = (100..=160).chain(0..10).map(|peer| Contact::<Tiny>::new(peer, 1)).collect();
        let kept = intake(named, &Key([0]), &255, None, None, 40);
        assert_eq!(kept.len(), 40);
        assert_eq!(peers(&kept)[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn what_cannot_be_asked_goes_before_the_cut() {
        let mut named: Vec<Contact<Tiny>> = vec![Contact::new(1, 1); 30];
        named.extend([Contact::new(7, 1), Contact::unlocated(2), Contact::new(3, 1), Contact::new(4, 9)]);
        named.extend((10..20).map(|peer| Contact::new(peer, 1)));
        let filter: Filter<Tiny> = Arc::new(|contact| contact.addr != 9);
        let kept = intake(named.clone(), &Key([0]), &7, None, Some(&filter), 3);
        assert_eq!(peers(&kept), [1, 3, 10]);
        let kept = intake(named, &Key([0]), &7, Some(&4), Some(&filter), 3);
        assert_eq!(peers(&kept), [1, 3, 4]);
    }
}
