//! What a datagram brings about.

use std::net::SocketAddr;

use dht_core::{Contact, Failure, Mono, Overlay, RequestId, Response};
use dht_protocol::{Datagram, DatagramCodec, TransactionId, Unread};

use super::{
    Udp,
    batch::Got,
    limits::Over,
    pending::Pending,
    questions::{Purpose, Question},
    sources::Origin,
};
use crate::Incoming;

/// What an answer says.
struct Told<O: Overlay> {
    peer: Option<O::PeerId>,
    result: Result<Response<O>, Failure>,
    seen: Option<SocketAddr>,
    withheld: bool,
}

impl<O: Overlay, C: DatagramCodec<O>> Udp<O, C> {
    /// Lets a datagram through or not, reads it, and does what it asks.
    pub(super) fn on_datagram(&mut self, got: Got) {
        let Got { from, len, .. } = got;
        let counters = &self.rates.0.counters;
        counters.received.add(1);
        counters.received_bytes.add(len);
        if len > self.codec.max_datagram() || !self.is_sendable(from) {
            counters.malformed.add(1);
            return;
        }
        let now = self.now;
        let origin = self.keyer.origin(from);
        // An answer must not fall to the limits on questions.
        let expected = self.questions.glance(from);
        if !expected && !self.admit(now, origin) {
            return;
        }
        let mut rejection = self.outbox.buffer();
        let questions = &self.questions;
        let asked = |tid| questions.request(tid, from);
        let read = self.codec.decode(now, from, self.inbox.bytes(got), &asked, &mut rejection);
        // What was read for its place and is no answer counts as everything else does.
        let counted = !expected || matches!(read, Ok(Datagram::Answer { .. })) || self.admit(now, origin);
        match read {
            Ok(Datagram::Answer { tid, peer, result, seen, withheld }) => {
                let told = Told { peer, result, seen, withheld };
                self.on_answer(now, (from, origin), tid, told);
            }
            _ if !counted => {}
            Ok(Datagram::Request { peer, serves, proven, request, question }) => {
                if proven {
                    self.prove(now, origin);
                }
                if self.is_wanted(now, origin, got) {
                    let pending = Pending { from, origin, serves, length: len, question };
                    let (token, gave_way) = self.pending.insert(pending);
                    self.rates.0.counters.questions.add(1);
                    self.rates.0.counters.gave_way.add(usize::from(gave_way));
                    let from = Contact::new(peer, self.codec.addr(from));
                    // Who is not there is not to be checked either: a check is larger than a ping, and repeated.
                    let serves = serves && self.reflection.is_proven(now, origin);
                    self.ready.push_back(Incoming::Request { token, from, serves, request });
                }
            }
            Err(Unread::Stray) => self.rates.0.counters.stray.add(1),
            Err(Unread::Silent(_)) => self.rates.0.counters.malformed.add(1),
            Err(Unread::Rejected(_)) => {
                self.rates.0.counters.malformed.add(1);
                if self.is_wanted(now, origin, got) {
                    let rejection = std::mem::take(&mut rejection);
                    self.send_rejection(now, (from, origin), len, rejection);
                }
            }
        }
        self.outbox.recycle(rejection);
    }

    /// Whether the limits let a question through.
    fn admit(&mut self, now: Mono, origin: Origin) -> bool {
        let proven = self.reflection.is_proven(now, origin);
        let counters = &self.rates.0.counters;
        match self.inbound.admit(now, &self.limits, origin, proven) {
            Ok(()) => return true,
            Err(Over::Source) => counters.over_source.add(1),
            Err(Over::Network) => counters.over_network.add(1),
            Err(Over::All) => counters.over_answers.add(1),
        }
        false
    }

    /// Whether a question is to be answered: it counts for its asker, is no duplicate, and this node serves.
    fn is_wanted(&mut self, now: Mono, origin: Origin, got: Got) -> bool {
        if !self.reflection.is_proven(now, origin) {
            self.reflection.received(now, origin, got.len);
        }
        let hash = self.keyer.datagram(got.from, self.inbox.bytes(got));
        let counters = &self.rates.0.counters;
        if !self.serving {
            counters.unserved.add(1);
        } else if self.recent.seen(now, hash) {
            counters.duplicates.add(1);
        } else {
            return true;
        }
        false
    }

    fn send_rejection(
        &mut self,
        now: Mono,
        (to, origin): (SocketAddr, Origin),
        length: usize,
        bytes: Vec<u8>,
    ) {
        match self.reflection.is_proven(now, origin) {
            true => self.send_proven(now, to, bytes),
            false => self.send_unproven(now, origin, to, length, bytes),
        }
    }

    fn on_answer(
        &mut self,
        now: Mono,
        (from, origin): (SocketAddr, Origin),
        tid: TransactionId,
        told: Told<O>,
    ) {
        let Some(question) = self.questions.answered(tid, from) else {
            self.rates.0.counters.stray.add(1);
            return;
        };
        self.prove(now, origin);
        if let Some(contact) = told.seen.and_then(|us| self.codec.sighted(from, us)) {
            self.ready.push_back(Incoming::Local(contact));
        }
        let there = told.peer.clone().map(|peer| Contact::new(peer, self.codec.addr(from)));
        match question.purpose {
            Purpose::Challenge => {
                if let (Some(contact), Ok(_)) = (there, told.result) {
                    self.ready.push_back(Incoming::Heard(contact));
                }
            }
            Purpose::Ask(id) => match there {
                Some(contact) if question.peer.as_ref().is_some_and(|peer| *peer != contact.peer) => {
                    self.ready.push_back(Incoming::Failure { id, why: Failure::WrongPeer });
                    self.ready.push_back(Incoming::Heard(contact));
                }
                _ => self.on_told(id, question, told),
            },
            Purpose::Greet(id) => {
                let who = told.result.and_then(|_| there.ok_or(Failure::Malformed));
                self.ready.push_back(match who {
                    Ok(contact) => Incoming::Greeted { id, contact },
                    Err(why) => Incoming::Failure { id, why },
                });
            }
        }
    }

    /// The answer to a request of the driver. One that withholds something is only taken when there is no ticket to show.
    fn on_told(&mut self, id: RequestId, question: Question<O>, told: Told<O>) {
        match told.result {
            Ok(Response { ticket: Some(ticket), .. })
                if told.withheld && question.ticket.is_none() && self.questions.has_room() =>
            {
                self.questions.ask_again(question, ticket);
            }
            Ok(response) => self.ready.push_back(Incoming::Answer { id, response }),
            Err(why) => self.ready.push_back(Incoming::Failure { id, why }),
        }
    }
}
