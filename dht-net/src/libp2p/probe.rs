//! The AutoNAT v2 client, made to test again: it is replaced by a new one from time to time.
//!
//! libp2p's client tests an address once, keeps it for ever and never takes a confirmation back. A fresh client that is
//! told of the connections there are knows nothing of earlier tests, so addresses without fresh proof are given to it
//! anew; what came of older tests is ignored by it.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use libp2p::{
    Multiaddr, PeerId,
    autonat::v2::client,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NewExternalAddrCandidate, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm, behaviour::ConnectionEstablished,
    },
};
use tokio::time::{Instant, Sleep, sleep};

use super::observe::{SharedReach, with_reach};

/// See the module.
pub(super) struct Prober {
    client: client::Behaviour,
    reach: SharedReach,
    /// Bounded by the connections.
    connections: HashMap<ConnectionId, (PeerId, ConnectedPoint)>,
    pause: Duration,
    renewal: Pin<Box<Sleep>>,
}

impl Prober {
    /// `recheck`: how long a proof is good for. Looked at twice in that time.
    pub(super) fn new(reach: SharedReach, recheck: Duration) -> Self {
        let pause = recheck / 2;
        let renewal = Box::pin(sleep(pause));
        Self { client: client::Behaviour::default(), reach, connections: HashMap::new(), pause, renewal }
    }

    fn renew(&mut self, now: Instant) {
        self.client = client::Behaviour::default();
        for (connection, (peer, endpoint)) in &self.connections {
            self.client.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id: *peer,
                connection_id: *connection,
                endpoint,
                failed_addresses: &[],
                other_established: 0,
            }));
        }
        for addr in with_reach(&self.reach, |reach| reach.recheck(now)) {
            let candidate = NewExternalAddrCandidate { addr: &addr };
            self.client.on_swarm_event(FromSwarm::NewExternalAddrCandidate(candidate));
        }
    }
}

impl NetworkBehaviour for Prober {
    type ConnectionHandler = <client::Behaviour as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = client::Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.client.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.client.handle_established_outbound_connection(connection, peer, addr, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match &event {
            FromSwarm::ConnectionEstablished(event) => {
                self.connections.insert(event.connection_id, (event.peer_id, event.endpoint.clone()));
                if let ConnectedPoint::Listener { local_addr, send_back_addr } = event.endpoint {
                    let now = Instant::now();
                    with_reach(&self.reach, |reach| reach.entered(local_addr, send_back_addr, now));
                }
            }
            FromSwarm::ConnectionClosed(event) => {
                self.connections.remove(&event.connection_id);
            }
            _ => {}
        }
        self.client.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.client.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<client::Event, THandlerInEvent<Self>>> {
        if self.renewal.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            self.renewal.as_mut().reset(now + self.pause);
            self.renew(now);
            // Has the new sleep register its waker.
            cx.waker().wake_by_ref();
        }
        while let Poll::Ready(output) = self.client.poll(cx) {
            match &output {
                ToSwarm::ExternalAddrConfirmed(addr) => {
                    let now = Instant::now();
                    if !with_reach(&self.reach, |reach| reach.confirm(addr, now)) {
                        continue;
                    }
                }
                ToSwarm::GenerateEvent(event) if event.result.is_err() => {
                    let addr = event.tested_addr.clone();
                    if with_reach(&self.reach, |reach| reach.fail(&addr)) {
                        return Poll::Ready(ToSwarm::ExternalAddrExpired(addr));
                    }
                }
                _ => {}
            }
            return Poll::Ready(output);
        }
        Poll::Pending
    }
}
