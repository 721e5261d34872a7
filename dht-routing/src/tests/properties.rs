use dht_core::{KadKey, Key};
use proptest::prelude::*;

use super::*;
use crate::{BootstrapId, RefreshId};

/// One thing that may happen to the machine.
#[derive(Clone, Debug)]
enum Input {
    Heard(u8),
    Alive(u8, u64),
    Failed(u8),
    WrongPeer(u8),
    Overloaded(u8),
    Remove(u8),
    Insert(u8),
    /// The peer, and the network group it is in from now on.
    Relocate(u8, u8),
    /// The peer, at one of a few places that belong to one peer each.
    HeardAt(u8, u8),
    InsertAt(u8, u8),
    RelocateTo(u8, u8),
    /// Report the oldest outstanding check.
    Checked(bool, u64),
    /// Report the oldest outstanding lookup.
    LookedUp(usize),
    Refresh(bool),
    Bootstrap(Vec<u8>, Vec<u8>, bool),
    Auto(bool),
    Rename(u8),
    Pass(u64),
}

fn input() -> impl Strategy<Value = Input> {
    let few = || proptest::collection::vec(any::<u8>(), 0..4);
    prop_oneof![
        8 => any::<u8>().prop_map(Input::Heard),
        3 => (any::<u8>(), 0..12_000u64).prop_map(|(peer, rtt)| Input::Alive(peer, rtt)),
        3 => any::<u8>().prop_map(Input::Failed),
        1 => any::<u8>().prop_map(Input::WrongPeer),
        1 => any::<u8>().prop_map(Input::Overloaded),
        1 => any::<u8>().prop_map(Input::Remove),
        3 => any::<u8>().prop_map(Input::Insert),
        2 => (any::<u8>(), 0..4u8).prop_map(|(peer, group)| Input::Relocate(peer, group)),
        2 => (any::<u8>(), 0..4u8).prop_map(|(peer, place)| Input::HeardAt(peer, place)),
        2 => (any::<u8>(), 0..4u8).prop_map(|(peer, place)| Input::InsertAt(peer, place)),
        2 => (any::<u8>(), 0..4u8).prop_map(|(peer, place)| Input::RelocateTo(peer, place)),
        8 => (any::<bool>(), 0..12_000u64).prop_map(|(ok, rtt)| Input::Checked(ok, rtt)),
        4 => (0..4usize).prop_map(Input::LookedUp),
        1 => any::<bool>().prop_map(Input::Refresh),
        1 => (few(), few(), any::<bool>()).prop_map(|(a, b, quick)| Input::Bootstrap(a, b, quick)),
        1 => any::<bool>().prop_map(Input::Auto),
        1 => any::<u8>().prop_map(Input::Rename),
        2 => (0..100_000u64).prop_map(Input::Pass),
    ]
}

/// Prefers peers at even addresses, if it prefers at all.
struct Taste(bool);

impl Admit<Tiny> for Taste {
    fn admit(&self, _: &Contact<Tiny>) -> bool {
        true
    }

    fn prefers(&self, contact: &Contact<Tiny>) -> bool {
        !self.0 || contact.addr.is_multiple_of(2)
    }
}

/// A peer at a place where only one can be.
fn at_place(peer: u8, place: u8) -> Contact<Tiny> {
    Contact::new(peer, u16::from_be_bytes([255, place]))
}

/// What is owed to the machine, and by it.
struct Ledger {
    routing: Routing<Tiny>,
    now: Now,
    checks: Vec<(CheckId, u8)>,
    lookups: Vec<LookupId>,
    refreshes: BTreeSet<RefreshId>,
    bootstraps: BTreeSet<BootstrapId>,
    members: BTreeSet<u8>,
    trace: Vec<String>,
}

impl Ledger {
    fn new(local: u8, config: Config, picky: bool) -> Self {
        Self {
            routing: Routing::new(local, config, Box::new(Taste(picky)), 7).unwrap(),
            now: Now::default(),
            checks: Vec::new(),
            lookups: Vec::new(),
            refreshes: BTreeSet::new(),
            bootstraps: BTreeSet::new(),
            members: BTreeSet::new(),
            trace: Vec::new(),
        }
    }

    fn apply(&mut self, input: Input) -> Result<(), TestCaseError> {
        let Self { routing, now, .. } = self;
        let rtt = Duration::from_millis;
        match input {
            Input::Heard(peer) => routing.heard(*now, contact(peer)),
            Input::Alive(peer, ms) => routing.alive(*now, &peer, rtt(ms)),
            Input::Failed(peer) => routing.failed(*now, &peer, Failure::Reset),
            Input::WrongPeer(peer) => {
                routing.failed(*now, &peer, Failure::WrongPeer);
                prop_assert!(routing.get(&peer).is_none());
            }
            Input::Overloaded(peer) => routing.failed(*now, &peer, Failure::Overloaded),
            Input::Remove(peer) => drop(routing.remove(*now, &peer)),
            Input::Insert(peer) => drop(routing.insert(*now, contact(peer))),
            Input::Relocate(peer, group) => {
                let known = routing.get(&peer).is_some();
                let moved = Contact::new(peer, u16::from(group) * 256 + u16::from(peer));
                prop_assert_eq!(routing.relocate(&moved), known);
            }
            Input::HeardAt(peer, place) => routing.heard(*now, at_place(peer, place)),
            Input::InsertAt(peer, place) => drop(routing.insert(*now, at_place(peer, place))),
            Input::RelocateTo(peer, place) => drop(routing.relocate(&at_place(peer, place))),
            Input::Checked(ok, ms) if !self.checks.is_empty() => {
                let outcome =
                    if ok { Ok(Checked { rtt: rtt(ms), closer: 0 }) } else { Err(Failure::Timeout) };
                routing.checked(*now, self.checks.remove(0).0, outcome);
            }
            Input::LookedUp(found) if !self.lookups.is_empty() => {
                routing.looked_up(*now, self.lookups.remove(0), found);
            }
            Input::Checked(..) | Input::LookedUp(_) => {}
            Input::Refresh(forced) => drop(self.refreshes.insert(routing.refresh(*now, forced))),
            Input::Bootstrap(seeds, fallback, quick) => {
                let options = BootstrapOptions { quick_connect_only: quick, ..Default::default() };
                let id = routing.bootstrap(*now, contacts(seeds), contacts(fallback), options);
                self.bootstraps.insert(id);
            }
            Input::Auto(on) => routing.set_auto_refresh(*now, on),
            Input::Rename(local) => routing.rename(*now, local),
            Input::Pass(ms) => *now = now.after(rtt(ms)),
        }
        Ok(())
    }

    /// Drains the machine and books what it says.
    fn drain(&mut self) -> Result<Option<Mono>, TestCaseError> {
        for _ in 0..10_000 {
            let action = self.routing.poll(self.now);
            self.trace.push(format!("{action:?}"));
            match action {
                Action::Check { id, contact, .. } => self.checks.push((id, contact.peer)),
                Action::Lookup { id, .. } => self.lookups.push(id),
                Action::Event(Event::Refreshed { id, .. }) => {
                    // Those of the table itself are not in the books.
                    self.refreshes.remove(&id);
                }
                Action::Event(Event::Bootstrapped { id, .. }) => {
                    prop_assert!(self.bootstraps.remove(&id), "{id:?} was told twice");
                }
                Action::Event(Event::Added { contact, .. }) => {
                    prop_assert!(self.members.insert(contact.peer))
                }
                Action::Event(Event::Removed { peer, .. }) => prop_assert!(self.members.remove(&peer)),
                Action::Event(_) => {}
                Action::Wait(until) => {
                    prop_assert!(until.is_none_or(|until| until > self.now.mono));
                    return Ok(until);
                }
            }
        }
        Err(TestCaseError::fail("poll does not end"))
    }

    fn audit(&mut self) -> Result<(), TestCaseError> {
        let config = self.routing.config().clone();
        let statistics = self.routing.statistics();
        prop_assert!(
            statistics.buckets.iter().all(|b| b.peers <= config.k && b.replacements <= config.replacements)
        );
        prop_assert_eq!(statistics.buckets.iter().map(|b| b.peers).sum::<usize>(), self.routing.len());
        prop_assert!(self.routing.len() <= config.max_size);
        prop_assert!(statistics.checking <= config.max_checks);
        let table: BTreeSet<u8> = self.routing.iter().map(|entry| entry.contact.peer).collect();
        prop_assert!(!table.contains(self.routing.local()));
        prop_assert_eq!(&table, &self.members, "events tell all comings and goings");
        prop_assert_eq!(table.len(), self.routing.len());
        let places = self.routing.iter().map(|entry| entry.contact.addr).filter(|addr| addr / 256 == 255);
        let places: Vec<u16> = places.collect();
        let distinct = places.iter().collect::<BTreeSet<_>>().len();
        prop_assert_eq!(distinct, places.len(), "one peer at a place");
        for entry in self.routing.iter() {
            prop_assert!(entry.failures < config.max_failures);
            let local = Key([*self.routing.local()]);
            prop_assert_eq!(entry.bucket, entry.contact.key().common_prefix_len(&local));
        }
        self.routing.table.audit();
        let target = self.trace.len() as u8;
        let mut expected: Vec<u8> = table.into_iter().collect();
        expected.sort_by_key(|peer| peer ^ target);
        let mut out = Vec::new();
        self.routing.closest(&Key([target]), usize::MAX, &mut out);
        prop_assert_eq!(out.into_iter().map(|contact| contact.peer).collect::<Vec<_>>(), expected);
        // Reports of checks the machine gave up are ignored, so only the live ones count.
        let live: Vec<_> =
            self.checks.iter().rev().take(statistics.checking).map(|(_, peer)| *peer).collect();
        prop_assert_eq!(
            live.iter().collect::<BTreeSet<_>>().len(),
            live.len(),
            "one check per peer at a time"
        );
        Ok(())
    }
}

fn config() -> impl Strategy<Value = Config> {
    let limit = || prop_oneof![Just(usize::MAX), 1..5usize];
    let sizes = (1..6usize, 0..20usize, 0..4usize, 1..6usize, any::<bool>(), 0..3usize);
    (sizes, 1..4u32, limit(), limit()).prop_map(
        |(
            (k, more, replacements, max_checks, auto_refresh, max_remembered),
            max_failures,
            max_per_group_bucket,
            max_per_group,
        )| Config {
            max_failures,
            max_per_group_bucket,
            max_per_group,
            k,
            max_size: k + more,
            replacements,
            max_checks,
            auto_refresh,
            max_remembered,
            ..Config::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_closest_are_those_that_brute_force_finds(
        local: u8,
        peers in proptest::collection::btree_set(any::<u8>(), 0..200),
        target: u8,
        n in 0..60usize,
        skipped: u8,
        k in 1..=128usize,
    ) {
        let config = Config { k, ..quiet() };
        let mut routing: Routing<Tiny> = Routing::new(local, config, Box::new(AdmitAll), 0).unwrap();
        for peer in peers {
            let _ = routing.insert(Now::default(), contact(peer));
        }
        let mut expected: Vec<u8> = routing.iter().map(|entry| entry.contact.peer).collect();
        expected.retain(|peer| *peer != skipped);
        expected.sort_by_key(|peer| peer ^ target);
        expected.truncate(n);
        let mut out = Vec::new();
        routing.closest_except(&Key([target]), n, |peer| *peer == skipped, &mut out);
        prop_assert_eq!(out, contacts(expected));
    }

    #[test]
    fn no_sequence_of_inputs_breaks_a_bound_or_forgets_a_promise(
        local: u8,
        picky: bool,
        config in config(),
        inputs in proptest::collection::vec(input(), 0..200),
    ) {
        let mut ledger = Ledger::new(local, config, picky);
        for input in inputs {
            ledger.apply(input)?;
            ledger.drain()?;
            ledger.audit()?;
        }
        // Nothing is reported any more: within the limits everything promised is told all the same.
        for _ in 0..2_000 {
            if ledger.refreshes.is_empty() && ledger.bootstraps.is_empty() {
                break;
            }
            let Some(until) = ledger.drain()? else { break };
            ledger.now = ledger.now.after(until.since(ledger.now.mono));
        }
        prop_assert!(ledger.refreshes.is_empty(), "{:?}", ledger.refreshes);
        prop_assert!(ledger.bootstraps.is_empty(), "{:?}", ledger.bootstraps);
    }

    #[test]
    fn the_same_inputs_give_the_same_trace(inputs in proptest::collection::vec(input(), 0..100)) {
        let run = |inputs: Vec<Input>| -> Result<Vec<String>, TestCaseError> {
            let mut ledger = Ledger::new(9, Config { k: 4, max_per_group: 20, max_failures: 2, ..Config::default() }, true);
            for input in inputs {
                ledger.apply(input)?;
                ledger.drain()?;
            }
            Ok(ledger.trace)
        };
        prop_assert_eq!(run(inputs.clone())?, run(inputs)?);
    }
}
