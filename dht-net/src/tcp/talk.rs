//! One conversation over one stream of bytes: reads, writes, one alarm, and the end.
//!
//! Knows nothing of sockets, so that a test can run it in virtual time.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::{Pin, pin},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{Instant, sleep_until, timeout},
};

use super::{Config, ConnectionError, Conversation, config::MAX_READ};

/// Bytes that a peer may send after the end before they are not waited for.
const MAX_AFTERWARDS: usize = 64 << 10;

/// Bytes that all connections moved.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
}

/// Bytes that wait to be sent. Holds no memory when there are none.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    bytes: Vec<u8>,
    sent: usize,
}

impl Unsent {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    fn push(&mut self, more: Vec<u8>) {
        if self.bytes.is_empty() {
            self.bytes = more;
        } else if !more.is_empty() {
            self.bytes.drain(..self.sent);
            self.sent = 0;
            self.bytes.extend_from_slice(&more);
        }
    }

    fn advance(&mut self, n: usize) {
        self.sent += n;
        if self.sent == self.bytes.len() {
            *self = Self::default();
        }
    }
}

/// Talks until the conversation has a result, the peer ends or a limit is passed. What is left in `unsent` then is for
/// [`end`] to send. `read_buffer` is the side's own.
pub(super) async fn talk<S, C>(
    stream: &mut S,
    conversation: &mut C,
    unsent: &mut Unsent,
    (config, read_buffer): (&Config, usize),
    traffic: &Traffic,
) -> Result<C::Output, ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Conversation,
{
    let timing = Timing::new(config, Instant::now());
    let mut alarm = pin!(sleep_until(timing.next(config)));
    let mut talk = Talk {
        stream,
        conversation,
        unsent,
        config,
        read_buffer,
        traffic,
        timing,
        ended: false,
        broken: None,
    };
    poll_fn(|cx| {
        loop {
            let rang = alarm.as_mut().poll(cx).is_ready();
            // What is there counts, even where the alarm rang first: it was us who were late.
            if let Poll::Ready(result) = talk.poll(cx) {
                return Poll::Ready(result);
            }
            if rang && let Some(error) = talk.timing.overdue(talk.config, Instant::now()) {
                return Poll::Ready(Err(error));
            }
            let next = talk.timing.next(talk.config);
            if !rang && next >= alarm.deadline() {
                return Poll::Pending;
            }
            alarm.as_mut().reset(next);
        }
    })
    .await
}

/// When what has to have happened. The alarm is not moved for every byte: it rings, and this says whether in earnest.
struct Timing {
    deadline: Instant,
    moved_at: Instant,
    /// The window in which the rate is measured, and the bytes in it; from the first byte of the peer on.
    window: Option<(Instant, u64)>,
}

impl Timing {
    fn new(config: &Config, now: Instant) -> Self {
        Self { deadline: now + config.deadline, moved_at: now, window: None }
    }

    fn next(&self, config: &Config) -> Instant {
        let quiet = self.deadline.min(self.moved_at + config.idle_timeout);
        match self.window {
            Some((since, _)) if config.min_rate > 0 => quiet.min(since + config.rate_window),
            _ => quiet,
        }
    }

    fn moved(&mut self, bytes: usize, received: bool) {
        self.moved_at = Instant::now();
        if let Some((_, moved)) = &mut self.window {
            *moved += bytes as u64;
        } else if received {
            self.window = Some((self.moved_at, bytes as u64));
        }
    }

    fn overdue(&mut self, config: &Config, now: Instant) -> Option<ConnectionError> {
        if now >= self.deadline {
            return Some(ConnectionError::Deadline);
        }
        if now >= self.moved_at + config.idle_timeout {
            return Some(ConnectionError::Idle);
        }
        let (since, bytes) = self.window?;
        let took = now - since;
        if config.min_rate > 0 && took >= config.rate_window {
            if (bytes as f64) < f64::from(config.min_rate) * took.as_secs_f64() {
                return Some(ConnectionError::Slow);
            }
            self.window = Some((now, 0));
        }
        None
    }
}

struct Talk<'a, S, C> {
    stream: &'a mut S,
    conversation: &'a mut C,
    unsent: &'a mut Unsent,
    config: &'a Config,
    read_buffer: usize,
    traffic: &'a Traffic,
    timing: Timing,
    /// The peer said that it sends no more. It may still read.
    ended: bool,
    /// Writing failed. What the peer sent before may still be read.
    broken: Option<ConnectionError>,
}

impl<S: AsyncRead + AsyncWrite + Unpin, C: Conversation> Talk<'_, S, C> {
    /// Goes on as far as the stream allows.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<C::Output, ConnectionError>> {
        loop {
            let output = self.conversation.take_output();
            if self.broken.is_none() {
                self.unsent.push(output);
            }
            if let Some(result) = self.conversation.result() {
                return Poll::Ready(Ok(result));
            }
            self.write(cx);
            if self.ended {
                // An answer that is under way is still sent to a peer that asked, and said that this was all.
                if self.unsent.len() > 0 {
                    return Poll::Pending;
                }
                return Poll::Ready(Err(self.broken.unwrap_or(ConnectionError::Ended)));
            }
            if self.unsent.len() > self.config.max_unsent {
                return Poll::Pending;
            }
            match ready!(self.poll_read(cx)) {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) => {
                    return Poll::Ready(Err(self.broken.unwrap_or(ConnectionError::talking(&error))));
                }
            }
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) {
        while self.unsent.len() > 0 {
            match Pin::new(&mut *self.stream).poll_write(cx, self.unsent.rest()) {
                Poll::Pending => return,
                Poll::Ready(Ok(n)) if n > 0 => {
                    self.unsent.advance(n);
                    self.traffic.sent.fetch_add(n as u64, Relaxed);
                    self.timing.moved(n, false);
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(failed) => {
                    let error = failed.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into());
                    self.broken = Some(ConnectionError::talking(&error));
                    *self.unsent = Unsent::default();
                }
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let conversation = &mut *self.conversation;
        let read = ready!(poll_read(self.stream, cx, self.read_buffer, |bytes| conversation.receive(bytes)));
        if let Ok(n @ 1..) = read {
            self.traffic.received.fetch_add(n as u64, Relaxed);
            self.timing.moved(n, true);
        }
        Poll::Ready(read)
    }
}

/// Reads at most `limit` bytes into a buffer on the stack, so that a connection that waits has none.
fn poll_read<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    limit: usize,
    mut receive: impl FnMut(&[u8]),
) -> Poll<io::Result<usize>> {
    let mut space = [const { MaybeUninit::uninit() }; MAX_READ];
    let mut buffer = ReadBuf::uninit(&mut space[..limit.min(MAX_READ)]);
    loop {
        match ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Poll::Ready(Err(error)),
            Ok(()) => {
                let bytes = buffer.filled();
                if !bytes.is_empty() {
                    receive(bytes);
                }
                return Poll::Ready(Ok(bytes.len()));
            }
        }
    }
}

/// Sends the rest, says that nothing follows, and hears the peer out: whoever closes with something unread resets the
/// connection, and the peer may lose what it had not read yet.
pub(super) async fn end<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, unsent: Unsent, linger: Duration) {
    let polite = async {
        stream.write_all(unsent.rest()).await?;
        drop(unsent);
        stream.shutdown().await?;
        let mut heard = 0;
        while heard < MAX_AFTERWARDS {
            match poll_fn(|cx| poll_read(&mut stream, cx, MAX_READ, |_| {})).await? {
                0 => break,
                n => heard += n,
            }
        }
        Ok::<_, io::Error>(())
    };
    // The result is known already; a peer that does not take its leave changes nothing.
    let _ = timeout(linger, polite).await;
}
