//! Looking at what is there, by which nothing changes.

use std::iter;

use dht_core::{Overlay, Wall};

use super::{Place, Shelf};
use crate::{Statistics, Stored};

impl<O: Overlay> Shelf<O> {
    /// What [`Shelf::load`] would find.
    pub(in crate::memory) fn peek(&self, query: &O::Query, wall: Wall, found: &mut Vec<Stored<O>>) {
        let now = self.clock.would_read(wall);
        let Some(id) = self.find(query) else { return };
        let live = self.rows[id as usize].entries.iter().filter(|entry| entry.expires > now);
        found.extend(live.map(|entry| self.stored(entry)));
    }

    pub(in crate::memory) fn scan(
        &self,
        own_only: bool,
        from: Option<&(O::Query, O::Slot)>,
        limit: usize,
    ) -> Vec<(O::Query, Stored<O>)> {
        let start = from.map_or(Place { distance: 0, hash: 0, id: 0 }, |(query, _)| self.place(query, 0));
        let mut own = self.own.range(start..).peekable();
        let mut strangers =
            (!own_only).then(|| self.strangers.range(start..)).into_iter().flatten().peekable();
        let mut places = iter::from_fn(|| match (own.peek(), strangers.peek()) {
            (Some(a), Some(b)) if a == b => own.next().and(strangers.next()),
            (Some(a), Some(b)) if a > b => strangers.next(),
            (Some(_), _) => own.next(),
            (None, _) => strangers.next(),
        })
        .peekable();
        let mut page = Vec::new();
        while page.len() < limit {
            let Some(first) = places.next() else { break };
            // Rows that the index does not tell apart come in the order of their queries.
            let mut tied = vec![&self.rows[first.id as usize]];
            while let Some(next) = places.next_if(|next| next.ties(first)) {
                tied.push(&self.rows[next.id as usize]);
            }
            tied.sort_by(|a, b| a.query.cmp(&b.query));
            for row in tied {
                for entry in row.entries.iter().filter(|entry| entry.own || !own_only) {
                    let seen = from.is_some_and(|(query, slot)| {
                        first.ties(&start) && (&row.query, &O::slot(&entry.item)) <= (query, slot)
                    });
                    if !seen && page.len() < limit {
                        page.push((row.query.clone(), self.stored(entry)));
                    }
                }
            }
        }
        page
    }

    pub(in crate::memory) fn statistics(&self) -> Statistics {
        let span = self.totals.span();
        Statistics {
            records: self.totals.records,
            own: self.totals.own,
            queries: self.rows.len(),
            bytes: self.totals.bytes,
            oldest: span.map(|(oldest, _)| self.clock.wall(oldest)),
            newest: span.map(|(_, newest)| self.clock.wall(newest)),
        }
    }
}
