//! The libp2p ping protocol, both ends: 32 bytes out, the same 32 bytes back.

use std::{
    hash::{BuildHasher, RandomState},
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite};
use libp2p::Stream;
use tokio::time::Instant;

/// The protocol's name.
pub(super) const PROTOCOL: &str = "/ipfs/ping/1.0.0";
const SIZE: usize = 32;

/// Echoes what a stranger sends, until it ends the stream.
#[derive(Debug)]
pub(super) struct Echo {
    stream: Stream,
    buffer: [u8; SIZE],
    /// Bytes read into the buffer, and written back out of it once it is full.
    read: usize,
    written: usize,
    flushing: bool,
    /// When the last ping was echoed.
    pub(super) touched: Instant,
}

impl Echo {
    pub(super) fn new(mut stream: Stream, now: Instant) -> Self {
        // Stock libp2p keeps its ping stream open for the life of a connection, which it must not prolong.
        stream.ignore_for_keep_alive();
        Self { stream, buffer: [0; SIZE], read: 0, written: 0, flushing: false, touched: now }
    }

    /// Goes on; `Ready` at the end of the stream.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<io::Result<()>> {
        loop {
            if self.read < SIZE {
                let n = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut self.buffer[self.read..]))?;
                if n == 0 {
                    return Poll::Ready(Ok(()));
                }
                self.read += n;
            } else if self.written < SIZE {
                self.written += ready!(poll_some(&mut self.stream, cx, &self.buffer[self.written..]))?;
                self.flushing = self.written == SIZE;
            } else if self.flushing {
                ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
                self.flushing = false;
            } else {
                (self.read, self.written, self.touched) = (0, 0, now);
            }
        }
    }
}

/// One ping of ours, on a stream of its own.
#[derive(Debug)]
pub(super) struct Probe {
    stream: Stream,
    sent: [u8; SIZE],
    got: [u8; SIZE],
    written: usize,
    read: usize,
}

impl Probe {
    pub(super) fn new(stream: Stream) -> Self {
        // Unpredictable enough that nobody answers before reading.
        let mut sent = [0; SIZE];
        for (i, chunk) in sent.chunks_mut(8).enumerate() {
            chunk.copy_from_slice(&RandomState::new().hash_one(i).to_le_bytes());
        }
        Self { stream, sent, got: [0; SIZE], written: 0, read: 0 }
    }

    /// Goes on; `Ready` when the echo is there (`true`: it is the right one).
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.written < SIZE {
            self.written += ready!(poll_some(&mut self.stream, cx, &self.sent[self.written..]))?;
        }
        // Flushing again when nothing is buffered is free, and a read may be what drives a lazy negotiation.
        if Pin::new(&mut self.stream).poll_flush(cx)?.is_pending() {
            return Poll::Pending;
        }
        while self.read < SIZE {
            let n = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut self.got[self.read..]))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.read += n;
        }
        Poll::Ready(Ok(self.sent == self.got))
    }
}

/// Writes a part; an end of the stream is an error.
fn poll_some(stream: &mut Stream, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    match ready!(Pin::new(stream).poll_write(cx, bytes))? {
        0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        n => Poll::Ready(Ok(n)),
    }
}
