//! The DHT's part of the swarm: makes connections for requests that wait for one, and says who is there.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use dht_core::Failure;
use dht_protocol::StreamCodec;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    identify,
    swarm::{
        CloseConnection, ConnectionDenied, ConnectionId, DialError, FromSwarm, NetworkBehaviour, ToSwarm,
        behaviour::ConnectionEstablished,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use thiserror::Error;

use super::{
    HostOverlay,
    admit::Admission,
    handler::{Handler, Notice},
    hub::{Command, Hub},
    mailbox::Mailbox,
    overlay::without_peer,
};
use crate::Incoming;

/// The peer's name is of a kind that the overlay does not know.
#[derive(Debug, Error)]
#[error("the overlay does not know such peers")]
struct Foreign;

/// A connection from the moment its handler exists.
struct Connection<O: HostOverlay> {
    mailbox: Arc<Mailbox<O>>,
    /// Where we dialled; `None` when the other side did.
    dialled: Option<Multiaddr>,
    established: bool,
}

/// See the module.
pub(super) struct Behaviour<O: HostOverlay, C> {
    hub: Arc<Hub<O, C>>,
    protocols: Arc<[StreamProtocol]>,
    admission: Admission,
    /// Bounded by the connection limits.
    connections: HashMap<ConnectionId, Connection<O>>,
    peers: usize,
    /// At most a few for each thing that happens; emptied before anything else does.
    output: VecDeque<ToSwarm<Incoming<O>, Infallible>>,
}

impl<O: HostOverlay, C: StreamCodec<O>> Behaviour<O, C> {
    pub(super) fn new(hub: Arc<Hub<O, C>>, protocols: Arc<[StreamProtocol]>) -> Self {
        Self {
            admission: Admission::new(hub.config.inbound_per_subnet),
            hub,
            protocols,
            connections: HashMap::new(),
            peers: 0,
            output: VecDeque::new(),
        }
    }

    /// Identify said who a peer is.
    pub(super) fn identified(&mut self, peer: &PeerId, connection: ConnectionId, info: identify::Info) {
        let Some(id) = O::from_libp2p(peer) else { return };
        let serves = info.protocols.iter().any(|name| self.protocols.contains(name));
        let dialled = self.connections.get(&connection).and_then(|connection| connection.dialled.clone());
        let addrs = dialled.into_iter().chain(info.listen_addrs);
        let addrs = O::pack(addrs.filter_map(|addr| without_peer(addr, peer)).collect());
        self.tell(&id, Some(addrs), Some(serves));
    }

    fn tell(&mut self, id: &O::PeerId, addr: Option<O::Addr>, serves: Option<bool>) {
        if let Some((contact, serves)) = self.hub.identified(id, addr, serves) {
            self.output.push_back(ToSwarm::GenerateEvent(Incoming::Peer { contact, serves }));
        }
    }

    fn make(
        &mut self,
        connection: ConnectionId,
        peer: &PeerId,
        dialled: Option<Multiaddr>,
    ) -> Result<Handler<O, C>, ConnectionDenied> {
        let id = O::from_libp2p(peer).ok_or_else(|| ConnectionDenied::new(Foreign))?;
        let allowance = self.hub.allowance(&id);
        let mailbox = Arc::new(Mailbox::new(id, connection));
        let made = Connection { mailbox: mailbox.clone(), dialled, established: false };
        self.connections.insert(connection, made);
        Ok(Handler::new(self.hub.clone(), mailbox, self.protocols.clone(), allowance))
    }

    fn established(&mut self, event: ConnectionEstablished<'_>) {
        let Some(connection) = self.connections.get_mut(&event.connection_id) else { return };
        connection.established = true;
        if let ConnectedPoint::Dialer { address, .. } = event.endpoint {
            connection.dialled = without_peer(address.clone(), &event.peer_id);
        }
        if self.hub.connected(connection.mailbox.clone()) == 1 {
            self.count(1);
        }
    }

    fn closed(&mut self, connection: ConnectionId) {
        self.admission.leave(connection);
        let Some(gone) = self.connections.remove(&connection) else { return };
        let peer = gone.mailbox.peer.clone();
        if !gone.established {
            self.hub.abandoned(&peer);
        } else if self.hub.disconnected(&peer, connection) == 0 {
            self.output.push_back(ToSwarm::GenerateEvent(Incoming::Disconnected(peer)));
            self.count(-1);
        }
    }

    fn count(&mut self, by: isize) {
        self.peers = self.peers.saturating_add_signed(by);
        self.output.push_back(ToSwarm::GenerateEvent(Incoming::Connections(self.peers)));
    }

    fn dial(&mut self, id: &O::PeerId, addr: &O::Addr) -> Option<ToSwarm<Incoming<O>, Infallible>> {
        let peer = O::to_libp2p(id)?;
        let addresses = O::multiaddrs(&peer, addr);
        if addresses.is_empty() {
            return None;
        }
        // Who is connected or being dialled for a request is known here; a dial-back of AutoNAT's, which may go
        // elsewhere, must not stand in for ours.
        let opts = DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(addresses).build();
        self.hub.dialed(id, Some(opts.connection_id()));
        Some(ToSwarm::Dial { opts })
    }
}

impl<O: HostOverlay, C: StreamCodec<O>> NetworkBehaviour for Behaviour<O, C> {
    type ConnectionHandler = Handler<O, C>;
    type ToSwarm = Incoming<O>;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.admission.enter(connection, remote).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler<O, C>, ConnectionDenied> {
        self.make(connection, &peer, None)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler<O, C>, ConnectionDenied> {
        self.make(connection, &peer, without_peer(addr.clone(), &peer))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(event) => self.established(event),
            FromSwarm::ConnectionClosed(event) => self.closed(event.connection_id),
            FromSwarm::ListenFailure(event) => self.closed(event.connection_id),
            FromSwarm::DialFailure(event) => {
                self.closed(event.connection_id);
                if let Some(id) = event.peer_id.and_then(|peer| O::from_libp2p(&peer)) {
                    // Our own limits denied it; the peer may be well.
                    let denied = matches!(event.error, DialError::Denied { .. });
                    let why = if denied { Failure::Overloaded } else { Failure::Unreachable };
                    self.hub.dial_failed(&id, event.connection_id, why);
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, notice: Notice) {
        match notice {
            Notice::Serves(on) => {
                if let Some(id) = O::from_libp2p(&peer) {
                    self.tell(&id, None, Some(on));
                }
            }
            Notice::Dead => self.output.push_back(ToSwarm::CloseConnection {
                peer_id: peer,
                connection: CloseConnection::One(connection),
            }),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Incoming<O>, Infallible>> {
        if let Some(output) = self.output.pop_front() {
            return Poll::Ready(output);
        }
        self.hub.register(cx.waker());
        while let Some(command) = self.hub.next_command() {
            match command {
                Command::Close => return Poll::Ready(ToSwarm::GenerateEvent(Incoming::Closed)),
                Command::Disconnect(id) => {
                    if let Some(peer_id) = O::to_libp2p(&id) {
                        return Poll::Ready(ToSwarm::CloseConnection {
                            peer_id,
                            connection: CloseConnection::All,
                        });
                    }
                }
            }
        }
        while let Some((id, addr)) = self.hub.next_dial() {
            match self.dial(&id, &addr) {
                Some(dial) => return Poll::Ready(dial),
                None => self.hub.dialed(&id, None),
            }
        }
        Poll::Pending
    }
}
