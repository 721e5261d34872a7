//! Messages on their way: what a request meets, who answers it, and what the asker hears.

use dht_core::{Failure, Overlay, Request, RequestId, Response};
use dht_protocol::{Node, Served};
use dht_records::Store;

use super::{Event, Taken, World, packet::Packet, policy};
use crate::{clock::nanos, link::Carried, now_or_never};

impl<O: Overlay> World<O> {
    /// A node asks another one.
    pub(super) fn send(&mut self, from: u32, id: RequestId, to: &dht_core::Contact<O>, request: Request<O>) {
        self.traffic.requests += 1;
        let life = self.members[from as usize].life;
        let Some(target) = self.locate(to) else {
            return self.fail(from, from, life, id, Failure::Unreachable, 0);
        };
        if target as usize >= self.members.len() {
            // Nobody was ever there: a dial ends by its own deadline, a datagram in nothing.
            match self.manners.introduces {
                true => {
                    self.fail(from, from, life, id, Failure::Unreachable, nanos(self.manners.dial_timeout))
                }
                false => self.traffic.lost += 1,
            }
            return;
        }
        let member = &self.members[target as usize];
        if member.contact.peer != to.peer {
            // Somebody else lives there, and says so: by the handshake, or by the name in the answer.
            self.traffic.misdirected += 1;
            let wait = self.wire.latency(from, target) * 2;
            return self.fail(from, target, life, id, Failure::WrongPeer, wait);
        }
        if self.manners.introduces {
            let connected = self.members[from as usize].has_met(target);
            // A connection that the other side keeps carries requests both ways.
            let unreachable = member.role.nat && !connected && !member.has_met(from);
            if unreachable || (member.node.is_none() && !connected) {
                let wait = if member.refuses && !unreachable {
                    self.wire.latency(from, target) * 2
                } else {
                    nanos(self.manners.dial_timeout)
                };
                return self.fail(from, target, life, id, Failure::Unreachable, wait);
            }
            let shakes = if connected {
                0
            } else {
                self.wire.latency(from, target) * 2 * u64::from(self.manners.handshake)
            };
            let bytes = self.request_bytes(&request);
            return self.transmit(bytes, shakes, Packet::Request { from, to: target, life, id, request });
        }
        if member.role.nat {
            self.traffic.lost += 1;
            return;
        }
        let bytes = self.request_bytes(&request);
        self.transmit(bytes, 0, Packet::Request { from, to: target, life, id, request });
    }

    fn request_bytes(&self, request: &Request<O>) -> usize {
        let item = match request {
            Request::Put { item, .. } => O::weight(item),
            _ => 0,
        };
        self.manners.header_bytes + item
    }

    /// Hands a message to the link, and to the receiver as often as the link says; `extra` nanoseconds are added to its way.
    fn transmit(&mut self, bytes: usize, extra: u64, packet: Packet<O>) {
        self.traffic.messages += 1;
        self.traffic.bytes += bytes as u64;
        let (Packet::Request { from, to, .. } | Packet::Answer { from, to, .. }) = packet;
        let first = match self.wire.carry(self.now, from, to, bytes, extra) {
            Carried::Lost => {
                self.traffic.lost += 1;
                return;
            }
            Carried::Broken(at) => {
                self.traffic.lost += 1;
                let (asker, life, id) = match packet {
                    Packet::Request { from, life, id, .. } => (from, life, id),
                    Packet::Answer { to, life, id, .. } => (to, life, id),
                };
                return self.fail(asker, to, life, id, Failure::Reset, at - self.now);
            }
            Carried::Once(at) => at,
            Carried::Twice(first, second) => {
                self.traffic.doubled += 1;
                let handle = self.packets.add(packet.clone());
                self.queue.push(second, Event::Packet(handle));
                first
            }
        };
        let handle = self.packets.add(packet);
        self.queue.push(first, Event::Packet(handle));
    }

    /// The asker's own transport says that nothing will come.
    fn fail(&mut self, asker: u32, from: u32, life: u32, id: RequestId, why: Failure, wait: u64) {
        let handle = self.packets.add(Packet::Answer { from, to: asker, life, id, result: Err(why) });
        self.queue.push(self.now.saturating_add(wait), Event::Packet(handle));
    }

    pub(super) fn on_request(&mut self, from: u32, to: u32, life: u32, id: RequestId, request: Request<O>) {
        let member = &mut self.members[to as usize];
        if member.silent || member.asleep {
            return;
        }
        let Some(mut node) = member.node.take() else {
            // The connection broke with the process; a host that is still there says so.
            if self.manners.introduces && member.refuses {
                self.fail(from, to, life, id, Failure::Reset, 0);
            }
            return;
        };
        let now = self.clock(to);
        if self.manners.introduces {
            self.introduce(&mut node, to, from);
        }
        let asker = self.members[from as usize].contact.clone();
        let asker_serves = self.members[from as usize].role.serves;
        let result = if self.manners.introduces && matches!(request, Request::Ping) {
            Ok(Response::default())
        } else if self.manners.introduces && !node.is_serving() {
            Err(Failure::Unsupported)
        } else if let Some(answer) = self.misbehave(to, &node, now, &asker, &request) {
            answer
        } else {
            self.serve(&mut node, to, now, &asker, request)
        };
        if !self.manners.introduces && asker_serves && asker.peer != node.local().peer {
            node.on_asker(now, asker);
        }
        self.settle(to, node);
        self.answer(to, from, life, id, result);
    }

    /// The answer of a node and its store.
    fn serve(
        &mut self,
        node: &mut Node<O>,
        at: u32,
        now: dht_core::Now,
        asker: &dht_core::Contact<O>,
        request: Request<O>,
    ) -> Result<Response<O>, Failure> {
        match node.serve(now, asker, request) {
            Served::Answer(response) => Ok(response),
            Served::Refused(_) => Err(Failure::Reset),
            Served::Load(load) => {
                let mut found = std::mem::take(&mut self.found);
                found.clear();
                if let Some(store) = &self.members[at as usize].store {
                    // A store that fails is answered like an empty one.
                    store.load_now(&load.query, now, &mut found);
                }
                let (response, _) = load.answer(found.drain(..), &**node.rules(), &**node.validator(), now);
                self.found = found;
                Ok(response)
            }
            Served::Save(save) => {
                let store = self.store(at);
                let saving =
                    store.save(&save.query, save.item.clone(), save.lease.clone(), &**node.validator(), now);
                let Some(saved) = now_or_never(saving) else { return Err(Failure::Reset) };
                let (query, item) = (save.query.clone(), save.item.clone());
                let lifetime = save.lease.lifetime;
                let answer = node.settle(save, &saved).map_err(|_| Failure::Reset);
                if answer.is_ok() {
                    self.taken.push(Taken { holder: at, query, item, lifetime });
                }
                answer
            }
        }
    }

    fn answer(&mut self, from: u32, to: u32, life: u32, id: RequestId, result: Result<Response<O>, Failure>) {
        // Who is refused by datagram is told nothing by those that do not serve.
        if !self.manners.introduces && !self.members[from as usize].role.serves {
            return;
        }
        let items = |r: &Response<O>| -> usize { r.items.iter().map(O::weight).sum() };
        let body = result.as_ref().map_or(0, |r| r.closer.len() * self.manners.contact_bytes + items(r));
        let extra = self.members[from as usize].slow();
        let bytes = self.manners.header_bytes + body;
        self.transmit(bytes, extra, Packet::Answer { from, to, life, id, result });
    }

    pub(super) fn on_answer(
        &mut self,
        from: u32,
        to: u32,
        life: u32,
        id: RequestId,
        result: Result<Response<O>, Failure>,
    ) {
        let member = &mut self.members[to as usize];
        if member.life != life || member.asleep {
            return;
        }
        if policy::is_foreign(id) {
            return self.on_outcome(from, to, id, result);
        }
        let Some(mut node) = member.node.take() else { return };
        let now = self.clock(to);
        match result {
            Ok(response) => {
                if self.manners.introduces {
                    self.introduce(&mut node, to, from);
                }
                node.on_response(now, id, response);
            }
            Err(why) => {
                if why == Failure::Unsupported && self.manners.introduces {
                    self.introduce(&mut node, to, from);
                }
                if matches!(why, Failure::Reset | Failure::Unreachable)
                    && from != to
                    && self.members[from as usize].node.is_none()
                    && self.members[to as usize].part(from)
                {
                    node.on_disconnected(&self.members[from as usize].contact.peer);
                }
                node.on_failure(now, id, why);
            }
        }
        self.settle(to, node);
    }

    /// The first exchange of a connection tells `me` who `other` is and whether it serves.
    pub(super) fn introduce(&mut self, node: &mut Node<O>, me: u32, other: u32) {
        if self.members[me as usize].has_met(other) || me == other {
            return;
        }
        if let Some(trimmed) = self.members[me as usize].meet(other) {
            node.on_disconnected(&self.members[trimmed as usize].contact.peer);
        }
        let now = self.clock(me);
        let other = &self.members[other as usize];
        node.on_peer(now, other.contact.clone(), other.role.serves);
    }
}
