//! What is particular to nodes with sockets: where they are, how fast they may ask, joining with all of them, and what is
//! saved for the next run.

use std::net::SocketAddr;

use dht_mainline::{Mainline, SavedState, SavedTable, compact::Family};
use dht_net::{RunError, udp::Rates};
use dht_routing::BootstrapReport;
use futures::future::join_all;

use crate::{BootstrapError, Dht};

impl Dht<Mainline> {
    /// Where the datagrams of the first node come in; `None` on other transports.
    pub fn socket(&self) -> Option<SocketAddr> {
        self.shared.state.socket.as_ref().map(|socket| socket.addr)
    }

    /// Where the datagrams of all nodes come in.
    pub fn sockets(&self) -> impl Iterator<Item = SocketAddr> {
        self.nodes().filter_map(Self::socket)
    }

    /// The limits of each socket, which can be set while it runs, and its counters.
    pub fn rates(&self) -> impl Iterator<Item = &Rates> {
        self.nodes().filter_map(|node| node.shared.state.socket.as_ref().map(|socket| &socket.rates))
    }

    /// [`Dht::bootstrap`] of every node; what the first that met somebody has to tell. Where nobody was named to any of
    /// them, that they are alone.
    ///
    /// # Errors
    /// When none of them met anybody, and somebody was named to one: why it did not.
    pub async fn bootstrap_all(&self) -> Result<BootstrapReport<Mainline>, BootstrapError<Mainline>> {
        let mut joining = Vec::new();
        for node in self.nodes() {
            joining.push(node.bootstrap(Default::default()));
        }
        together(join_all(joining).await)
    }

    /// Ids and tables, for [`Builder::restore`](super::Builder::restore) of the next run.
    ///
    /// # Errors
    /// When the node is closed.
    pub async fn saved_state(&self) -> Result<SavedState, RunError> {
        let mut tables = Vec::new();
        for node in self.nodes() {
            let family = node.socket().map_or(Family::V4, |socket| Family::of(socket.ip()));
            let saved = node.handle.visit(move |node, _| SavedTable {
                family,
                id: node.local().peer,
                contacts: node.routing().iter().map(|entry| entry.contact.clone()).collect(),
            });
            tables.push(saved.await?);
        }
        Ok(SavedState { tables })
    }

    /// Closes every node, and the connections for metadata, within 2 s.
    pub async fn close_all(&self) {
        let (mut pools, mut nodes) = (Vec::new(), Vec::new());
        for node in self.nodes() {
            pools.push(node.shared.state.exchange.pool().close());
            nodes.push(node.close());
        }
        futures::join!(join_all(pools), join_all(nodes));
    }
}

type Joined = Result<BootstrapReport<Mainline>, BootstrapError<Mainline>>;

/// Somebody who was met is worth more than a failure elsewhere: a family may have no network at all. Being alone is worth
/// less, for it only says that nobody was named.
fn together(outcomes: Vec<Joined>) -> Joined {
    let worth = |joined: &Joined| match joined {
        Ok(report) if !report.alone => 3,
        Err(BootstrapError::Failed(_)) => 2,
        Err(BootstrapError::NobodyThere { .. }) => 1,
        Ok(_) => 0,
        Err(BootstrapError::Run(_)) => -1,
    };
    let best = outcomes.into_iter().rev().max_by_key(worth);
    best.unwrap_or(Err(BootstrapError::Run(RunError::Closed)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dht_routing::BootstrapFailed;

    use super::*;

    fn met(peers: usize) -> Joined {
        Ok(BootstrapReport { peers, ..BootstrapReport::default() })
    }

    fn alone() -> Joined {
        Ok(BootstrapReport { alone: true, ..BootstrapReport::default() })
    }

    fn nobody() -> Joined {
        Err(BootstrapError::NobodyThere { asked: 2 })
    }

    fn mute() -> Joined {
        Err(BootstrapError::Failed(BootstrapFailed { tried: Vec::new(), took: Duration::from_secs(30) }))
    }

    #[test]
    fn one_node_that_met_somebody_is_enough_and_the_first_tells() {
        for other in [alone, nobody, mute] {
            assert_eq!(together(vec![other(), met(3), met(4)]), met(3));
        }
    }

    #[test]
    fn who_met_nobody_is_alone_only_where_nobody_was_named() {
        assert_eq!(together(vec![alone(), alone()]), alone());
        for failed in [nobody, mute] {
            assert_eq!(together(vec![alone(), failed()]), failed());
            assert_eq!(together(vec![failed(), alone()]), failed());
        }
        assert_eq!(together(vec![nobody(), mute()]), mute());
        assert_eq!(together(Vec::new()), Err(BootstrapError::Run(RunError::Closed)));
    }
}
