//! TCP connections that carry one conversation each: dialled or accepted, bounded, timed and ended.
//!
//! What is said is for a [`Conversation`] to know, a machine without sockets or clocks. This module moves its bytes, decides
//! how long a peer may take, and counts who has how many connections. It reuses no connection for a second conversation,
//! retries nothing and remembers nothing about peers but how often they were just dialled.
//!
//! An idle connection holds no buffer. It takes 1.4 KiB of heap where the peer opened it, and 2.1 KiB where we did, the
//! waiting caller included: `tests/tcp` counts that for 2,000 of them, with small conversations. What the system keeps for a
//! socket comes on top.

mod config;
mod error;
mod ledger;
mod listener;
mod pool;
mod talk;

pub use config::Config;
pub use error::{Bound, ConnectionError, ListenError};
pub use listener::{Listener, Make};
pub use pool::{Pool, Statistics};

/// What is said over one connection, as a machine: bytes in, bytes out, one result.
///
/// The driver's contract: [`take_output`](Self::take_output) and [`result`](Self::result) are called at the start and after
/// every [`receive`](Self::receive); once there is a result, what was put out before it is still sent and nothing is received.
pub trait Conversation: Send + 'static {
    /// What it was for.
    type Output: Send + 'static;

    /// Takes bytes that arrived, at most a read buffer of them.
    fn receive(&mut self, bytes: &[u8]);

    /// What is to be sent now; empty when there is nothing.
    fn take_output(&mut self) -> Vec<u8>;

    /// The result, once; the conversation is over then. `None` while it goes on.
    fn result(&mut self) -> Option<Self::Output>;
}

#[cfg(test)]
mod tests;
