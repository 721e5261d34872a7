//! Which swarms other nodes know (BEP 51).

use std::net::SocketAddr;

use dht_core::{Contact, Key, Request};
use dht_mainline::{Endpoint, Mainline, Query, Record, Samples, compact::Family};

use crate::{Dht, PeerError};

/// What one node told about the swarms that it knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    /// Who.
    pub from: Contact<Mainline>,
    /// What; `None` when it answered without: it does not know BEP 51.
    pub samples: Option<Samples>,
    /// Nodes close to the target, whom to ask next.
    pub closer: Vec<Contact<Mainline>>,
}

impl Dht<Mainline> {
    /// Asks whoever is at `addr` for swarms that it knows, and for nodes close to `target`. Its interval says when it may
    /// be asked again; keeping to it is the caller's, [`Dht::harvest`] does.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn sample_infohashes(
        &self,
        addr: SocketAddr,
        target: Key<20>,
    ) -> Result<Sampled, PeerError<Mainline>> {
        let node = self.toward(addr);
        let patience = node.call.timeout.unwrap_or(node.shared.request_timeout);
        let greeted = node.handle.greet(Endpoint(Some(addr)), patience).await?;
        let unknown = dht_mainline::NodeId([0; 20]);
        let contact = greeted.map_err(|why| PeerError::Failed { peer: unknown, why })?;
        node.sample(contact, target).await
    }

    /// The same of a node whose id is known.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn sample(
        &self,
        from: Contact<Mainline>,
        target: Key<20>,
    ) -> Result<Sampled, PeerError<Mainline>> {
        let node = from.addr.0.map_or(self, |addr| self.toward(addr));
        let request = Request::Get { query: Query::Samples(target) };
        let (response, _) = node.ask(from.clone(), request).await?;
        let samples = response.items.into_iter().find_map(|item| match item {
            Record::Samples(samples) => Some(*samples),
            _ => None,
        });
        Ok(Sampled { from, samples, closer: response.closer })
    }

    /// The node of this one's that can reach an address.
    pub(crate) fn toward(&self, addr: SocketAddr) -> &Self {
        let family = |node: &Self| node.local().addr.0.map(|addr| Family::of(addr.ip()));
        self.nodes().find(|node| family(node) == Some(Family::of(addr.ip()))).unwrap_or(self)
    }

    /// This node and those on further sockets.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.shared.state.siblings)
    }
}
