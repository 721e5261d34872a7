//! Why a connection did not come about, or ended before its conversation did.

use std::{
    fmt,
    io::{self, ErrorKind as Io},
    net::SocketAddr,
};

use dht_core::ErrorKind;
use thiserror::Error;

/// Which bound of the pool was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bound {
    /// Connections in this direction.
    Connections,
    /// Connections with this address.
    Address,
    /// Connections with this subnet.
    Subnet,
    /// Dials of this address in a second.
    Pace,
    /// File descriptors that the system gives this process.
    Descriptors,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connections => "too many connections",
            Self::Address => "too many connections with this address",
            Self::Subnet => "too many connections with this subnet",
            Self::Pace => "this address was dialled too often",
            Self::Descriptors => "no file descriptors are left",
        })
    }
}

/// Why a conversation brought no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// A bound of ours was reached; nothing was sent.
    #[error("{0}")]
    Overloaded(Bound),
    /// The address is none to connect to: no port, unspecified, multicast or broadcast, or not globally routable while
    /// the pool is not `local`.
    #[error("{0} is no address to connect to")]
    Address(SocketAddr),
    /// The connection could not be made.
    #[error("cannot connect: {0}")]
    Dial(Io),
    /// The connection did not stand in time.
    #[error("no connection in time")]
    DialTimeout,
    /// No byte moved for too long.
    #[error("nothing moved on the connection for too long")]
    Idle,
    /// The connection was slower than the minimum rate.
    #[error("the connection is too slow")]
    Slow,
    /// The conversation took too long.
    #[error("the conversation took too long")]
    Deadline,
    /// The peer ended the connection in order, before the conversation was over.
    #[error("the peer ended the connection")]
    Ended,
    /// The peer, or somebody between, reset the connection.
    #[error("the connection was reset")]
    Reset,
    /// The connection broke in another way.
    #[error("the connection broke: {0}")]
    Broken(Io),
    /// The pool was closed.
    #[error("the pool is closed")]
    Closed,
}

impl ConnectionError {
    /// The shared kind.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::Overloaded(_) => ErrorKind::Capacity,
            Self::Address(_) | Self::Dial(_) | Self::Ended | Self::Reset | Self::Broken(_) => {
                ErrorKind::Network
            }
            Self::DialTimeout | Self::Idle | Self::Slow | Self::Deadline => ErrorKind::Timeout,
            Self::Closed => ErrorKind::Closed,
        }
    }

    /// Whether it says nothing about the peer: a bound of ours, our end, or no way to the network.
    pub fn is_own(self) -> bool {
        match self {
            Self::Overloaded(_) | Self::Closed => true,
            Self::Dial(kind) => matches!(
                kind,
                Io::NetworkUnreachable
                    | Io::HostUnreachable
                    | Io::NetworkDown
                    | Io::AddrNotAvailable
                    | Io::PermissionDenied
            ),
            _ => false,
        }
    }

    pub(super) fn dialling(error: &io::Error) -> Self {
        match error.kind() {
            _ if lacks_descriptors(error) => Self::Overloaded(Bound::Descriptors),
            Io::TimedOut => Self::DialTimeout,
            // It stood, and was gone before we looked.
            Io::ConnectionReset => Self::Reset,
            kind => Self::Dial(kind),
        }
    }

    pub(super) fn talking(error: &io::Error) -> Self {
        match error.kind() {
            Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe | Io::NotConnected => Self::Reset,
            Io::UnexpectedEof | Io::WriteZero => Self::Ended,
            kind => Self::Broken(kind),
        }
    }
}

/// EMFILE and ENFILE, which have no kind of their own.
fn lacks_descriptors(error: &io::Error) -> bool {
    let codes: &[i32] = if cfg!(windows) { &[10024] } else { &[24, 23] };
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// Why nothing listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address is in use, not ours, or not allowed.
    #[error("cannot listen on {addr}: {kind}")]
    Bind {
        /// Where.
        addr: SocketAddr,
        /// Why.
        kind: Io,
    },
    /// More listeners than a pool has.
    #[error("more than {0} listeners")]
    TooMany(usize),
    /// The pool was closed.
    #[error("the pool is closed")]
    Closed,
}

impl ListenError {
    /// The shared kind.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::Bind { .. } => ErrorKind::Network,
            Self::TooMany(_) => ErrorKind::Capacity,
            Self::Closed => ErrorKind::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_about_the_peer_is_told_apart() {
        let dialling = |kind: Io| ConnectionError::dialling(&kind.into());
        for kind in [Io::NetworkUnreachable, Io::HostUnreachable, Io::AddrNotAvailable, Io::PermissionDenied]
        {
            assert!(dialling(kind).is_own());
        }
        assert!(!dialling(Io::ConnectionRefused).is_own());
        assert_eq!(dialling(Io::TimedOut), ConnectionError::DialTimeout);
        assert_eq!(dialling(Io::ConnectionReset), ConnectionError::Reset);
        assert!(!ConnectionError::talking(&Io::HostUnreachable.into()).is_own());
        assert_eq!(ConnectionError::talking(&Io::BrokenPipe.into()), ConnectionError::Reset);
    }

    #[cfg(unix)]
    #[test]
    fn a_process_without_descriptors_is_overloaded() {
        for code in [23, 24] {
            let error = ConnectionError::dialling(&io::Error::from_raw_os_error(code));
            assert_eq!(error, ConnectionError::Overloaded(Bound::Descriptors));
            assert_eq!((error.is_own(), error.kind()), (true, ErrorKind::Capacity));
        }
    }
}
