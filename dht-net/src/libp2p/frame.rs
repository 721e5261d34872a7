//! Length-prefixed frames out of a byte stream whose sender is not trusted.
//!
//! The declared length is judged before anything is allocated, and the buffer grows only as bytes arrive, so that a
//! length costs the sender as much as it costs us. Deadlines are the business of the stream that reads.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use futures::AsyncRead;
use thiserror::Error;

use super::budget::Charge;

/// Bytes asked for while nothing is buffered: several requests, or the beginning of an answer.
const FIRST: usize = 256;
/// Bytes of buffer that a declared length alone is worth.
const STEP: usize = 4 << 10;
/// Bytes of the longest length that is not refused unread.
const MAX_PREFIX: usize = 10;

/// Why a stream of frames ended.
#[derive(Debug, Error)]
pub(super) enum FrameError {
    /// The length is above the maximum, or is no unsigned varint.
    #[error("bad frame length")]
    Length,
    /// The stream ended within a frame.
    #[error("truncated frame")]
    Truncated,
    /// The sender makes us hold too much already.
    #[error("no room for the frame")]
    Room,
    /// The stream broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads the frames of one stream.
#[derive(Debug)]
pub(super) struct FrameReader {
    buffer: BytesMut,
    /// Length of the frame whose body is being read.
    body: Option<usize>,
    max: usize,
    /// What the buffer holds beyond the first bytes is charged to the peer.
    charge: Charge,
}

impl FrameReader {
    pub(super) fn new(max: usize, charge: Charge) -> Self {
        Self { buffer: BytesMut::new(), body: None, max, charge }
    }

    /// Whether a part of a frame was read.
    pub(super) fn is_partial(&self) -> bool {
        self.body.is_some() || !self.buffer.is_empty()
    }

    /// The next body without its length; `None` at the end of the stream.
    pub(super) fn poll_frame(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, FrameError>> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Poll::Ready(Ok(Some(frame)));
            }
            if ready!(self.poll_fill(stream, cx))? == 0 {
                let end = if self.is_partial() { Err(FrameError::Truncated) } else { Ok(None) };
                return Poll::Ready(end);
            }
        }
    }

    /// A frame that is buffered whole.
    fn take_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let body = match self.body {
            Some(body) => body,
            None => {
                let Some((length, prefix)) = read_length(&self.buffer, self.max)? else { return Ok(None) };
                self.buffer.advance(prefix);
                *self.body.insert(length)
            }
        };
        if self.buffer.len() < body {
            return Ok(None);
        }
        self.body = None;
        let frame = self.buffer.split_to(body).freeze();
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.charge.set(0);
        }
        Ok(Some(frame))
    }

    fn poll_fill(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, FrameError>> {
        if self.buffer.is_empty() && self.body.is_none() {
            // An idle stream waits without a buffer of its own.
            let mut first = [0; FIRST];
            let n = ready!(Pin::new(stream).poll_read(cx, &mut first))?;
            self.buffer.extend_from_slice(&first[..n]);
            return Poll::Ready(Ok(n));
        }
        let have = self.buffer.len();
        let missing = self.body.map_or(MAX_PREFIX, |body| body - have);
        let room = missing.min(have.max(STEP));
        if self.charge.held() < have + room && !self.charge.set(have + room) {
            return Poll::Ready(Err(FrameError::Room));
        }
        self.buffer.resize(have + room, 0);
        let read = Pin::new(stream).poll_read(cx, &mut self.buffer[have..]);
        self.buffer.truncate(have + if let Poll::Ready(Ok(n)) = &read { *n } else { 0 });
        read.map_err(FrameError::Io)
    }
}

/// The length at the start of `bytes` and the bytes it takes; `None` while it is not complete.
fn read_length(bytes: &[u8], max: usize) -> Result<Option<(usize, usize)>, FrameError> {
    let mut length = 0u64;
    for (i, byte) in bytes.iter().take(MAX_PREFIX).enumerate() {
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit; a last byte of zero is padding, which the multiformats forbid.
        if (i == MAX_PREFIX - 1 && *byte > 1) || (i > 0 && *byte == 0) {
            return Err(FrameError::Length);
        }
        length |= bits << (7 * i);
        if byte & 0x80 == 0 {
            return match usize::try_from(length) {
                Ok(length) if length <= max => Ok(Some((length, i + 1))),
                _ => Err(FrameError::Length),
            };
        }
    }
    if bytes.len() >= MAX_PREFIX { Err(FrameError::Length) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::{executor::block_on, future::poll_fn, io::Cursor};
    use proptest::prelude::*;

    use super::{
        super::budget::{Budget, Purse},
        *,
    };

    const MAX: usize = 4 << 20;

    fn purse(limit: usize) -> Purse {
        Purse::new(Arc::new(Budget::default()), limit, Arc::new(Budget::default()), limit)
    }

    fn prefix(mut n: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while n >= 0x80 {
            out.push(n as u8 | 0x80);
            n >>= 7;
        }
        out.push(n as u8);
        out
    }

    /// A stream that gives a few bytes at a time, then ends.
    struct Drip(Cursor<Vec<u8>>, usize);

    impl AsyncRead for Drip {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            let n = buf.len().min(self.1);
            Pin::new(&mut self.0).poll_read(cx, &mut buf[..n])
        }
    }

    fn read_all(bytes: Vec<u8>, step: usize, max: usize) -> (Vec<Bytes>, Option<FrameError>) {
        let purse = purse(64 << 20);
        let mut reader = FrameReader::new(max, purse.charge());
        let mut stream = Drip(Cursor::new(bytes), step);
        let mut frames = Vec::new();
        let end = loop {
            match block_on(poll_fn(|cx| reader.poll_frame(&mut stream, cx))) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        (frames, end)
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 0..8),
            step in 1usize..600,
        ) {
            let bytes = bodies.iter().flat_map(|body| [prefix(body.len() as u64), body.clone()].concat()).collect();
            let (frames, end) = read_all(bytes, step, MAX);
            prop_assert!(end.is_none());
            prop_assert_eq!(frames.iter().map(|frame| frame.to_vec()).collect::<Vec<_>>(), bodies);
        }

        #[test]
        fn no_bytes_make_it_panic_or_hold_more_than_arrived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let arrived = bytes.len();
            let (frames, _) = read_all(bytes, 64, MAX);
            prop_assert!(frames.iter().map(Bytes::len).sum::<usize>() <= arrived);
        }

        #[test]
        fn a_cut_at_every_byte_is_a_typed_error(cut in 0usize..302) {
            let bytes = [prefix(300), vec![7; 300]].concat();
            let (frames, end) = read_all(bytes[..cut].to_vec(), 1 << 16, MAX);
            prop_assert!(frames.is_empty());
            prop_assert_eq!(cut > 0, matches!(end, Some(FrameError::Truncated)));
        }
    }

    #[test]
    fn lengths_are_judged_before_anything_is_allocated() {
        for length in [1001, 4 << 20, 1 << 32, 1 << 63, u64::MAX] {
            let (_, end) = read_all([prefix(length), vec![0; 64]].concat(), 1, 1000);
            assert!(matches!(end, Some(FrameError::Length)), "{length}");
        }
        assert!(read_all([prefix(1000), vec![0; 1000]].concat(), 999, 1000).1.is_none());
    }

    #[test]
    fn only_minimal_lengths_of_ten_bytes_are_taken() {
        for bytes in
            [vec![0x80, 0x00], vec![0x81, 0x80, 0x00], vec![0xff; 11], [vec![0x80; 9], vec![2]].concat()]
        {
            assert!(matches!(read_all(bytes, 100, MAX).1, Some(FrameError::Length)));
        }
    }

    #[test]
    fn a_declared_length_alone_is_worth_one_step() {
        let purse = purse(64 << 20);
        let mut reader = FrameReader::new(MAX, purse.charge());
        let mut stream = Drip(Cursor::new([prefix(MAX as u64), vec![0; 10]].concat()), 100);
        let end = block_on(poll_fn(|cx| reader.poll_frame(&mut stream, cx)));
        assert!(matches!(end, Err(FrameError::Truncated)));
        assert!(reader.buffer.capacity() <= 2 * STEP && purse.held() <= 2 * STEP);
        drop(reader);
        assert_eq!(purse.held(), 0);
    }

    #[test]
    fn a_peer_that_fills_its_budget_is_refused() {
        let purse = purse(64 << 10);
        let mut reader = FrameReader::new(MAX, purse.charge());
        let mut stream = Drip(Cursor::new([prefix(1 << 20), vec![0; 1 << 20]].concat()), 1 << 20);
        let end = block_on(poll_fn(|cx| reader.poll_frame(&mut stream, cx)));
        assert!(matches!(end, Err(FrameError::Room)));
    }
}
