//! A libp2p peer that speaks raw streams of the kad protocol: for what a well-behaved peer would never send.

use std::{
    collections::VecDeque,
    convert::Infallible,
    task::{Context, Poll},
};

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{Endpoint, transport::PortUse, upgrade::ReadyUpgrade},
    identify, identity, noise,
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
        NetworkBehaviour, NotifyHandler, SubstreamProtocol, SwarmEvent, ToSwarm, handler::ConnectionEvent,
    },
    tcp, yamux,
};
use tokio::sync::{mpsc, oneshot};

use super::within;

/// The protocol of the network that the tests attack.
const KAD: StreamProtocol = StreamProtocol::new("/test/kad/1.0.0");

type Opened = oneshot::Sender<Option<Stream>>;
type Upgrade = ReadyUpgrade<StreamProtocol>;

/// Opens streams when told to, and hands over those that are opened to it.
pub struct Streams {
    accepted: mpsc::Sender<Stream>,
    output: VecDeque<ToSwarm<Infallible, Opened>>,
}

pub struct Handler {
    accepted: mpsc::Sender<Stream>,
    open: VecDeque<Opened>,
}

impl ConnectionHandler for Handler {
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

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(Handler { accepted: self.accepted.clone(), open: VecDeque::new() })
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(Handler { accepted: self.accepted.clone(), open: VecDeque::new() })
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
    streams: Streams,
    identify: identify::Behaviour,
}

enum Command {
    Dial(Multiaddr, oneshot::Sender<bool>),
    Open(PeerId, Opened),
}

/// One attacker: a peer with its own key and its own connections.
pub struct Raw {
    pub peer: PeerId,
    pub addr: Multiaddr,
    pub accepted: mpsc::Receiver<Stream>,
    commands: mpsc::Sender<Command>,
}

impl Raw {
    pub async fn new() -> Self {
        let keypair = identity::Keypair::generate_ed25519();
        let (accept, accepted) = mpsc::channel(1024);
        let parts = move |keypair: &identity::Keypair| Parts {
            streams: Streams { accepted: accept, output: VecDeque::new() },
            identify: identify::Behaviour::new(identify::Config::new("test".into(), keypair.public())),
        };
        let builder = libp2p::SwarmBuilder::with_existing_identity(keypair).with_tokio();
        let builder =
            builder.with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default).unwrap();
        let mut swarm = builder.with_behaviour(parts).unwrap().build();
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        let addr = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        swarm.add_external_address(addr.clone());
        let peer = *swarm.local_peer_id();
        let (commands, mut orders) = mpsc::channel(1024);
        tokio::spawn(async move {
            let mut dialing: Option<oneshot::Sender<bool>> = None;
            loop {
                tokio::select! {
                    event = swarm.select_next_some() => match event {
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
                            swarm.behaviour_mut().streams.output.push_back(notify);
                        }
                        None => break,
                    },
                }
            }
        });
        Self { peer, addr, accepted, commands }
    }

    /// One that is connected already.
    pub async fn connected(to: &Multiaddr) -> Self {
        let raw = Self::new().await;
        assert!(within(raw.dial(to.clone())).await);
        raw
    }

    pub async fn dial(&self, addr: Multiaddr) -> bool {
        let (done, dialed) = oneshot::channel();
        self.commands.send(Command::Dial(addr, done)).await.unwrap();
        dialed.await.unwrap_or(false)
    }

    /// A stream, unless it is refused.
    pub async fn try_open(&self, peer: PeerId) -> Option<Stream> {
        let (done, opened) = oneshot::channel();
        self.commands.send(Command::Open(peer, done)).await.unwrap();
        within(opened).await.ok().flatten()
    }

    pub async fn open(&self, peer: PeerId) -> Stream {
        self.try_open(peer).await.expect("the stream opens")
    }
}

/// Sends, however far the other side lets us.
pub async fn send(stream: &mut Stream, bytes: &[u8]) -> bool {
    stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok()
}

/// Reads one frame; `None` when the stream ends before it is whole.
pub async fn receive(stream: &mut Stream) -> Option<Vec<u8>> {
    let (mut length, mut shift, mut byte) = (0usize, 0, [0u8; 1]);
    loop {
        stream.read_exact(&mut byte).await.ok()?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await.ok()?;
    Some(frame)
}

/// Whether the stream is reset: yamux says that it ended, and takes nothing more.
pub async fn is_reset(stream: &mut Stream) -> bool {
    let mut rest = Vec::new();
    let _ = within(stream.read_to_end(&mut rest)).await;
    rest.is_empty() && !send(stream, &[0]).await
}
