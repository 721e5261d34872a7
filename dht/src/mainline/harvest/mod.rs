//! The harvest: which swarms the network knows, and what they are about, asked politely.
//!
//! Nodes are asked for samples (BEP 51) on a walk through the key space, and strangers' questions are listened to. For a
//! new swarm the node that told of it is asked for peers, and those for the info dictionary. No id is forged, every
//! interval is waited out, and the socket's own limits hold besides: 250 questions and 200 new places a second.

mod run;
mod walk;

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use dht_core::InvalidConfig;
use dht_mainline::{InfoHash, Mainline};
use futures::Stream;
use tokio::sync::mpsc;

use crate::Dht;

/// How a harvest goes about it. The defaults are polite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HarvestConfig {
    /// Asks nodes for samples (BEP 51). Default true.
    pub sample: bool,
    /// Listens to what strangers ask for. Default true.
    pub passive: bool,
    /// Asks for the info dictionaries of new swarms. Default true.
    pub metadata: bool,
    /// Between two questions to one host, a /24 or /48. Default 1 s.
    pub per_host: Duration,
    /// Questions under way at once. Default 64.
    pub in_flight: usize,
    /// A node is left alone for this long at least, whatever shorter interval it names. Default 10 min.
    pub min_interval: Duration,
    /// A node that did not answer is left alone for this long. Default 6 h, the longest interval there is.
    pub unanswered: Duration,
    /// A swarm is looked at once in this time. Default 1 h.
    pub lookup_interval: Duration,
    /// Questions that wait. Default 20,000.
    pub max_jobs: usize,
    /// Nodes that are remembered. Default 200,000.
    pub max_nodes: usize,
    /// Swarms that are remembered. Default 1,000,000.
    pub max_hashes: usize,
    /// Connections for metadata at once. Default 100.
    pub connections: usize,
    /// Peers of one swarm that are tried. Default 3.
    pub peers_per_swarm: usize,
    /// How long one of them may take. Default 6 s.
    pub connection_timeout: Duration,
}

impl Default for HarvestConfig {
    fn default() -> Self {
        Self {
            sample: true,
            passive: true,
            metadata: true,
            per_host: Duration::from_secs(1),
            in_flight: 64,
            min_interval: Duration::from_secs(600),
            unanswered: Duration::from_secs(6 * 3600),
            lookup_interval: Duration::from_secs(3600),
            max_jobs: 20_000,
            max_nodes: 200_000,
            max_hashes: 1_000_000,
            connections: 100,
            peers_per_swarm: 3,
            connection_timeout: Duration::from_secs(6),
        }
    }
}

impl HarvestConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the field that is wrong and what would be right.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require(
            self.sample || self.passive,
            "sample",
            self.sample,
            "true unless `passive` is",
        )?;
        for (field, value) in [
            ("in_flight", self.in_flight),
            ("max_jobs", self.max_jobs),
            ("max_nodes", self.max_nodes),
            ("max_hashes", self.max_hashes),
            ("connections", self.connections),
            ("peers_per_swarm", self.peers_per_swarm),
        ] {
            InvalidConfig::require((1..=100_000_000).contains(&value), field, value, "1 to 100,000,000")?;
        }
        let timeout = self.connection_timeout;
        InvalidConfig::require(!timeout.is_zero(), "connection_timeout", timeout, "more than zero")
    }
}

/// Who told of a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It was among the samples of the node there.
    Sampled(SocketAddr),
    /// Somebody there asked us for it, or announced itself.
    Overheard(SocketAddr),
}

/// A swarm that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Which.
    pub info_hash: InfoHash,
    /// Who told.
    pub source: Source,
    /// Peers of it that the teller knew; none when metadata was not asked for.
    pub peers: Vec<SocketAddr>,
    /// Its info dictionary, checked; `None` when nobody who was asked gave it.
    pub metadata: Option<Bytes>,
}

/// How far a harvest is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Nodes that are known.
    pub nodes: usize,
    /// Questions that wait for their turn.
    pub waiting: usize,
    /// Nodes that answered with samples.
    pub sampled: u64,
    /// Nodes that answered without: they do not know BEP 51.
    pub without_samples: u64,
    /// Nodes that did not answer.
    pub silent: u64,
    /// Swarms seen for the first time.
    pub swarms: u64,
    /// Swarms seen again.
    pub again: u64,
    /// Of the new ones, those that strangers asked for.
    pub overheard: u64,
    /// Info dictionaries.
    pub metadata: u64,
    /// Peers that did not give one.
    pub refused: u64,
}

/// A running harvest. Dropping it ends it.
pub struct Harvest {
    found: mpsc::Receiver<Found>,
    progress: Arc<Mutex<Progress>>,
    task: tokio::task::JoinHandle<()>,
}

impl Harvest {
    /// The next swarm; `None` when the node was closed.
    pub async fn next(&mut self) -> Option<Found> {
        self.found.recv().await
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream for Harvest {
    type Item = Found;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Found>> {
        self.found.poll_recv(cx)
    }
}

impl Drop for Harvest {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Dht<Mainline> {
    /// Harvests swarms until the result is dropped. A reader that is slow slows it down.
    ///
    /// # Errors
    /// Names the option that has a value it must not have.
    pub fn harvest(&self, config: HarvestConfig) -> Result<Harvest, InvalidConfig> {
        config.validate()?;
        let (sender, found) = mpsc::channel(256);
        let progress = Arc::new(Mutex::new(Progress::default()));
        let task = tokio::spawn(run::run(self.clone(), config, sender, progress.clone()));
        Ok(Harvest { found, progress, task })
    }
}
