//! The way from the driver's task to one connection, past the swarm.
//!
//! A swarm holds one undelivered event and stands still for everybody while that connection is slow. So every
//! connection has a mailbox of its own: bounded, read by its handler, and closed with it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use derive_where::derive_where;
use dht_core::{Failure, Overlay, Request, RequestId, Response};
use futures::task::AtomicWaker;
use libp2p::swarm::ConnectionId;
use tokio::time::Instant;

/// A request of ours on its way to a peer.
#[derive_where(Debug)]
pub(super) struct Job<O: Overlay> {
    pub(super) id: RequestId,
    pub(super) task: Task<O>,
    /// It was tried once already, on a stream or connection that turned out to be dead.
    pub(super) retried: bool,
}

/// What a [`Job`] is.
#[derive_where(Debug)]
pub(super) enum Task<O: Overlay> {
    /// Be connected, no more.
    Connect,
    /// Ask and wait for the answer.
    Ask(Request<O>),
}

/// The answer to a stranger's request, by the number that its connection gave it.
#[derive_where(Debug)]
pub(super) struct Reply<O: Overlay> {
    pub(super) stream: usize,
    pub(super) number: u64,
    /// `None` refuses.
    pub(super) response: Option<Response<O>>,
}

/// What lies in a mailbox.
#[derive_where(Debug, Default)]
pub(super) struct Letters<O: Overlay> {
    pub(super) jobs: Vec<Job<O>>,
    pub(super) replies: Vec<Reply<O>>,
    pub(super) forgets: Vec<RequestId>,
}

#[derive_where(Debug, Default)]
struct Inner<O: Overlay> {
    letters: Letters<O>,
    closed: bool,
    addr: O::Addr,
}

/// One connection as everybody but its handler sees it.
#[derive_where(Debug)]
pub(super) struct Mailbox<O: Overlay> {
    pub(super) peer: O::PeerId,
    pub(super) connection: ConnectionId,
    pub(super) since: Instant,
    inner: Mutex<Inner<O>>,
    full: AtomicBool,
    waker: AtomicWaker,
    /// Requests of ours that wait on this connection, the handler's included.
    load: AtomicUsize,
    /// Kept open although nothing happens on it.
    protected: AtomicBool,
    /// Milliseconds after `since` at which a request was last answered here, in either direction.
    used: AtomicUsize,
}

impl<O: Overlay> Mailbox<O> {
    pub(super) fn new(peer: O::PeerId, connection: ConnectionId) -> Self {
        Self {
            peer,
            connection,
            since: Instant::now(),
            inner: Mutex::default(),
            full: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            load: AtomicUsize::new(0),
            protected: AtomicBool::new(false),
            used: AtomicUsize::new(0),
        }
    }

    fn with<R>(&self, act: impl FnOnce(&mut Inner<O>) -> R) -> R {
        // A panic elsewhere leaves whole letters behind: every change is one push or one swap.
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Queues a job; gives it back when the connection has ended, or with a failure when it has `limit` already.
    pub(super) fn push(&self, job: Job<O>, limit: usize) -> Result<(), (Job<O>, Option<Failure>)> {
        let pushed = self.with(|inner| {
            if inner.closed {
                return Err((job, None));
            }
            if self.load.load(Ordering::Relaxed) >= limit {
                return Err((job, Some(Failure::Overloaded)));
            }
            self.load.fetch_add(1, Ordering::Relaxed);
            inner.letters.jobs.push(job);
            Ok(())
        });
        if pushed.is_ok() {
            self.ring();
        }
        pushed
    }

    /// Answers a stranger. There are never more answers than requests that were let in.
    pub(super) fn reply(&self, reply: Reply<O>) {
        if self.with(|inner| (!inner.closed).then(|| inner.letters.replies.push(reply)).is_some()) {
            self.ring();
        }
    }

    /// Nobody waits for this job any more.
    pub(super) fn forget(&self, id: RequestId) {
        let pushed = self.with(|inner| {
            let known = !inner.closed && self.load.load(Ordering::Relaxed) > 0;
            if known {
                inner.letters.forgets.push(id);
            }
            known
        });
        if pushed {
            self.ring();
        }
    }

    /// Takes everything out, in exchange for empty buffers; `false` when there is nothing.
    pub(super) fn take(&self, into: &mut Letters<O>) -> bool {
        if !self.full.swap(false, Ordering::Acquire) {
            return false;
        }
        self.with(|inner| std::mem::swap(&mut inner.letters, into));
        true
    }

    /// Nothing more goes in; what lies there comes out.
    pub(super) fn close(&self) -> Vec<Job<O>> {
        self.with(|inner| {
            inner.closed = true;
            std::mem::take(&mut inner.letters).jobs
        })
    }

    /// A job of this connection is done with.
    pub(super) fn done(&self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests of ours that wait here.
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Has the handler polled, so that it notices what changed outside of it.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    fn ring(&self) {
        self.full.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(super) fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }

    pub(super) fn protect(&self, on: bool) {
        self.protected.store(on, Ordering::Relaxed);
        self.waker.wake();
    }

    pub(super) fn is_protected(&self) -> bool {
        self.protected.load(Ordering::Relaxed)
    }

    /// A request was answered on this connection.
    pub(super) fn touch(&self, now: Instant) {
        let age = now.saturating_duration_since(self.since).as_millis();
        self.used.store(usize::try_from(age).unwrap_or(usize::MAX), Ordering::Relaxed);
    }

    /// When a request was last answered here, as milliseconds of the connection's life.
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn set_addr(&self, addr: O::Addr) {
        self.with(|inner| inner.addr = addr);
    }

    pub(super) fn addr(&self) -> O::Addr {
        self.with(|inner| inner.addr.clone())
    }
}

/// A stranger's request and the way back to it.
#[derive_where(Debug)]
pub(super) struct Return<O: Overlay> {
    pub(super) mailbox: Arc<Mailbox<O>>,
    pub(super) stream: usize,
    pub(super) number: u64,
}
