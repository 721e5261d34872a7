//! Bencode: reading without copying, writing without mistakes.
//!
//! [`Reader`] walks borrowed bytes in one pass and allocates nothing. It accepts what deployed peers write and says whether
//! it was canonical, or insists on it; every error names the byte. [`Writer`] cannot produce anything that is not
//! canonical. [`Tree`] is the owned form, for values that people make and look at.
//!
//! There is no serde here: the formats of this network need to see raw spans, and to refuse by offset.

mod read;
mod tree;
mod write;

use thiserror::Error;

pub use read::{Canonical, Reader, Value};
pub use tree::Tree;
pub use write::{DictWriter, ListWriter, Writer};

/// What a reader accepts at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Lists and dictionaries around a value, its own included. At most [`Limits::MAX_DEPTH`] counts. Default 8.
    pub depth: u8,
    /// Bytes of the whole input. Default 65,536.
    pub bytes: usize,
}

impl Limits {
    /// The deepest nesting that any limit allows; reading is recursive, and this bounds the stack.
    pub const MAX_DEPTH: u8 = 64;

    /// The default depth and `bytes`.
    pub const fn of(bytes: usize) -> Self {
        Self { depth: 8, bytes }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::of(65_536)
    }
}

/// The four sorts of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `i…e`.
    Int,
    /// `length:…`.
    Bytes,
    /// `l…e`.
    List,
    /// `d…e`.
    Dict,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Int => "an integer",
            Self::Bytes => "a byte string",
            Self::List => "a list",
            Self::Dict => "a dictionary",
        }
    }
}

/// What is wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{fault} (byte {offset})")]
pub struct Error {
    /// The byte of the input, counted from 0, at which the fault begins.
    pub offset: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What can be wrong with bencode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// A value is not complete.
    #[error("the input ends inside a value")]
    End,
    /// The input is larger than the limit.
    #[error("more than {limit} bytes")]
    TooLong {
        /// Bytes allowed.
        limit: usize,
    },
    /// Lists and dictionaries are nested deeper than the limit.
    #[error("nested deeper than {limit}")]
    TooDeep {
        /// Levels allowed.
        limit: u8,
    },
    /// Something follows the value.
    #[error("bytes after the value")]
    Trailing,
    /// This byte begins, continues or ends nothing.
    #[error("an unexpected byte")]
    Unexpected,
    /// Another sort of value was asked for.
    #[error("not {}", .0.name())]
    Not(Kind),
    /// A key of a dictionary is no byte string.
    #[error("a key that is no byte string")]
    Key,
    /// An integer beyond 64 bits, or a length beyond nine digits.
    #[error("a number out of range")]
    Range,
    /// A number with leading zeros (not canonical).
    #[error("a number with leading zeros")]
    LeadingZero,
    /// `i-0e` (not canonical).
    #[error("a negative zero")]
    NegativeZero,
    /// A key smaller than the one before it (not canonical).
    #[error("keys out of order")]
    Unsorted,
    /// A key equal to the one before it (not canonical).
    #[error("a key twice")]
    Duplicate,
}

#[cfg(test)]
mod tests;
