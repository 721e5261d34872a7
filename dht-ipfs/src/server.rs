//! What a node of this network shows and keeps: the server rules of the Amino and libp2p specifications.

use std::{
    convert::Infallible,
    fmt::{self, Debug},
    sync::Arc,
    time::Duration,
};

use dht_core::{Contact, Now, Request};
use dht_protocol::{Refusal, Rules};
use dht_records::Stored;

use crate::{AddrList, AddressPolicy, Ipfs, Item, Query, Scope};

/// Looks at every inbound request before it is served; `false` refuses it.
pub type RequestHook = Arc<dyn Fn(&Contact<Ipfs>, &Request<Ipfs>) -> bool + Send + Sync>;
/// Says which addresses of a peer others may be told.
pub type AddressFilter = Arc<dyn Fn(&AddrList) -> AddrList + Send + Sync>;

/// The policy of a server. The default is that of the public network.
#[derive(Clone)]
pub struct ServerRules {
    /// Only globally routable addresses are shown, and peers without any are left out (Amino spec, A14).
    pub public_only: bool,
    /// Loopback addresses are left out of answers.
    pub hide_localhost: bool,
    /// Whether values are served and stored.
    pub values: bool,
    /// Whether provider records are served and stored.
    pub providers: bool,
    /// How long a value is kept. Default 48 h.
    pub value_age: Duration,
    /// How long a provider record is kept. Default 48 h (A20).
    pub provider_age: Duration,
    /// How long a provider's addresses are shown. Default 24 h (A21).
    pub address_age: Duration,
    /// The operator's own say about requests.
    pub hook: Option<RequestHook>,
    /// The operator's own say about addresses, after the filters above.
    pub addresses: Option<AddressFilter>,
}

impl Default for ServerRules {
    fn default() -> Self {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        Self {
            public_only: true,
            hide_localhost: true,
            values: true,
            providers: true,
            value_age: hours(48),
            provider_age: hours(48),
            address_age: hours(24),
            hook: None,
            addresses: None,
        }
    }
}

impl ServerRules {
    fn filtered(&self, addrs: &AddrList) -> AddrList {
        let scope = if self.public_only { Scope::Public } else { Scope::Any };
        let shown = AddressPolicy { scope, hide_localhost: self.hide_localhost }.filter(addrs);
        match &self.addresses {
            Some(filter) => filter(&shown),
            None => shown,
        }
    }

    fn handles(&self, query: &Query) -> bool {
        match query {
            Query::Value(_) => self.values,
            Query::Providers(_) => self.providers,
        }
    }
}

impl Debug for ServerRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerRules")
            .field("public_only", &self.public_only)
            .field("hide_localhost", &self.hide_localhost)
            .field("values", &self.values)
            .field("providers", &self.providers)
            .field("value_age", &self.value_age)
            .field("provider_age", &self.provider_age)
            .field("address_age", &self.address_age)
            .finish_non_exhaustive()
    }
}

impl Rules<Ipfs> for ServerRules {
    fn admit(&self, from: &Contact<Ipfs>, request: &Request<Ipfs>, _: Now) -> Result<(), Refusal> {
        let handled = match request {
            Request::Get { query } | Request::Put { query, .. } => self.handles(query),
            _ => true,
        };
        // Nobody speaks for others. The codec takes the sender's own record only; this holds for other transports too.
        let own = match request {
            Request::Put { item: Item::Provider(record), .. } => record.peer == from.peer,
            _ => true,
        };
        let wanted = self.hook.as_ref().is_none_or(|hook| hook(from, request));
        if handled && own && wanted { Ok(()) } else { Err(Refusal::NotAdmitted) }
    }

    fn show(&self, contact: &Contact<Ipfs>, _: &Contact<Ipfs>) -> Option<AddrList> {
        let shown = self.filtered(&contact.addr);
        (!shown.is_empty()).then_some(shown)
    }

    fn ticket(&self, _: &Contact<Ipfs>, _: &Query, _: usize, _: Now) -> Option<Infallible> {
        None
    }

    fn redeem(&self, _: &Contact<Ipfs>, _: &Query, _: Option<&Infallible>, _: Now) -> Result<(), Refusal> {
        Ok(())
    }

    fn lifetime(&self, query: &Query, _: &Item) -> Duration {
        match query {
            Query::Value(_) => self.value_age,
            Query::Providers(_) => self.provider_age,
        }
    }

    fn receive(&self, mut item: Item, now: Now) -> Item {
        match &mut item {
            Item::Value(record) => record.time_received = Some(now.wall),
            Item::Provider(record) => record.addrs = self.filtered(&record.addrs),
        }
        item
    }

    fn present(&self, stored: &Stored<Ipfs>, now: Now) -> Option<Item> {
        let mut item = stored.item.clone();
        match &mut item {
            // Nobody has received an own value, and some readers insist on a time.
            Item::Value(record) => record.time_received = record.time_received.or(Some(stored.received)),
            Item::Provider(record) => {
                let fresh = now.wall.since(stored.received) < self.address_age;
                record.addrs = if fresh { self.filtered(&record.addrs) } else { AddrList::default() };
            }
        }
        Some(item)
    }

    fn renew(&self, mut item: Item, local: &Contact<Ipfs>) -> Item {
        if let Item::Provider(record) = &mut item
            && record.peer == local.peer
        {
            record.addrs = local.addr.clone();
        }
        item
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
