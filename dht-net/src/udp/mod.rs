//! Datagrams on one UDP socket: questions of ours out, their answers and strangers' questions in.
//!
//! What a datagram says is the codec's knowledge; whom it is for, whether it is let through at all and how much goes back is
//! decided here. A datagram costs no allocation once the buffers are warm.
//!
//! - `batch` moves many datagrams with one call of the system; `outbox` knows what its errors mean.
//! - `limits` bounds both directions, strangers before they are read; [`Rates`] changes it while it runs.
//! - `reflect` keeps made-up source addresses from turning this node against their owners.
//! - `questions` matches answers; `pending` waits for the driver's.
//!
//! A second address family is a second transport, and another node (BEP 45). Deadlines and retransmission are not here: a
//! question waits until it is answered or forgotten. There are no connections: [`Order::Disconnect`] and [`Order::Protect`]
//! do nothing, [`Order::Dial`] pings.

mod answering;
mod asking;
mod batch;
mod bucket;
mod config;
mod dedup;
mod incoming;
mod limits;
mod outbox;
mod pending;
mod questions;
mod rates;
mod reflect;
mod sources;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use dht_core::{
    Contact, Failure, Mono, Overlay, Request, RequestId, Response, Rng,
    rand_core::{Rng as _, SeedableRng},
};
use dht_protocol::{DatagramCodec, Refusal, TransactionId};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::UdpSocket,
    time::{Instant, Sleep},
};

use self::{
    batch::Inbox,
    dedup::Recent,
    limits::{Inbound, Outbound},
    outbox::{Flushed, Meaning, Outbox},
    pending::Ring,
    questions::{Purpose, Questions},
    reflect::Reflection,
    sources::Keyer,
};
pub use self::{
    config::{BindError, Config, Limits},
    rates::{Rates, Statistics},
};
use crate::{Clock, Incoming, Order, ReplyToken, SystemClock, Transport};

/// Batches that are received without giving others a turn.
const TURNS: usize = 8;
/// Questions of which duplicates are known.
const RECENT: usize = 4096;
/// How long receiving pauses after errors in a row.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// A transport on one socket.
pub struct Udp<O: Overlay, C: DatagramCodec<O>> {
    socket: UdpSocket,
    local: SocketAddr,
    codec: C,
    config: Config,
    rates: Rates,
    /// The rates as they were at that version.
    limits: Limits,
    version: u64,
    clock: Arc<dyn Clock>,
    /// When the last batch was received.
    now: Mono,
    timer: Pin<Box<Sleep>>,

    inbox: Inbox,
    outbox: Outbox,
    questions: Questions<O>,
    pending: Ring<C::Question>,
    inbound: Inbound,
    outbound: Outbound,
    reflection: Reflection,
    recent: Recent,
    keyer: Keyer,
    /// When the question whose turn it is may go out.
    turn: Option<Mono>,
    /// Until when nothing is received.
    deaf_until: Option<Mono>,
    ready: VecDeque<Incoming<O>>,
    failed: Vec<(TransactionId, Failure)>,
    serving: bool,
    closed: bool,
}

impl<O: Overlay, C: DatagramCodec<O>> Udp<O, C> {
    /// Takes a socket. It is a client until [`Order::Serve`]. Transaction ids and the secret of the tables are drawn from
    /// `seed`, which nobody must guess.
    ///
    /// # Errors
    /// When an option makes no sense, or the system gives no socket there.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time.
    pub fn bind(addr: SocketAddr, mut codec: C, config: Config, seed: u64) -> Result<Self, BindError> {
        config.validate()?;
        let failed = |source| BindError::Socket { addr, source };
        let socket = open(addr, &config).map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?;
        let mut rng = Rng::seed_from_u64(seed);
        let mut key = [0; 16];
        rng.fill_bytes(&mut key);
        codec.set_read_only(true);
        let mut udp = Self {
            socket,
            local,
            rates: Rates::new(config.limits),
            limits: config.limits,
            version: 0,
            clock: Arc::new(SystemClock::new()),
            now: Mono::default(),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            inbox: Inbox::new(codec.max_datagram()),
            outbox: Outbox::new(config.max_outbox, config.max_backoff),
            questions: Questions::new(config.max_questions, config.max_queued, rng.next_u64()),
            pending: Ring::new(config.max_pending),
            inbound: Inbound::new(&config),
            outbound: Outbound::new(&config),
            reflection: Reflection::new(&config),
            recent: Recent::new(RECENT, config.duplicate_window),
            keyer: Keyer::new(key, config.local),
            turn: None,
            deaf_until: None,
            ready: VecDeque::new(),
            failed: Vec::new(),
            serving: false,
            closed: false,
            codec,
            config,
        };
        udp.introduce();
        Ok(udp)
    }

    /// Takes the clock of the driver. Tickets are handed out by that clock, and recognised here.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where the socket is bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Rates and counters, to be read and set while the transport runs.
    pub fn rates(&self) -> Rates {
        self.rates.clone()
    }

    /// Tells who and where we are. A socket bound to no address in particular learns it from others.
    fn introduce(&mut self) {
        let peer = self.codec.local();
        let contact = match self.local.ip().is_unspecified() {
            true => Contact::unlocated(peer),
            false => Contact::new(peer, self.codec.addr(self.local)),
        };
        self.ready.push_back(Incoming::Local(contact));
        // A datagram needs no connection: whoever's question gets here is answered, behind a NAT as well.
        self.ready.push_back(Incoming::Reachable(Some(true)));
    }

    fn read_clock(&self) -> Mono {
        self.clock.now().mono
    }

    /// Everything that time brings about.
    fn tick(&mut self, now: Mono) {
        let version = self.rates.0.version();
        if version != self.version {
            self.version = version;
            self.limits = self.rates.limits();
            self.turn = None;
        }
        self.expire(now);
        self.take_turns(now);
        let counters = &self.rates.0.counters;
        counters.waiting.set(self.questions.len());
        counters.queued.set(self.questions.queued());
    }

    /// Hands datagrams to the socket until it takes no more; when to try again, where that is not the socket's to say.
    fn flush(&mut self, now: Mono, cx: &mut Context<'_>) -> Option<Mono> {
        let paused = loop {
            let counters = &self.rates.0.counters;
            let send = |packets: &[outbox::Packet]| batch::send(&self.socket, packets);
            match self.outbox.flush(now, counters, &mut self.failed, send) {
                Flushed::All => break None,
                Flushed::Paused(until) => break Some(until),
                Flushed::Blocked if self.socket.poll_send_ready(cx).is_pending() => break None,
                Flushed::Blocked => {}
            }
        };
        while let Some((tid, why)) = self.failed.pop() {
            self.fail(tid, why);
        }
        paused
    }

    /// Receives a batch.
    fn receive(&mut self, now: Mono, cx: &mut Context<'_>) -> Poll<()> {
        if self.deaf_until.is_some_and(|until| until > now) {
            return Poll::Pending;
        }
        self.deaf_until = None;
        for _ in 0..TURNS {
            match self.socket.poll_recv_ready(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => match self.inbox.receive(&self.socket) {
                    Ok(()) => return Poll::Ready(()),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                    // About a datagram of ours that nobody took (ICMP): others must not make us pause with it.
                    Err(error) if Meaning::of(&error) == Meaning::Passing => return Poll::Ready(()),
                    Err(_) => {}
                },
                Poll::Ready(Err(_)) => {}
            }
            self.rates.0.counters.errors.add(1);
        }
        self.deaf_until = Some(now + ERROR_PAUSE);
        Poll::Pending
    }

    /// Arranges to be woken for what time brings about next; whether that is now.
    fn is_due(&mut self, paused: Option<Mono>, cx: &mut Context<'_>) -> bool {
        let times = [paused, self.turn, self.deaf_until, self.reflection.deadline()];
        let Some(next) = times.into_iter().flatten().min() else { return false };
        self.timer.as_mut().reset(Instant::now() + next.since(self.now));
        self.timer.as_mut().poll(cx).is_ready()
    }
}

/// A bound socket. The sizes of its buffers are wishes.
fn open(addr: SocketAddr, config: &Config) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Smaller buffers lose more in a burst, and are no reason to go without.
    let _ = socket.set_recv_buffer_size(config.receive_buffer);
    let _ = socket.set_send_buffer_size(config.send_buffer);
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    UdpSocket::from_std(socket.into())
}

#[async_trait]
impl<O: Overlay, C: DatagramCodec<O>> Transport<O> for Udp<O, C> {
    fn send(&mut self, id: RequestId, to: Contact<O>, request: Request<O>) {
        self.ask(Purpose::Ask(id), id, Some(to.peer), &to.addr, request);
    }

    fn forget(&mut self, id: RequestId) {
        self.questions.forget(id);
    }

    fn reply(&mut self, token: ReplyToken, answer: Result<&mut Response<O>, Refusal>) {
        self.answer(token, answer.map(|response| &*response));
    }

    fn order(&mut self, order: Order<O>) {
        match order {
            Order::Serve(on) => {
                self.serving = on;
                self.codec.set_read_only(!on);
            }
            Order::Dial { id, to } => {
                self.ask(Purpose::Ask(id), id, Some(to.peer), &to.addr, Request::Ping);
            }
            Order::Greet { id, addr } => self.ask(Purpose::Greet(id), id, None, &addr, Request::Ping),
            // There are no connections.
            Order::Protect { .. } | Order::Disconnect(_) => {}
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Incoming<O>> {
        if let Some(incoming) = self.ready.pop_front() {
            return Poll::Ready(incoming);
        }
        if self.closed {
            return Poll::Pending;
        }
        self.rates.0.waker.register(cx.waker());
        for _ in 0..TURNS {
            while let Some(got) = self.inbox.pop() {
                self.on_datagram(got);
                if let Some(incoming) = self.ready.pop_front() {
                    return Poll::Ready(incoming);
                }
            }
            // The batch is read: what it brought about goes out together, and the next one comes in.
            let now = self.read_clock();
            self.now = now;
            self.tick(now);
            let paused = self.flush(now, cx);
            let received = self.receive(now, cx).is_ready();
            if let Some(incoming) = self.ready.pop_front() {
                return Poll::Ready(incoming);
            }
            let more = self.turn.is_none() && self.questions.queued() > 0 && self.outbox.has_room();
            if !received && !more && !self.is_due(paused, cx) {
                return Poll::Pending;
            }
        }
        // Others have a turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    async fn close(&mut self) {
        if self.closed {
            return;
        }
        let now = self.read_clock();
        // What the socket takes at once still goes out.
        let send = |packets: &[outbox::Packet]| batch::send(&self.socket, packets);
        self.outbox.flush(now, &self.rates.0.counters, &mut self.failed, send);
        self.closed = true;
        self.ready.clear();
        self.ready.push_back(Incoming::Closed);
    }
}
