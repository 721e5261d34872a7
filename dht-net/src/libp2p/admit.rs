//! How many connections one network may open to us, so that a few of them cannot take all the room.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
};

use libp2p::{Multiaddr, swarm::ConnectionId};
use thiserror::Error;

use super::ip;

/// The subnet has as many connections with us as one may have.
#[derive(Debug, Error)]
#[error("too many connections from one subnet")]
pub(super) struct Crowded;

/// Counts inbound connections by subnet: /24 of IPv4, /48 of IPv6. Bounded by the connections there are.
#[derive(Debug)]
pub(super) struct Admission {
    limit: usize,
    subnets: HashMap<IpAddr, usize>,
    connections: HashMap<ConnectionId, IpAddr>,
}

impl Admission {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, subnets: HashMap::new(), connections: HashMap::new() }
    }

    /// Lets a connection in, or not. Machines of our own site are not counted: they share few subnets.
    pub(super) fn enter(&mut self, connection: ConnectionId, from: &Multiaddr) -> Result<(), Crowded> {
        let Some(ip) = ip::ip_of(from).filter(|ip| ip::is_global(*ip)) else { return Ok(()) };
        let subnet = ip::group(ip, 24, 48);
        let count = self.subnets.entry(subnet).or_default();
        if *count >= self.limit {
            return Err(Crowded);
        }
        *count += 1;
        self.connections.insert(connection, subnet);
        Ok(())
    }

    /// The connection ended or did not come about.
    pub(super) fn leave(&mut self, connection: ConnectionId) {
        let Some(subnet) = self.connections.remove(&connection) else { return };
        if let Entry::Occupied(mut count) = self.subnets.entry(subnet) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_has_its_share_and_no_more() {
        let mut admission = Admission::new(2);
        let mut enter = |id: usize, addr: &str| {
            admission.enter(ConnectionId::new_unchecked(id), &addr.parse().unwrap()).is_ok()
        };
        assert!(enter(1, "/ip4/8.8.8.1/tcp/1") && enter(2, "/ip4/8.8.8.2/tcp/1"));
        assert!(!enter(3, "/ip4/8.8.8.3/tcp/1") && enter(4, "/ip4/8.8.9.3/tcp/1"));
        assert!((5..20).all(|id| enter(id, "/ip4/127.0.0.1/tcp/1")));
        admission.leave(ConnectionId::new_unchecked(1));
        admission.leave(ConnectionId::new_unchecked(3));
        assert_eq!(admission.subnets.len(), 2);
        assert!(
            admission.enter(ConnectionId::new_unchecked(21), &"/ip4/8.8.8.9/tcp/1".parse().unwrap()).is_ok()
        );
    }
}
