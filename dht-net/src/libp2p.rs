//! The IPFS host: requests and answers over libp2p streams.
//!
//! This module is the only place that knows libp2p. It moves bytes and bounds what strangers can make us hold; it judges
//! no peer, and times out nothing but connecting, half-sent messages and silent streams.
//!
//! [`Libp2p`] is the driver's end. The swarm runs in a task of its own and connections in theirs; between them lies a
//! directory of who is connected, and each connection has a mailbox, so that a slow one holds up nobody else.

mod admit;
mod behaviour;
mod budget;
mod config;
mod directory;
mod frame;
mod guard;
mod handler;
mod host;
mod hub;
mod inbound;
mod ip;
mod mailbox;
mod observe;
mod outbound;
mod overlay;
mod ping;
mod probe;
mod reach;
mod sending;
mod slots;
mod stack;
mod trim;
mod upgrade;
mod waiting;

#[cfg(test)]
#[path = "../tests/libp2p/dialect.rs"]
#[allow(dead_code, unreachable_pub)] // the integration tests use the rest
mod dialect;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
pub use config::{Config, Scope, StartError};
use dht_core::{Contact, Failure, Request, RequestId, Response};
use dht_protocol::{Refusal, StreamCodec};
use host::{Host, Listening};
use hub::{Command, Event, Hub};
pub use libp2p::{Multiaddr, PeerId, identity::Keypair};
use mailbox::{Job, Reply, Return, Task};
pub use overlay::HostOverlay;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use crate::{Incoming, Order, ReplyToken, Transport};

/// How long [`Transport::close`] waits for the host's task before it is aborted.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(1900);

/// A libp2p host that speaks one DHT protocol in the dialect `C`.
///
/// Dropping it ends everything at once; [`Transport::close`] says goodbye first.
pub struct Libp2p<O: HostOverlay, C: StreamCodec<O>> {
    hub: Arc<Hub<O, C>>,
    events: mpsc::Receiver<Event<O>>,
    host: JoinHandle<()>,
    listening: Listening,
    peer: O::PeerId,
    /// Requests that wait for an answer, and whom they were sent to; at most `max_requests`.
    requests: HashMap<RequestId, O::PeerId>,
    /// Strangers' requests that wait for ours; at most `inbound_requests`.
    returns: HashMap<u64, Return<O>>,
    next_token: u64,
    /// Outcomes that were clear at once; at most one for each call since [`Transport::next`].
    ready: VecDeque<Incoming<O>>,
    closed: bool,
}

impl<O: HostOverlay, C: StreamCodec<O>> Libp2p<O, C> {
    /// Starts a host on the current tokio runtime. When this returns it listens on every address of the configuration.
    ///
    /// # Errors
    /// When an option is wrong, an address cannot be listened on, or a transport cannot be set up.
    pub async fn new(keypair: Keypair, codec: C, config: Config) -> Result<Self, StartError> {
        config.validate()?;
        let peer = O::from_libp2p(&keypair.public().to_peer_id()).ok_or(StartError::Identity)?;
        let (hub, events) = Hub::new(codec, config);
        let mut host = Host::new(&keypair, hub.clone())?;
        host.listen().await?;
        Ok(Self {
            hub,
            events,
            listening: host.listening(),
            host: tokio::spawn(host.run()),
            peer,
            requests: HashMap::new(),
            returns: HashMap::new(),
            next_token: 0,
            ready: VecDeque::new(),
            closed: false,
        })
    }

    /// The own peer ID.
    pub fn local_peer(&self) -> &O::PeerId {
        &self.peer
    }

    /// Where the host listens now, with the ports it got and one address for each interface.
    pub fn listen_addrs(&self) -> Vec<Multiaddr> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn start(&mut self, id: RequestId, to: Contact<O>, task: Task<O>) {
        let peer = to.peer.clone();
        let started = if self.closed {
            Err(Failure::Closed)
        } else if self.requests.len() >= self.hub.config.max_requests {
            Err(Failure::Overloaded)
        } else {
            self.hub.dispatch(to, Job { id, task, retried: false })
        };
        match started {
            Ok(()) => drop(self.requests.insert(id, peer)),
            Err(why) => self.ready.push_back(Incoming::Failure { id, why }),
        }
    }

    /// What an event means to the driver, if it still does.
    fn incoming(&mut self, event: Event<O>) -> Option<Incoming<O>> {
        Some(match event {
            Event::Answer(id, response) => {
                self.requests.remove(&id)?;
                Incoming::Answer { id, response }
            }
            Event::Failure(id, why) => {
                self.requests.remove(&id)?;
                Incoming::Failure { id, why }
            }
            Event::Request(back, request) => {
                let token = self.next_token;
                self.next_token += 1;
                let from = Contact::new(back.mailbox.peer.clone(), back.mailbox.addr());
                self.returns.insert(token, back);
                // Who serves is told by identify, not by asking.
                Incoming::Request { token: ReplyToken(token), from, serves: false, request }
            }
            Event::Other(incoming) => incoming,
        })
    }
}

#[async_trait]
impl<O: HostOverlay, C: StreamCodec<O>> Transport<O> for Libp2p<O, C> {
    fn send(&mut self, id: RequestId, to: Contact<O>, request: Request<O>) {
        self.start(id, to, Task::Ask(request));
    }

    fn forget(&mut self, id: RequestId) {
        if let Some(peer) = self.requests.remove(&id) {
            self.hub.forget(&peer, id);
        }
    }

    fn reply(&mut self, token: ReplyToken, answer: Result<&mut Response<O>, Refusal>) {
        if let Some(Return { mailbox, stream, number }) = self.returns.remove(&token.0) {
            self.hub.requests.give(1);
            // It is encoded where the connection lives.
            let response = answer.ok().map(std::mem::take);
            mailbox.reply(Reply { stream, number, response });
        }
    }

    fn order(&mut self, order: Order<O>) {
        match order {
            Order::Serve(on) => self.hub.set_serve(on),
            Order::Protect { peer, on } => self.hub.protect(&peer, on),
            Order::Dial { id, to } => self.start(id, to, Task::Connect),
            // Here nobody is met without knowing whom: the handshake proves a name.
            Order::Greet { id, .. } => {
                self.ready.push_back(Incoming::Failure { id, why: Failure::Unsupported });
            }
            Order::Disconnect(peer) => self.hub.command(Command::Disconnect(peer)),
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Incoming<O>> {
        loop {
            if let Some(incoming) = self.ready.pop_front() {
                return Poll::Ready(incoming);
            }
            if self.closed {
                return Poll::Pending;
            }
            match ready!(self.events.poll_recv(cx)) {
                Some(event) => {
                    if let Some(incoming) = self.incoming(event) {
                        return Poll::Ready(incoming);
                    }
                }
                None => return Poll::Pending,
            }
        }
    }

    async fn close(&mut self) {
        if self.closed {
            return;
        }
        self.closed = true;
        self.hub.command(Command::Close);
        // The host may be waiting for room to tell something that nobody wants to know any more.
        self.events.close();
        while self.events.try_recv().is_ok() {}
        if timeout(CLOSE_TIMEOUT, &mut self.host).await.is_err() {
            self.host.abort();
        }
        self.returns.clear();
        let open: Vec<_> = self.requests.drain().map(|(id, _)| id).collect();
        self.ready.extend(open.into_iter().map(|id| Incoming::Failure { id, why: Failure::Closed }));
        self.ready.push_back(Incoming::Closed);
    }
}

impl<O: HostOverlay, C: StreamCodec<O>> Drop for Libp2p<O, C> {
    fn drop(&mut self) {
        self.host.abort();
    }
}
