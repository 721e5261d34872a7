//! The Kademlia routing table and its upkeep: k-buckets, lookup checks, refresh, bootstrap; pure, without I/O.
//!
//! [`Routing`] is one machine. Tell it what was heard, answered and failed; after any call that takes `&mut Routing`,
//! drain [`Routing::poll`] until it says [`Action::Wait`], do what the actions ask, and sleep no later than it says.
//! A [`Action::Check`] is answered with [`Routing::checked`], a [`Action::Lookup`] with [`Routing::looked_up`].
//!
//! It knows no clock, no socket, no dialect and no query logic: whom to ask next within a lookup is `dht-query`'s.

mod admit;
mod bootstrap;
mod bucket;
mod calendar;
mod check;
mod closest;
mod config;
mod event;
mod lookup;
mod refresh;
mod routing;
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
