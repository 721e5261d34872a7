//! Answers to strangers on their way out: in full to whoever echoed, small or later to the others.

use std::net::SocketAddr;

use dht_core::{Mono, Overlay, Request, Response};
use dht_protocol::{DatagramCodec, Refusal, Room};

use super::{Udp, pending::Pending, sources::Origin};
use crate::ReplyToken;

type Answer<'a, O> = Result<&'a Response<O>, Refusal>;

impl<O: Overlay, C: DatagramCodec<O>> Udp<O, C> {
    /// Sends or holds the answer to a question that waits.
    pub(super) fn answer(&mut self, token: ReplyToken, answer: Answer<'_, O>) {
        let Some(pending) = self.pending.take(token) else { return };
        let now = self.read_clock();
        if self.reflection.is_proven(now, pending.origin) {
            let mut bytes = self.outbox.buffer();
            self.codec.encode_answer(pending.from, &pending.question, answer, self.full_room(), &mut bytes);
            self.send_proven(now, pending.from, bytes);
            return;
        }
        // More than it may have now: more bytes, or what others stored.
        let room = self.reflection.room(pending.origin);
        let wants =
            answer.is_ok_and(|answer| !answer.items.is_empty()) || room < self.config.max_unproven_answer;
        if pending.serves && wants && self.challenge(now, &pending, answer) {
            return;
        }
        let mut bytes = self.outbox.buffer();
        let room = Room { bytes: room, stored: false };
        self.codec.encode_answer(pending.from, &pending.question, answer, room, &mut bytes);
        self.send_unproven(now, pending.origin, pending.from, bytes);
    }

    fn full_room(&self) -> Room {
        Room { bytes: self.config.max_answer, stored: true }
    }

    /// Asks for an echo and holds the answer; whether that could be done.
    fn challenge(&mut self, now: Mono, pending: &Pending<C::Question>, answer: Answer<'_, O>) -> bool {
        if !self.reflection.can_hold() || !self.outbox.has_room() {
            return false;
        }
        let challenge = match self.reflection.is_challenged(pending.origin) {
            true => None,
            false => {
                let tid = self.questions.challenge(pending.from);
                let mut ping = self.outbox.buffer();
                self.codec.encode_request(tid, pending.from, &Request::Ping, &mut ping);
                if !self.reflection.spend(now, &self.limits, pending.origin, ping.len()) {
                    self.questions.remove(tid);
                    self.outbox.recycle(ping);
                    return false;
                }
                self.outbox.push(pending.from, Some(tid), ping);
                Some(tid)
            }
        };
        let (mut full, mut small) = self.reflection.buffers();
        let (to, question) = (pending.from, &pending.question);
        self.codec.encode_answer(to, question, answer, self.full_room(), &mut full);
        let room = Room { bytes: self.reflection.room(pending.origin), stored: false };
        self.codec.encode_answer(to, question, answer, room, &mut small);
        self.reflection.hold(now, pending.origin, to, challenge, (full, small));
        self.rates.0.counters.held.add(1);
        true
    }

    /// The address echoed: what waited for it goes out.
    pub(super) fn prove(&mut self, now: Mono, origin: Origin) {
        self.reflection.prove(now, origin);
        while let Some(mut held) = self.reflection.released(origin) {
            if let Some(tid) = held.challenge {
                self.questions.remove(tid);
            }
            let mut bytes = self.outbox.buffer();
            std::mem::swap(&mut bytes, &mut held.full);
            self.send_proven(now, held.to, bytes);
            self.rates.0.counters.released.add(1);
            self.reflection.recycle(held);
        }
    }

    /// Sends the small answers of those who did not echo in time.
    pub(super) fn expire(&mut self, now: Mono) {
        while let Some(mut held) = self.reflection.expired(now) {
            if let Some(tid) = held.challenge {
                self.questions.remove(tid);
            }
            let mut bytes = self.outbox.buffer();
            std::mem::swap(&mut bytes, &mut held.small);
            self.send_unproven(now, held.origin, held.to, bytes);
            self.reflection.recycle(held);
        }
    }

    pub(super) fn send_proven(&mut self, now: Mono, to: SocketAddr, bytes: Vec<u8>) {
        let counters = &self.rates.0.counters;
        if bytes.is_empty() {
            self.outbox.recycle(bytes);
        } else if !self.inbound.answer(now, &self.limits, bytes.len()) {
            counters.over_bytes.add(1);
            self.outbox.recycle(bytes);
        } else if !self.outbox.push(to, None, bytes) {
            counters.unsent.add(1);
        }
    }

    pub(super) fn send_unproven(&mut self, now: Mono, origin: Origin, to: SocketAddr, bytes: Vec<u8>) {
        if !bytes.is_empty() && !self.reflection.spend(now, &self.limits, origin, bytes.len()) {
            self.rates.0.counters.withheld.add(1);
            self.outbox.recycle(bytes);
            return;
        }
        if !bytes.is_empty() {
            self.rates.0.counters.unproven.add(1);
        }
        self.send_proven(now, to, bytes);
    }
}
