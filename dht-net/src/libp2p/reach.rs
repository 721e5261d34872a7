//! Which of our addresses can be reached from outside: a policy without I/O.
//!
//! Others say where they see us. Anybody can say anything, so an address is tested only once observers in several
//! networks agree, and it is believed from a dial-back that succeeded until two in a row failed. AutoNAT v2 as libp2p has
//! it neither tests an address twice nor forgets one.
//!
//! That this node cannot be reached is told once an address was given up and none is confirmed. Whoever names addresses
//! chooses how many of them are under test and whether anybody dials them, so none can keep that from being told for long.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use libp2p::{Multiaddr, multiaddr::Protocol};
use tokio::time::Instant;

use super::{Scope, ip};

/// Networks that must agree on an address before it is tested.
const OBSERVERS: usize = 4;
/// Addresses that are being tested, are confirmed or were given up lately.
const MAX_TESTED: usize = 16;
/// Addresses that were named and are not tested yet.
const MAX_NAMED: usize = 64;
/// Dial-backs in a row that fail until an address is given up, confirmed before or not.
const MAX_FAILURES: u8 = 2;

/// An address that was tested, or is.
#[derive(Debug)]
struct Tested {
    /// The last proof; `None` while there was none, and again when it is given up.
    proof: Option<Instant>,
    failures: u8,
    /// When it failed last, or was first tested.
    since: Instant,
    /// Whether the present client tests it: a verdict is heard once, and from nobody else.
    running: bool,
}

impl Tested {
    fn given_up(&self) -> bool {
        self.failures >= MAX_FAILURES
    }

    /// Whether it was never reached, and failed no more than may be chance. What nobody has dialled yet, and may never
    /// dial, is nothing to wait for.
    fn is_open(&self) -> bool {
        self.proof.is_none() && self.failures > 0 && !self.given_up()
    }
}

/// What a failed dial-back tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Told {
    #[default]
    Nothing,
    /// The address was confirmed, and is no more.
    Lost,
    /// None is confirmed and none is worth waiting for.
    Unreachable,
}

/// What is due when the tests begin anew.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Due {
    /// What is to be tested.
    pub(super) test: Vec<Multiaddr>,
    /// As [`Told::Unreachable`].
    pub(super) unreachable: bool,
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
    /// Since when only addresses that failed once keep it from being told that none can be reached.
    waiting: Option<Instant>,
}

impl Reach {
    pub(super) fn new(scope: Scope, recheck: Duration) -> Self {
        Self { scope, recheck, named: BTreeMap::new(), tested: BTreeMap::new(), waiting: None }
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
        if networks.len() < enough || !self.has_room() {
            return false;
        }
        self.named.remove(addr);
        self.tested.insert(addr.clone(), Tested { proof: None, failures: 0, since: now, running: true });
        true
    }

    /// Whether one more can be tested; what was given up long ago gives way to it.
    fn has_room(&mut self) -> bool {
        if self.tested.len() >= MAX_TESTED {
            let given_up = self.tested.iter().filter(|(_, tested)| tested.given_up());
            let oldest = given_up.min_by_key(|(_, tested)| tested.since).map(|(addr, _)| addr.clone());
            oldest.map(|addr| self.tested.remove(&addr));
        }
        self.tested.len() < MAX_TESTED
    }

    /// A dial-back to the address succeeded; whether that is news.
    pub(super) fn confirm(&mut self, addr: &Multiaddr, now: Instant) -> bool {
        let Some(tested) = self.tested.get_mut(addr) else { return false };
        let news = tested.proof.is_none();
        *tested = Tested { proof: Some(now), failures: 0, since: now, running: false };
        self.waiting = None;
        news
    }

    /// A dial-back to the address failed. Nothing if it is not the present client that tests it.
    pub(super) fn fail(&mut self, addr: &Multiaddr, now: Instant) -> Told {
        let Some(tested) = self.tested.get_mut(addr).filter(|tested| tested.running) else {
            return Told::Nothing;
        };
        tested.running = false;
        tested.failures = tested.failures.saturating_add(1);
        tested.since = now;
        if !tested.given_up() {
            return Told::Nothing;
        }
        if tested.proof.take().is_some() {
            return Told::Lost;
        }
        if self.tested.values().any(|other| other.proof.is_some()) {
            return Told::Nothing;
        }
        if self.tested.values().any(Tested::is_open) {
            self.waiting.get_or_insert(now);
            return Told::Nothing;
        }
        self.waiting = None;
        Told::Unreachable
    }

    /// Somebody from outside connected to `local`.
    pub(super) fn entered(&mut self, local: &Multiaddr, from: &Multiaddr, now: Instant) {
        let outside = ip::ip_of(from).is_some_and(|ip| self.scope == Scope::Any || ip::is_global(ip));
        let way = way(local);
        for (addr, tested) in &mut self.tested {
            if outside && self::way(addr) == way && tested.proof.is_some() {
                tested.proof = Some(now);
                tested.failures = 0;
            }
        }
    }

    /// The client was replaced: what comes of its tests counts for nothing, since it refuses the dial-backs of those that
    /// are still under way.
    pub(super) fn forget_tests(&mut self) {
        self.tested.values_mut().for_each(|tested| tested.running = false);
    }

    /// What is to be tested anew: confirmed addresses without fresh proof, and others after a failure, since one proves
    /// little. Tests that led to nothing are dropped; what failed is kept until it failed a full recheck ago, so that an
    /// address that was given up is not tested again the moment it is named again.
    pub(super) fn recheck(&mut self, now: Instant) -> Due {
        let is_due = |last: Instant| now.saturating_duration_since(last) >= self.recheck;
        let is_kept = |tested: &Tested| {
            tested.proof.is_some() || tested.running || (tested.failures > 0 && !is_due(tested.since))
        };
        self.tested.retain(|_, tested| is_kept(tested));
        let mut test = Vec::new();
        for (addr, tested) in &mut self.tested {
            if !tested.running && !tested.given_up() && tested.proof.is_none_or(is_due) {
                tested.running = true;
                test.push(addr.clone());
            }
        }
        // New ones that fail once can be named without end, but they can delay this only so long.
        let open = self.tested.values().any(Tested::is_open);
        let unreachable = self.waiting.is_some_and(|since| !open || is_due(since));
        if unreachable {
            self.waiting = None;
        }
        Due { test, unreachable }
    }
}

fn way(addr: &Multiaddr) -> Way {
    Way {
        v6: matches!(addr.iter().next(), Some(Protocol::Ip6(_))),
        udp: addr.iter().any(|part| matches!(part, Protocol::Udp(_))),
    }
}

#[cfg(test)]
mod tests;
