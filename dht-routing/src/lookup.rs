//! Lookups in flight and whom their results concern. A handful at most: one of the refresh, one of each bootstrap,
//! one through a bootstrap contact.

use std::time::Duration;

use dht_core::Mono;

use crate::{LookupId, check::GRACE};

/// Who asked for a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The refresh; of this prefix, or of the own key (also: of a key that no bucket stands for any more).
    Refresh(Option<u32>),
    /// The bootstrap with this number, its lookup with that number; of a prefix as above.
    Bootstrap(u64, usize, Option<u32>),
    /// Nobody; of the own key, through somebody who is not in the table. At most one at a time.
    Outside,
}

/// The lookups in flight.
#[derive(Default)]
pub(crate) struct Lookups {
    last: u64,
    running: Vec<(LookupId, Mono, Purpose)>,
}

impl Lookups {
    pub(crate) fn start(&mut self, now: Mono, timeout: Duration, purpose: Purpose) -> LookupId {
        self.last += 1;
        let id = LookupId(self.last);
        self.running.push((id, now + timeout + GRACE, purpose));
        id
    }

    /// Ends a lookup; `None` when it ended before.
    pub(crate) fn finish(&mut self, id: LookupId) -> Option<Purpose> {
        let i = self.running.iter().position(|(running, ..)| *running == id)?;
        Some(self.running.remove(i).2)
    }

    /// The own key changed after its first `shared` bits: what runs for a longer prefix aims at no bucket any more.
    pub(crate) fn renamed(&mut self, shared: u32) {
        for (_, _, purpose) in &mut self.running {
            let (Purpose::Refresh(prefix) | Purpose::Bootstrap(_, _, prefix)) = purpose else { continue };
            *prefix = prefix.filter(|prefix| *prefix < shared);
        }
    }

    /// Whether one through somebody who is not in the table is under way.
    pub(crate) fn is_outside(&self) -> bool {
        self.running.iter().any(|(_, _, purpose)| *purpose == Purpose::Outside)
    }

    /// Gives back the memory of what is over.
    pub(crate) fn rest(&mut self) {
        if self.running.is_empty() {
            self.running.shrink_to_fit();
        }
    }

    /// A lookup that was never reported.
    pub(crate) fn lost(&self, now: Mono) -> Option<LookupId> {
        self.running.iter().find(|(_, alarm, _)| *alarm <= now).map(|(id, ..)| *id)
    }

    pub(crate) fn alarm(&self) -> Option<Mono> {
        self.running.iter().map(|(_, alarm, _)| *alarm).min()
    }
}
