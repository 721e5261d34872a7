//! Questions of ours on their way out.

use std::net::SocketAddr;

use dht_core::{Failure, Mono, Overlay, Request, RequestId};
use dht_protocol::DatagramCodec;

use super::{Udp, questions::Purpose};
use crate::Incoming;

impl<O: Overlay, C: DatagramCodec<O>> Udp<O, C> {
    /// Takes a question; it goes out when its turn comes.
    pub(super) fn ask(
        &mut self,
        purpose: Purpose,
        id: RequestId,
        peer: Option<O::PeerId>,
        addr: &O::Addr,
        request: Request<O>,
    ) {
        let Some(to) = self.codec.socket_addr(addr).filter(|to| self.is_sendable(*to)) else {
            self.ready.push_back(Incoming::Failure { id, why: Failure::Unreachable });
            return;
        };
        if !self.questions.ask(to, peer, request, purpose) {
            self.ready.push_back(Incoming::Failure { id, why: Failure::Overloaded });
        }
    }

    /// Whether this socket can send there, and to one host.
    pub(super) fn is_sendable(&self, to: SocketAddr) -> bool {
        let ip = to.ip();
        let broadcast = matches!(ip, std::net::IpAddr::V4(ip) if ip.is_broadcast());
        to.is_ipv6() == self.local.is_ipv6()
            && to.port() != 0
            && !(ip.is_unspecified() || ip.is_multicast() || broadcast)
    }

    /// Sends the questions that the limits let go, in their order.
    pub(super) fn take_turns(&mut self, now: Mono) {
        if self.turn.is_some_and(|turn| turn > now) {
            return;
        }
        self.turn = None;
        while self.outbox.has_room() {
            let Some((tid, question)) = self.questions.next() else { return };
            let endpoint = self.keyer.endpoint(question.to);
            if let Err(later) = self.outbound.admit(now, &self.limits, endpoint) {
                self.turn = Some(later);
                return;
            }
            let to = question.to;
            let mut bytes = self.outbox.buffer();
            match &question.ticket {
                Some(ticket) => {
                    self.codec.encode_request_again(tid, to, &question.request, ticket, &mut bytes);
                }
                None => self.codec.encode_request(tid, to, &question.request, &mut bytes),
            }
            self.questions.depart();
            if bytes.is_empty() {
                self.fail(tid, Failure::Unsupported);
                self.outbox.recycle(bytes);
            } else {
                self.outbox.push(to, Some(tid), bytes);
            }
        }
    }

    /// A question that got no answer.
    pub(super) fn fail(&mut self, tid: dht_protocol::TransactionId, why: Failure) {
        let question = self.questions.remove(tid);
        if let Some(Purpose::Ask(id) | Purpose::Greet(id)) = question.map(|question| question.purpose) {
            self.ready.push_back(Incoming::Failure { id, why });
        }
    }
}
