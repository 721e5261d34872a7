//! Line B3 and the heap's part of B6, under an allocator that counts; see the library for what they compare.

use std::alloc::System;

use bench_peers::{args::Args, contest, datagrams::heap, memory};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> anyhow::Result<()> {
    let args = Args::read(std::env::args().skip(1))?;
    if args.wants("b3") {
        contest::note(&args, "b3", &memory::sizes(&args));
        memory::run(&args, HEAP);
    }
    if args.wants("b6") {
        heap::run(&args, HEAP)?;
    }
    Ok(())
}
