//! Hands what libFuzzer makes up to `fuzz::metadata::run`, where it is said what must hold; counts memory meanwhile.

#![no_main]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::metadata::run(data));
