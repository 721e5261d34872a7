//! Bytes, tasks and timers: the transports and the driver. The only library crate that reads clocks.
//!
//! [`spawn`] runs a `dht_protocol::Node` on any [`Transport`]; the [`Handle`] it returns is how the node is used. The
//! driver decides nothing that the node could decide.
//!
//! The examples `own_network` and `custom_transport` of the crate `dht` show both.

mod announce;
mod clock;
mod command;
mod driver;
mod handle;
#[cfg(any(feature = "libp2p", feature = "tcp"))]
mod ip;
mod jobs;
pub mod memory;
mod mode;
mod own;
mod search;
mod transport;

pub use clock::{Clock, SystemClock, TokioClock};
pub use driver::{DriverConfig, NodeEvent, spawn};
pub use handle::{Answered, Handle, RunError, WeakHandle};
pub use mode::{Mode, Role};
pub use search::Search;
pub use transport::{Incoming, Order, ReplyToken, Transport};

#[cfg(feature = "libp2p")]
pub mod libp2p;
#[cfg(feature = "resolve")]
pub mod resolve;
#[cfg(feature = "tcp")]
pub mod tcp;
#[cfg(feature = "udp")]
pub mod udp;
