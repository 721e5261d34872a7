//! Identify, with one difference: where others see us becomes a candidate only by [`Reach`]'s policy.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    identify,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm,
    },
};
use tokio::time::Instant;

use super::{ip::ip_of, reach::Reach};

/// The policy, shared by those who observe and those who test; `None` when nothing is to be found out.
pub(super) type SharedReach = Option<Arc<Mutex<Reach>>>;

/// Calls the policy.
pub(super) fn with_reach<R: Default>(reach: &SharedReach, act: impl FnOnce(&mut Reach) -> R) -> R {
    match reach {
        Some(reach) => act(&mut reach.lock().unwrap_or_else(PoisonError::into_inner)),
        None => R::default(),
    }
}

/// See the module.
pub(super) struct Observer {
    identify: identify::Behaviour,
    reach: SharedReach,
    /// Where each connection comes from; bounded by the connections.
    from: HashMap<ConnectionId, IpAddr>,
    /// Who spoke last: what identify reports next is from there.
    speaker: Option<IpAddr>,
}

impl Observer {
    pub(super) fn new(config: identify::Config, reach: SharedReach) -> Self {
        Self { identify: identify::Behaviour::new(config), reach, from: HashMap::new(), speaker: None }
    }
}

impl NetworkBehaviour for Observer {
    type ConnectionHandler = <identify::Behaviour as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = identify::Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.identify.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.identify.handle_established_outbound_connection(connection, peer, addr, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match &event {
            FromSwarm::ConnectionEstablished(event) => {
                let remote = event.endpoint.get_remote_address();
                ip_of(remote).map(|ip| self.from.insert(event.connection_id, ip));
            }
            FromSwarm::ConnectionClosed(event) => {
                self.from.remove(&event.connection_id);
            }
            _ => {}
        }
        self.identify.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.identify.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<identify::Event, THandlerInEvent<Self>>> {
        while let Poll::Ready(output) = self.identify.poll(cx) {
            match &output {
                ToSwarm::GenerateEvent(identify::Event::Received { connection_id, .. }) => {
                    self.speaker = self.from.get(connection_id).copied();
                }
                ToSwarm::NewExternalAddrCandidate(addr) => {
                    let now = Instant::now();
                    let from = self.speaker;
                    let admitted = with_reach(&self.reach, |reach| {
                        from.is_some_and(|from| reach.observe(addr, from, now))
                    });
                    if !admitted {
                        continue;
                    }
                }
                _ => {}
            }
            return Poll::Ready(output);
        }
        Poll::Pending
    }
}
