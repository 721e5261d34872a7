//! KRPC for the datagram transport: what the engine says as messages, and messages as what the engine understands.
//!
//! The codec holds what is one per socket: the own id, which the address of the socket binds (BEP 42), and the family of
//! addresses that nodes are named in (BEP 32). It holds nothing per peer and allocates nothing for the answers that servers
//! give all day. Who may be sent how much is the transport's duty, matching of ids and addresses too.

mod answer;
mod ask;
mod budget;
mod hear;
mod sibling;
mod vote;

use std::{
    fmt::{self, Debug},
    net::SocketAddr,
};

use dht_core::{Contact, Key, Mono, Request, Response};
use dht_protocol::{Datagram, DatagramCodec, Refusal, Room, TransactionId, Unread};

use crate::{
    Endpoint, Mainline, NodeId, Token, Tokens,
    address::Reach,
    compact::Family,
    krpc::{Body, MAX_DATAGRAM, MAX_TID, Message, Reject, Want},
    reject,
};
pub(crate) use answer::MAX_SAMPLES;
pub use sibling::Sibling;
use vote::Votes;

/// Nodes of one family in an answer: the K of the network (BEP 5).
pub(crate) const MAX_NODES: usize = 8;

/// What a codec is made of, one for each socket.
#[derive(Clone)]
pub struct CodecConfig {
    /// The own id until others agree on another address than it suits.
    pub id: NodeId,
    /// The family of the socket.
    pub family: Family,
    /// Where nodes and peers can be. Default public.
    pub reach: Reach,
    /// Those of the socket's [`ServerRules`](crate::ServerRules), so that who shows one is known before anything is served.
    pub tokens: Tokens,
    /// The nodes of the other family, for those who want them. Default none.
    pub sibling: Option<Sibling>,
    /// The program and its version in answers, where there is room. Default [`CodecConfig::VERSION`].
    pub version: [u8; 4],
    /// For new ids, and for which peers of a large swarm are shown to whom. Strangers must not know it.
    pub seed: u64,
}

impl CodecConfig {
    /// Two letters, and a number of two bytes, by convention.
    pub const VERSION: [u8; 4] = *b"KR\x00\x01";

    /// The codec of a socket of the public network.
    pub fn new(id: NodeId, family: Family, tokens: Tokens, seed: u64) -> Self {
        Self { id, family, reach: Reach::Public, tokens, sibling: None, version: Self::VERSION, seed }
    }
}

impl Debug for CodecConfig {
    /// The seed stays a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, family, reach, sibling, version, .. } = self;
        f.debug_struct("CodecConfig")
            .field("id", id)
            .field("family", family)
            .field("reach", reach)
            .field("sibling", sibling)
            .field("version", version)
            .finish_non_exhaustive()
    }
}

/// The codec of one socket.
#[derive(Debug)]
pub struct KrpcCodec {
    config: CodecConfig,
    votes: Votes,
    read_only: bool,
}

/// What is kept of a question until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    tid: [u8; MAX_TID],
    tid_length: u8,
    want: Want,
    about: About,
}

/// What the answer to a question is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// Nothing but the own id: a ping, or something that was stored.
    Nothing,
    Nodes(Key<20>),
    Peers {
        target: Key<20>,
        scrape: bool,
        noseed: bool,
    },
    Item {
        target: Key<20>,
        seq: Option<i64>,
    },
    Samples(Key<20>),
}

impl Question {
    /// `tid` has at most [`MAX_TID`] bytes: longer ones are not read.
    fn new(tid: &[u8], want: Want, about: About) -> Self {
        let length = tid.len().min(MAX_TID);
        let mut kept = [0; MAX_TID];
        kept[..length].copy_from_slice(&tid[..length]);
        Self { tid: kept, tid_length: length as u8, want, about }
    }

    fn tid(&self) -> &[u8] {
        &self.tid[..usize::from(self.tid_length)]
    }

    fn target(&self) -> Option<Key<20>> {
        match self.about {
            About::Nothing => None,
            About::Nodes(target)
            | About::Samples(target)
            | About::Peers { target, .. }
            | About::Item { target, .. } => Some(target),
        }
    }
}

impl KrpcCodec {
    /// A codec that says it answers questions.
    pub fn new(config: CodecConfig) -> Self {
        Self { votes: Votes::new(config.seed), config, read_only: false }
    }

    /// The family of the socket.
    pub fn family(&self) -> Family {
        self.config.family
    }

    fn refuse(&self, tid: &[u8], reject: Reject<'_>, out: &mut Vec<u8>) {
        Message { tid, version: None, ip: None, body: Body::Reject(reject) }.encode(out);
    }
}

impl DatagramCodec<Mainline> for KrpcCodec {
    type Question = Question;

    fn max_datagram(&self) -> usize {
        MAX_DATAGRAM
    }

    /// Addresses of the socket's family only: the other one cannot be reached from it.
    fn socket_addr(&self, addr: &Endpoint) -> Option<SocketAddr> {
        addr.0.filter(|addr| Family::of(addr.ip()) == self.config.family)
    }

    fn addr(&self, addr: SocketAddr) -> Endpoint {
        Endpoint(Some(SocketAddr::new(addr.ip().to_canonical(), addr.port())))
    }

    fn local(&self) -> NodeId {
        self.config.id
    }

    fn set_read_only(&mut self, read_only: bool) {
        self.read_only = read_only;
    }

    fn encode_request(
        &self,
        tid: TransactionId,
        _: SocketAddr,
        request: &Request<Mainline>,
        out: &mut Vec<u8>,
    ) {
        self.ask(&tid, request, None, out);
    }

    fn encode_request_again(
        &self,
        tid: TransactionId,
        _: SocketAddr,
        request: &Request<Mainline>,
        ticket: &Token,
        out: &mut Vec<u8>,
    ) {
        self.ask(&tid, request, Some(ticket), out);
    }

    fn decode<'a>(
        &self,
        now: Mono,
        from: SocketAddr,
        datagram: &[u8],
        asked: &dyn Fn(TransactionId) -> Option<&'a Request<Mainline>>,
        out: &mut Vec<u8>,
    ) -> Result<Datagram<Mainline, Question>, Unread> {
        self.hear(now, from, datagram, asked, out)
    }

    fn encode_answer(
        &self,
        to: SocketAddr,
        question: &Question,
        answer: Result<&Response<Mainline>, Refusal>,
        room: Room,
        out: &mut Vec<u8>,
    ) {
        match answer {
            Ok(response) => self.answer(to, question, response, room, out),
            Err(refusal) => {
                if let Some(reject) = reject(refusal) {
                    let before = out.len();
                    self.refuse(question.tid(), reject, out);
                    if out.len() - before > room.bytes {
                        out.truncate(before);
                    }
                }
            }
        }
    }

    /// BEP 42: enough networks must agree on an address before the id is made to suit it, and one that suits is kept.
    fn sighted(&mut self, by: SocketAddr, us: SocketAddr) -> Option<Contact<Mainline>> {
        let ip = us.ip().to_canonical();
        // Some answerers name no port.
        let possible = self.config.reach.allows(SocketAddr::new(ip, us.port().max(1)));
        if !possible || Family::of(ip) != self.config.family {
            return None;
        }
        let id = self.votes.cast(by.ip(), ip, &self.config.id)?;
        self.config.id = id;
        let addr = SocketAddr::new(ip, us.port());
        Some(Contact::new(id, Endpoint((us.port() != 0).then_some(addr))))
    }
}

#[cfg(test)]
mod tests;
