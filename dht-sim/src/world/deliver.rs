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
                false => self.squander(&request),
            }
            return;
        }
        let member = &self.members[target as usize];
        let meant = member.contact.peer == to.peer;
        self.traffic.misdirected += u64::from(!meant);
        let shakes = if self.manners.introduces {
            match self.dial(from, target, meant) {
                Ok(shakes) => shakes,
                Err((why, wait)) => {
                    // Of the one that was meant nothing is known, of who lives there nothing has changed.
                    let by = if meant { target } else { from };
                    return self.fail(from, by, life, id, why, wait);
                }
            }
        } else if member.role.nat {
            return self.squander(&request);
        } else {
            0
        };
        let bytes = self.request_bytes(&request);
        self.transmit(bytes, shakes, Packet::Request { from, to: target, life, id, meant, request });
    }

    /// How long it takes until a connection is there, or why there will be none, and when that is known. Handshakes are no
    /// messages; `meant` says whether it is the node at that place that is looked for.
    fn dial(&self, from: u32, to: u32, meant: bool) -> Result<u64, (Failure, u64)> {
        let (member, round_trip) = (&self.members[to as usize], self.wire.latency(from, to) * 2);
        if meant && self.members[from as usize].has_met(to) {
            return Ok(0);
        }
        let timeout = (Failure::Unreachable, nanos(self.manners.dial_timeout));
        // A connection that the other side keeps carries requests both ways.
        let reachable = !member.role.nat || meant && member.has_met(from);
        if !reachable {
            return Err(timeout);
        }
        if member.node.is_none() {
            let refused = member.refuses && self.is_joined(from, to);
            return Err(if refused { (Failure::Unreachable, round_trip) } else { timeout });
        }
        if meant {
            return Ok(round_trip * u64::from(self.manners.handshake));
        }
        // Somebody else lives there, and says so by the handshake.
        let answers = member.is_up() && !member.silent && self.is_joined(from, to);
        Err(if answers { (Failure::WrongPeer, round_trip) } else { timeout })
    }

    fn request_bytes(&self, request: &Request<O>) -> usize {
        let item = match request {
            Request::Put { item, .. } => O::weight(item),
            _ => 0,
        };
        self.manners.header_bytes + item
    }

    /// A datagram goes where nobody takes it.
    fn squander(&mut self, request: &Request<O>) {
        self.traffic.messages += 1;
        self.traffic.bytes += self.request_bytes(request) as u64;
        self.traffic.lost += 1;
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

    /// A request arrives; `meant` says whether it is for the node that lives there.
    pub(super) fn on_request(
        &mut self,
        (from, to): (u32, u32),
        life: u32,
        id: RequestId,
        meant: bool,
        request: Request<O>,
    ) {
        let member = &mut self.members[to as usize];
        if member.asleep || member.node.is_none() {
            self.traffic.lost += 1;
        }
        if member.silent || member.asleep {
            return;
        }
        let Some(mut node) = member.node.take() else {
            // The connection broke with the process; a host that is still there says so.
            if self.manners.introduces && member.refuses && self.is_joined(from, to) {
                let wait = self.wire.latency(to, from);
                self.fail(from, to, life, id, Failure::Reset, wait);
            }
            return;
        };
        let now = self.clock(to);
        if self.manners.introduces {
            self.introduce(&mut node, to, from);
        }
        let asker = self.members[from as usize].contact.clone();
        let asker_serves = self.members[from as usize].role.serves;
        let result = if !meant {
            // The name in the answer is another.
            Err(Failure::WrongPeer)
        } else if self.manners.introduces && matches!(request, Request::Ping) {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dht_core::Contact;

    use super::*;
    use crate::{
        link::Links,
        network::{IpfsNetwork, MainlineNetwork, Network},
        world::{Role, Settings},
    };

    const ROUND_TRIP: u64 = 40_000_000;
    const TIMEOUT: u64 = 10_000_000_000;

    fn world<O: Overlay>(network: impl Network<O> + 'static) -> World<O> {
        let settings = Settings { links: Links::constant(20.0), ..Settings::default() };
        let mut world = World::new(Arc::new(network), settings);
        for i in 0..3 {
            world.place(Role { serves: true, nat: false });
            world.start_node(i).unwrap();
        }
        world
    }

    /// How the first node is told that a request failed, and after what time.
    fn asked<O: Overlay>(world: &mut World<O>, to: &Contact<O>) -> Option<(Failure, u64)> {
        let begun = world.now;
        world.send(0, RequestId(77), to, Request::Ping);
        while let Some((at, event)) = world.queue.pop_until(begun + 2 * TIMEOUT) {
            world.now = at;
            let Event::Packet(handle) = event else { continue };
            match world.packets.take(handle) {
                Packet::Request { from, to, life, id, meant, request } => {
                    world.on_request((from, to), life, id, meant, request);
                }
                Packet::Answer { result, .. } => return result.err().map(|why| (why, at - begun)),
            }
        }
        None
    }

    /// The second node, in all states in which it does not answer, the last of which is across a cut.
    fn states<O: Overlay>() -> [fn(&mut World<O>); 6] {
        [
            |world| world.silence(1, true),
            |world| world.put_to_sleep(1),
            |world| world.stop_node(1, false),
            |world| world.hide(1),
            |world| world.cut_one_way(1.0),
            |world| world.partition(&vec![1.0; 1000]),
        ]
    }

    #[test]
    fn who_is_somebody_else_says_so_if_it_can_say_anything() {
        let place =
            |world: &World<_>| Contact::new(world.network.contact(9).peer, world.network.contact(1).addr);
        let mut up = world(IpfsNetwork::new().unwrap());
        let other = place(&up);
        assert_eq!(asked(&mut up, &other), Some((Failure::WrongPeer, ROUND_TRIP)));
        assert_eq!((up.traffic.misdirected, up.traffic.messages), (1, 0), "handshakes are no messages");
        for state in states() {
            let mut world = world(IpfsNetwork::new().unwrap());
            state(&mut world);
            assert_eq!(asked(&mut world, &other), Some((Failure::Unreachable, TIMEOUT)));
        }
    }

    #[test]
    fn a_datagram_for_somebody_else_is_a_message_and_so_is_its_answer() {
        let mut up = world(MainlineNetwork::default());
        // Whom a server asks looks for it in turn.
        up.members[0].role.serves = false;
        let other = Contact::new(up.network.contact(9).peer, up.network.contact(1).addr);
        assert_eq!(asked(&mut up, &other), Some((Failure::WrongPeer, ROUND_TRIP)));
        assert_eq!((up.traffic.misdirected, up.traffic.messages, up.traffic.lost), (1, 2, 0));
        for state in states() {
            let mut world = world(MainlineNetwork::default());
            state(&mut world);
            assert_eq!(asked(&mut world, &other), None);
            assert_eq!(world.traffic.misdirected, 1);
        }
    }

    #[test]
    fn refusals_do_not_cross_a_cut() {
        for connected in [false, true] {
            for cut in [false, true] {
                let mut world = world(IpfsNetwork::new().unwrap());
                let other = world.network.contact(1);
                world.stop_node(1, true);
                if connected {
                    world.members[0].meet(1);
                }
                if cut && !connected {
                    world.cut_one_way(1.0);
                } else if cut {
                    // Requests arrive and nothing comes back.
                    let draw = (0..).find(|draw| {
                        world.wire.cut_one_way(0.5, *draw);
                        world.is_cut(1, 0) && !world.is_cut(0, 1)
                    });
                    assert!(draw.is_some());
                }
                let told = match (connected, cut) {
                    (false, false) => Some((Failure::Unreachable, ROUND_TRIP)),
                    (false, true) => Some((Failure::Unreachable, TIMEOUT)),
                    (true, false) => Some((Failure::Reset, ROUND_TRIP)),
                    (true, true) => None,
                };
                assert_eq!(asked(&mut world, &other), told, "{connected} {cut}");
            }
        }
    }

    #[test]
    fn farewells_do_not_cross_a_cut() {
        for cut in [false, true] {
            let mut world = world(IpfsNetwork::new().unwrap());
            world.members[0].meet(1);
            world.members[1].meet(0);
            if cut {
                world.cut_one_way(1.0);
            }
            world.stop_node(1, true);
            assert_eq!(world.members[0].has_met(1), cut);
        }
    }
}
