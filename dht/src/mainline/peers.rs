//! Swarms: who is in one, being in one, how many are in one.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
};

use dht_mainline::{InfoHash, Mainline, Peer, Query, Record, Scrape, Swarm};
use dht_net::Search;
use dht_query::{Finished, Progress, Receipt};
use futures::{Stream, future::join_all};

use super::items::together;
use crate::{Dht, PutError, QueryError, node::end_error};

/// How somebody takes part in a swarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Announcement {
    /// The port that is announced; `None`: the one that the datagrams come from, as a translator may have changed it
    /// (`implied_port` of BEP 5).
    pub port: Option<u16>,
    /// Whether the announcer has everything (BEP 33).
    pub seed: bool,
}

/// How many take part in a swarm, as far as its bloom filters tell (BEP 33).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SwarmSize {
    /// Addresses that have everything, estimated.
    pub seeds: f64,
    /// Addresses that do not, estimated.
    pub peers: f64,
    /// Different filters that were united.
    pub answers: usize,
}

impl Dht<Mainline> {
    /// The peers of a swarm as they are found, each once.
    ///
    /// # Errors
    /// When the node is closed.
    #[tracing::instrument(skip_all, fields(%info_hash))]
    pub async fn get_peers(&self, info_hash: InfoHash) -> Result<Peers, QueryError> {
        let mut searches = Vec::new();
        for node in self.nodes() {
            searches.push(node.handle.search(info_hash.into(), node.query_options()).await?);
        }
        Ok(Peers { searches, seen: BTreeSet::new() })
    }

    /// Takes part in a swarm: tells the closest nodes, now and every half hour while the node runs.
    ///
    /// # Errors
    /// When nobody was told.
    #[tracing::instrument(skip_all, fields(%info_hash))]
    pub async fn announce(
        &self,
        info_hash: InfoHash,
        announcement: Announcement,
    ) -> Result<Receipt<Mainline>, PutError<Mainline>> {
        let mut told = Vec::new();
        for node in self.nodes() {
            told.push(node.announce_here(info_hash, announcement));
        }
        together(join_all(told).await)
    }

    async fn announce_here(
        &self,
        info_hash: InfoHash,
        Announcement { port, seed }: Announcement,
    ) -> Result<Finished<Mainline>, PutError<Mainline>> {
        let local = self.local().addr.0;
        let ip = local.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |addr| addr.ip());
        // With `implied_port` the number means nothing, but 0 is refused by some.
        let own = local.map_or(1, |addr| addr.port());
        let addr = SocketAddr::new(ip, port.unwrap_or(own));
        let peer = Record::Peer(Peer { addr, seed, implied_port: port.is_none() });
        self.handle.keep(info_hash.into(), peer.clone(), true).await?;
        let offered = self.handle.offer(info_hash.into(), peer, self.query_options()).await;
        Ok(offered.map_err(QueryError::from)?)
    }

    /// Takes part in a swarm no longer; whether it did. Who was told forgets it within 45 minutes.
    ///
    /// # Errors
    /// When the own store fails.
    pub async fn withdraw(&self, info_hash: InfoHash) -> Result<bool, QueryError> {
        let query = Query::from(info_hash);
        let mut withdrawn = false;
        for node in self.nodes() {
            let own = node.handle.store().load(&query, node.handle.now()).await?;
            let local = node.local().addr.0.map(|addr| addr.ip());
            for stored in own {
                let Record::Peer(peer) = &stored.item else { continue };
                if peer.addr.ip().is_unspecified() || Some(peer.addr.ip()) == local {
                    withdrawn |= node.handle.unkeep_slot(query.clone(), &stored.item.slot()).await?;
                }
            }
        }
        Ok(withdrawn)
    }

    /// How many take part in a swarm.
    ///
    /// # Errors
    /// When nobody could be asked.
    #[tracing::instrument(skip_all, fields(%info_hash))]
    pub async fn scrape(&self, info_hash: InfoHash) -> Result<SwarmSize, QueryError> {
        let query = Query::Peers(Swarm { scrape: true, ..Swarm::new(info_hash) });
        let mut asked = Vec::new();
        for node in self.nodes() {
            asked.push(node.handle.fetch(query.clone(), node.query_options()));
        }
        let (mut all, mut told, mut answers, mut failed) = (Scrape::default(), Scrape::default(), 0, None);
        for finished in join_all(asked).await {
            let finished = finished?;
            failed = failed.or(end_error(&finished));
            for item in &finished.items {
                match item {
                    Record::Scrape(scrape) => {
                        all.union(scrape);
                        answers += 1;
                    }
                    Record::Peer(peer) => told.insert(peer),
                    _ => {}
                }
            }
        }
        // Who does not know BEP 33 tells peers, without saying who has everything; beside filters they would count twice.
        if answers == 0 {
            all = told;
        }
        if answers == 0
            && all == Scrape::default()
            && let Some(error) = failed
        {
            return Err(error);
        }
        Ok(SwarmSize { seeds: all.seeds.estimate(), peers: all.peers.estimate(), answers })
    }
}

/// The peers of a swarm as they are found. Dropping it ends the search.
pub struct Peers {
    searches: Vec<Search<Mainline>>,
    /// Bounded by what a fetch keeps.
    seen: BTreeSet<SocketAddr>,
}

impl Peers {
    /// The next peer; `None` when the search is over.
    pub async fn next(&mut self) -> Option<Peer> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// How it ended, with everything that was found.
    ///
    /// # Errors
    /// When nothing was found and nobody could be asked.
    pub async fn finish(self) -> Result<Vec<Peer>, QueryError> {
        let (mut found, mut failed) = (Vec::new(), None);
        let mut seen = BTreeSet::new();
        for search in self.searches {
            let finished = search.finish().await?;
            failed = failed.or(end_error(&finished));
            let peers = finished.items.into_iter().filter_map(into_peer);
            found.extend(peers.filter(|peer| seen.insert(peer.addr)));
        }
        match failed {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }
}

impl Stream for Peers {
    type Item = Peer;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Peer>> {
        let Self { searches, seen } = &mut *self;
        poll_any(searches, cx, |item| into_peer(item).filter(|peer| seen.insert(peer.addr)))
    }
}

/// The next item of any of the searches that is wanted; `None` when all are over.
pub(super) fn poll_any<T>(
    searches: &mut [Search<Mainline>],
    cx: &mut Context<'_>,
    mut wanted: impl FnMut(Record) -> Option<T>,
) -> Poll<Option<T>> {
    let mut open = false;
    for search in searches {
        loop {
            match search.poll_next(cx) {
                Poll::Ready(Some(Progress::Item(item))) => {
                    if let Some(item) = wanted(item) {
                        return Poll::Ready(Some(item));
                    }
                }
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) => break,
                Poll::Pending => {
                    open = true;
                    break;
                }
            }
        }
    }
    if open { Poll::Pending } else { Poll::Ready(None) }
}

fn into_peer(item: Record) -> Option<Peer> {
    match item {
        Record::Peer(peer) => Some(peer),
        _ => None,
    }
}
