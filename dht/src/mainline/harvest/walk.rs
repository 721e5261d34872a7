//! Whom a harvest asks what, and when: pure, given the time.
//!
//! Politeness is decided here. One host (a /24, a /48) is asked one thing at a time and no more than once in a while; a
//! node whose interval is not over is not asked for samples again (BEP 51); a swarm is looked at once in a while.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use dht_core::{Contact, Mono};
use dht_mainline::{InfoHash, Mainline, address};

use super::HarvestConfig;

/// Something to ask.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Job {
    /// For swarms.
    Sample(Contact<Mainline>),
    /// For the peers of one swarm that it told.
    Peers(Contact<Mainline>, InfoHash),
}

impl Job {
    fn contact(&self) -> &Contact<Mainline> {
        match self {
            Self::Sample(contact) | Self::Peers(contact, _) => contact,
        }
    }
}

/// Nodes to be asked, those that were, and the swarms that were seen.
pub(super) struct Walk {
    config: HarvestConfig,
    /// By the time at which they may be done, then in order; at most `max_jobs`.
    jobs: BTreeMap<(Mono, u64), Job>,
    next: u64,
    /// When a host may be asked again; as many as there are jobs, and those asked within `per_host`.
    hosts: BTreeMap<u64, Mono>,
    /// When a node may be asked for samples again; at most `max_nodes`.
    nodes: BTreeMap<Place, Mono>,
    seen: Generations<InfoHash>,
}

/// When no more nodes fit, one in so many is forgotten.
const FORGOTTEN: usize = 8;

/// A node by where it is: who changes ids is still the same.
type Place = SocketAddr;

impl Walk {
    pub(super) fn new(config: HarvestConfig) -> Self {
        let half = (config.max_hashes / 2).max(1);
        Self {
            config,
            jobs: BTreeMap::new(),
            next: 0,
            hosts: BTreeMap::new(),
            nodes: BTreeMap::new(),
            seen: Generations::new(half),
        }
    }

    /// Jobs that wait.
    pub(super) fn waiting(&self) -> usize {
        self.jobs.len()
    }

    /// Nodes that were asked for samples or are to be.
    pub(super) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// A node was heard of. Whether it will be asked.
    pub(super) fn heard(&mut self, now: Mono, contact: Contact<Mainline>) -> bool {
        let Some(addr) = contact.addr.0 else { return false };
        if self.jobs.len() >= self.config.max_jobs || self.nodes.get(&addr).is_some_and(|until| *until > now)
        {
            return false;
        }
        self.make_room(now);
        // Until it has answered it is not asked again for as long as an interval may be.
        self.nodes.insert(addr, now + self.config.unanswered);
        self.schedule(now, Job::Sample(contact));
        true
    }

    /// A node told how long it wants to be left alone.
    pub(super) fn answered(&mut self, now: Mono, contact: &Contact<Mainline>, interval: u32) {
        if let Some(addr) = contact.addr.0 {
            let pause = Duration::from_secs(interval.into()).max(self.config.min_interval);
            self.nodes.insert(addr, now + pause);
        }
    }

    /// A swarm was seen; whether it was not seen lately.
    pub(super) fn is_news(&mut self, now: Mono, info_hash: InfoHash) -> bool {
        self.seen.insert(info_hash, now, self.config.lookup_interval)
    }

    /// Who told of a swarm is to be asked for its peers. Whether there is room for that.
    pub(super) fn ask_peers(&mut self, now: Mono, contact: Contact<Mainline>, info_hash: InfoHash) -> bool {
        let room = self.jobs.len() < self.config.max_jobs;
        if room {
            self.schedule(now, Job::Peers(contact, info_hash));
        }
        room
    }

    /// What may be asked now; otherwise when to look again.
    pub(super) fn next(&mut self, now: Mono) -> Result<Job, Option<Mono>> {
        match self.jobs.first_key_value() {
            Some((&(at, number), _)) if at <= now => {
                Ok(self.jobs.remove(&(at, number)).expect("it was the first just now"))
            }
            first => Err(first.map(|((at, _), _)| *at)),
        }
    }

    /// Gives a job the next time that its host can be asked.
    fn schedule(&mut self, now: Mono, job: Job) {
        let Some(addr) = job.contact().addr.0 else { return };
        if self.hosts.len() >= self.config.max_jobs {
            self.hosts.retain(|_, free| *free > now);
        }
        let free = self.hosts.entry(address::group(addr.ip())).or_insert(now);
        let at = (*free).max(now);
        *free = at + self.config.per_host;
        self.next += 1;
        self.jobs.insert((at, self.next), job);
    }

    /// Forgets nodes in great numbers at a time: looking through all of them for one place would be done at every new node.
    fn make_room(&mut self, now: Mono) {
        if self.nodes.len() < self.config.max_nodes {
            return;
        }
        let queued: BTreeSet<_> = self.jobs.values().filter_map(|job| job.contact().addr.0).collect();
        self.nodes.retain(|addr, until| *until > now || queued.contains(addr));
        let wanted = self.config.max_nodes - self.config.max_nodes.div_ceil(FORGOTTEN);
        let Some(excess) = self.nodes.len().checked_sub(wanted).filter(|excess| *excess > 0) else { return };
        // Who is forgotten may be asked too soon; those whose time comes first, then.
        let mut times: Vec<_> = self.nodes.iter().map(|(addr, until)| (*until, *addr)).collect();
        times.select_nth_unstable(excess - 1);
        for (_, addr) in &times[..excess] {
            self.nodes.remove(addr);
        }
    }
}

/// Remembers when things were seen, the latest `half` to twice as many of them.
struct Generations<T> {
    half: usize,
    young: BTreeMap<T, Mono>,
    old: BTreeMap<T, Mono>,
}

impl<T: Ord> Generations<T> {
    fn new(half: usize) -> Self {
        Self { half, young: BTreeMap::new(), old: BTreeMap::new() }
    }

    /// Whether it was not seen within `span`.
    fn insert(&mut self, thing: T, now: Mono, span: Duration) -> bool {
        let last = self.young.get(&thing).or_else(|| self.old.get(&thing));
        if last.is_some_and(|last| now.since(*last) < span) {
            return false;
        }
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(thing, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use dht_mainline::{Endpoint, NodeId};

    use super::*;

    fn at(secs: u64) -> Mono {
        Mono(Duration::from_secs(secs))
    }

    fn node(text: &str) -> Contact<Mainline> {
        Contact::new(NodeId([1; 20]), Endpoint(Some(text.parse().unwrap())))
    }

    fn walk(change: impl FnOnce(&mut HarvestConfig)) -> Walk {
        let mut config = HarvestConfig { per_host: Duration::from_secs(1), ..HarvestConfig::default() };
        change(&mut config);
        Walk::new(config)
    }

    #[test]
    fn a_host_is_asked_once_a_second_and_others_are_not_held_up() {
        let mut walk = walk(|_| {});
        for text in ["9.8.7.6:1", "9.8.7.5:1", "9.8.7.4:1", "9.8.6.1:1"] {
            assert!(walk.heard(at(0), node(text)));
        }
        assert_eq!(walk.next(at(0)), Ok(Job::Sample(node("9.8.7.6:1"))));
        assert_eq!(walk.next(at(0)), Ok(Job::Sample(node("9.8.6.1:1"))));
        assert_eq!(walk.next(at(0)), Err(Some(at(1))));
        assert!(walk.ask_peers(at(0), node("9.8.7.6:1"), InfoHash([1; 20])));
        assert_eq!(walk.next(at(1)), Ok(Job::Sample(node("9.8.7.5:1"))));
        assert_eq!(walk.next(at(1)), Err(Some(at(2))));
        assert_eq!(walk.next(at(9)), Ok(Job::Sample(node("9.8.7.4:1"))));
        assert_eq!(walk.next(at(9)), Ok(Job::Peers(node("9.8.7.6:1"), InfoHash([1; 20]))));
        assert_eq!(walk.next(at(9)), Err(None));
    }

    #[test]
    fn an_interval_is_waited_out_to_the_second() {
        let mut walk = walk(|_| {});
        let nine = node("9.8.7.6:1");
        assert!(walk.heard(at(0), nine.clone()));
        assert!(!walk.heard(at(0), nine.clone()), "it is to be asked already");
        walk.next(at(0)).unwrap();
        walk.answered(at(2), &nine, 21_600);
        assert!(!walk.heard(at(21_601), nine.clone()));
        assert!(walk.heard(at(21_602), nine));
    }

    #[test]
    fn who_is_to_be_left_alone_longest_is_remembered_longest() {
        let mut walk = walk(|config| config.max_nodes = 16);
        let patient: Vec<_> = (0..8).map(|i| node(&format!("9.8.{i}.6:1"))).collect();
        for contact in &patient {
            assert!(walk.heard(at(0), contact.clone()));
            walk.next(at(0)).unwrap();
            walk.answered(at(0), contact, 90_000);
        }
        for i in 0..100 {
            assert!(walk.heard(at(1), node(&format!("9.9.{i}.6:1"))));
        }
        assert!(patient.iter().all(|contact| !walk.heard(at(2), contact.clone())));
    }

    #[test]
    fn a_swarm_is_news_once_an_hour() {
        let mut walk = walk(|config| config.max_hashes = 4);
        let hash = |byte| InfoHash([byte; 20]);
        assert!(walk.is_news(at(0), hash(1)));
        assert!(!walk.is_news(at(3599), hash(1)));
        assert!(walk.is_news(at(3600), hash(1)));
        for byte in 2..100 {
            assert!(walk.is_news(at(3600), hash(byte)));
        }
        assert!(walk.seen.young.len() + walk.seen.old.len() <= 4);
        assert!(!walk.is_news(at(3601), hash(99)));
    }

    #[test]
    fn everything_is_bounded() {
        let mut walk = walk(|config| {
            config.max_jobs = 10;
            config.max_nodes = 5;
        });
        for i in 0..=255u8 {
            let asked = walk.heard(at(0), node(&format!("9.8.{i}.6:1")));
            assert_eq!(asked, i < 10);
            assert!((1..=5).contains(&walk.nodes()));
        }
        assert_eq!(walk.waiting(), 10);
        assert!(!walk.ask_peers(at(0), node("9.9.9.9:1"), InfoHash([1; 20])));
        assert!(walk.hosts.len() <= 10);
    }
}
