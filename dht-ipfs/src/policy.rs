//! Which addresses a network shows, keeps and admits to its tables.

use dht_core::Contact;
use dht_routing::Admit;

use crate::{AddrList, AddressKind, Ipfs};

/// Where the members of a network are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// On the public Internet: private and loopback addresses mean nothing to others and are never named (Amino spec, A14).
    Public,
    /// On one local network: private addresses are what counts, public ones may be named.
    Local,
    /// Anywhere: a private network whose members know what they do.
    Any,
}

/// Which addresses may be named to others, and which peers may enter the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressPolicy {
    /// Where the members are.
    pub scope: Scope,
    /// Whether loopback addresses are left out of answers. Default true; a network of several nodes on one machine needs
    /// them. On a public network they are left out in any case.
    pub hide_localhost: bool,
}

impl AddressPolicy {
    /// The policy of a scope, localhost hidden.
    pub const fn of(scope: Scope) -> Self {
        Self { scope, hide_localhost: true }
    }

    /// Whether an address of this kind may be named to others.
    pub fn shows(self, kind: AddressKind) -> bool {
        match (self.scope, kind) {
            (Scope::Public, kind) => !matches!(kind, AddressKind::Loopback | AddressKind::Private),
            (_, AddressKind::Loopback) => !self.hide_localhost,
            _ => true,
        }
    }

    /// The addresses that may be named to others; shares the buffer when that is all of them.
    pub fn filter(self, addrs: &AddrList) -> AddrList {
        addrs.filter(|kind| self.shows(kind))
    }

    /// Whether a peer at these addresses belongs into the table: on a public network one that has a public address of its
    /// own (not through a relay only), on a local network one that has a local address.
    pub fn admits(self, addrs: &AddrList) -> bool {
        match self.scope {
            Scope::Public => addrs.any(|kind| kind == AddressKind::Public),
            Scope::Local => addrs.any(|kind| {
                kind == AddressKind::Private || kind == AddressKind::Loopback && !self.hide_localhost
            }),
            Scope::Any => true,
        }
    }
}

impl Admit<Ipfs> for AddressPolicy {
    fn admit(&self, contact: &Contact<Ipfs>) -> bool {
        self.admits(&contact.addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Multiaddr;

    fn list(texts: &[&str]) -> AddrList {
        texts.iter().map(|text| text.parse::<Multiaddr>().unwrap()).collect()
    }

    const LOOPBACK: &str = "/ip4/127.0.0.1/tcp/1";
    const PRIVATE: &str = "/ip4/192.168.1.2/tcp/1";
    const PUBLIC: &str = "/ip4/1.2.3.4/tcp/1";
    const RELAY: &str = "/ip4/1.2.3.4/tcp/1/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN/p2p-circuit";

    #[test]
    fn a_public_network_names_public_addresses_only() {
        let policy = AddressPolicy::of(Scope::Public);
        assert_eq!(policy.filter(&list(&[LOOPBACK, PUBLIC, PRIVATE, RELAY])), list(&[PUBLIC, RELAY]));
        assert!(policy.filter(&list(&[LOOPBACK, PRIVATE])).is_empty());
        assert!(AddressPolicy { hide_localhost: false, ..policy }.filter(&list(&[LOOPBACK])).is_empty());
        assert!(policy.admits(&list(&[PRIVATE, PUBLIC])));
        assert!(!policy.admits(&list(&[PRIVATE, RELAY])) && !policy.admits(&AddrList::default()));
    }

    #[test]
    fn localhost_is_hidden_elsewhere_unless_switched_off() {
        for scope in [Scope::Local, Scope::Any] {
            let policy = AddressPolicy::of(scope);
            assert_eq!(policy.filter(&list(&[LOOPBACK, PRIVATE])), list(&[PRIVATE]));
            let shown = AddressPolicy { hide_localhost: false, ..policy };
            assert_eq!(shown.filter(&list(&[LOOPBACK, PRIVATE])), list(&[LOOPBACK, PRIVATE]));
        }
        assert!(!AddressPolicy::of(Scope::Local).admits(&list(&[PUBLIC, LOOPBACK])));
        assert!(AddressPolicy::of(Scope::Local).admits(&list(&[PRIVATE])));
        assert!(AddressPolicy::of(Scope::Any).admits(&AddrList::default()));
    }
}
