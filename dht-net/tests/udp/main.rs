//! The datagram transport on sockets of this machine, with a made-up dialect.

#![allow(clippy::unwrap_used)] // a test that fails may panic

mod allocations;
mod asking;
mod flood;
mod parts;
mod serving;

/// Counts for the tests that say how much is taken from the heap.
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;
