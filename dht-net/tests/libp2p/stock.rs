//! A stock libp2p peer that speaks raw streams: for what a well-behaved peer would never send.

use std::{
    collections::VecDeque,
    convert::Infallible,
    task::{Context, Poll},
};

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{Endpoint, transport::PortUse, upgrade::ReadyUpgrade},
    identify, identity, noise,
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
        NetworkBehaviour, NotifyHandler, SubstreamProtocol, SwarmEvent, ToSwarm, handler::ConnectionEvent,
    },
    tcp, tls, yamux,
};
use tokio::sync::{mpsc, oneshot};

pub const KAD: StreamProtocol = StreamProtocol::new("/ipfs/kad/1.0.0");

type Opened = oneshot::Sender<Option<Stream>>;
type Upgrade = ReadyUpgrade<StreamProtocol>;

/// Opens streams when told to, and hands over those that are opened to it.
pub struct Raw {
    accepted: mpsc::Sender<Stream>,
    output: VecDeque<ToSwarm<Infallible, Opened>>,
}

pub struct RawHandler {
    accepted: mpsc::Sender<Stream>,
    open: VecDeque<Opened>,
}

impl ConnectionHandler for RawHandler {
    type FromBehaviour = Opened;
    type ToBehaviour = Infallible;
    type InboundProtocol = Upgrade;
    type OutboundProtocol = Upgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Opened;

    fn listen_protocol(&self) -> SubstreamProtocol<Upgrade> {
        SubstreamProtocol::new(ReadyUpgrade::new(KAD), ())
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn on_behaviour_event(&mut self, open: Opened) {
        self.open.push_back(open);
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Upgrade, Opened, Infallible>> {
        match self.open.pop_front() {
            Some(open) => Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(ReadyUpgrade::new(KAD), open),
            }),
            None => Poll::Pending,
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Upgrade, Upgrade, (), Opened>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(opened) => drop(self.accepted.try_send(opened.protocol)),
            ConnectionEvent::FullyNegotiatedOutbound(opened) => drop(opened.info.send(Some(opened.protocol))),
            ConnectionEvent::DialUpgradeError(failed) => drop(failed.info.send(None)),
            _ => {}
        }
    }
}

impl NetworkBehaviour for Raw {
    type ConnectionHandler = RawHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<RawHandler, ConnectionDenied> {
        Ok(RawHandler { accepted: self.accepted.clone(), open: VecDeque::new() })
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<RawHandler, ConnectionDenied> {
        Ok(RawHandler { accepted: self.accepted.clone(), open: VecDeque::new() })
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: Infallible) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, Opened>> {
        self.output.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

#[derive(NetworkBehaviour)]
struct Parts {
    raw: Raw,
    identify: identify::Behaviour,
}

enum Command {
    Dial(Multiaddr, oneshot::Sender<bool>),
    Open(PeerId, Opened),
}

/// The protocols that the other side named, each time it named them.
pub type Named = Vec<StreamProtocol>;

pub struct Stock {
    pub peer: PeerId,
    pub addr: Multiaddr,
    pub accepted: mpsc::Receiver<Stream>,
    pub identified: mpsc::Receiver<Named>,
    commands: mpsc::Sender<Command>,
}

impl Stock {
    pub async fn new() -> Self {
        Self::secured(false).await
    }

    /// `only_tls`: does not know Noise.
    pub async fn secured(only_tls: bool) -> Self {
        let keypair = identity::Keypair::generate_ed25519();
        let (accept, accepted) = mpsc::channel(1024);
        let builder = libp2p::SwarmBuilder::with_existing_identity(keypair).with_tokio();
        let parts = move |keypair: &identity::Keypair| Parts {
            raw: Raw { accepted: accept, output: VecDeque::new() },
            identify: identify::Behaviour::new(identify::Config::new("test".into(), keypair.public())),
        };
        let tcp = tcp::Config::default().nodelay(true);
        let mut swarm = if only_tls {
            let builder = builder.with_tcp(tcp, tls::Config::new, yamux::Config::default).unwrap();
            builder.with_behaviour(parts).unwrap().build()
        } else {
            let builder = builder.with_tcp(tcp, noise::Config::new, yamux::Config::default).unwrap();
            builder.with_behaviour(parts).unwrap().build()
        };
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        let addr = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        let peer = *swarm.local_peer_id();
        let (commands, mut orders) = mpsc::channel(1024);
        let (names, identified) = mpsc::channel(64);
        tokio::spawn(async move {
            let mut dialing: Option<oneshot::Sender<bool>> = None;
            loop {
                tokio::select! {
                    event = swarm.select_next_some() => match event {
                        SwarmEvent::Behaviour(PartsEvent::Identify(identify::Event::Received { info, .. })) => {
                            let _ = names.try_send(info.protocols);
                        }
                        SwarmEvent::ConnectionEstablished { .. } => drop(dialing.take().map(|dial| dial.send(true))),
                        SwarmEvent::OutgoingConnectionError { .. } => drop(dialing.take().map(|dial| dial.send(false))),
                        _ => {}
                    },
                    command = orders.recv() => match command {
                        Some(Command::Dial(addr, done)) => {
                            dialing = Some(done);
                            swarm.dial(addr).unwrap();
                        }
                        Some(Command::Open(peer_id, opened)) => {
                            let notify = ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::Any, event: opened };
                            swarm.behaviour_mut().raw.output.push_back(notify);
                        }
                        None => break,
                    },
                }
            }
        });
        Self { peer, addr, accepted, identified, commands }
    }

    pub async fn dial(&self, addr: Multiaddr) -> bool {
        let (done, dialed) = oneshot::channel();
        self.commands.send(Command::Dial(addr, done)).await.unwrap();
        dialed.await.unwrap_or(false)
    }

    pub async fn open(&self, peer: PeerId) -> Option<Stream> {
        let (done, opened) = oneshot::channel();
        self.commands.send(Command::Open(peer, done)).await.unwrap();
        opened.await.ok().flatten()
    }
}
