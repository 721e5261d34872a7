//! Who has how many connections, and how often each address was just dialled. Bounded by the connections there are, and by
//! [`MAX_PACED`] addresses. Knows no clock.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    time::Duration,
};

use tokio::time::Instant;

use super::{Bound, Config};
use crate::ip;

/// Addresses whose last dials are remembered. With the default pace each is forgotten after a second, so this is also how
/// many addresses can be dialled in one.
pub(super) const MAX_PACED: usize = 16_384;

/// How long a full memory of dials is not looked through again.
const SWEEP_PAUSE: Duration = Duration::from_millis(100);

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Outbound,
    Inbound,
}

#[derive(Debug, Default)]
struct Counts {
    open: usize,
    addresses: HashMap<IpAddr, usize>,
    subnets: HashMap<IpAddr, usize>,
}

impl Counts {
    fn add(&mut self, owner: IpAddr, subnet: IpAddr) {
        *self.addresses.entry(owner).or_default() += 1;
        *self.subnets.entry(subnet).or_default() += 1;
    }
}

fn count(map: &HashMap<IpAddr, usize>, key: &IpAddr) -> usize {
    map.get(key).copied().unwrap_or(0)
}

fn take(map: &mut HashMap<IpAddr, usize>, key: IpAddr) {
    if let Entry::Occupied(mut count) = map.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

/// Who one connection belongs to: a machine (a whole /64 of IPv6 is one), and its neighbourhood.
fn owners(ip: IpAddr) -> (IpAddr, IpAddr) {
    let machine = if ip.is_ipv4() { ip } else { ip::group(ip, 0, 64) };
    (machine, ip::group(ip, 24, 48))
}

/// All counts of a pool.
#[derive(Debug)]
pub(super) struct Ledger {
    config: Config,
    outbound: Counts,
    inbound: Counts,
    /// For each address the time at which it is as if it had never been dialled.
    dials: HashMap<IpAddr, Instant>,
    swept: Option<Instant>,
}

impl Ledger {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            outbound: Counts::default(),
            inbound: Counts::default(),
            dials: HashMap::new(),
            swept: None,
        }
    }

    pub(super) fn open(&self, side: Side) -> usize {
        match side {
            Side::Outbound => self.outbound.open,
            Side::Inbound => self.inbound.open,
        }
    }

    /// Counts a connection, unless that were one too many.
    pub(super) fn enter(&mut self, side: Side, ip: IpAddr, now: Instant) -> Result<(), Bound> {
        let config = &self.config;
        let (counts, limits) = match side {
            Side::Outbound => (
                &self.outbound,
                (config.max_outbound, config.outbound_per_address, config.outbound_per_subnet),
            ),
            Side::Inbound => {
                (&self.inbound, (config.max_inbound, config.inbound_per_address, config.inbound_per_subnet))
            }
        };
        if counts.open >= limits.0 {
            return Err(Bound::Connections);
        }
        let (owner, subnet) = owners(ip);
        if !config.local {
            if count(&counts.addresses, &owner) >= limits.1 {
                return Err(Bound::Address);
            }
            if count(&counts.subnets, &subnet) >= limits.2 {
                return Err(Bound::Subnet);
            }
            if side == Side::Outbound && !self.pace(owner, now) {
                return Err(Bound::Pace);
            }
        }
        let local = self.config.local;
        let counts = self.counts(side);
        counts.open += 1;
        if !local {
            counts.add(owner, subnet);
        }
        Ok(())
    }

    /// A connection ended.
    pub(super) fn leave(&mut self, side: Side, ip: IpAddr) {
        let local = self.config.local;
        let counts = self.counts(side);
        counts.open -= 1;
        if !local {
            let (owner, subnet) = owners(ip);
            take(&mut counts.addresses, owner);
            take(&mut counts.subnets, subnet);
        }
    }

    fn counts(&mut self, side: Side) -> &mut Counts {
        match side {
            Side::Outbound => &mut self.outbound,
            Side::Inbound => &mut self.inbound,
        }
    }

    /// Whether this address may be dialled once more; counts it if so.
    fn pace(&mut self, owner: IpAddr, now: Instant) -> bool {
        let per_second = self.config.dials_per_address;
        let interval = Duration::from_secs(1) / per_second;
        if self.dials.len() >= MAX_PACED && !self.dials.contains_key(&owner) && !self.sweep(now) {
            return false;
        }
        let fresh_at = self.dials.entry(owner).or_insert(now);
        let from = (*fresh_at).max(now);
        if from - now > interval * (per_second - 1) {
            return false;
        }
        *fresh_at = from + interval;
        true
    }

    /// Forgets addresses that are fresh again; whether there is room now.
    fn sweep(&mut self, now: Instant) -> bool {
        if self.swept.is_some_and(|swept| now < swept + SWEEP_PAUSE) {
            return false;
        }
        self.swept = Some(now);
        self.dials.retain(|_, fresh_at| *fresh_at > now);
        self.dials.len() < MAX_PACED
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_and_a_subnet_have_their_share() {
        let config = Config { outbound_per_subnet: 3, max_outbound: 4, ..Config::default() };
        let mut ledger = Ledger::new(config);
        let now = Instant::now();
        let mut enter = |addr: &str| ledger.enter(Side::Outbound, ip(addr), now);
        assert_eq!((enter("8.8.8.8"), enter("8.8.8.8")), (Ok(()), Ok(())));
        assert_eq!(enter("8.8.8.8"), Err(Bound::Address));
        assert_eq!((enter("8.8.8.9"), enter("8.8.8.10")), (Ok(()), Err(Bound::Subnet)));
        assert_eq!((enter("9.9.9.9"), enter("7.7.7.7")), (Ok(()), Err(Bound::Connections)));
        for addr in ["8.8.8.8", "8.8.8.8", "8.8.8.9", "9.9.9.9"] {
            ledger.leave(Side::Outbound, ip(addr));
        }
        assert!(ledger.outbound.addresses.is_empty() && ledger.outbound.subnets.is_empty());
        assert_eq!(ledger.open(Side::Outbound), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_of_ipv6_is_one_however_many_addresses_it_takes() {
        let mut ledger = Ledger::new(Config::default());
        let now = Instant::now();
        let inbound: Vec<_> = (1..=5)
            .map(|host| ledger.enter(Side::Inbound, ip(&format!("2a00:1450:7:8::{host}")), now))
            .collect();
        assert_eq!(inbound, [Ok(()), Ok(()), Ok(()), Ok(()), Err(Bound::Address)]);
        // The two directions are counted apart.
        assert_eq!(ledger.enter(Side::Outbound, ip("2a00:1450:7:8::1"), now), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_is_dialled_twice_a_second() {
        let mut ledger = Ledger::new(Config::default());
        let start = Instant::now();
        let mut dialled = Vec::new();
        for step in 0..40 {
            let now = start + Duration::from_millis(100 * step);
            if ledger.enter(Side::Outbound, ip("8.8.8.8"), now).is_ok() {
                dialled.push(step);
                ledger.leave(Side::Outbound, ip("8.8.8.8"));
            }
        }
        assert_eq!(dialled, [0, 1, 5, 10, 15, 20, 25, 30, 35]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_of_dials_is_bounded_and_forgets() {
        let mut ledger = Ledger::new(Config::default());
        let start = Instant::now();
        let mut dial = |n: u32, now| {
            let ip = IpAddr::from(Ipv4Addr::from(0x0800_0000 + n));
            let entered = ledger.enter(Side::Outbound, ip, now);
            if entered.is_ok() {
                ledger.leave(Side::Outbound, ip);
            }
            assert!(ledger.dials.len() <= MAX_PACED);
            entered
        };
        let most = MAX_PACED as u32;
        assert!((0..most).all(|n| dial(n, start).is_ok()));
        assert_eq!(dial(most, start), Err(Bound::Pace));
        // One that is known is not refused for the lack of room.
        assert_eq!(dial(0, start), Ok(()));
        assert_eq!(dial(most, start + Duration::from_millis(600)), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_local_network_counts_connections_only() {
        let mut ledger = Ledger::new(Config { local: true, max_inbound: 50, ..Config::default() });
        let now = Instant::now();
        let mut enter = |side| ledger.enter(side, ip("127.0.0.1"), now);
        assert!((0..50).all(|_| enter(Side::Inbound).is_ok() && enter(Side::Outbound).is_ok()));
        assert_eq!(enter(Side::Inbound), Err(Bound::Connections));
        assert!(ledger.inbound.addresses.is_empty() && ledger.dials.is_empty());
    }
}
