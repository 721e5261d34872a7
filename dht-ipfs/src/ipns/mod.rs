//! IPNS: a mutable name, which is a key, points to a value, which its owner signs.
//!
//! Source: the IPNS record specification (V2). Records are made, read and judged here; publishing and resolving are what
//! a node does with them.

mod dag_cbor;
mod name;
mod record;
mod sign;
mod validator;

pub use name::Name;
pub use record::{IpnsRecord, MAX_RECORD};
pub use sign::{Draft, SignError};
pub use validator::IpnsValidator;

/// What a signature covers in front of the signed document, so that it can sign nothing else.
const SIGNATURE_PREFIX: &[u8] = b"ipns-signature:";

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
