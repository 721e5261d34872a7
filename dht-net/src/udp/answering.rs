//! Answers to strangers on their way out: in full to whoever echoed, small or later to the others.

use std::net::SocketAddr;

use dht_core::{Mono, Overlay, Request, Response};
use dht_protocol::{DatagramCodec, Refusal, Room, TransactionId};

use super::{Udp, pending::Pending, sources::Origin};
use crate::ReplyToken;

type Answer<'a, O> = Result<&'a Response<O>, Refusal>;

impl<O: Overlay, C: DatagramCodec<O>> Udp<O, C> {
    /// Sends or holds the answer to a question that waits.
    pub(super) fn answer(&mut self, token: ReplyToken, answer: Answer<'_, O>) {
        let Some(pending) = self.pending.take(token) else { return };
        let now = self.read_clock();
        let Pending { from, origin, serves, length, .. } = pending;
        let mut bytes = self.outbox.buffer();
        if self.reflection.is_proven(now, origin) {
            self.codec.encode_answer(from, &pending.question, answer, self.full_room(), &mut bytes);
            self.send_proven(now, from, bytes);
        } else if serves && self.challenge(now, &pending, answer) {
            self.outbox.recycle(bytes);
        } else {
            let room = Room { bytes: self.reflection.room(origin, length), stored: false };
            self.codec.encode_answer(from, &pending.question, answer, room, &mut bytes);
            self.send_unproven(now, origin, from, length, bytes);
        }
    }

    fn full_room(&self) -> Room {
        Room { bytes: self.config.max_answer, stored: true }
    }

    /// Asks an asker for an echo, if none is awaited yet. What may be said without one goes out at once, but an answer with
    /// what others stored, or one that is cut because the asker has used up what it may have, waits for the echo. Whether
    /// anything of this could be done.
    fn challenge(&mut self, now: Mono, pending: &Pending<C::Question>, answer: Answer<'_, O>) -> bool {
        let Pending { from, origin, length, ref question, .. } = *pending;
        let room = self.reflection.room(origin, length);
        let stored = answer.is_ok_and(|answer| !answer.items.is_empty());
        let mut waits = stored || room < self.reflection.most(length);
        let asked = self.reflection.is_challenged(origin);
        if asked && !waits || !self.reflection.can_hold() || !self.outbox.has_room() {
            return false;
        }
        let (mut full, mut small) = self.reflection.buffers();
        let challenge = if asked { None } else { Some(self.echo_request(from)) };
        let cost = challenge.as_ref().map_or(0, |(_, ping)| ping.len());
        let left = room.saturating_sub(cost);
        self.codec.encode_answer(from, question, answer, Room { bytes: left, stored: false }, &mut small);
        // All of it counts as sent from here on, so that it can go out later.
        let limits = self.limits;
        let mut pay = |bytes| bytes <= room && self.reflection.spend(now, &limits, origin, bytes);
        let mut paid = pay(cost + small.len());
        if !paid && !asked && !small.is_empty() {
            // The echo is worth more than the small answer: with it the full one goes out.
            small.clear();
            (paid, waits) = (pay(cost), true);
        }
        if !paid {
            self.reflection.give_back((full, small));
            if let Some((tid, ping)) = challenge {
                self.questions.remove(tid);
                self.outbox.recycle(ping);
            }
            return false;
        }
        let tid = challenge.map(|(tid, ping)| {
            self.outbox.push(from, Some(tid), ping);
            tid
        });
        if waits {
            self.codec.encode_answer(from, question, answer, self.full_room(), &mut full);
            self.rates.0.counters.held.add(1);
        } else {
            self.send_paid(now, from, &mut small);
        }
        self.reflection.hold(now, origin, from, tid, (full, small));
        true
    }

    /// The smallest question there is, to be sent at once.
    fn echo_request(&mut self, to: SocketAddr) -> (TransactionId, Vec<u8>) {
        let tid = self.questions.challenge(to);
        let mut ping = self.outbox.buffer();
        self.codec.encode_request(tid, to, &Request::Ping, &mut ping);
        (tid, ping)
    }

    /// The address echoed: what waited for it goes out.
    pub(super) fn prove(&mut self, now: Mono, origin: Origin) {
        self.reflection.prove(now, origin);
        while let Some(held) = self.reflection.released(origin) {
            if let Some(tid) = held.challenge {
                self.questions.remove(tid);
            }
            if !held.full.is_empty() {
                let mut bytes = self.outbox.buffer();
                bytes.extend_from_slice(&held.full);
                self.send_proven(now, held.to, bytes);
                self.rates.0.counters.released.add(1);
            }
            self.reflection.recycle(held);
        }
    }

    /// Sends the small answers of those who did not echo in time.
    pub(super) fn expire(&mut self, now: Mono) {
        while let Some(mut held) = self.reflection.expired(now) {
            if let Some(tid) = held.challenge {
                self.questions.remove(tid);
            }
            self.send_paid(now, held.to, &mut held.small);
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

    /// Sends what answers a question of `length` bytes, if so much may go there.
    pub(super) fn send_unproven(
        &mut self,
        now: Mono,
        origin: Origin,
        to: SocketAddr,
        length: usize,
        mut bytes: Vec<u8>,
    ) {
        let fits = bytes.len() <= self.reflection.room(origin, length);
        if bytes.is_empty() || fits && self.reflection.spend(now, &self.limits, origin, bytes.len()) {
            self.send_paid(now, to, &mut bytes);
        } else {
            self.rates.0.counters.withheld.add(1);
        }
        self.outbox.recycle(bytes);
    }

    /// Sends what counts as sent already, and leaves an empty buffer.
    fn send_paid(&mut self, now: Mono, to: SocketAddr, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        self.rates.0.counters.unproven.add(1);
        let mut out = self.outbox.buffer();
        out.extend_from_slice(bytes);
        bytes.clear();
        self.send_proven(now, to, out);
    }
}
