//! Hands what libFuzzer makes up to `fuzz::mainline_node::run`, where it is said what must hold.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::mainline_node::run(data));
