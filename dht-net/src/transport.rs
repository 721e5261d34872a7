//! What the driver asks of a network: requests out, answers and strangers' requests in.
//!
//! A transport decides nothing about peers, deadlines or retries. It reports what happened and bounds what it holds.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use async_trait::async_trait;
use derive_where::derive_where;
use dht_core::{Contact, Failure, Overlay, Request, RequestId, Response};
use dht_protocol::Refusal;

/// Names an inbound request until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyToken(pub u64);

/// What the driver tells a transport besides requests and answers.
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub enum Order<O: Overlay> {
    /// Serve the protocol to strangers and advertise it, or neither. Takes effect within milliseconds.
    Serve(bool),
    /// Keep the connection to this peer through trimming and idling, or no longer.
    Protect {
        /// Whom.
        peer: O::PeerId,
        /// Whether to keep it.
        on: bool,
    },
    /// Connect without a request; the outcome is an answer (empty) or failure with this id.
    Dial {
        /// Names the attempt.
        id: RequestId,
        /// Whom, and where.
        to: Contact<O>,
    },
    /// Ask who is at this place. The outcome is [`Incoming::Greeted`] or a failure with this id.
    Greet {
        /// Names the attempt.
        id: RequestId,
        /// Where.
        addr: O::Addr,
    },
    /// Close every connection to this peer.
    Disconnect(O::PeerId),
}

/// What comes out of a transport.
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub enum Incoming<O: Overlay> {
    /// A request of ours was answered.
    Answer {
        /// Which.
        id: RequestId,
        /// With what.
        response: Response<O>,
    },
    /// A request of ours failed.
    Failure {
        /// Which.
        id: RequestId,
        /// Why.
        why: Failure,
    },
    /// A stranger asks; [`Transport::reply`] must follow.
    Request {
        /// Names it.
        token: ReplyToken,
        /// Who asks; `addr` is where it says it listens, as far as that is known.
        from: Contact<O>,
        /// Whether the asker says that it serves, is there for certain, and should be heard of by asking. A transport that
        /// introduces peers says so with [`Incoming::Peer`] instead.
        serves: bool,
        /// What.
        request: Request<O>,
    },
    /// Who was found where [`Order::Greet`] asked.
    Greeted {
        /// Which attempt.
        id: RequestId,
        /// Who and where.
        contact: Contact<O>,
    },
    /// A connected peer told who it is: where it listens and whether it serves our protocol.
    Peer {
        /// Who and where.
        contact: Contact<O>,
        /// Whether it serves our protocol (a client does not).
        serves: bool,
    },
    /// Somebody answers there and says that this is its name, which proves nothing more: a candidate for the table.
    Heard(Contact<O>),
    /// The last connection to this peer closed.
    Disconnected(O::PeerId),
    /// How many peers are connected now.
    Connections(usize),
    /// Who we are, and where we can be reached: the addresses that others are to be told, all of them.
    Local(Contact<O>),
    /// Whether at least one of our addresses is confirmed to be reachable from outside; `None` when that is not known, as
    /// before it is told for the first time.
    Reachable(Option<bool>),
    /// The transport ended; nothing follows.
    Closed,
}

/// A network as the driver sees it.
#[async_trait]
pub trait Transport<O: Overlay>: Send + 'static {
    /// Sends a request without blocking. Its answer or failure comes out of [`Transport::next`] under the same id;
    /// [`Failure::Overloaded`] when the bounds of the transport are reached.
    fn send(&mut self, id: RequestId, to: Contact<O>, request: Request<O>);

    /// Nobody waits for this answer any more: free what it holds.
    fn forget(&mut self, id: RequestId);

    /// Answers a stranger's request, or refuses it (a reset stream on IPFS). A transport that needs the response longer
    /// than the call takes it; what it leaves is used again for the next one.
    fn reply(&mut self, token: ReplyToken, answer: Result<&mut Response<O>, Refusal>);

    /// Everything else.
    fn order(&mut self, order: Order<O>);

    /// The next thing that happened; after [`Incoming::Closed`] it stays pending.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Incoming<O>>;

    /// The same as a future. Cancel safe.
    fn next(&mut self) -> impl Future<Output = Incoming<O>> + Send
    where
        Self: Sized,
    {
        poll_fn(|cx| self.poll_next(cx))
    }

    /// Ends every connection and task within 2 s.
    async fn close(&mut self);
}
