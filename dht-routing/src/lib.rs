//! The Kademlia routing table and its upkeep: k-buckets, lookup checks, refresh, bootstrap; pure, without I/O.
//!
//! [`Routing`] is one machine. Tell it what was heard, answered and failed; after any call that takes `&mut Routing`,
//! drain [`Routing::poll`] until it says [`Action::Wait`], do what the actions ask, and sleep no later than it says.
//! A [`Action::Check`] is answered with [`Routing::checked`], a [`Action::Lookup`] with [`Routing::looked_up`].
//!
//! It knows no clock, no socket, no dialect and no query logic: whom to ask next within a lookup is `dht-query`'s.
//!
//! ```
//! use dht_core::{Contact, Key, Now, testing::Tiny};   // Tiny: a network with 8-bit keys, behind the feature `testing`
//! use dht_routing::{AdmitAll, Config, Routing};
//!
//! let mut table = Routing::<Tiny>::new(0x00, Config::default(), Box::new(AdmitAll), 1)?;
//! for peer in [0x0f, 0x80, 0x81] {
//!     table.insert(Now::default(), Contact::new(peer, 1))?;
//! }
//! let mut closest = Vec::new();
//! table.closest(&Key([0x83]), 2, &mut closest);
//! assert_eq!(closest, [Contact::new(0x81, 1), Contact::new(0x80, 1)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/table.rs` fills a table by checks and refreshes it, on a network of its own.

mod admit;
mod bootstrap;
mod bucket;
mod calendar;
mod check;
mod closest;
mod config;
mod entry;
mod event;
mod group;
mod lookup;
mod lost;
mod occupant;
mod refresh;
mod rename;
mod routing;
mod sleep;
mod table;
mod upkeep;
mod view;

pub use admit::{Admit, AdmitAll};
pub use bootstrap::BootstrapOptions;
pub use config::Config;
pub use event::{
    Action, BootstrapFailed, BootstrapId, BootstrapReport, CheckId, Checked, Event, LookupId, RefreshId,
    RefreshReport, Rejected, Removal, Tried,
};
pub use routing::Routing;
pub use view::{BucketView, EntryView, Health, Statistics, Verdict};

#[cfg(test)]
mod tests;
