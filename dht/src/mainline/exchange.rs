//! Info dictionaries: fetched from the peers of a swarm, and served to them (BEP 9, BEP 10).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use dht_core::{ErrorKind, InvalidConfig};
use dht_mainline::{
    InfoHash, Magnet, Mainline, Torrent,
    metadata::{Config, Session, SessionError, Wanted},
};
use dht_net::{
    resolve,
    tcp::{ConnectionError, Conversation, ListenError, Listener, Pool},
};
use futures::{StreamExt, future::Either, stream::FuturesUnordered};
use thiserror::Error;

use super::Announcement;
use crate::{Dht, PutError, QueryError};

/// Peers of one swarm that are asked at once.
const PARALLEL: usize = 16;
/// Peers of one swarm that are asked in one round.
const ROUND: usize = 200;
/// Between two rounds, when nobody had it.
const PAUSE: Duration = Duration::from_secs(3);
/// How long it is tried when the caller says nothing.
const PATIENCE: Duration = Duration::from_secs(60);
/// Torrents that one node serves.
const MAX_TORRENTS: usize = 10_000;

/// Why there is no info dictionary.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The link names no swarm that can be asked for.
    #[error("the link has no hash")]
    NoHash,
    /// Nobody is known to be in the swarm.
    #[error("nobody is known in this swarm")]
    NoPeers,
    /// Peers were asked and none had it.
    #[error("none of {asked} peers gave it, the last: {last}")]
    Failed {
        /// How many were asked.
        asked: usize,
        /// What became of the last one.
        last: PeerFault,
    },
    /// The lookup failed.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// An option has a value it must not have.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
}

impl MetadataError {
    /// The shared kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoHash | Self::Config(_) => ErrorKind::Configuration,
            Self::NoPeers => ErrorKind::Query,
            Self::Failed { last, .. } => last.kind(),
            Self::Query(error) => error.kind(),
        }
    }
}

/// What became of one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PeerFault {
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// What was said over it failed.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl PeerFault {
    /// The shared kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Connection(error) => error.kind(),
            Self::Session(_) => ErrorKind::Protocol,
        }
    }
}

/// Why a torrent is not served.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Connections cannot be taken.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// As many are served as may be.
    #[error("{MAX_TORRENTS} torrents are served, which is the limit")]
    Full,
    /// Nobody was told.
    #[error(transparent)]
    Announce(#[from] PutError<Mainline>),
}

impl ServeError {
    /// The shared kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Listen(error) => error.kind(),
            Self::Full => ErrorKind::Capacity,
            Self::Announce(error) => error.kind(),
        }
    }
}

/// A session on a connection.
struct Talk(Session);

impl Conversation for Talk {
    type Output = Result<Bytes, SessionError>;

    fn receive(&mut self, bytes: &[u8]) {
        self.0.receive(bytes);
    }

    fn take_output(&mut self) -> Vec<u8> {
        self.0.take_output()
    }

    fn result(&mut self) -> Option<Self::Output> {
        self.0.result().cloned()
    }
}

type Torrents = RwLock<BTreeMap<InfoHash, Bytes>>;

/// What a node has for exchanging metadata.
pub(crate) struct Exchange {
    pool: Pool,
    config: Config,
    /// The peer id of handshakes.
    peer: [u8; 20],
    /// At most [`MAX_TORRENTS`].
    torrents: Arc<Torrents>,
    listener: Mutex<Option<Listener>>,
}

impl Exchange {
    pub(crate) fn new(pool: Pool, config: Config, random: [u8; 20]) -> Self {
        let mut peer = random;
        peer[..8].copy_from_slice(b"-KR0001-");
        Self { pool, config, peer, torrents: Arc::default(), listener: Mutex::default() }
    }

    async fn fetch(&self, from: SocketAddr, wanted: Wanted) -> Result<Bytes, PeerFault> {
        let session = Session::fetch(wanted, self.peer, self.config.clone())
            .expect("the options were checked when the node was built");
        Ok(self.pool.connect(from, Talk(session)).await??)
    }

    /// Where connections are taken, from the first torrent on: the port of the datagrams, another when it is taken.
    fn listen(&self, datagrams: SocketAddr) -> Result<SocketAddr, ListenError> {
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = &*listener {
            return Ok(listener.local_addr());
        }
        let (torrents, peer, config) = (self.torrents.clone(), self.peer, self.config.clone());
        let make = Arc::new(move |_| {
            let torrents = torrents.clone();
            let find = move |info_hash: &InfoHash| {
                torrents.read().unwrap_or_else(PoisonError::into_inner).get(info_hash).cloned()
            };
            Session::serve_any(find, peer, config.clone()).ok().map(Talk)
        });
        let anywhere = SocketAddr::new(datagrams.ip(), 0);
        let listening =
            self.pool.listen(datagrams, make.clone()).or_else(|_| self.pool.listen(anywhere, make))?;
        Ok(listener.insert(listening).local_addr())
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }
}

impl Dht<Mainline> {
    /// The info dictionary of a swarm, from the first of its peers that gives one whose hash is right: those that the link
    /// names, and those that the DHT knows. Tried again and again until the deadline of the call, a minute by default.
    ///
    /// # Errors
    /// When the time is over: why there is none.
    #[tracing::instrument(skip_all)]
    pub async fn fetch_metadata(&self, magnet: &Magnet) -> Result<Bytes, MetadataError> {
        let wanted = magnet.wanted().ok_or(MetadataError::NoHash)?;
        let patience = self.call.timeout.unwrap_or(PATIENCE);
        let mut last = MetadataError::NoPeers;
        let tries = async {
            loop {
                match self.fetch_round(magnet, wanted, &mut last).await {
                    Some(metadata) => return metadata,
                    None => tokio::time::sleep(PAUSE).await,
                }
            }
        };
        let found = tokio::time::timeout(patience, tries).await.ok();
        found.ok_or(last)
    }

    /// The info dictionary of a swarm, from one peer.
    ///
    /// # Errors
    /// Why it gave none.
    pub async fn fetch_metadata_from(&self, peer: SocketAddr, wanted: Wanted) -> Result<Bytes, PeerFault> {
        self.shared.state.exchange.fetch(peer, wanted).await
    }

    /// Every peer once. What came of it is left in `last`, also when the caller's patience ends in between.
    async fn fetch_round(&self, magnet: &Magnet, wanted: Wanted, last: &mut MetadataError) -> Option<Bytes> {
        let limits = self.shared.state.options.resolve;
        let named = resolve::resolve(&magnet.peers, resolve::Family::Any, limits).await.addrs;
        let found = match self.get_peers(wanted.info_hash()).await {
            Ok(peers) => Either::Left(peers.map(|peer| peer.addr)),
            Err(error) => {
                *last = error.into();
                Either::Right(futures::stream::empty())
            }
        };
        let mut peers = futures::stream::iter(named).chain(found).take(ROUND).fuse();
        let (mut talks, mut seen, mut asked) = (FuturesUnordered::new(), BTreeSet::new(), 0);
        loop {
            tokio::select! {
                Some((peer, result)) = talks.next(), if !talks.is_empty() => match result {
                    Ok(metadata) => return Some(metadata),
                    Err(fault) => {
                        tracing::debug!(%peer, %fault, "no metadata");
                        *last = MetadataError::Failed { asked, last: fault };
                    }
                },
                Some(peer) = peers.next(), if talks.len() < PARALLEL => {
                    if seen.insert(peer) {
                        asked += 1;
                        talks.push(async move { (peer, self.fetch_metadata_from(peer, wanted).await) });
                    }
                }
                else => return None,
            }
        }
    }

    /// Serves the info dictionary of a torrent, from now on: takes connections and announces this node to the swarm. Where
    /// connections are taken.
    ///
    /// # Errors
    /// When no connections can be taken or nobody could be told.
    #[tracing::instrument(skip_all)]
    pub async fn serve_metadata(&self, torrent: &Torrent) -> Result<SocketAddr, ServeError> {
        let exchange = &self.shared.state.exchange;
        let datagrams = self.local_socket();
        let listening = exchange.listen(datagrams)?;
        {
            let mut torrents = exchange.torrents.write().unwrap_or_else(PoisonError::into_inner);
            if torrents.len() >= MAX_TORRENTS {
                return Err(ServeError::Full);
            }
            for info_hash in torrent.info_hashes() {
                torrents.insert(info_hash, torrent.info().clone());
            }
        }
        for info_hash in torrent.info_hashes() {
            self.announce(info_hash, Announcement { port: Some(listening.port()), seed: false }).await?;
        }
        Ok(listening)
    }

    /// Serves a torrent no longer; whether it was served.
    ///
    /// # Errors
    /// When the own store fails.
    pub async fn unserve_metadata(&self, info_hash: InfoHash) -> Result<bool, QueryError> {
        let served = {
            let torrents = &self.shared.state.exchange.torrents;
            torrents.write().unwrap_or_else(PoisonError::into_inner).remove(&info_hash).is_some()
        };
        self.withdraw(info_hash).await?;
        Ok(served)
    }

    /// Where the datagrams of the first node come in.
    fn local_socket(&self) -> SocketAddr {
        self.socket().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }
}
