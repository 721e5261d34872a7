//! Which of our addresses can be reached from outside: a policy without I/O.
//!
//! Others say where they see us. Anybody can say anything, so an address is tested only once observers in several
//! networks agree, and it is believed only for as long as there is proof: a dial-back that succeeded, or somebody who
//! connected to us that way. AutoNAT v2 as libp2p has it neither tests an address twice nor forgets one.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use libp2p::{Multiaddr, multiaddr::Protocol};
use tokio::time::Instant;

use super::{Scope, ip};

/// Networks that must agree on an address before it is tested.
const OBSERVERS: usize = 4;
/// Addresses that are being tested or are confirmed.
const MAX_TESTED: usize = 16;
/// Addresses that were named and are not tested yet.
const MAX_NAMED: usize = 64;
/// Dial-backs in a row that fail until an address is given up, confirmed before or not.
const MAX_FAILURES: u8 = 2;

/// An address that is tested.
#[derive(Debug)]
struct Tested {
    /// The last proof; `None` while there was none.
    proof: Option<Instant>,
    failures: u8,
}

/// Which transport and IP version an address belongs to; somebody who comes in that way proves it open.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Way {
    v6: bool,
    udp: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Reach {
    scope: Scope,
    recheck: Duration,
    /// The networks that named an address, no more than must agree, and when it was last named.
    named: BTreeMap<Multiaddr, (Vec<IpAddr>, Instant)>,
    tested: BTreeMap<Multiaddr, Tested>,
}

impl Reach {
    pub(super) fn new(scope: Scope, recheck: Duration) -> Self {
        Self { scope, recheck, named: BTreeMap::new(), tested: BTreeMap::new() }
    }

    /// Somebody at `from` sees us at `addr`; whether that is to be tested now.
    pub(super) fn observe(&mut self, addr: &Multiaddr, from: IpAddr, now: Instant) -> bool {
        let outside = ip::ip_of(addr).is_some_and(|ip| self.scope == Scope::Any || ip::is_global(ip));
        if !outside || ip::is_relayed(addr) || self.tested.contains_key(addr) {
            return false;
        }
        if !self.named.contains_key(addr) && self.named.len() >= MAX_NAMED {
            let oldest = self.named.iter().min_by_key(|(_, (_, last))| *last).map(|(addr, _)| addr.clone());
            oldest.map(|addr| self.named.remove(&addr));
        }
        let (networks, last) = self.named.entry(addr.clone()).or_insert_with(|| (Vec::new(), now));
        *last = now;
        let network = ip::group(from, 16, 32);
        // Within one site there is only one network.
        let enough = if self.scope == Scope::Any { 1 } else { OBSERVERS };
        if networks.len() < enough && !networks.contains(&network) {
            networks.push(network);
        }
        if networks.len() < enough || self.tested.len() >= MAX_TESTED {
            return false;
        }
        self.named.remove(addr);
        self.tested.insert(addr.clone(), Tested { proof: None, failures: 0 });
        true
    }

    /// A dial-back to the address succeeded; whether that is news.
    pub(super) fn confirm(&mut self, addr: &Multiaddr, now: Instant) -> bool {
        let Some(tested) = self.tested.get_mut(addr) else { return false };
        let news = tested.proof.is_none();
        *tested = Tested { proof: Some(now), failures: 0 };
        news
    }

    /// A dial-back to the address failed; whether that tells something: a confirmed address is given up, or the last one
    /// that was under test, so that none is left.
    pub(super) fn fail(&mut self, addr: &Multiaddr) -> bool {
        let Some(tested) = self.tested.get_mut(addr) else { return false };
        tested.failures = tested.failures.saturating_add(1);
        if tested.failures < MAX_FAILURES {
            return false;
        }
        let confirmed = tested.proof.is_some();
        self.tested.remove(addr);
        confirmed || self.tested.is_empty()
    }

    /// Somebody from outside connected to `local`.
    pub(super) fn entered(&mut self, local: &Multiaddr, from: &Multiaddr, now: Instant) {
        let outside = ip::ip_of(from).is_some_and(|ip| self.scope == Scope::Any || ip::is_global(ip));
        let way = way(local);
        for (addr, tested) in &mut self.tested {
            if outside && self::way(addr) == way && tested.proof.is_some() {
                *tested = Tested { proof: Some(now), failures: 0 };
            }
        }
    }

    /// What is to be tested anew: confirmed addresses without fresh proof, and others after a failure, since one proves
    /// little. Tests that led to nothing are dropped.
    pub(super) fn recheck(&mut self, now: Instant) -> Vec<Multiaddr> {
        self.tested.retain(|_, tested| tested.proof.is_some() || tested.failures > 0);
        let stale = |tested: &Tested| {
            tested.proof.is_none_or(|proof| now.saturating_duration_since(proof) >= self.recheck)
        };
        self.tested.iter().filter(|(_, tested)| stale(tested)).map(|(addr, _)| addr.clone()).collect()
    }
}

fn way(addr: &Multiaddr) -> Way {
    Way {
        v6: matches!(addr.iter().next(), Some(Protocol::Ip6(_))),
        udp: addr.iter().any(|part| matches!(part, Protocol::Udp(_))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    fn from(i: u8) -> IpAddr {
        [8, i, 1, 1].into()
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn four_networks_must_agree() {
        let now = Instant::now();
        let mut reach = Reach::new(Scope::Public, HOUR);
        let ours = addr("/ip4/1.1.1.1/tcp/4001");
        assert!((0..100).all(|_| !reach.observe(&ours, from(1), now)));
        assert!(!reach.observe(&ours, from(2), now) && !reach.observe(&ours, from(3), now));
        assert!(reach.observe(&ours, from(4), now));
        assert!(!reach.observe(&ours, from(5), now), "it is tested once");
        for private in ["/ip4/10.0.0.1/tcp/1", "/ip6/::1/tcp/1", "/dns4/a.example/tcp/1"] {
            assert!((0..9).all(|i| !reach.observe(&addr(private), from(i), now)));
        }
        let relay = "/ip4/1.1.1.1/tcp/1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN/p2p-circuit";
        assert!((0..9).all(|i| !reach.observe(&addr(relay), from(i), now)));
    }

    #[test]
    fn what_others_claim_is_bounded() {
        let now = Instant::now();
        let mut reach = Reach::new(Scope::Public, HOUR);
        for port in 0..1000 {
            let claim = addr(&format!("/ip4/1.1.1.1/tcp/{port}"));
            (0..4).for_each(|i| assert!(reach.observe(&claim, from(i), now) == (i == 3 && port < 16)));
        }
        assert!(reach.tested.len() == MAX_TESTED && reach.named.len() <= MAX_NAMED);
        let claim = addr("/ip4/1.1.1.1/tcp/999");
        (0..=255).for_each(|i| assert!(!reach.observe(&claim, from(i), now)));
        assert!(
            reach.named.values().all(|(networks, _)| networks.len() <= OBSERVERS),
            "while none can be tested"
        );
        assert!(reach.recheck(now).is_empty() && reach.tested.is_empty(), "failed tests make room");
    }

    #[test]
    fn an_address_that_was_never_reached_is_given_up_by_the_second_failure() {
        let now = Instant::now();
        let mut reach = Reach::new(Scope::Any, HOUR);
        let [a, b] = [addr("/ip4/1.1.1.1/tcp/1"), addr("/ip4/1.1.1.1/udp/1/quic-v1")];
        assert!(reach.observe(&a, from(1), now) && reach.observe(&b, from(1), now));
        assert!(!reach.fail(&a) && !reach.fail(&b));
        assert_eq!(reach.recheck(now), [a.clone(), b.clone()], "one failure proves little");
        assert!(!reach.fail(&a), "the other one is still under test");
        assert!(reach.fail(&b), "none is left");
        assert!(reach.tested.is_empty() && reach.observe(&a, from(1), now), "it may be tested another time");
    }

    #[test]
    fn proof_grows_old_and_two_failures_end_it() {
        let start = Instant::now();
        let mut reach = Reach::new(Scope::Public, HOUR);
        let (tcp, quic) = (addr("/ip4/1.1.1.1/tcp/1"), addr("/ip4/1.1.1.1/udp/1/quic-v1"));
        for ours in [&tcp, &quic] {
            assert!((0..4).any(|i| reach.observe(ours, from(i), start)));
            assert!(reach.confirm(ours, start) && !reach.confirm(ours, start));
        }
        let later = start + HOUR;
        reach.entered(&addr("/ip4/192.168.0.2/tcp/1"), &addr("/ip4/8.8.8.8/tcp/9"), later);
        reach.entered(
            &addr("/ip4/192.168.0.2/udp/1/quic-v1"),
            &addr("/ip4/192.168.0.9/udp/9/quic-v1"),
            later,
        );
        assert_eq!(reach.recheck(later), std::slice::from_ref(&quic), "the neighbour proves nothing");
        assert!(!reach.fail(&quic) && reach.fail(&quic) && !reach.fail(&quic));
        assert!(!reach.fail(&tcp) && !reach.confirm(&tcp, later) && !reach.fail(&tcp));
    }
}
