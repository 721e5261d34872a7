//! Where a dialect and a datagram transport meet: one datagram is one message, and who sent it is only what its source
//! address says.

use std::net::SocketAddr;

use dht_core::{Contact, Failure, Mono, Overlay, Request, Response};

use crate::{Malformed, Refusal};

/// Names one question of ours on the wire. Drawn at random, so that who does not see the question cannot answer it.
pub type TransactionId = [u8; 4];

/// What an asker may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of the largest answer.
    pub bytes: usize,
    /// Whether what others stored may be in it. Not for an address that has proved nothing yet: it may be a victim's.
    pub stored: bool,
}

/// What a datagram is.
#[derive(Debug, PartialEq, Eq)]
pub enum Datagram<O: Overlay, Q> {
    /// A stranger asks.
    Request {
        /// Who.
        peer: O::PeerId,
        /// Whether it says that it answers questions itself.
        serves: bool,
        /// Whether it shows a ticket of ours, which only its address can have received.
        proven: bool,
        /// What.
        request: Request<O>,
        /// What the codec needs to answer.
        question: Q,
    },
    /// The answer to a question of ours.
    Answer {
        /// Which.
        tid: TransactionId,
        /// Who answers, if it says so.
        peer: Option<O::PeerId>,
        /// What, or why not.
        result: Result<Response<O>, Failure>,
        /// Where the answerer sees us.
        seen: Option<SocketAddr>,
        /// Whether the answerer says that it holds more, for who shows the ticket of this answer.
        withheld: bool,
    },
}

/// Why a datagram is not looked at any further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It answers no question that waits: late, twice, or made up.
    Stray,
    /// It breaks the protocol, and gets silence.
    Silent(Malformed),
    /// It breaks the protocol in a way that is answered; the answer was written.
    Rejected(Malformed),
}

/// How a dialect writes requests and answers as datagrams. It knows the own name, and changes it where the network binds
/// names to addresses.
pub trait DatagramCodec<O: Overlay>: Send + 'static {
    /// What is kept of a question until it is answered: small, and nothing on the heap.
    type Question: Clone + Send + 'static;

    /// Bytes of the largest datagram that is read.
    fn max_datagram(&self) -> usize;

    /// The place of a peer; `None` when it is not known.
    fn socket_addr(&self, addr: &O::Addr) -> Option<SocketAddr>;

    /// The same the other way round.
    fn addr(&self, addr: SocketAddr) -> O::Addr;

    /// The own name.
    fn local(&self) -> O::PeerId;

    /// Whether others are told that this node answers nothing.
    fn set_read_only(&mut self, read_only: bool);

    /// Appends a question to `to` as one datagram; nothing when it is none that can be asked.
    fn encode_request(&self, tid: TransactionId, to: SocketAddr, request: &Request<O>, out: &mut Vec<u8>);

    /// The same question where its ticket, from an earlier answer, is to be shown. Dialects without such a thing repeat the
    /// question.
    fn encode_request_again(
        &self,
        tid: TransactionId,
        to: SocketAddr,
        request: &Request<O>,
        _ticket: &O::Ticket,
        out: &mut Vec<u8>,
    ) {
        self.encode_request(tid, to, request, out);
    }

    /// Reads a datagram. `asked` says what was asked of this address under an id; a question and its answer are told
    /// apart by the codec. `now` says which tickets hold. `out` takes the answer of [`Unread::Rejected`].
    ///
    /// # Errors
    /// When there is nothing to do about it.
    fn decode<'a>(
        &self,
        now: Mono,
        from: SocketAddr,
        datagram: &[u8],
        asked: &dyn Fn(TransactionId) -> Option<&'a Request<O>>,
        out: &mut Vec<u8>,
    ) -> Result<Datagram<O, Self::Question>, Unread>;

    /// Appends the answer to a question as one datagram of at most `room.bytes`; nothing where silence is the answer.
    fn encode_answer(
        &self,
        to: SocketAddr,
        question: &Self::Question,
        answer: Result<&Response<O>, Refusal>,
        room: Room,
        out: &mut Vec<u8>,
    );

    /// Somebody at `by` sees us at `us`. The name to take from now on, when enough agree that it must be another one; the
    /// codec has taken it.
    fn sighted(&mut self, by: SocketAddr, us: SocketAddr) -> Option<Contact<O>>;
}
