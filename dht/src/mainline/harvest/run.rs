//! The harvest's loop: asks what the walk says, and tells what comes of it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use dht_core::{
    Contact, Key, Mono, Request, Rng,
    rand_core::{Rng as _, SeedableRng},
};
use dht_mainline::{InfoHash, Mainline, Query, Record, metadata::Wanted};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::{Semaphore, broadcast, mpsc};

use super::{
    Found, HarvestConfig, Progress, Source,
    walk::{Job, Walk},
};
use crate::{Dht, PeerError, mainline::Sampled};

/// With fewer questions waiting, the neighbourhood of a random point is looked up for more.
const LOW: usize = 16;

/// What came of something.
enum Outcome {
    Sampled(Contact<Mainline>, Result<Sampled, PeerError<Mainline>>),
    Told(Found),
    Nodes(Vec<Contact<Mainline>>),
}

struct Run {
    dht: Dht<Mainline>,
    config: HarvestConfig,
    walk: Walk,
    rng: Rng,
    progress: Arc<Mutex<Progress>>,
    connections: Arc<Semaphore>,
    asking: FuturesUnordered<BoxFuture<'static, Outcome>>,
    /// Whether a lookup for more nodes is under way.
    looking: bool,
}

pub(super) async fn run(
    dht: Dht<Mainline>,
    config: HarvestConfig,
    found: mpsc::Sender<Found>,
    progress: Arc<Mutex<Progress>>,
) {
    let overheard = dht.shared.state.overheard.subscribe();
    let seed = dht.local().peer.0[12..].iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte));
    let run = Run {
        walk: Walk::new(config.clone()),
        rng: Rng::seed_from_u64(seed),
        connections: Arc::new(Semaphore::new(config.connections.min(Semaphore::MAX_PERMITS))),
        asking: FuturesUnordered::new(),
        looking: false,
        dht,
        config,
        progress,
    };
    run.until_nobody_listens(found, overheard).await;
}

impl Run {
    async fn until_nobody_listens(
        mut self,
        found: mpsc::Sender<Found>,
        mut overheard: broadcast::Receiver<(InfoHash, SocketAddr)>,
    ) {
        while !self.dht.is_closed() {
            let pause = self.ask();
            self.note(|_| {});
            tokio::select! {
                Some(outcome) = self.asking.next(), if !self.asking.is_empty() => {
                    if let Some(told) = self.take(outcome)
                        && found.send(told).await.is_err()
                    {
                        return;
                    }
                }
                heard = overheard.recv(), if self.config.passive => {
                    // Who lags behind has missed some: there are more than enough.
                    if let Ok((info_hash, by)) = heard
                        && let Some(told) = self.overheard(info_hash, by)
                        && found.send(told).await.is_err()
                    {
                        return;
                    }
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn now(&self) -> Mono {
        self.dht.handle.now().mono
    }

    /// Starts what may be asked now; for how long nothing more may.
    fn ask(&mut self) -> std::time::Duration {
        let now = self.now();
        while self.asking.len() < self.config.in_flight.saturating_add(self.config.connections) {
            match self.walk.next(now) {
                Ok(Job::Sample(contact)) => {
                    let target = self.point();
                    let dht = self.dht.clone();
                    let asked = async move {
                        let sampled = dht.sample(contact.clone(), target).await;
                        Outcome::Sampled(contact, sampled)
                    };
                    self.asking.push(asked.boxed());
                }
                Ok(Job::Peers(contact, info_hash)) => self.fetch(contact, info_hash),
                Err(until) => {
                    if self.config.sample && !self.looking && self.walk.waiting() < LOW {
                        self.look_around();
                    }
                    let until = until.map_or(std::time::Duration::from_secs(1), |until| until.since(now));
                    return until.min(std::time::Duration::from_secs(1));
                }
            }
        }
        std::time::Duration::from_secs(1)
    }

    fn point(&mut self) -> Key<20> {
        let mut target = [0; 20];
        self.rng.fill_bytes(&mut target);
        Key(target)
    }

    /// Finds nodes to begin, or go on, with.
    fn look_around(&mut self) {
        self.looking = true;
        let (dht, target) = (self.dht.clone(), self.point());
        let looked = async move { Outcome::Nodes(dht.closest_to(target).await.unwrap_or_default()) };
        self.asking.push(looked.boxed());
    }

    /// What is to be told of an outcome, if anything.
    fn take(&mut self, outcome: Outcome) -> Option<Found> {
        let now = self.now();
        match outcome {
            Outcome::Sampled(contact, Ok(sampled)) => {
                for node in sampled.closer {
                    self.walk.heard(now, node);
                }
                let Some(samples) = sampled.samples else {
                    self.note(|progress| progress.without_samples += 1);
                    return None;
                };
                self.walk.answered(now, &contact, samples.interval);
                self.note(|progress| progress.sampled += 1);
                for info_hash in samples.hashes {
                    if self.is_news(now, info_hash) {
                        self.look_at(now, contact.clone(), info_hash);
                    }
                }
                None
            }
            Outcome::Sampled(_, Err(_)) => {
                self.note(|progress| progress.silent += 1);
                None
            }
            Outcome::Nodes(nodes) => {
                self.looking = false;
                for node in nodes {
                    self.walk.heard(now, node);
                }
                None
            }
            Outcome::Told(found) => {
                let gave = u64::from(found.metadata.is_some());
                self.note(|progress| progress.metadata += gave);
                Some(found)
            }
        }
    }

    /// A swarm that a stranger asked for is told at once, unless its metadata is wanted and there is room for a lookup.
    fn overheard(&mut self, info_hash: InfoHash, by: SocketAddr) -> Option<Found> {
        if !self.is_news(self.now(), info_hash) {
            return None;
        }
        self.note(|progress| progress.overheard += 1);
        let source = Source::Overheard(by);
        if !self.config.metadata || self.asking.len() >= self.config.in_flight {
            return Some(Found { info_hash, source, peers: Vec::new(), metadata: None });
        }
        let (dht, last) = (self.dht.clone(), self.last_steps());
        let fetched = async move {
            let found = match dht.get_peers(info_hash).await {
                Ok(search) => search.finish().await.unwrap_or_default(),
                Err(_) => Vec::new(),
            };
            let peers = found.into_iter().map(|peer| peer.addr).collect();
            last.fetch(&dht, info_hash, source, peers).await
        };
        self.asking.push(fetched.boxed());
        None
    }

    fn last_steps(&self) -> LastSteps {
        let (config, progress) = (self.config.clone(), self.progress.clone());
        LastSteps { config, progress, connections: self.connections.clone() }
    }

    fn is_news(&mut self, now: Mono, info_hash: InfoHash) -> bool {
        let news = self.walk.is_news(now, info_hash);
        self.note(|progress| if news { progress.swarms += 1 } else { progress.again += 1 });
        news
    }

    /// A new swarm: told at once, or after its metadata was asked for.
    fn look_at(&mut self, now: Mono, contact: Contact<Mainline>, info_hash: InfoHash) {
        let Some(addr) = contact.addr.0 else { return };
        if !self.config.metadata || !self.walk.ask_peers(now, contact, info_hash) {
            let source = Source::Sampled(addr);
            let found = Found { info_hash, source, peers: Vec::new(), metadata: None };
            self.asking.push(std::future::ready(Outcome::Told(found)).boxed());
        }
    }

    /// Asks who told of a swarm for its peers, and them for its metadata.
    fn fetch(&mut self, contact: Contact<Mainline>, info_hash: InfoHash) {
        let Some(addr) = contact.addr.0 else { return };
        let (dht, last) = (self.dht.clone(), self.last_steps());
        let fetched = async move {
            let request = Request::Get { query: Query::from(info_hash) };
            let answer = dht.toward(addr).ask(contact, request).await;
            let items = answer.map(|(response, _)| response.items).unwrap_or_default();
            let peers = items.iter().filter_map(|item| match item {
                Record::Peer(peer) => Some(peer.addr),
                _ => None,
            });
            last.fetch(&dht, info_hash, Source::Sampled(addr), peers.collect()).await
        };
        self.asking.push(fetched.boxed());
    }

    fn note(&self, change: impl FnOnce(&mut Progress)) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut progress);
        (progress.nodes, progress.waiting) = (self.walk.nodes(), self.walk.waiting());
    }
}

/// From the peers of a swarm to its metadata.
struct LastSteps {
    config: HarvestConfig,
    progress: Arc<Mutex<Progress>>,
    connections: Arc<Semaphore>,
}

impl LastSteps {
    async fn fetch(
        self,
        dht: &Dht<Mainline>,
        info_hash: InfoHash,
        source: Source,
        peers: Vec<SocketAddr>,
    ) -> Outcome {
        let mut metadata = None;
        for peer in peers.iter().take(self.config.peers_per_swarm) {
            let Ok(_place) = self.connections.acquire().await else { break };
            let fetch = dht.fetch_metadata_from(*peer, Wanted::Swarm(info_hash));
            match tokio::time::timeout(self.config.connection_timeout, fetch).await {
                Ok(Ok(found)) => {
                    metadata = Some(found);
                    break;
                }
                _ => self.progress.lock().unwrap_or_else(PoisonError::into_inner).refused += 1,
            }
        }
        Outcome::Told(Found { info_hash, source, peers, metadata })
    }
}
