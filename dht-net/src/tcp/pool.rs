//! The pool: dials within bounds, runs every connection in a task of its own, and ends them all.

use std::{
    net::{IpAddr, SocketAddr},
    panic::resume_unwind,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use dht_core::InvalidConfig;
use socket2::SockRef;
use tokio::{
    net::TcpStream,
    sync::{Notify, oneshot, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    Config, ConnectionError, Conversation, ListenError, Listener, Make,
    ledger::{Ledger, Side},
    listener,
    talk::{Traffic, Unsent, end, talk},
};
use crate::ip;

/// How long [`Pool::close`] waits for connections to end.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(1900);

/// Listeners that one pool has.
const MAX_LISTENERS: usize = 64;

/// TCP connections within common bounds. Clones are the same pool.
///
/// A connection lives in its own task until its conversation is over, whatever becomes of the pool's handles;
/// [`close`](Self::close) ends them all.
#[derive(Clone, Debug)]
pub struct Pool {
    shared: Arc<Shared>,
}

/// What a pool has and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Statistics {
    /// Connections that we opened, those being dialled or ended included.
    pub outbound: usize,
    /// Connections that others opened, those being ended included.
    pub inbound: usize,
    /// Connections that others opened and that were refused because of a bound.
    pub refused: u64,
    /// Bytes received for conversations.
    pub received: u64,
    /// Bytes sent for conversations.
    pub sent: u64,
}

impl Pool {
    /// A pool without connections.
    ///
    /// # Errors
    /// Names the option that has a value it must not have.
    pub fn new(config: Config) -> Result<Self, InvalidConfig> {
        config.validate()?;
        let state = State { ledger: Ledger::new(config.clone()), listeners: 0, closed: false };
        let shared = Shared {
            config,
            state: Mutex::new(state),
            closing: watch::Sender::new(false),
            left: Notify::new(),
            refused: AtomicU64::new(0),
            traffic: Traffic::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Connects and talks. Dropping the future ends the connection. Must be called within a tokio runtime.
    ///
    /// The result is there as soon as the conversation has it; the connection's end follows in its task.
    ///
    /// # Errors
    /// When a bound is reached (at once: nothing waits for room), the connection does not come about, is cut or breaks.
    pub async fn connect<C: Conversation>(
        &self,
        addr: SocketAddr,
        conversation: C,
    ) -> Result<C::Output, ConnectionError> {
        let addr = self.shared.dialable(addr)?;
        let hold = Hold::take(&self.shared, Side::Outbound, addr.ip())?;
        let (sender, receiver) = oneshot::channel();
        let mut task = Task(Some(tokio::spawn(outbound(hold, addr, conversation, sender))));
        let result = receiver.await;
        match (result, task.0.take()) {
            (Ok(result), _) => result,
            (Err(_), Some(task)) => match task.await {
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                // The runtime ends.
                _ => Err(ConnectionError::Closed),
            },
            (Err(_), None) => Err(ConnectionError::Closed),
        }
    }

    /// Listens for connections; `make` says what to talk about with whom, or refuses with `None`. Results are dropped: who
    /// wants them has the conversation report them. Must be called within a tokio runtime.
    ///
    /// An IPv6 address takes IPv6 connections only, so that `0.0.0.0` and `[::]` can have the same port.
    ///
    /// # Errors
    /// When the address cannot be listened on, or there are 64 listeners.
    pub fn listen<C: Conversation>(&self, addr: SocketAddr, make: Make<C>) -> Result<Listener, ListenError> {
        let hold = ListenerHold::take(&self.shared)?;
        let failed = |error: std::io::Error| ListenError::Bind { addr, kind: error.kind() };
        let socket = listener::bind(addr).map_err(failed)?;
        let addr = socket.local_addr().map_err(failed)?;
        Ok(Listener::new(addr, tokio::spawn(listener::accept(hold, socket, make))))
    }

    /// What there is and was.
    pub fn statistics(&self) -> Statistics {
        let (outbound, inbound) = {
            let state = self.shared.lock();
            (state.ledger.open(Side::Outbound), state.ledger.open(Side::Inbound))
        };
        Statistics {
            outbound,
            inbound,
            refused: self.shared.refused.load(Relaxed),
            received: self.shared.traffic.received.load(Relaxed),
            sent: self.shared.traffic.sent.load(Relaxed),
        }
    }

    /// Ends every listener and connection, within 2 s. What was under way is [`ConnectionError::Closed`], and so is what
    /// comes later.
    pub async fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.closing.send_replace(true);
        let gone = async {
            loop {
                let left = self.shared.left.notified();
                if self.shared.lock().is_empty() {
                    break;
                }
                left.await;
            }
        };
        // Tasks end by themselves once they are run; a runtime that does not run them is not waited for.
        let _ = timeout(CLOSE_TIMEOUT, gone).await;
    }
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    listeners: usize,
    closed: bool,
}

impl State {
    fn is_empty(&self) -> bool {
        self.listeners + self.ledger.open(Side::Outbound) + self.ledger.open(Side::Inbound) == 0
    }
}

/// What all connections of a pool share.
#[derive(Debug)]
pub(super) struct Shared {
    config: Config,
    state: Mutex<State>,
    closing: watch::Sender<bool>,
    /// Tells that the last one left.
    left: Notify,
    pub(super) refused: AtomicU64,
    traffic: Traffic,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Counts are consistent at every step, so a panic elsewhere does not spoil them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dialable(&self, addr: SocketAddr) -> Result<SocketAddr, ConnectionError> {
        let to = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        let broadcast = matches!(to.ip(), IpAddr::V4(ip) if ip.is_broadcast());
        let nobody = to.port() == 0 || to.ip().is_unspecified() || to.ip().is_multicast() || broadcast;
        if nobody || !(self.config.local || ip::is_global(to.ip())) {
            return Err(ConnectionError::Address(addr));
        }
        // A link-local address needs its scope.
        Ok(if to.ip() == addr.ip() { addr } else { to })
    }

    fn leave(&self, leave: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        leave(&mut state);
        if state.is_empty() {
            self.left.notify_waiters();
        }
    }

    /// Runs `task` until the pool closes. The task comes pinned: a future that is handed over is kept twice.
    pub(super) async fn until_closed<T>(&self, task: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let mut closing = self.closing.subscribe();
        let closed = async move {
            // The sender lives as long as `self`.
            let _ = closing.wait_for(|closing| *closing).await;
        };
        tokio::select! {
            biased;
            () = closed => None,
            result = task => Some(result),
        }
    }
}

/// One connection's place in the pool; given back when dropped.
#[derive(Debug)]
pub(super) struct Hold {
    shared: Arc<Shared>,
    side: Side,
    ip: IpAddr,
}

impl Hold {
    pub(super) fn take(shared: &Arc<Shared>, side: Side, ip: IpAddr) -> Result<Self, ConnectionError> {
        let mut state = shared.lock();
        if state.closed {
            return Err(ConnectionError::Closed);
        }
        state.ledger.enter(side, ip, Instant::now()).map_err(ConnectionError::Overloaded)?;
        Ok(Self { shared: shared.clone(), side, ip })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shared.leave(|state| state.ledger.leave(self.side, self.ip));
    }
}

/// One listener's place in the pool; given back when dropped.
#[derive(Debug)]
pub(super) struct ListenerHold {
    pub(super) shared: Arc<Shared>,
}

impl ListenerHold {
    fn take(shared: &Arc<Shared>) -> Result<Self, ListenError> {
        let mut state = shared.lock();
        if state.closed {
            return Err(ListenError::Closed);
        }
        if state.listeners >= MAX_LISTENERS {
            return Err(ListenError::TooMany(MAX_LISTENERS));
        }
        state.listeners += 1;
        Ok(Self { shared: shared.clone() })
    }
}

impl Drop for ListenerHold {
    fn drop(&mut self) {
        self.shared.leave(|state| state.listeners -= 1);
    }
}

/// A task that ends with whoever waits for it, unless it is let go.
struct Task(Option<JoinHandle<()>>);

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

async fn outbound<C: Conversation>(
    hold: Hold,
    addr: SocketAddr,
    conversation: C,
    sender: oneshot::Sender<Result<C::Output, ConnectionError>>,
) {
    let shared = hold.shared.clone();
    let dialled = shared.until_closed(pin!(dial(addr, shared.config.dial_timeout))).await;
    match dialled.unwrap_or(Err(ConnectionError::Closed)) {
        // Nobody waits where the caller is gone.
        Err(error) => drop(sender.send(Err(error))),
        Ok(stream) => converse(hold, stream, conversation, |result| drop(sender.send(result))).await,
    }
}

async fn dial(addr: SocketAddr, limit: Duration) -> Result<TcpStream, ConnectionError> {
    let dialled = timeout(limit, TcpStream::connect(addr)).await.map_err(|_| ConnectionError::DialTimeout)?;
    let stream = dialled.map_err(|error| ConnectionError::dialling(&error))?;
    // A port of our own machine that nobody listens on may be the one that we dial from.
    if stream.local_addr().is_ok_and(|own| own == addr) {
        return Err(ConnectionError::Dial(std::io::ErrorKind::ConnectionRefused));
    }
    Ok(stream)
}

/// Talks, tells the result, and ends the connection: in order where the conversation came to its end, at once where the
/// peer was cut off, so that the system keeps nothing for it either.
pub(super) async fn converse<C: Conversation>(
    hold: Hold,
    mut stream: TcpStream,
    mut conversation: C,
    tell: impl FnOnce(Result<C::Output, ConnectionError>),
) {
    let shared = &hold.shared;
    let config = &shared.config;
    let read_buffer = match hold.side {
        Side::Outbound => config.read_buffer,
        Side::Inbound => config.inbound_read_buffer,
    };
    // Messages are small and answered; where this fails they are only slower.
    let _ = stream.set_nodelay(true);
    let mut unsent = Unsent::default();
    let result = {
        let terms = (config, read_buffer);
        let talking = pin!(talk(&mut stream, &mut conversation, &mut unsent, terms, &shared.traffic));
        shared.until_closed(talking).await.unwrap_or(Err(ConnectionError::Closed))
    };
    drop(conversation);
    let ended = match &result {
        Ok(_) | Err(ConnectionError::Ended) => true,
        Err(ConnectionError::Closed) => {
            unsent = Unsent::default();
            true
        }
        Err(_) => false,
    };
    tell(result);
    if ended {
        // On the heap, because most of the time there is no end.
        Box::pin(end(stream, unsent, config.linger)).await;
    } else {
        // Where this fails the system sends what is left, and forgets the connection later.
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    }
}
