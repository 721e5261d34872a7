//! x
#[allow(dead_code)]
mod graph;
