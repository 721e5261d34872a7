//! The lookup rules of other implementations, as small machines: whom to ask next, and when it is over.
//!
//! Each is an iterator over peers that is fed with outcomes. Peers go by their distance from the target, which names
//! them: two peers cannot be equally far. Written from what the implementations publish; they are models, and whoever wants to
//! know more than the rule has to run the original.
//!
//! The machines know neither time nor messages nor items: whoever drives them sends the requests, reports one that was not
//! answered in time as failed, keeps what was found, and stops when that is enough. They depend on nothing else of this
//! crate, so that the bench of lookups counts with the very same ones.

mod go;
mod rust;

pub use go::Go;
pub use rust::{Disjoint, Rust};

/// What a lookup wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<D> {
    /// This peer is to be asked; its outcome is awaited.
    Ask(D),
    /// Nothing before another outcome.
    Wait,
    /// It is over, and stays so.
    Done,
}

/// One lookup by somebody's rule.
pub trait Walk<D> {
    /// Whom to ask now. Called again until it says something else than [`Next::Ask`].
    fn next(&mut self) -> Next<D>;
    /// A peer that was asked answered, and named these, in its own order. Nobody names the asker.
    fn answered(&mut self, peer: D, named: &[D]);
    /// A peer that was asked did not answer.
    fn failed(&mut self, peer: D);
    /// The closest peers as the rule has them, nearest first.
    fn closest(&self) -> Vec<D>;
}
