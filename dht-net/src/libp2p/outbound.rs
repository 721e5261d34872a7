//! One stream on which we ask: requests out, several at a time, answers back in the same order.
//!
//! A stream that dies before the first byte of an answer may have been closed by the other side at the moment we used
//! it again; what was under way on it is handed back to be tried once more on a fresh stream.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::BytesMut;
use derive_where::derive_where;
use dht_core::{Failure, Overlay, Request, RequestId, Response};
use dht_protocol::StreamCodec;
use futures::AsyncWrite;
use libp2p::{Stream, core::upgrade::NegotiationError};
use tokio::time::Instant;

use super::{
    Config,
    frame::{FrameError, FrameReader},
    inbound::poll_write,
};

/// A request that was written, or is about to be.
#[derive_where(Debug)]
pub(super) struct Flight<O: Overlay> {
    /// `None` when nobody waits for the answer any more, which still comes first.
    pub(super) id: Option<RequestId>,
    pub(super) request: Request<O>,
    /// It may be tried once more elsewhere.
    pub(super) again: bool,
}

/// How a stream ended, for what was under way on it.
#[derive_where(Debug)]
pub(super) struct Ended<O: Overlay> {
    /// Requests that were to be answered, the first one first.
    pub(super) flights: VecDeque<Flight<O>>,
    /// What happened to the first of them.
    pub(super) why: Failure,
    /// Whether those that may are to be tried again, the first one included.
    pub(super) retry_first: bool,
}

/// See the module.
#[derive_where(Debug)]
pub(super) struct Outbound<O: Overlay> {
    stream: Stream,
    reader: FrameReader,
    flights: VecDeque<Flight<O>>,
    out: BytesMut,
    flushing: bool,
    reading: Option<Instant>,
    writing: Option<Instant>,
    /// Requests answered so far.
    answered: u64,
    idle_since: Instant,
    closing: bool,
}

impl<O: Overlay> Outbound<O> {
    pub(super) fn new(stream: Stream, reader: FrameReader, now: Instant) -> Self {
        Self {
            stream,
            reader,
            flights: VecDeque::new(),
            out: BytesMut::new(),
            flushing: false,
            reading: None,
            writing: None,
            answered: 0,
            idle_since: now,
            closing: false,
        }
    }

    /// Requests under way.
    pub(super) fn load(&self) -> usize {
        self.flights.len()
    }

    /// Whether it takes further requests.
    pub(super) fn is_open(&self) -> bool {
        !self.closing
    }

    /// Writes a request. `retried`: it was on a stream that died, so this is its last try.
    pub(super) fn ask<C: StreamCodec<O>>(
        &mut self,
        codec: &C,
        id: RequestId,
        request: Request<O>,
        retried: bool,
    ) {
        codec.encode_request(&request, &mut self.out);
        let again = !retried && (self.answered > 0 || !self.flights.is_empty());
        self.flights.push_back(Flight { id: Some(id), request, again });
    }

    /// Nobody waits for this answer any more; whether the request was here, and whether somebody else waits.
    pub(super) fn forget(&mut self, id: RequestId) -> (bool, bool) {
        let flight = self.flights.iter_mut().find(|flight| flight.id == Some(id));
        let found = flight.map(|flight| flight.id = None).is_some();
        (found, self.flights.iter().any(|flight| flight.id.is_some()))
    }

    /// When the patience with this stream ends.
    pub(super) fn deadline(&self, config: &Config) -> Option<Instant> {
        match self.reading.into_iter().chain(self.writing).min() {
            Some(since) => Some(since + config.message_timeout),
            // How long an answer may take is for those to judge who asked.
            None if !self.flights.is_empty() => None,
            None => Some(self.idle_since + config.stream_ttl),
        }
    }

    /// No further requests; the stream ends properly once it is idle.
    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    /// Goes on. `answer` takes every answer that somebody waits for.
    pub(super) fn poll<C: StreamCodec<O>>(
        &mut self,
        cx: &mut Context<'_>,
        codec: &C,
        config: &Config,
        now: Instant,
        answer: &mut dyn FnMut(RequestId, Response<O>),
    ) -> Poll<Ended<O>> {
        if self.deadline(config).is_some_and(|deadline| deadline <= now) {
            if self.flights.is_empty() && !self.closing {
                self.closing = true;
            } else {
                return Poll::Ready(self.end(Failure::Timeout, false));
            }
        }
        if let Poll::Ready(Err(error)) =
            poll_write(&mut self.stream, &mut self.out, &mut self.flushing, &mut self.writing, cx, now)
        {
            return Poll::Ready(self.broken(&FrameError::Io(error)));
        }
        loop {
            if self.closing && self.flights.is_empty() {
                self.writing.get_or_insert(now);
                let closed = Pin::new(&mut self.stream).poll_close(cx);
                return closed.map(|_| self.end(Failure::Reset, false));
            }
            match self.reader.poll_frame(&mut self.stream, cx) {
                Poll::Pending => {
                    self.reading = match self.reading {
                        _ if !self.reader.is_partial() => None,
                        Some(since) => Some(since),
                        None => Some(now),
                    };
                    return Poll::Pending;
                }
                Poll::Ready(Ok(Some(frame))) => {
                    self.reading = None;
                    // An idle stream that speaks is out of step: its next frame would be taken for the next answer.
                    let Some(first) = self.flights.front() else {
                        return Poll::Ready(self.end(Failure::Reset, false));
                    };
                    match codec.decode_response(&first.request, frame) {
                        Ok(None) => {}
                        Ok(Some(response)) => self.answered(response, now, answer),
                        Err(_) => return Poll::Ready(self.end(Failure::Malformed, false)),
                    }
                }
                Poll::Ready(Ok(None)) => return Poll::Ready(self.end(Failure::Reset, true)),
                Poll::Ready(Err(error)) => return Poll::Ready(self.broken(&error)),
            }
        }
    }

    fn answered(
        &mut self,
        response: Response<O>,
        now: Instant,
        answer: &mut dyn FnMut(RequestId, Response<O>),
    ) {
        if let Some(id) = self.flights.pop_front().and_then(|flight| flight.id) {
            answer(id, response);
        }
        self.answered += 1;
        self.idle_since = now;
    }

    fn broken(&mut self, error: &FrameError) -> Ended<O> {
        let (why, retry_first) = match error {
            FrameError::Length => (Failure::Malformed, false),
            FrameError::Truncated => (Failure::Reset, false),
            FrameError::Room => (Failure::Overloaded, false),
            // Opening is lazy: that the protocol is unknown shows at the first read.
            FrameError::Io(error) if is_refusal(error) => (Failure::Unsupported, false),
            FrameError::Io(_) => (Failure::Reset, !self.reader.is_partial()),
        };
        if why == Failure::Unsupported {
            self.flights.iter_mut().for_each(|flight| flight.again = false);
        }
        self.end(why, retry_first)
    }

    fn end(&mut self, why: Failure, retry_first: bool) -> Ended<O> {
        Ended { flights: std::mem::take(&mut self.flights), why, retry_first }
    }

    /// What is under way when the connection itself ends.
    pub(super) fn into_flights(self) -> VecDeque<Flight<O>> {
        self.flights
    }
}

/// Whether the other side declined the protocol.
pub(super) fn is_refusal(error: &std::io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<NegotiationError>());
    matches!(cause, Some(NegotiationError::Failed))
}
