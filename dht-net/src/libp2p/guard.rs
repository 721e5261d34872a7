//! The last look at an address before a packet goes out, below name resolution: nobody gets us to knock at a private
//! host by a name or a peer record, nor to knock at one public host very often.

use std::{
    collections::HashMap,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    task::{Context, Poll},
};

use futures::{FutureExt, future::BoxFuture};
use libp2p::{
    Multiaddr, Transport,
    core::transport::{DialOpts, ListenerId, TransportError, TransportEvent},
};
use tokio::sync::Semaphore;

use super::{Scope, ip};

/// Hosts being dialled; those that no dial waits for any more are dropped when as many again were added.
#[derive(Debug, Default)]
struct Hosts {
    doors: HashMap<IpAddr, Weak<Semaphore>>,
    sweep_at: usize,
}

/// A transport that dials by the rules of [`Scope`].
#[derive(Debug)]
pub(super) struct Guard<T> {
    inner: T,
    scope: Scope,
    per_host: usize,
    hosts: Arc<Mutex<Hosts>>,
}

impl<T> Guard<T> {
    pub(super) fn new(inner: T, scope: Scope, per_host: usize) -> Self {
        Self { inner, scope, per_host, hosts: Arc::default() }
    }

    /// The door of a globally routable host, which only a few can be in at a time.
    fn door(&self, ip: IpAddr) -> Option<Arc<Semaphore>> {
        if !ip::is_global(ip) {
            return None;
        }
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.doors.len() > hosts.sweep_at {
            hosts.doors.retain(|_, door| door.strong_count() > 0);
            hosts.sweep_at = 2 * hosts.doors.len() + 64;
        }
        let known = hosts.doors.get(&ip).and_then(Weak::upgrade);
        Some(known.unwrap_or_else(|| {
            let door = Arc::new(Semaphore::new(self.per_host));
            hosts.doors.insert(ip, Arc::downgrade(&door));
            door
        }))
    }
}

/// Whether the address may be dialled.
pub(super) fn allowed(addr: &Multiaddr, scope: Scope) -> bool {
    scope == Scope::Any || ip::ip_of(addr).is_some_and(ip::is_global)
}

impl<T> Transport for Guard<T>
where
    T: Transport + Unpin,
    T::Dial: Send + 'static,
    T::Error: Send,
{
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = BoxFuture<'static, Result<T::Output, T::Error>>;

    fn listen_on(&mut self, id: ListenerId, addr: Multiaddr) -> Result<(), TransportError<T::Error>> {
        self.inner.listen_on(id, addr)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, addr: Multiaddr, opts: DialOpts) -> Result<Self::Dial, TransportError<T::Error>> {
        if !allowed(&addr, self.scope) {
            return Err(TransportError::MultiaddrNotSupported(addr));
        }
        let door = ip::ip_of(&addr).and_then(|ip| self.door(ip));
        let dial = self.inner.dial(addr, opts)?;
        Ok(async move {
            // A door is never closed, so there is a permit in the end; the dial's own timeout covers the wait.
            let _permit = match door {
                Some(door) => door.acquire_owned().await.ok(),
                None => None,
            };
            dial.await
        }
        .boxed())
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<T::ListenerUpgrade, T::Error>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_hosts_are_not_knocked_at() {
        for addr in [
            "/ip4/127.0.0.1/tcp/1",
            "/ip4/169.254.169.254/tcp/80",
            "/ip6/::ffff:8.8.8.8/tcp/1",
            "/dns/a/tcp/1",
        ] {
            let addr = addr.parse().unwrap();
            assert!(!allowed(&addr, Scope::Public) && allowed(&addr, Scope::Any), "{addr}");
        }
        assert!(allowed(&"/ip4/8.8.8.8/tcp/1".parse().unwrap(), Scope::Public));
    }

    #[test]
    fn doors_are_shared_while_they_are_used_and_dropped_after() {
        let guard = Guard::new((), Scope::Public, 3);
        let door = |i: u8| guard.door([8, 8, 8, i].into());
        let (first, again) = (door(1).unwrap(), door(1).unwrap());
        assert!(Arc::ptr_eq(&first, &again) && first.available_permits() == 3);
        assert!(guard.door([127, 0, 0, 1].into()).is_none());
        for i in 0..=255 {
            door(i);
        }
        assert!(guard.hosts.lock().unwrap().doors.len() <= 70);
    }
}
