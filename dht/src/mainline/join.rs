//! Joining and staying joined: hosts that are only known by their address, a start without a network, a table that was
//! lost.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use dht_core::Contact;
use dht_mainline::{Endpoint, Mainline, Sibling, compact::Family};
use dht_net::{Handle, WeakHandle, resolve};
use dht_routing::BootstrapOptions;
use futures::{StreamExt, stream};

use crate::node::Seeds;

/// Places that are asked at once who is there.
const GREETINGS: usize = 32;
/// How long such an answer may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// Contacts of an earlier run that are tried at a time, besides the hosts.
const REMEMBERED: usize = 64;

/// Where to join: hosts as text, and contacts of an earlier run.
#[derive(Clone, Debug, Default)]
pub(super) struct Doors {
    pub(super) hosts: Vec<String>,
    pub(super) contacts: Vec<Contact<Mainline>>,
    pub(super) limits: resolve::Limits,
}

impl Doors {
    /// Whoever answers behind the doors: the hosts are resolved anew each time, for they change and may be unreachable.
    pub(super) fn seeds(self) -> Seeds<Mainline> {
        let doors = Arc::new(self);
        Arc::new(move |handle| {
            let doors = doors.clone();
            Box::pin(async move { doors.open(handle).await })
        })
    }

    async fn open(&self, handle: Handle<Mainline>) -> Result<Vec<Contact<Mainline>>, usize> {
        let own = handle.local().addr.0;
        let wanted = match own.map(|addr| Family::of(addr.ip())) {
            Some(Family::V4) => resolve::Family::V4,
            Some(Family::V6) => resolve::Family::V6,
            None => resolve::Family::Any,
        };
        let resolved = resolve::resolve(&self.hosts, wanted, self.limits).await;
        for error in &resolved.errors {
            tracing::warn!(%error, "a bootstrap host has no address");
        }
        let places = resolved.addrs.into_iter().filter(|place: &SocketAddr| Some(*place) != own);
        let greeted = stream::iter(places)
            .map(|place| {
                let handle = handle.clone();
                async move { handle.greet(Endpoint(Some(place)), PATIENCE).await }
            })
            .buffer_unordered(GREETINGS)
            .filter_map(|greeted| async move { greeted.ok()?.ok() });
        let mut contacts: Vec<_> = greeted.collect().await;
        contacts.extend(self.contacts.iter().take(REMEMBERED).cloned());
        if contacts.is_empty() && !self.hosts.is_empty() { Err(self.hosts.len()) } else { Ok(contacts) }
    }
}

/// Joins as long as the table is empty, for as long as the node runs. A failure costs a few datagrams, so it is tried again
/// after a few seconds, and somebody who comes back online is back soon.
pub(super) async fn keep_joined(
    node: WeakHandle<Mainline>,
    seeds: Seeds<Mainline>,
    options: BootstrapOptions,
    retry: Duration,
) {
    loop {
        let Some(handle) = node.upgrade() else { return };
        let alone =
            handle.visit(|node, _| node.routing().is_empty() && !node.routing().health().bootstrapping).await;
        match alone {
            Ok(true) => {
                if let Ok(found) = seeds(handle.clone()).await
                    && !found.is_empty()
                    && let Ok(Err(failed)) = handle.bootstrap(found, Vec::new(), options.clone()).await
                {
                    tracing::debug!(%failed, "not joined yet");
                }
            }
            Ok(false) => {}
            Err(_) => return,
        }
        drop(handle);
        tokio::time::sleep(retry).await;
    }
}

/// Fewer known nodes than this, and those of the other family are asked for more: K, with which lookups get on.
const FEW: usize = 8;

/// Tells the nodes of each family whom those of the other know, for askers who want both (BEP 32), and lets a family in whose
/// table there are few join through those that the other was told of.
pub(super) async fn keep_siblings(
    nodes: Vec<(Family, WeakHandle<Mainline>)>,
    [v4, v6]: [Sibling; 2],
    options: BootstrapOptions,
    pause: Duration,
) {
    let both = [Family::V4, Family::V6].iter().all(|family| nodes.iter().any(|node| node.0 == *family));
    loop {
        let mut alive = false;
        for (family, sibling) in [(Family::V4, &v4), (Family::V6, &v6)] {
            let mut known: Vec<Contact<Mainline>> = Vec::new();
            let of_family = nodes.iter().filter(|node| node.0 == family);
            let handles: Vec<_> = of_family.filter_map(|node| node.1.upgrade()).collect();
            for handle in &handles {
                let table = handle
                    .visit(|node, _| node.routing().iter().map(|entry| entry.contact.clone()).collect());
                let Ok(contacts): Result<Vec<_>, _> = table.await else { continue };
                alive = true;
                known.extend(contacts);
            }
            sibling.need(both && known.len() < FEW);
            sibling.set(known);
            let heard = sibling.take_heard();
            if let Some(handle) = handles.into_iter().next().filter(|_| !heard.is_empty()) {
                tokio::spawn(join_through(handle, heard, options.clone()));
            }
        }
        if !alive {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

/// Joins through nodes that others named: they count once they answered.
async fn join_through(handle: Handle<Mainline>, heard: Vec<Contact<Mainline>>, options: BootstrapOptions) {
    let joining = handle.visit(|node, _| node.routing().health().bootstrapping).await;
    if joining == Ok(false)
        && let Ok(Err(failed)) = handle.bootstrap(heard, Vec::new(), options).await
    {
        tracing::debug!(%failed, "not joined through the other family");
    }
}
