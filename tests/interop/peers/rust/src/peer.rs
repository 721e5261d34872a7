//! The task that owns the swarm: it turns commands into calls of the library and its events into replies.

use std::{collections::HashMap, error::Error, time::Duration};

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, identify,
    kad::{self, Quorum, Record, store::MemoryStore},
    noise, ping,
    swarm::{NetworkBehaviour, SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Command, Outcome,
    lines::{self, Arguments},
    queries::Queries,
};

#[derive(NetworkBehaviour)]
struct Behaviour {
    kad: kad::Behaviour<MemoryStore>,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

pub struct Peer {
    swarm: Swarm<Behaviour>,
    protocol: StreamProtocol,
    queries: Queries,
    dials: HashMap<PeerId, Vec<oneshot::Sender<Outcome>>>,
    identified: HashMap<PeerId, identify::Info>,
}

impl Peer {
    pub fn new(arguments: &Arguments) -> Result<Self, Box<dyn Error>> {
        let protocol = StreamProtocol::try_from_owned(format!("{}/kad/1.0.0", arguments.prefix))?;
        let mut swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)?
            .with_behaviour(|key| {
                let local = key.public().to_peer_id();
                let mut config = kad::Config::new(protocol.clone());
                config.set_periodic_bootstrap_interval(None); // a refresh happens when the test asks for it
                Behaviour {
                    kad: kad::Behaviour::with_config(local, MemoryStore::new(local), config),
                    identify: identify::Behaviour::new(identify::Config::new(
                        "ipfs/0.1.0".into(),
                        key.public(),
                    )),
                    ping: ping::Behaviour::default(),
                }
            })?
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
            .build();
        let mode = if arguments.server { kad::Mode::Server } else { kad::Mode::Client };
        swarm.behaviour_mut().kad.set_mode(Some(mode));
        Ok(Self {
            swarm,
            protocol,
            queries: Queries::default(),
            dials: HashMap::new(),
            identified: HashMap::new(),
        })
    }

    /// Listens, and returns the first line of the protocol.
    pub async fn ready(&mut self, listen: &Multiaddr) -> Result<Value, Box<dyn Error>> {
        self.swarm.listen_on(listen.clone())?;
        let peer = *self.swarm.local_peer_id();
        loop {
            if let SwarmEvent::NewListenAddr { address, .. } = self.swarm.select_next_some().await {
                // ADD_PROVIDER carries external addresses only, and the reference refuses one that carries none.
                self.swarm.add_external_address(address.clone());
                return Ok(json!({
                    "event": "ready",
                    "peer": peer.to_string(),
                    "addrs": [format!("{address}/p2p/{peer}")],
                }));
            }
        }
    }

    pub async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                command = inbox.recv() => match command {
                    Some(Command { request, reply }) => self.on_command(&request, reply),
                    None => return,
                },
            }
        }
    }

    fn on_command(&mut self, request: &Value, reply: oneshot::Sender<Outcome>) {
        let outcome = match request["op"].as_str() {
            Some("connect") => match self.dial(request) {
                Ok(Some(peer)) => return self.dials.entry(peer).or_default().push(reply),
                Ok(None) => Ok(json!({})),
                Err(error) => Err(error),
            },
            Some("table") => Ok(json!({ "peers": self.table() })),
            Some("protocols") => self.protocols(request),
            _ => match self.start(request) {
                Ok(query) => return self.queries.await_result(query, request, reply),
                Err(error) => Err(error),
            },
        };
        // A requester that gave up needs no answer.
        let _ = reply.send(outcome);
    }

    /// Starts a query of the library for every operation that is one.
    fn start(&mut self, request: &Value) -> Result<kad::QueryId, String> {
        let kad = &mut self.swarm.behaviour_mut().kad;
        match lines::text(request, "op")? {
            "refresh" => kad.bootstrap().map_err(|e| e.to_string()),
            "find_peer" => Ok(kad.get_closest_peers(lines::peer(request)?)),
            "closest" => Ok(kad.get_closest_peers(lines::bytes(request, "key")?)),
            "put" => {
                let record = Record::new(lines::bytes(request, "key")?, lines::bytes(request, "value")?);
                kad.put_record(record, Quorum::One).map_err(|e| e.to_string())
            }
            "get" => Ok(kad.get_record(lines::bytes(request, "key")?.into())),
            "provide" => kad.start_providing(lines::provider_key(request)?).map_err(|e| e.to_string()),
            "providers" => Ok(kad.get_providers(lines::provider_key(request)?)),
            other => Err(format!("unsupported: {other}")),
        }
    }

    /// The peer to wait for, or nothing when it is connected already.
    fn dial(&mut self, request: &Value) -> Result<Option<PeerId>, String> {
        let addr: Multiaddr = lines::text(request, "addr")?.parse().map_err(|e| format!("addr: {e}"))?;
        let options = DialOpts::from(addr);
        let peer = options.get_peer_id().ok_or("the address names no peer")?;
        if self.swarm.is_connected(&peer) {
            return Ok(None);
        }
        self.swarm.dial(options).map_err(|e| e.to_string())?;
        Ok(Some(peer))
    }

    fn table(&mut self) -> Vec<String> {
        let mut peers = Vec::new();
        for bucket in self.swarm.behaviour_mut().kad.kbuckets() {
            peers.extend(bucket.iter().map(|entry| entry.node.key.preimage().to_string()));
        }
        peers
    }

    fn protocols(&self, request: &Value) -> Outcome {
        let peer = lines::peer(request)?;
        let info = self.identified.get(&peer).ok_or("not identified")?;
        let protocols: Vec<_> = info.protocols.iter().map(ToString::to_string).collect();
        Ok(json!({ "protocols": protocols, "connected": self.swarm.is_connected(&peer) }))
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => self.dialled(peer_id, Ok(json!({}))),
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer_id), error, .. } => {
                self.dialled(peer_id, Err(error.to_string()));
            }
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received {
                peer_id,
                info,
                ..
            })) => {
                self.on_identified(peer_id, info);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Kad(kad::Event::OutboundQueryProgressed {
                id,
                result,
                step,
                ..
            })) => self.queries.on_progress(id, result, step.last, &self.identified),
            _ => {}
        }
    }

    fn dialled(&mut self, peer: PeerId, outcome: Outcome) {
        for reply in self.dials.remove(&peer).unwrap_or_default() {
            let _ = reply.send(outcome.clone());
        }
    }

    /// What every user of the library has to do by hand: kad does not see the addresses that identify learned.
    fn on_identified(&mut self, peer: PeerId, info: identify::Info) {
        if info.protocols.contains(&self.protocol) {
            for addr in &info.listen_addrs {
                self.swarm.behaviour_mut().kad.add_address(&peer, addr.clone());
            }
        }
        self.identified.insert(peer, info);
    }
}
