//! The nodes of the demonstration, on whichever network: joining, losing some, and what lookups must find.

use std::{collections::BTreeSet, time::Duration};

use anyhow::ensure;
use dht::{Dht, Network, Receipt, core::KadKey, routing::BootstrapOptions};
use futures::{
    StreamExt, TryStreamExt,
    future::{join_all, ready},
    stream,
};
use tokio::time::{Instant, sleep};

use super::report::Seen;

/// Nodes that join at the same time.
pub const JOINING: usize = 16;
/// Pings of one node that are under way at the same time.
const PINGS: usize = 32;
/// How often those in a table are pinged at most.
const ROUNDS: usize = 4;
/// How long a node may take to know its neighbourhood.
const SETTLE: Duration = Duration::from_secs(20);
/// Between two looks at its table.
const LOOK: Duration = Duration::from_millis(20);

/// Nodes of one network; those that were stopped are remembered for their counts.
pub struct Swarm<O: Network> {
    live: Vec<Dht<O>>,
    stopped: Vec<Dht<O>>,
    k: usize,
    /// What they talk over.
    over: &'static str,
}

/// Nodes that are about to go.
pub struct Gone<O: Network>(Vec<Dht<O>>);

impl<O: Network> Swarm<O> {
    /// These nodes, of a network with this k.
    pub fn new(live: Vec<Dht<O>>, k: usize, over: &'static str) -> Self {
        Self { live, stopped: Vec::new(), k, over }
    }

    /// What it is, in a few words.
    pub fn described(&self) -> String {
        format!("{} nodes over {}", self.live.len(), self.over)
    }

    /// k of this network.
    pub fn k(&self) -> usize {
        self.k
    }

    /// The nodes that run.
    pub fn live(&self) -> &[Dht<O>] {
        &self.live
    }

    /// One of the nodes that run, by any number.
    pub fn pick(&self, number: usize) -> &Dht<O> {
        &self.live[number % self.live.len()]
    }

    /// One more node, which has joined already.
    pub fn admit(&mut self, dht: Dht<O>) {
        self.live.push(dht);
    }

    /// One of the nodes that run and hold nothing under a query, by any number; any node when all of them do.
    pub async fn pick_without(&self, query: &O::Query, number: usize) -> anyhow::Result<&Dht<O>> {
        for dht in (0..self.live.len()).map(|i| self.pick(number + i)) {
            if !dht.datastore().has(query).await? {
                return Ok(dht);
            }
        }
        Ok(self.pick(number))
    }

    /// Requests that all nodes have sent so far.
    pub fn messages(&self) -> u64 {
        self.live.iter().chain(&self.stopped).map(|dht| dht.metrics().requests.total).sum()
    }

    /// Everybody joins through the first, and looks around until it knows its neighbourhood: who joined while the first
    /// knew nobody has to ask again.
    pub async fn join(&self) -> Seen {
        let joins = self.live.iter().skip(1).map(|dht| dht.bootstrap(BootstrapOptions::default()));
        let _: Vec<_> = stream::iter(joins).buffer_unordered(JOINING).try_collect().await?;
        // A table has room for everybody in a network of k others; in a larger one it depends on where everybody is.
        let others = self.live.len() - 1;
        let wanted = if others <= self.k() { others } else { self.k() / 2 };
        let settling = self.live.iter().map(|dht| settle(dht, wanted));
        let tables: Vec<usize> = stream::iter(settling).buffer_unordered(JOINING).try_collect().await?;
        let (least, most) = (tables.iter().min().unwrap_or(&0), tables.iter().max().unwrap_or(&0));
        Ok(format!("tables hold {least} to {most} peers"))
    }

    /// Takes every third node out, the first among them, until a third is gone.
    pub fn lose_a_third(&mut self) -> Gone<O> {
        let third = self.live.len() / 3;
        let leaving: BTreeSet<O::PeerId> =
            self.live.iter().step_by(3).take(third).map(|dht| dht.local().peer).collect();
        let all = std::mem::take(&mut self.live);
        let (gone, live) = all.into_iter().partition(|dht| leaving.contains(&dht.local().peer));
        self.live = live;
        self.stopped = gone;
        Gone(self.stopped.clone())
    }

    /// Everybody pings those it knows until all of them answer; the mute ones leave the table, on some networks only when
    /// they are mute again. Answers name k peers, so in a network of more than k nodes a lookup finds all of the closest
    /// only after those who answer have forgotten the dead.
    pub async fn ping_all(&self) -> Seen {
        let asked = self.live.iter().map(|dht| async move {
            let mut mute = 0;
            for _ in 0..ROUNDS {
                let known = dht.table().peers().await?;
                let pings = known.iter().map(|entry| dht.ping_at(entry.contact.clone()));
                let pongs = stream::iter(pings).buffer_unordered(PINGS);
                let silent = pongs.filter(|pong| ready(pong.is_err())).count().await;
                mute = mute.max(silent);
                if silent == 0 {
                    break;
                }
            }
            let after = dht.table().peers().await?;
            anyhow::Ok((mute, after.into_iter().map(|entry| entry.contact.peer).collect::<Vec<_>>()))
        });
        let asked: Vec<_> = stream::iter(asked).buffer_unordered(JOINING).try_collect().await?;
        let alive: BTreeSet<O::PeerId> = self.live.iter().map(|dht| dht.local().peer).collect();
        let dead = asked.iter().flat_map(|(_, table)| table).filter(|peer| !alive.contains(*peer)).count();
        ensure!(dead == 0, "tables still hold {dead} entries of nodes that are gone");
        let mute: usize = asked.iter().map(|(mute, _)| mute).sum();
        let tables = || asked.iter().map(|(_, table)| table.len());
        let (least, most) = (tables().min().unwrap_or(0), tables().max().unwrap_or(0));
        Ok(format!("{mute} mute entries left, tables hold {least} to {most} peers"))
    }

    /// Lookups, each from another node, find exactly the nodes that are closest among all others that run.
    pub async fn look_up(&self, targets: impl IntoIterator<Item = O::Target>) -> Seen {
        let mut lookups = 0;
        for (number, target) in targets.into_iter().enumerate() {
            let asker = self.pick(number * 5 + 1);
            let key = O::key_of(&target);
            let found: Vec<_> = asker.closest_to(target).await?.into_iter().map(|found| found.peer).collect();
            let others = self.live.iter().map(|dht| dht.local().peer);
            let mut wanted: Vec<_> = others.filter(|peer| *peer != asker.local().peer).collect();
            wanted.sort_by_key(|peer| O::peer_key(peer).distance(&key));
            wanted.truncate(self.k);
            let right = wanted.iter().filter(|peer| found.contains(peer)).count();
            ensure!(
                found == wanted,
                "lookup {number} found {right} of the {} closest, {} in all",
                wanted.len(),
                found.len()
            );
            lookups += 1;
        }
        Ok(format!("{lookups} lookups found exactly the closest {}", self.k.min(self.live.len() - 1)))
    }

    /// Closes every node that runs.
    pub async fn close(&self) -> Seen {
        Gone(self.live.clone()).stop().await
    }
}

impl<O: Network> Gone<O> {
    /// Closes them all at once.
    pub async fn stop(self) -> Seen {
        join_all(self.0.iter().map(Dht::close)).await;
        let open = self.0.iter().filter(|dht| !dht.is_closed()).count();
        ensure!(open == 0, "{open} nodes are still open");
        Ok(format!("{} nodes closed", self.0.len()))
    }
}

/// Somebody took it.
pub fn stored<O: Network>(receipt: &Receipt<O>) -> Seen {
    ensure!(!receipt.stored.is_empty(), "nobody stored it");
    Ok(format!("{} peers stored it", receipt.stored.len()))
}

/// Looks up the own id until the table holds so many peers; how many it holds then. Whom a lookup meets is checked before
/// it enters, so the table is looked at a little later.
async fn settle<O: Network>(dht: &Dht<O>, wanted: usize) -> anyhow::Result<usize> {
    let deadline = Instant::now() + SETTLE;
    loop {
        let known = dht.table().len().await?;
        if known >= wanted {
            return Ok(known);
        }
        ensure!(Instant::now() < deadline, "a node joined and knows {known} peers, of {wanted} at least");
        dht.closest_to(O::peer_target(&dht.local().peer)).await.ok();
        sleep(LOOK).await;
    }
}
