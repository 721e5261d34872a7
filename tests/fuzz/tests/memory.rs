//! What a metadata session keeps of what its peer sends, under an allocator that counts. A program of its own with one test,
//! so that nothing else allocates meanwhile.

use std::{alloc::System, fs, path::Path};

use fuzz::{metadata, valid};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn sessions_hold_no_more_than_was_sent() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/metadata");
    let kept = fs::read_dir(folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    let before = HEAP.stats().allocations;
    kept.chain(valid::scripts()).for_each(|script| metadata::run(&script));
    assert!(HEAP.stats().allocations > before, "nothing was counted");
}
