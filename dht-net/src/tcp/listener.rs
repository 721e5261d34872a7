//! Connections that others open: accepted within the pool's bounds, or closed at once.

use std::{
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};

use super::{
    Conversation,
    ledger::Side,
    pool::{Hold, ListenerHold, converse},
};

/// Connections that the system keeps until they are accepted.
const BACKLOG: i32 = 1024;

/// How long nothing is accepted after the system had no means to.
const PAUSE: Duration = Duration::from_millis(100);

/// Says what to talk about with whom; `None` refuses.
pub type Make<C> = Arc<dyn Fn(SocketAddr) -> Option<C> + Send + Sync>;

/// Something that listens. Dropping it ends the listening, not the connections that came of it.
#[derive(Debug)]
pub struct Listener {
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Listener {
    pub(super) fn new(addr: SocketAddr, task: JoinHandle<()>) -> Self {
        Self { addr, task }
    }

    /// Where it listens, with the port that it got.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A listening socket, of one family.
pub(super) fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Elsewhere this would share the port with others.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts until the pool closes.
pub(super) async fn accept<C: Conversation>(hold: ListenerHold, listener: TcpListener, make: Make<C>) {
    let shared = &hold.shared;
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, from)) => serve(&hold, stream, from, &make),
                Err(error) if is_theirs(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    sleep(PAUSE).await;
                }
            }
        }
    };
    shared.until_closed::<()>(pin!(accepting)).await;
}

/// Whether only the connection that would have been accepted is at fault.
fn is_theirs(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn serve<C: Conversation>(listener: &ListenerHold, stream: TcpStream, from: SocketAddr, make: &Make<C>) {
    let hold = match Hold::take(&listener.shared, Side::Inbound, from.ip().to_canonical()) {
        Ok(hold) => hold,
        Err(why) => {
            listener.shared.refused.fetch_add(1, Relaxed);
            tracing::debug!(%from, %why, "connection refused");
            return;
        }
    };
    let Some(conversation) = make(from) else { return };
    tokio::spawn(converse(hold, stream, conversation, move |result| {
        if let Err(why) = result {
            tracing::trace!(%from, %why, "connection ended");
        }
    }));
}
