//! `Queries` in made-up networks: through its public face only, in virtual time.

mod goals;
#[allow(dead_code, reason = "shared with the bench, which uses more of it")]
mod graph;
mod options;
mod properties;
mod scale;
mod timing;
mod world;
