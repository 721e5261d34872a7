//! One stream on which a stranger asks: requests in, answers out in the same order.
//!
//! Requests are read ahead up to a bound, answers that are ready are written together and flushed once. Any fault drops
//! the stream, which resets it; a clean end is answered with a clean end.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use derive_where::derive_where;
use dht_core::{Overlay, Request, Response};
use dht_protocol::StreamCodec;
use futures::AsyncWrite;
use libp2p::Stream;
use tokio::time::Instant;

use super::{Config, budget::Charge, frame::FrameReader};

/// Bytes of answers after which the rest waits until these are written.
const BATCH: usize = 64 << 10;
/// What a request is charged beside its frame.
const OVERHEAD: usize = 256;

/// A request that was read.
#[derive_where(Debug)]
struct Pending<O: Overlay> {
    number: u64,
    request: Request<O>,
    /// Holds the frame until the answer is written.
    _charge: Charge,
    answer: Answer<O>,
}

#[derive_where(Debug)]
enum Answer<O: Overlay> {
    Awaited,
    Refused,
    Ready(Response<O>),
}

/// What a stream needs of its connection.
pub(super) struct Surroundings<'a, O: Overlay, C> {
    pub(super) codec: &'a C,
    pub(super) config: &'a Config,
    pub(super) peer: &'a O::PeerId,
    pub(super) now: Instant,
    /// Takes a request with its number; `false` when there is no room for it.
    pub(super) accept: &'a mut dyn FnMut(u64, Request<O>) -> bool,
    pub(super) charge: &'a dyn Fn() -> Charge,
    /// Numbers the requests of the connection.
    pub(super) numbers: &'a mut u64,
}

/// See the module.
#[derive_where(Debug)]
pub(super) struct Inbound<O: Overlay> {
    stream: Stream,
    reader: FrameReader,
    pending: VecDeque<Pending<O>>,
    out: BytesMut,
    flushing: bool,
    /// The other side has ended its half.
    ended: bool,
    /// A frame is half read since.
    reading: Option<Instant>,
    /// Answers are half written since.
    writing: Option<Instant>,
    touched: Instant,
    /// The slot it takes among the peer's streams.
    _place: Charge,
}

impl<O: Overlay> Inbound<O> {
    pub(super) fn new(stream: Stream, reader: FrameReader, place: Charge, now: Instant) -> Self {
        Self {
            stream,
            reader,
            pending: VecDeque::new(),
            out: BytesMut::new(),
            flushing: false,
            ended: false,
            reading: None,
            writing: None,
            touched: now,
            _place: place,
        }
    }

    /// Takes the answer to a request of this stream; an unknown number is ignored.
    pub(super) fn answer(&mut self, number: u64, response: Option<Response<O>>) {
        if let Some(pending) = self.pending.iter_mut().find(|pending| pending.number == number) {
            pending.answer = response.map_or(Answer::Refused, Answer::Ready);
        }
    }

    /// When the patience with this stream ends.
    pub(super) fn deadline(&self, config: &Config) -> Option<Instant> {
        let half = self.reading.into_iter().chain(self.writing).min();
        match half {
            Some(since) => Some(since + config.message_timeout),
            // An answer of ours is due: the patience is the driver's.
            None if !self.pending.is_empty() => None,
            None => Some(self.touched + config.inbound_idle),
        }
    }

    /// Goes on; `Ready` when the stream is to be dropped.
    pub(super) fn poll<C: StreamCodec<O>>(
        &mut self,
        cx: &mut Context<'_>,
        around: &mut Surroundings<'_, O, C>,
    ) -> Poll<()> {
        loop {
            if self.deadline(around.config).is_some_and(|deadline| deadline <= around.now) {
                return Poll::Ready(());
            }
            let refused = self.collect(around);
            match self.poll_write(cx, around.now) {
                Poll::Ready(Ok(())) if refused => return Poll::Ready(()),
                Poll::Ready(Ok(())) if self.has_answer() => continue,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                // A peer that does not take our answers does not get to ask for more.
                Poll::Pending => return Poll::Pending,
            }
            if self.ended {
                if !self.pending.is_empty() {
                    return Poll::Pending;
                }
                self.writing.get_or_insert(around.now);
                return Pin::new(&mut self.stream).poll_close(cx).map(drop);
            }
            if self.pending.len() >= around.config.inbound_pipeline {
                self.reading = None;
                return Poll::Pending;
            }
            if ready!(self.poll_read(cx, around)).is_err() {
                return Poll::Ready(());
            }
        }
    }

    fn has_answer(&self) -> bool {
        self.pending.front().is_some_and(|first| !matches!(first.answer, Answer::Awaited))
    }

    /// Moves the answers that are next into the write buffer; whether a refusal follows them.
    fn collect<C: StreamCodec<O>>(&mut self, around: &Surroundings<'_, O, C>) -> bool {
        // What is being written has one deadline as a whole, so nothing is added to it.
        if self.out.is_empty() && !self.flushing {
            while self.out.len() < BATCH {
                let Some(first) = self.pending.front() else { break };
                match &first.answer {
                    Answer::Awaited | Answer::Refused => break,
                    Answer::Ready(response) => {
                        around.codec.encode_response(&first.request, response, &mut self.out);
                    }
                }
                self.pending.pop_front();
                self.touched = around.now;
            }
        }
        self.pending.front().is_some_and(|first| matches!(first.answer, Answer::Refused))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<std::io::Result<()>> {
        poll_write(&mut self.stream, &mut self.out, &mut self.flushing, &mut self.writing, cx, now)
    }

    /// Reads one request, or the end.
    fn poll_read<C: StreamCodec<O>>(
        &mut self,
        cx: &mut Context<'_>,
        around: &mut Surroundings<'_, O, C>,
    ) -> Poll<Result<(), ()>> {
        let Poll::Ready(frame) = self.reader.poll_frame(&mut self.stream, cx) else {
            if self.reader.is_partial() {
                self.reading.get_or_insert(around.now);
            }
            return Poll::Pending;
        };
        self.reading = None;
        self.touched = around.now;
        let Some(frame) = frame.map_err(drop)? else {
            self.ended = true;
            return Poll::Ready(Ok(()));
        };
        let mut charge = (around.charge)();
        if !charge.set(frame.len() + OVERHEAD) {
            return Poll::Ready(Err(()));
        }
        let request = around.codec.decode_request(around.peer, frame).map_err(drop)?;
        let number = *around.numbers;
        *around.numbers += 1;
        if !(around.accept)(number, request.clone()) {
            return Poll::Ready(Err(()));
        }
        self.pending.push_back(Pending { number, request, _charge: charge, answer: Answer::Awaited });
        Poll::Ready(Ok(()))
    }
}

/// Writes the whole buffer and flushes; `writing` says since when this takes.
pub(super) fn poll_write(
    stream: &mut Stream,
    out: &mut BytesMut,
    flushing: &mut bool,
    writing: &mut Option<Instant>,
    cx: &mut Context<'_>,
    now: Instant,
) -> Poll<std::io::Result<()>> {
    if out.is_empty() && !*flushing {
        return Poll::Ready(Ok(()));
    }
    writing.get_or_insert(now);
    while !out.is_empty() {
        let n = ready!(Pin::new(&mut *stream).poll_write(cx, out))?;
        if n == 0 {
            return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
        }
        out.advance(n);
    }
    *flushing = true;
    ready!(Pin::new(&mut *stream).poll_flush(cx))?;
    *flushing = false;
    *writing = None;
    // The next message brings its own buffer; an idle stream holds none.
    *out = BytesMut::new();
    Poll::Ready(Ok(()))
}

/// The earlier of two deadlines that may be missing.
pub(super) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}
