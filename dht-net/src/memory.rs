//! A network inside one process: peers exchange requests and responses as values, without codec or sockets.
//!
//! It behaves as a connected transport does: two peers that exchange anything are introduced to one another, a client
//! refuses requests, a peer that leaves resets what was under way. It adds no delay and loses nothing.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use derive_where::derive_where;
use dht_core::{Contact, Failure, Overlay, Request, RequestId, Response};
use dht_protocol::Refusal;
use tokio::sync::mpsc;

use crate::{Incoming, Order, ReplyToken, Transport};

/// Messages that wait in front of one peer; a sender finds it overloaded beyond.
const BACKLOG: usize = 4096;

enum Packet<O: Overlay> {
    Hello { contact: Contact<O>, serves: bool },
    Request { from: Contact<O>, id: RequestId, request: Request<O> },
    Answer { id: RequestId, result: Result<Response<O>, Failure> },
    Bye { peer: O::PeerId },
}

struct Port<O: Overlay> {
    sender: mpsc::Sender<Packet<O>>,
    contact: Contact<O>,
    serves: bool,
}

/// The network that [`Memory`] transports meet in.
#[derive_where(Clone)]
pub struct Hub<O: Overlay> {
    ports: Arc<Mutex<BTreeMap<O::PeerId, Port<O>>>>,
}

impl<O: Overlay> Default for Hub<O> {
    fn default() -> Self {
        Self { ports: Arc::default() }
    }
}

impl<O: Overlay> Hub<O> {
    /// An empty network.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a peer, a client until [`Order::Serve`]; it takes the place of an earlier one of the same name.
    pub fn join(&self, contact: Contact<O>) -> Memory<O> {
        let (sender, packets) = mpsc::channel(BACKLOG);
        let port = Port { sender, contact: contact.clone(), serves: false };
        self.lock().insert(contact.peer.clone(), port);
        let mut ready = VecDeque::new();
        ready.push_back(Incoming::Local(contact.clone()));
        ready.push_back(Incoming::Reachable(Some(true)));
        Memory {
            hub: self.clone(),
            local: contact,
            packets,
            ready,
            connected: BTreeSet::new(),
            waiting: BTreeMap::new(),
            asked: BTreeMap::new(),
            next_token: 0,
            closed: false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<O::PeerId, Port<O>>> {
        // The map stays consistent at every step, so a panic elsewhere does not spoil it.
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One peer's end of a [`Hub`].
pub struct Memory<O: Overlay> {
    hub: Hub<O>,
    local: Contact<O>,
    packets: mpsc::Receiver<Packet<O>>,
    ready: VecDeque<Incoming<O>>,
    connected: BTreeSet<O::PeerId>,
    waiting: BTreeMap<RequestId, O::PeerId>,
    asked: BTreeMap<ReplyToken, (O::PeerId, RequestId)>,
    next_token: u64,
    closed: bool,
}

impl<O: Overlay> Memory<O> {
    /// Hands `packet` to `peer`, introducing the two first if they have not met.
    fn deliver(&mut self, peer: &O::PeerId, needs_server: bool, packet: Packet<O>) -> Result<(), Failure> {
        let ports = self.hub.lock();
        let own_serves = ports.get(&self.local.peer).is_some_and(|port| port.serves);
        let port = ports.get(peer).ok_or(Failure::Unreachable)?;
        if !self.connected.contains(peer) {
            let hello = Packet::Hello { contact: self.local.clone(), serves: own_serves };
            port.sender.try_send(hello).map_err(|_| Failure::Overloaded)?;
            self.connected.insert(peer.clone());
            self.ready.push_back(Incoming::Peer { contact: port.contact.clone(), serves: port.serves });
            self.ready.push_back(Incoming::Connections(self.connected.len()));
        }
        if needs_server && !port.serves {
            return Err(Failure::Unsupported);
        }
        port.sender.try_send(packet).map_err(|_| Failure::Overloaded)
    }

    fn dial(&mut self, id: RequestId, peer: &O::PeerId) {
        let met = {
            let hello_again = Packet::Hello { contact: self.local.clone(), serves: self.serves() };
            self.deliver(peer, false, hello_again)
        };
        self.ready.push_back(match met {
            Ok(()) => Incoming::Answer { id, response: Response::default() },
            Err(why) => Incoming::Failure { id, why },
        });
    }

    fn greet(&mut self, id: RequestId, addr: &O::Addr) {
        let there =
            self.hub.lock().values().find(|port| port.contact.addr == *addr).map(|p| p.contact.clone());
        let met = there.ok_or(Failure::Unreachable).and_then(|contact| {
            let hello_again = Packet::Hello { contact: self.local.clone(), serves: self.serves() };
            self.deliver(&contact.peer, false, hello_again).map(|()| contact)
        });
        self.ready.push_back(match met {
            Ok(contact) => Incoming::Greeted { id, contact },
            Err(why) => Incoming::Failure { id, why },
        });
    }

    fn serves(&self) -> bool {
        self.hub.lock().get(&self.local.peer).is_some_and(|port| port.serves)
    }

    fn serve(&mut self, on: bool) {
        let mut ports = self.hub.lock();
        if let Some(port) = ports.get_mut(&self.local.peer) {
            port.serves = on;
        }
        for peer in &self.connected {
            if let Some(port) = ports.get(peer) {
                // A peer with a full backlog learns of it with the next refused request.
                let _ = port.sender.try_send(Packet::Hello { contact: self.local.clone(), serves: on });
            }
        }
    }

    fn on_packet(&mut self, packet: Packet<O>) {
        match packet {
            Packet::Hello { contact, serves } => {
                if self.connected.insert(contact.peer.clone()) {
                    self.ready.push_back(Incoming::Connections(self.connected.len()));
                }
                self.ready.push_back(Incoming::Peer { contact, serves });
            }
            Packet::Request { from, id, request: Request::Ping } => {
                let pong = Packet::Answer { id, result: Ok(Response::default()) };
                // When the asker is gone nobody misses the answer.
                let _ = self.deliver(&from.peer, false, pong);
            }
            Packet::Request { from, id, request } => {
                let token = ReplyToken(self.next_token);
                self.next_token += 1;
                self.asked.insert(token, (from.peer.clone(), id));
                self.ready.push_back(Incoming::Request { token, from, serves: false, request });
            }
            Packet::Answer { id, result } => {
                if self.waiting.remove(&id).is_some() {
                    self.ready.push_back(match result {
                        Ok(response) => Incoming::Answer { id, response },
                        Err(why) => Incoming::Failure { id, why },
                    });
                }
            }
            Packet::Bye { peer } => self.on_bye(&peer),
        }
    }

    fn on_bye(&mut self, peer: &O::PeerId) {
        let broken: Vec<_> =
            self.waiting.iter().filter(|(_, whom)| *whom == peer).map(|(id, _)| *id).collect();
        for id in broken {
            self.waiting.remove(&id);
            self.ready.push_back(Incoming::Failure { id, why: Failure::Reset });
        }
        if self.connected.remove(peer) {
            self.ready.push_back(Incoming::Disconnected(peer.clone()));
            self.ready.push_back(Incoming::Connections(self.connected.len()));
        }
    }

    fn leave(&mut self) {
        let mut ports = self.hub.lock();
        // Where another one took the name, the port is no longer ours.
        if !self.packets.is_closed() {
            ports.remove(&self.local.peer);
        }
        for peer in std::mem::take(&mut self.connected) {
            if let Some(port) = ports.get(&peer) {
                // A peer with a full backlog finds out when it next asks.
                let _ = port.sender.try_send(Packet::Bye { peer: self.local.peer.clone() });
            }
        }
    }
}

#[async_trait]
impl<O: Overlay> Transport<O> for Memory<O> {
    fn send(&mut self, id: RequestId, to: Contact<O>, request: Request<O>) {
        let needs_server = !matches!(request, Request::Ping);
        let packet = Packet::Request { from: self.local.clone(), id, request };
        match self.deliver(&to.peer, needs_server, packet) {
            Ok(()) => {
                self.waiting.insert(id, to.peer);
            }
            Err(why) => self.ready.push_back(Incoming::Failure { id, why }),
        }
    }

    fn forget(&mut self, id: RequestId) {
        self.waiting.remove(&id);
    }

    fn reply(&mut self, token: ReplyToken, answer: Result<&mut Response<O>, Refusal>) {
        if let Some((peer, id)) = self.asked.remove(&token) {
            let result = answer.map(std::mem::take).map_err(|_| Failure::Reset);
            // When the asker is gone nobody misses the answer.
            let _ = self.deliver(&peer, false, Packet::Answer { id, result });
        }
    }

    fn order(&mut self, order: Order<O>) {
        match order {
            Order::Serve(on) => self.serve(on),
            Order::Dial { id, to } => self.dial(id, &to.peer),
            Order::Disconnect(peer) => {
                if let Some(port) = self.hub.lock().get(&peer) {
                    // A peer with a full backlog finds out when it next asks.
                    let _ = port.sender.try_send(Packet::Bye { peer: self.local.peer.clone() });
                }
                self.on_bye(&peer);
            }
            Order::Greet { id, addr } => self.greet(id, &addr),
            // Nothing is ever trimmed here.
            Order::Protect { .. } => {}
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Incoming<O>> {
        loop {
            if let Some(incoming) = self.ready.pop_front() {
                return Poll::Ready(incoming);
            }
            match ready!(self.packets.poll_recv(cx)) {
                Some(packet) if !self.closed => self.on_packet(packet),
                // Another peer took this name, or the transport was closed.
                _ if !self.closed => {
                    self.closed = true;
                    return Poll::Ready(Incoming::Closed);
                }
                _ => return Poll::Pending,
            }
        }
    }

    async fn close(&mut self) {
        self.leave();
        self.closed = true;
    }
}

impl<O: Overlay> Drop for Memory<O> {
    fn drop(&mut self) {
        if !self.closed {
            self.leave();
        }
    }
}
