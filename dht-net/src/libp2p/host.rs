//! The swarm's task: what libp2p reports, told to the driver; trimming; the orderly end.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dht_core::Contact;
use dht_protocol::StreamCodec;
use futures::StreamExt;
use libp2p::{
    Multiaddr, StreamProtocol, Swarm,
    autonat::v2::server,
    connection_limits::{self, ConnectionLimits},
    core::upgrade::Version,
    identify,
    identity::Keypair,
    multiaddr::Protocol,
    swarm::{self, NetworkBehaviour, SwarmEvent, behaviour::toggle::Toggle},
};
use socket2::{Domain, Socket, Type};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{
    Config, HostOverlay, Scope, StartError,
    behaviour::Behaviour,
    hub::Hub,
    ip,
    observe::Observer,
    probe::{Prober, Report},
    reach::Reach,
    stack,
    trim::{self, Candidate},
};
use crate::Incoming;

/// What identify names as the family of protocols.
const FAMILY: &str = "ipfs/0.1.0";
/// How often the number of connections is looked at.
const TRIM_INTERVAL: Duration = Duration::from_secs(1);
/// How long the connections may take to end.
const CLOSING: Duration = Duration::from_millis(1500);
/// How long a listener may take to name its addresses; one of a machine without a network names none.
const LISTENING: Duration = Duration::from_secs(2);

/// Everything that the swarm does.
#[derive(NetworkBehaviour)]
#[behaviour(to_swarm = "Happening<O>")]
pub(super) struct Parts<O: HostOverlay, C: StreamCodec<O>> {
    limits: connection_limits::Behaviour,
    dht: Behaviour<O, C>,
    observer: Observer,
    prober: Toggle<Prober>,
    dial_back: Toggle<server::Behaviour>,
}

/// What its parts report.
pub(super) enum Happening<O: HostOverlay> {
    Dht(Incoming<O>),
    Identify(Box<identify::Event>),
    /// No address of ours can be reached, as far as was found out.
    Unreachable,
    /// Told by other means, or only of interest to others.
    Other,
}

impl<O: HostOverlay> From<Incoming<O>> for Happening<O> {
    fn from(incoming: Incoming<O>) -> Self {
        Self::Dht(incoming)
    }
}

impl<O: HostOverlay> From<identify::Event> for Happening<O> {
    fn from(event: identify::Event) -> Self {
        Self::Identify(Box::new(event))
    }
}

impl<O: HostOverlay> From<Report> for Happening<O> {
    fn from(report: Report) -> Self {
        match report {
            Report::Unreachable => Self::Unreachable,
            Report::Tested => Self::Other,
        }
    }
}

impl<O: HostOverlay> From<server::Event> for Happening<O> {
    fn from(_: server::Event) -> Self {
        Self::Other
    }
}

impl<O: HostOverlay> From<Infallible> for Happening<O> {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Where the host listens, for those who ask from outside its task.
pub(super) type Listening = Arc<Mutex<Vec<Multiaddr>>>;

/// See the module.
pub(super) struct Host<O: HostOverlay, C: StreamCodec<O>> {
    swarm: Swarm<Parts<O, C>>,
    hub: Arc<Hub<O, C>>,
    listening: Listening,
    local: O::Addr,
    reachable: Option<bool>,
}

impl<O: HostOverlay, C: StreamCodec<O>> Host<O, C> {
    /// Sets everything up; nothing is sent or accepted yet.
    pub(super) fn new(keypair: &Keypair, hub: Arc<Hub<O, C>>) -> Result<Self, StartError> {
        let config = &hub.config;
        let transport = stack::build(keypair, config)?;
        let names =
            config.protocols.iter().filter_map(|name| StreamProtocol::try_from_owned(name.clone()).ok());
        let protocols: Arc<[StreamProtocol]> = names.collect();
        let reach = Reach::new(config.scope, config.recheck);
        let reach = config.autonat.then(|| Arc::new(Mutex::new(reach)));
        let identify = identify::Config::new(FAMILY.into(), keypair.public())
            .with_agent_version(config.agent.clone())
            .with_push_listen_addr_updates(true)
            .with_hide_listen_addrs(!config.announce.is_empty())
            .with_cache_size(0);
        let parts = Parts {
            limits: connection_limits::Behaviour::new(limits(config)),
            dht: Behaviour::new(hub.clone(), protocols),
            prober: reach.clone().map(|reach| Prober::new(Some(reach), config.recheck)).into(),
            observer: Observer::new(identify, reach),
            dial_back: config.autonat.then(server::Behaviour::default).into(),
        };
        let options = swarm::Config::with_tokio_executor()
            .with_idle_connection_timeout(config.idle_timeout)
            .with_max_negotiating_inbound_streams(config.inbound_streams_per_peer.max(16))
            .with_substream_upgrade_protocol_override(Version::V1Lazy)
            .with_smart_dial();
        let mut swarm = Swarm::new(transport, parts, keypair.public().to_peer_id(), options);
        config.announce.iter().for_each(|addr| swarm.add_external_address(addr.clone()));
        Ok(Self { swarm, hub, listening: Listening::default(), local: O::Addr::default(), reachable: None })
    }

    pub(super) fn listening(&self) -> Listening {
        self.listening.clone()
    }

    /// Listens on every address of the configuration.
    pub(super) async fn listen(&mut self) -> Result<(), StartError> {
        for addr in self.hub.config.listen.clone() {
            let failed = |cause: String| StartError::Listen { addr: addr.clone(), cause };
            is_free(&addr).map_err(|error| failed(error.to_string()))?;
            let id = self.swarm.listen_on(addr.clone()).map_err(|error| failed(error.to_string()))?;
            let give_up = Instant::now() + LISTENING;
            while let Ok(event) = tokio::time::timeout_at(give_up, self.swarm.select_next_some()).await {
                match &event {
                    SwarmEvent::NewListenAddr { listener_id, .. } if *listener_id == id => {
                        self.happened(event).await;
                        break;
                    }
                    SwarmEvent::ListenerError { listener_id, error } if *listener_id == id => {
                        return Err(failed(error.to_string()));
                    }
                    SwarmEvent::ListenerClosed { listener_id, reason: Err(error), .. }
                        if *listener_id == id =>
                    {
                        return Err(failed(error.to_string()));
                    }
                    _ => drop(self.happened(event).await),
                }
            }
        }
        self.tell_local().await;
        Ok(())
    }

    /// Works until told to close.
    pub(super) async fn run(mut self) {
        let mut trimming = interval(TRIM_INTERVAL);
        trimming.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => {
                    if !self.happened(event).await {
                        break;
                    }
                }
                _ = trimming.tick() => self.trim(),
            }
        }
        let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let ended = async {
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        // Whoever does not end in time is dropped with the swarm.
        let _ = timeout(CLOSING, ended).await;
    }

    /// Tells the driver what is of interest to it; `false` when it wants the end.
    async fn happened(&mut self, event: SwarmEvent<Happening<O>>) -> bool {
        match event {
            SwarmEvent::Behaviour(Happening::Dht(Incoming::Closed)) => return false,
            SwarmEvent::Behaviour(Happening::Dht(incoming)) => self.hub.report(incoming).await,
            SwarmEvent::Behaviour(Happening::Identify(event)) => {
                if let identify::Event::Received { connection_id, peer_id, info } = *event {
                    self.swarm.behaviour_mut().dht.identified(&peer_id, connection_id, info);
                }
            }
            SwarmEvent::NewListenAddr { .. } | SwarmEvent::ExpiredListenAddr { .. } => {
                self.tell_local().await
            }
            SwarmEvent::ExternalAddrConfirmed { .. }
            | SwarmEvent::ExternalAddrExpired { .. }
            | SwarmEvent::Behaviour(Happening::Unreachable) => {
                self.tell_local().await;
                let reachable = reachability(self.swarm.external_addresses(), &self.hub.config.announce);
                if self.reachable != reachable {
                    self.reachable = reachable;
                    self.hub.report(Incoming::Reachable(reachable)).await;
                }
            }
            _ => {}
        }
        true
    }

    /// Tells where this node is, when that changed: what the configuration says, or what was found out.
    async fn tell_local(&mut self) {
        let mut listening: Vec<_> = self.swarm.listeners().cloned().collect();
        listening.sort();
        *self.listening.lock().unwrap_or_else(PoisonError::into_inner) = listening.clone();
        let config = &self.hub.config;
        let local = if config.announce.is_empty() {
            let mut confirmed: Vec<_> = self.swarm.external_addresses().cloned().collect();
            confirmed.sort();
            let all = confirmed.into_iter().chain(listening);
            all.filter(|addr| config.scope == Scope::Any || ip::ip_of(addr).is_some_and(ip::is_global))
                .collect()
        } else {
            config.announce.clone()
        };
        let local = O::pack(local);
        if local != self.local {
            self.local = local.clone();
            if let Some(peer) = O::from_libp2p(self.swarm.local_peer_id()) {
                self.hub.report(Incoming::Local(Contact::new(peer, local))).await;
            }
        }
    }

    fn trim(&mut self) {
        let config = &self.hub.config;
        if self.swarm.network_info().num_peers() <= config.low_water {
            return;
        }
        let now = Instant::now();
        let candidate = |mailbox: &super::mailbox::Mailbox<O>| {
            let age = now.saturating_duration_since(mailbox.since);
            Candidate {
                connection: mailbox.connection,
                protected: mailbox.is_protected(),
                load: mailbox.load(),
                age,
                idle: age.saturating_sub(Duration::from_millis(mailbox.used() as u64)),
            }
        };
        let open = self.hub.mailboxes().iter().map(|mailbox| candidate(mailbox)).collect();
        for connection in trim::victims(open, config.low_water, config.high_water, config.grace) {
            self.swarm.close_connection(connection);
        }
    }
}

/// Whether others reach us at any address, as far as was found out by dial-backs: `external` are those that succeeded and
/// the announced ones.
///
/// An announced address is never tested: it is the operator's word, often for a way that no dial-back can take. So it is
/// no proof, which mode `Auto` asks for, but it is not found closed either: with one it is never known that no address is
/// reachable, which mode `AutoServer` asks for. Otherwise a side address that strangers name (QUIC where UDP is closed),
/// or the loss of one, would end the service at the address that the operator vouches for.
fn reachability<'a>(
    mut external: impl Iterator<Item = &'a Multiaddr>,
    announced: &[Multiaddr],
) -> Option<bool> {
    let found = external.any(|addr| !announced.contains(addr));
    (found || announced.is_empty()).then_some(found)
}

/// Whether nobody listens on this TCP port. libp2p shares ports, so that it can dial from the one it listens on: a
/// second program on the same port would be taken in silence and get a part of the connections.
fn is_free(addr: &Multiaddr) -> io::Result<()> {
    let mut parts = addr.iter();
    let (Some(ip), Some(Protocol::Tcp(port))) = (ip::ip_of(addr), parts.nth(1)) else { return Ok(()) };
    let domain = if ip.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::STREAM, None)?;
    if ip.is_ipv6() {
        // As libp2p does: the same port of IPv4 is another matter.
        socket.set_only_v6(true)?;
    }
    #[cfg(unix)] // elsewhere it would share the port
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::new(ip, port).into())
}

fn limits(config: &Config) -> ConnectionLimits {
    ConnectionLimits::default()
        .with_max_pending_incoming(Some(config.max_inbound_connections))
        .with_max_pending_outgoing(Some(config.max_connections))
        .with_max_established_incoming(Some(config.max_inbound_connections))
        .with_max_established(Some(config.max_connections))
        .with_max_established_per_peer(Some(config.connections_per_peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_address_is_no_proof_and_is_not_known_to_be_closed() {
        let [ours, other] = ["/ip4/1.2.3.4/tcp/4001", "/ip4/1.2.3.4/udp/4001/quic-v1"]
            .map(|addr| addr.parse::<Multiaddr>().unwrap());
        let announced = std::slice::from_ref(&ours);
        assert_eq!(reachability([].into_iter(), &[]), Some(false));
        assert_eq!(reachability([&other].into_iter(), &[]), Some(true));
        assert_eq!(reachability([&ours, &other].into_iter(), announced), Some(true));
        assert_eq!(reachability([&ours].into_iter(), announced), None, "whatever else failed or was lost");
    }
}
