//! Which queries have records that expire when: lists threaded through the rows themselves, one per second.
//!
//! A sweep touches only what has expired, moving a row costs a few writes, and a row that lives for a whole day
//! costs sixteen bytes, which an ordered set of times would multiply.

use std::collections::BTreeMap;

use dht_core::Overlay;
use slab::Slab;

use super::row::Row;
use crate::clock::{Moment, SECOND};

/// No row.
const NONE: u32 = u32::MAX;

/// The second of rows that are in no list: they never expire.
const NEVER: u64 = u64::MAX;

/// A row's place in the list of its second.
pub(super) struct Link {
    second: u64,
    previous: u32,
    next: u32,
}

impl Link {
    /// In no list.
    pub(super) const fn none() -> Self {
        Self { second: NEVER, previous: NONE, next: NONE }
    }
}

/// The first row of each second's list.
#[derive(Default)]
pub(super) struct Calendar {
    heads: BTreeMap<u64, u32>,
}

impl Calendar {
    /// Puts a row into the list of the second at whose end `expires` has passed, out of the one it was in.
    pub(super) fn enter<O: Overlay>(&mut self, rows: &mut Slab<Row<O>>, id: u32, expires: Moment) {
        let second = if expires == Moment::MAX { NEVER } else { expires.div_ceil(SECOND) };
        if rows[id as usize].link.second == second {
            return;
        }
        self.leave(rows, id);
        if second == NEVER {
            return;
        }
        let next = self.heads.insert(second, id).unwrap_or(NONE);
        rows[id as usize].link = Link { second, previous: NONE, next };
        if next != NONE {
            rows[next as usize].link.previous = id;
        }
    }

    /// Takes a row out of its list, if it is in one.
    pub(super) fn leave<O: Overlay>(&mut self, rows: &mut Slab<Row<O>>, id: u32) {
        let Link { second, previous, next } = std::mem::replace(&mut rows[id as usize].link, Link::none());
        if second == NEVER {
            return;
        }
        if next != NONE {
            rows[next as usize].link.previous = previous;
        }
        if previous != NONE {
            rows[previous as usize].link.next = next;
        } else if next != NONE {
            self.heads.insert(second, next);
        } else {
            self.heads.remove(&second);
        }
    }

    /// A row with a record that has expired at `now`. Of the second under way nothing is told before it is over.
    pub(super) fn expired(&self, now: Moment) -> Option<u32> {
        let (second, id) = self.heads.first_key_value()?;
        (*second <= now / SECOND).then_some(*id)
    }
}
