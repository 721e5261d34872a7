//! The Kademlia node: one pure machine that owns routing and queries and answers requests.

mod codec;

pub use codec::{Malformed, StreamCodec};
