//! Who a datagram comes from, as a keyed number, and tables of fixed size that remember something about each.
//!
//! A table is set-associative: a number has eight places, the one that was used longest ago gives way. Every operation looks
//! at eight places whatever the flood, and nothing grows. The key of the hash is secret, so that nobody can aim at the
//! places of another.

use std::{
    hash::Hasher,
    net::{IpAddr, SocketAddr},
};

use dht_core::Mono;
use siphasher::sip::SipHasher13;

const WAYS: usize = 8;

/// Turns addresses and datagrams into numbers that nobody outside can foresee.
#[derive(Clone, Copy)]
pub(super) struct Keyer {
    key: [u8; 16],
    /// Whether ports tell sources apart: where many nodes share few addresses.
    local: bool,
}

/// Where a datagram comes from, in the sizes that limits count in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The address; with its port where the network is local.
    pub(super) address: u64,
    /// Whom rates count for: the same, on IPv6 the /64, which is one host.
    pub(super) source: u64,
    /// Its /24 or /48; `None` where the network is local, which has no neighbourhoods.
    pub(super) network: Option<u64>,
}

impl Keyer {
    pub(super) fn new(key: [u8; 16], local: bool) -> Self {
        Self { key, local }
    }

    fn hash(&self, sort: u8, ip: &[u8], port: u16, bytes: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write_u8(sort);
        hasher.write(ip);
        hasher.write_u16(port);
        hasher.write(bytes);
        // Zero is the mark of an empty place.
        hasher.finish().max(1)
    }

    pub(super) fn origin(&self, addr: SocketAddr) -> Origin {
        let port = if self.local { addr.port() } else { 0 };
        let (address, source, network) = match addr.ip().to_canonical() {
            IpAddr::V4(ip) => {
                let ip = ip.octets();
                let address = self.hash(0, &ip, port, &[]);
                (address, address, self.hash(1, &ip[..3], 0, &[]))
            }
            IpAddr::V6(ip) => {
                let ip = ip.octets();
                let address = self.hash(0, &ip, port, &[]);
                // Whoever has one address of a /64 has all. On one machine there are no such hosts.
                let source = if self.local { address } else { self.hash(0, &ip[..8], port, &[]) };
                (address, source, self.hash(1, &ip[..6], 0, &[]))
            }
        };
        Origin { address, source, network: (!self.local).then_some(network) }
    }

    /// An address with its port, whatever the network: what a NAT keeps a mapping for.
    pub(super) fn endpoint(&self, addr: SocketAddr) -> u64 {
        self.datagram(addr, &[])
    }

    /// A datagram and where it comes from.
    pub(super) fn datagram(&self, from: SocketAddr, bytes: &[u8]) -> u64 {
        match from.ip() {
            IpAddr::V4(ip) => self.hash(2, &ip.octets(), from.port(), bytes),
            IpAddr::V6(ip) => self.hash(2, &ip.octets(), from.port(), bytes),
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Place<V> {
    key: u64,
    /// When it was used last, in milliseconds, wrapping after 49 days.
    used: u32,
    value: V,
}

/// What is remembered of the sources that were heard of last.
pub(super) struct Table<V> {
    places: Box<[Place<V>]>,
}

fn millis(now: Mono) -> u32 {
    // Ages are differences, which wrap rightly.
    now.0.as_millis() as u32
}

/// Milliseconds since `used`. A moment that lies ahead is one whose `now` was read a little later.
fn age(now: u32, used: u32) -> u32 {
    let age = now.wrapping_sub(used);
    if age > u32::MAX - 60_000 { 0 } else { age }
}

impl<V: Copy + Default> Table<V> {
    /// Room for `capacity`, rounded up to a power of two.
    pub(super) fn new(capacity: usize) -> Self {
        let places = capacity.max(WAYS).next_power_of_two();
        Self { places: vec![Place::default(); places].into_boxed_slice() }
    }

    fn set(&self, key: u64) -> std::ops::Range<usize> {
        let sets = self.places.len() / WAYS;
        // The low bits choose the set, all of them name the source.
        let first = (key as usize & (sets - 1)) * WAYS;
        first..first + WAYS
    }

    /// What is remembered of it, if anything, without using it.
    pub(super) fn get(&self, key: u64) -> Option<V> {
        let set = &self.places[self.set(key)];
        set.iter().find(|place| place.key == key).map(|place| place.value)
    }

    /// How long ago it was used last.
    pub(super) fn idle(&self, key: u64, now: Mono) -> Option<u32> {
        let set = &self.places[self.set(key)];
        let place = set.iter().find(|place| place.key == key)?;
        Some(age(millis(now), place.used))
    }

    /// Uses it: what is remembered, or a fresh value in the place of the one that was used longest ago.
    pub(super) fn entry(&mut self, key: u64, now: Mono) -> &mut V {
        let now = millis(now);
        let range = self.set(key);
        let set = &mut self.places[range];
        let age = |place: &Place<V>| if place.key == 0 { u32::MAX } else { age(now, place.used) };
        let at = set.iter().position(|place| place.key == key).unwrap_or_else(|| {
            let oldest = (0..WAYS).max_by_key(|&at| age(&set[at])).unwrap_or(0);
            set[oldest] = Place { key, used: now, value: V::default() };
            oldest
        });
        set[at].used = now;
        &mut set[at].value
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> Mono {
        Mono(Duration::from_millis(millis))
    }

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn sources_are_addresses_and_on_a_local_network_endpoints() {
        let public = Keyer::new([1; 16], false);
        let of = |text| public.origin(addr(text));
        assert_eq!(of("1.2.3.4:1"), of("1.2.3.4:2"));
        assert_eq!(of("1.2.3.4:1"), of("[::ffff:1.2.3.4]:2"));
        assert_ne!(of("1.2.3.4:1").source, of("1.2.3.5:1").source);
        assert_eq!(of("1.2.3.4:1").network, of("1.2.3.5:1").network);
        assert_ne!(of("1.2.3.4:1").network, of("1.2.4.4:1").network);
        assert_eq!(of("[2001:db8:1:2::1]:1").source, of("[2001:db8:1:2::2]:1").source);
        assert_ne!(of("[2001:db8:1:2::1]:1").address, of("[2001:db8:1:2::2]:1").address);
        assert_ne!(of("[2001:db8:1:2::1]:1").source, of("[2001:db8:1:3::1]:1").source);
        assert_eq!(of("[2001:db8:1:2::1]:1").network, of("[2001:db8:1:3::1]:1").network);

        let local = Keyer::new([1; 16], true);
        assert_ne!(local.origin(addr("127.0.0.1:1")), local.origin(addr("127.0.0.1:2")));
        assert_eq!(local.origin(addr("127.0.0.1:1")).network, None);
    }

    #[test]
    fn a_flood_evicts_what_is_old_and_grows_nothing() {
        let keyer = Keyer::new([7; 16], false);
        let key = |n: u32| keyer.origin(SocketAddr::new(IpAddr::V4(n.into()), 1)).source;
        let mut table = Table::<u32>::new(1024);
        for n in 0..100_000 {
            *table.entry(key(n), at(u64::from(n))) = n;
            // One that stays in use stays.
            *table.entry(key(1 << 30), at(u64::from(n))) = 5;
        }
        assert_eq!(table.places.len(), 1024);
        assert_eq!(table.get(key(1 << 30)), Some(5));
        assert_eq!(table.get(key(0)), None);
        let last = (99_000..100_000).filter(|&n| table.get(key(n)) == Some(n)).count();
        assert!(last > 800, "{last}");
        assert_eq!(table.idle(key(99_999), at(100_099)), Some(100));
    }

    #[test]
    fn ages_survive_the_wrap_of_the_clock() {
        let mut table = Table::<u8>::new(8);
        table.entry(1, at(u64::from(u32::MAX) - 10));
        assert_eq!(table.idle(1, at(u64::from(u32::MAX) + 10)), Some(20));
        assert_eq!(table.idle(1, at(u64::from(u32::MAX) - 15)), Some(0));
    }
}
