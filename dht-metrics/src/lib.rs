//! Numbers for people: what a DHT node did, counted from what its machines observe.
//!
//! [`Metrics`] takes [`dht_core::Observation`]s as a [`dht_core::Sink`], tells [`Observer`]s about them, and gives out a
//! [`Snapshot`] or Prometheus text. It reads no clock: whoever drives it says what time it is, about once a second. It
//! neither writes nor serves anything; a program decides where the numbers go.
//!
//! ```
//! use dht_core::{Observation, RequestKind, Sink, testing::Tiny};
//! use dht_metrics::{Config, Metrics};
//!
//! let metrics = Metrics::<Tiny>::new(Config::default())?;
//! metrics.observe(&Observation::RequestSent { kind: RequestKind::Ping });
//! assert_eq!(metrics.snapshot(dht_core::Now::default()).requests.total, 1);
//! # Ok::<(), dht_core::InvalidConfig>(())
//! ```

mod count;
mod latency;
mod metrics;
mod observer;
mod prometheus;
mod snapshot;
mod top;
mod window;

pub use metrics::{Config, Metrics};
pub use observer::{NetworkRequest, Observer, ObserverId, TableChange, TooManyObservers};
pub use prometheus::Exporter;
pub use snapshot::{
    ErrorPeer, ItemCounts, Latency, QueryCounts, Rates, RequestCounts, ServedCounts, Snapshot, TableCounts,
};
