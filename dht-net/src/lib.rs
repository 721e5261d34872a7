//! Bytes, tasks and timers: the transports and the driver. The only library crate that reads clocks.

mod transport;

pub use transport::{Incoming, Order, ReplyToken, Transport};

#[cfg(feature = "libp2p")]
pub mod libp2p;
