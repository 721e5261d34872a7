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

    /// [`Dht::bootstrap`] of every node; what the first that joined has to tell.
    ///
    /// # Errors
    /// When none of them joined: why the first did not.
    pub async fn bootstrap_all(&self) -> Result<BootstrapReport<Mainline>, BootstrapError<Mainline>> {
        let mut joining = Vec::new();
        for node in self.nodes() {
            joining.push(node.bootstrap(Default::default()));
        }
        let mut failed = None;
        for outcome in join_all(joining).await {
            match outcome {
                Ok(report) => return Ok(report),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or(BootstrapError::Run(RunError::Closed)))
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
