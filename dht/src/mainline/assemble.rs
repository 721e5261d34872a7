//! From a builder to running nodes, one for each socket.

use std::{net::SocketAddr, sync::Arc};

use dht_core::{
    Contact, Request, Rng, Sink,
    rand_core::{Rng as _, SeedableRng},
};
use dht_mainline::{
    Admission, CodecConfig, Endpoint, InfoHash, KrpcCodec, Mainline, NodeId, Query, Record, Records,
    RequestHook, SampleStore, ServerRules, Sibling, Tokens,
    address::{self, Reach},
    compact::Family,
};
use dht_metrics::Metrics;
use dht_net::{Clock, DriverConfig, Mode, SystemClock, Transport, tcp::Pool, udp::Udp};
use dht_protocol::{Node, Parts};
use dht_records::{MemoryStore, Store};
use tokio::sync::broadcast;

use super::{
    BuildError, Builder, Options, Socket, State,
    exchange::Exchange,
    join::{Doors, keep_joined, keep_siblings},
};
use crate::{CallOptions, Dht, node::Shared};

/// Questions of strangers that wait for a harvest; more are missed.
const OVERHEARD: usize = 1024;

/// What one node is, before it has a transport.
struct Plan {
    local: Contact<Mainline>,
    rules: ServerRules,
    seed: u64,
    doors: Doors,
}

impl Builder {
    /// Opens the sockets and starts the nodes. Joining begins at once, in the background; [`Dht::bootstrap`] waits for it.
    ///
    /// # Errors
    /// When an option is wrong or a socket cannot be opened.
    pub async fn build(mut self) -> Result<Dht<Mainline>, BuildError> {
        self.options.validate()?;
        let mut rng = self.rng();
        let metrics = self.counters()?;
        let listen = self.options.listen.clone();
        let both: [Sibling; 2] = [Sibling::new(), Sibling::new()];
        let mut nodes: Vec<Dht<Mainline>> = Vec::new();
        for (i, addr) in listen.into_iter().enumerate().rev() {
            let plan = self.plan(i, addr, &mut rng);
            let family = Family::of(addr.ip());
            let [v4, v6] = &both;
            let codec = KrpcCodec::new(CodecConfig {
                reach: plan.rules.reach,
                sibling: Some(if family == Family::V4 { v6.clone() } else { v4.clone() }),
                ..CodecConfig::new(plan.local.peer, family, plan.rules.tokens.clone(), rng.next_u64())
            });
            let udp = Udp::bind(addr, codec, self.udp(), rng.next_u64()).map_err(|error| match error {
                dht_net::udp::BindError::Config(error) => BuildError::Config(error),
                dht_net::udp::BindError::Socket { addr, source } => BuildError::Listen { addr, why: source },
                _ => BuildError::Listen { addr, why: std::io::Error::other(error) },
            })?;
            // Tickets are judged by the time that they are given by.
            let udp = udp.with_clock(self.time());
            let mut plan = plan;
            plan.local.addr = Endpoint(Some(udp.local_addr()));
            let rates = udp.rates();
            let siblings = if i == 0 { std::mem::take(&mut nodes) } else { Vec::new() };
            let socket = Some(Socket { addr: udp.local_addr(), rates });
            let dht = self.run(i, plan, udp, socket, siblings, metrics.clone())?;
            nodes.push(dht);
        }
        let dht = nodes.pop().expect("`listen` names an address, `validate` says");
        let family = |node: &Dht<Mainline>| node.socket().map_or(Family::V4, |addr| Family::of(addr.ip()));
        let handles = dht.nodes().map(|node| (family(node), node.handle.downgrade())).collect();
        tokio::spawn(keep_siblings(handles, both, self.options.join.clone(), self.options.rejoin));
        Ok(dht)
    }

    /// Starts one node on another transport, a network in memory for instance. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When an option is wrong.
    pub fn build_on<T: Transport<Mainline>>(
        mut self,
        transport: impl FnOnce(Contact<Mainline>) -> T,
    ) -> Result<Dht<Mainline>, BuildError> {
        self.options.validate()?;
        let (mut rng, metrics) = (self.rng(), self.counters()?);
        let addr = self.options.listen[0];
        let plan = self.plan(0, addr, &mut rng);
        let transport = transport(plan.local.clone());
        self.run(0, plan, transport, None, Vec::new(), metrics)
    }

    fn rng(&self) -> Rng {
        Rng::seed_from_u64(self.seed.unwrap_or_else(|| rand::Rng::next_u64(&mut rand::rng())))
    }

    fn counters(&mut self) -> Result<Arc<Metrics<Mainline>>, BuildError> {
        match self.metrics.take() {
            Some(metrics) => Ok(metrics),
            None => Ok(Arc::new(Metrics::new(dht_metrics::Config::default())?)),
        }
    }

    /// The one clock of all parts.
    fn time(&mut self) -> Arc<dyn Clock> {
        self.clock.get_or_insert_with(|| Arc::new(SystemClock::new())).clone()
    }

    fn udp(&self) -> dht_net::udp::Config {
        dht_net::udp::Config { local: self.options.is_local(), ..self.options.udp.clone() }
    }

    fn plan(&mut self, i: usize, addr: SocketAddr, rng: &mut Rng) -> Plan {
        let reach = if self.options.is_local() { Reach::Local } else { Reach::Public };
        let family = Family::of(addr.ip());
        let earlier = self.options.listen[..i].iter().filter(|addr| Family::of(addr.ip()) == family).count();
        let tables = self.state.iter().flat_map(|state| &state.tables);
        let saved = tables.filter(|table| table.family == family).nth(earlier);
        let mut random = [0; 20];
        rng.fill_bytes(&mut random);
        let fresh = match addr.ip() {
            ip if ip.is_unspecified() || address::is_local(ip) => NodeId(random),
            ip => NodeId::for_ip(ip, random),
        };
        let named = self.id.filter(|_| i == 0).or(saved.map(|saved| saved.id));
        let local = Contact::new(named.unwrap_or(fresh), Endpoint(Some(addr)));
        let mut secret = [0; 16];
        rng.fill_bytes(&mut secret);
        let rules = ServerRules {
            reach,
            tokens: Tokens::new(secret),
            peers_per_swarm: self.options.peers_per_swarm,
            ..ServerRules::new(secret)
        };
        let mut contacts = self.contacts.clone();
        contacts.extend(saved.into_iter().flat_map(|saved| saved.contacts.iter().cloned()));
        let doors = Doors { hosts: self.options.bootstrap.clone(), contacts, limits: self.options.resolve };
        Plan { local, rules, seed: rng.next_u64(), doors }
    }

    fn run<T: Transport<Mainline>>(
        &mut self,
        i: usize,
        plan: Plan,
        transport: T,
        socket: Option<Socket>,
        siblings: Vec<Dht<Mainline>>,
        metrics: Arc<Metrics<Mainline>>,
    ) -> Result<Dht<Mainline>, BuildError> {
        let (mut options, Plan { local, mut rules, seed, doors }) = (self.options.clone(), plan);
        let reach = rules.reach;
        if reach == Reach::Local {
            options.routing.max_per_group_bucket = usize::MAX;
            options.routing.max_per_group = usize::MAX;
            options.records.max_items_per_group = usize::MAX;
        }
        let (overheard, _) = broadcast::channel(OVERHEARD);
        rules.hook = Some(listener(overheard.clone()));
        let exchange = self.exchange(seed)?;
        let admission = Admission { reach, enforce_ids: options.enforce_ids };
        let parts = Parts {
            config: dht_protocol::Config { serve: !options.read_only, ..options.node.clone() },
            routing: options.routing.clone(),
            queries: options.queries.clone(),
            admit: Box::new(admission),
            filter: Some(Arc::new(move |contact| dht_routing::Admit::admit(&admission, contact))),
            validator: Arc::new(Records { reach }),
            rules: Arc::new(rules),
            seed,
        };
        let node = Node::new(local.clone(), parts)?;
        let store = self.store_for(i, &local, &options, seed)?;
        let sink: Arc<dyn Sink<Mainline>> = metrics.clone();
        let clock = self.time();
        let driver = DriverConfig {
            mode: if options.read_only { Mode::Client } else { Mode::Server },
            ..options.driver.clone()
        };
        let handle = dht_net::spawn(node, transport, store, sink, clock, driver, seed)?;
        let seeds = doors.seeds();
        tokio::spawn(keep_joined(handle.downgrade(), seeds.clone(), options.join.clone(), options.rejoin));
        let shared = Shared {
            metrics,
            seeds,
            fallback: Vec::new(),
            bootstrap: options.join.clone(),
            query_timeout: options.queries.query_timeout,
            request_timeout: options.queries.request_timeout,
            resiliency: options.routing.resiliency,
            state: State { siblings, socket, exchange, overheard, options },
        };
        Ok(Dht { handle, call: CallOptions::default(), shared: Arc::new(shared) })
    }

    fn exchange(&self, seed: u64) -> Result<Arc<Exchange>, BuildError> {
        let options = &self.options;
        let tcp = dht_net::tcp::Config { local: options.is_local(), ..options.tcp.clone() };
        let mut random = [0; 20];
        Rng::seed_from_u64(seed.wrapping_add(1)).fill_bytes(&mut random);
        Ok(Arc::new(Exchange::new(Pool::new(tcp)?, options.metadata.clone(), random)))
    }

    fn store_for(
        &mut self,
        i: usize,
        local: &Contact<Mainline>,
        options: &Options,
        seed: u64,
    ) -> Result<Arc<dyn Store<Mainline>>, BuildError> {
        match self.store.take().filter(|_| i == 0) {
            Some(store) => Ok(Arc::new(SampleStore::new(store, options.samples, seed)?)),
            None => {
                let memory = MemoryStore::new(&local.peer, options.records.clone(), seed)?;
                Ok(Arc::new(SampleStore::new(memory, options.samples, seed)?))
            }
        }
    }
}

/// Tells harvests what strangers ask for. Nothing is refused.
fn listener(overheard: broadcast::Sender<(InfoHash, SocketAddr)>) -> RequestHook {
    Arc::new(move |from, request| {
        if overheard.receiver_count() == 0 {
            return true;
        }
        let heard = match request {
            Request::Get { query: Query::Peers(swarm) } => from.addr.0.map(|by| (swarm.info_hash, by)),
            Request::Put { query: Query::Peers(swarm), item: Record::Peer(peer), .. } => {
                Some((swarm.info_hash, peer.addr))
            }
            _ => None,
        };
        if let Some(heard) = heard {
            // The last harvest may have ended in between.
            let _ = overheard.send(heard);
        }
        true
    })
}
