//! Configuration as text: the only library crate that knows files, the environment and TOML.
//!
//! [`Settings`] is every option with a value. [`Loader`] puts it together from layers, each stronger than the one before:
//! defaults, a [`Preset`], a file, the environment, flags. What comes out, [`Loaded`], knows where each value came from,
//! and an error names the place, the option, and what would be right, in one line.
//!
//! How a value flows: `alpha = 5` below `[query]`, or `DHT_QUERY__ALPHA=5`, becomes [`settings::Query::alpha`];
//! [`Settings::query_config`] puts it into `dht_query::Config` and [`Settings::routing_config`] into
//! `dht_routing::Config`, whose staleness rule needs it too. Options of the crates above and beside this one
//! ([`settings::Host`], the addresses, the lifetimes of records) stay plain fields here; whoever puts the node together
//! reads them from there. So one spelling of an option reaches every crate that needs it.
//!
//! What it deliberately does not do: parse addresses and keys (they stay text; only the dialect knows what is a good
//! one), open sockets, or know a default bootstrap peer.
//!
//! ```
//! use dht_config::{Loader, Source};
//!
//! let loaded = Loader::new()
//!     .text("dht.toml", "preset = \"server\"\n[query]\nalpha = 5\n")
//!     .environment([("DHT_QUERY__BETA", "4")])
//!     .load()?;
//! assert_eq!(loaded.settings.query.alpha, 5);
//! assert_eq!(loaded.source("query.alpha").to_string(), "dht.toml:3");
//! assert_eq!(loaded.source("query.beta").to_string(), "DHT_QUERY__BETA");
//! assert_eq!(loaded.source("network.mode").to_string(), "preset server");
//! assert_eq!(*loaded.source("query.retries"), Source::Default);
//! # Ok::<(), dht_config::ConfigError>(())
//! ```

mod error;
mod leaves;
mod loader;
mod preset;
mod resolve;
pub mod settings;

#[cfg(test)]
mod tests;

pub use error::{ConfigError, InvalidOption};
pub use loader::{Loaded, Loader, Shown, Source};
pub use preset::{Preset, UnknownPreset};
pub use settings::Settings;
