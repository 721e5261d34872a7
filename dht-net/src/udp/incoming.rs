//! What a datagram brings about.

use std::net::SocketAddr;

use dht_core::{Contact, Failure, Mono, Overlay, Response};
use dht_protocol::{Datagram, DatagramCodec, TransactionId, Unread};

use super::{Udp, batch::Got, limits::Over, pending::Pending, questions::Purpose, sources::Origin};
use crate::Incoming;

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
            Ok(Datagram::Answer { tid, peer, result, seen }) => {
                self.on_answer(now, (from, origin), tid, peer, result, seen);
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
        peer: Option<O::PeerId>,
        result: Result<Response<O>, Failure>,
        seen: Option<SocketAddr>,
    ) {
        let Some(question) = self.questions.answered(tid, from) else {
            self.rates.0.counters.stray.add(1);
            return;
        };
        self.prove(now, origin);
        if let Some(contact) = seen.and_then(|us| self.codec.sighted(from, us)) {
            self.ready.push_back(Incoming::Local(contact));
        }
        match question.purpose {
            Purpose::Challenge => {
                if let (Some(peer), Ok(_)) = (peer, result) {
                    self.ready.push_back(Incoming::Heard(Contact::new(peer, self.codec.addr(from))));
                }
            }
            Purpose::Ask(id) => match peer {
                Some(peer) if question.peer.as_ref().is_some_and(|expected| *expected != peer) => {
                    self.ready.push_back(Incoming::Failure { id, why: Failure::WrongPeer });
                    self.ready.push_back(Incoming::Heard(Contact::new(peer, self.codec.addr(from))));
                }
                _ => self.ready.push_back(match result {
                    Ok(response) => Incoming::Answer { id, response },
                    Err(why) => Incoming::Failure { id, why },
                }),
            },
            Purpose::Greet(id) => {
                let who = result.and_then(|_| peer.ok_or(Failure::Malformed));
                self.ready.push_back(match who {
                    Ok(peer) => Incoming::Greeted { id, contact: Contact::new(peer, self.codec.addr(from)) },
                    Err(why) => Incoming::Failure { id, why },
                });
            }
        }
    }
}
