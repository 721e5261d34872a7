//! Our crates next to those of others: what the comparisons share, and the comparisons themselves.
//!
//! Two bench targets call this: `peers` (time and counts) and `memory` (bytes), apart because the second one counts
//! every allocation and would slow the first one down. Nothing here is a test: a figure that is missed is reported, not
//! failed.

#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "whoever measures reads clocks")]

pub mod args;
pub mod closest;
pub mod codec;
pub mod contest;
pub mod datagrams;
pub mod krpc;
pub mod lookups;
pub mod memory;
pub mod process;
pub mod puts;
pub mod raw;
pub mod server;
pub mod tables;
pub mod world;
