//! Whole Kademlia networks in one process.

mod dice;
mod queue;

pub use dice::{Dice, Quantiles, Zipf};
pub use queue::Queue;
