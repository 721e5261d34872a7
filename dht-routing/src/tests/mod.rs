//! The machine in a small world with a virtual clock: peers that answer or are mute, lookups that find who is there.

mod bootstrap;
mod check;
mod failures;
mod groups;
mod lost;
mod occupant;
mod preference;
mod properties;
mod refresh;
mod rename;
mod table;
mod wide;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use dht_core::{Contact, Failure, Mono, Now, Wall, testing::Tiny};

use crate::{
    Action, Admit, AdmitAll, BootstrapOptions, CheckId, Checked, Config, Event, LookupId, RefreshId,
    RefreshReport, Routing,
};

const LOCAL: u8 = 0;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn contact(peer: u8) -> Contact<Tiny> {
    Contact::new(peer, 1000 + u16::from(peer))
}

fn contacts(peers: impl IntoIterator<Item = u8>) -> Vec<Contact<Tiny>> {
    peers.into_iter().map(contact).collect()
}

/// Upkeep on request only, so that a test sees nothing but what it asked for.
fn quiet() -> Config {
    Config { auto_refresh: false, ..Config::default() }
}

enum Reply {
    Check(CheckId, Result<Checked, Failure>),
    Lookup(LookupId, u8),
    Outside(LookupId),
}

/// A node and the network around it.
struct World {
    routing: Routing<Tiny>,
    now: Now,
    /// Who answers, and after how long.
    peers: BTreeMap<u8, Duration>,
    /// Whether checks and lookups are reported at all.
    silent: bool,
    replies: BTreeMap<(Mono, u64), Reply>,
    sent: u64,
    checks: Vec<(u8, Mono, Duration)>,
    lookups: Vec<(u8, Mono)>,
    /// Lookups of the own key through somebody who is not in the table.
    outside: Vec<u8>,
    /// How long one takes.
    lookup_time: Duration,
    events: Vec<(Mono, Event<Tiny>)>,
}

impl World {
    fn new(config: Config) -> Self {
        Self::filtered(config, AdmitAll)
    }

    fn filtered(config: Config, admit: impl Admit<Tiny> + 'static) -> Self {
        let mono = Mono(secs(1000));
        Self {
            routing: Routing::new(LOCAL, config, Box::new(admit), 42).unwrap(),
            now: Now { mono, wall: Wall::from_secs(1_700_000_000) },
            peers: BTreeMap::new(),
            silent: false,
            replies: BTreeMap::new(),
            sent: 0,
            checks: Vec::new(),
            lookups: Vec::new(),
            outside: Vec::new(),
            lookup_time: Duration::from_millis(300),
            events: Vec::new(),
        }
    }

    fn populate(&mut self, peers: impl IntoIterator<Item = u8>) {
        self.peers.extend(peers.into_iter().map(|peer| (peer, Duration::from_millis(100))));
    }

    fn heard(&mut self, peers: impl IntoIterator<Item = u8>) {
        for peer in peers {
            self.routing.heard(self.now, contact(peer));
        }
    }

    fn insert(&mut self, peers: impl IntoIterator<Item = u8>) {
        for peer in peers {
            self.routing.insert(self.now, contact(peer)).unwrap();
        }
    }

    fn bootstrap(&mut self, seeds: impl IntoIterator<Item = u8>) -> crate::BootstrapId {
        self.routing.bootstrap(self.now, contacts(seeds), Vec::new(), BootstrapOptions::default())
    }

    /// Drains the machine; says when it wants to be asked again.
    fn drain(&mut self) -> Option<Mono> {
        for _ in 0..100_000 {
            match self.routing.poll(self.now) {
                Action::Check { id, contact, timeout } => {
                    self.checks.push((contact.peer, self.now.mono, timeout));
                    let answer = self.peers.get(&contact.peer).filter(|rtt| **rtt < timeout);
                    let (after, outcome) = match answer {
                        Some(rtt) => (*rtt, Ok(Checked { rtt: *rtt, closer: 1 })),
                        None => (timeout, Err(Failure::Timeout)),
                    };
                    self.reply(after, Reply::Check(id, outcome));
                }
                Action::Lookup { id, target, through: Some(contact), .. } => {
                    assert_eq!(target, LOCAL);
                    self.outside.push(contact.peer);
                    // Dials take their time.
                    self.reply(self.lookup_time * 4, Reply::Outside(id));
                }
                Action::Lookup { id, target, .. } => {
                    self.lookups.push((target, self.now.mono));
                    self.reply(self.lookup_time, Reply::Lookup(id, target));
                }
                Action::Event(event) => self.events.push((self.now.mono, event)),
                Action::Wait(until) => {
                    assert!(until.is_none_or(|until| until > self.now.mono), "a deadline that has passed");
                    return until;
                }
            }
        }
        panic!("poll does not end");
    }

    fn reply(&mut self, after: Duration, reply: Reply) {
        self.sent += 1;
        if !self.silent {
            self.replies.insert((self.now.mono + after, self.sent), reply);
        }
    }

    /// Lets time pass.
    fn run(&mut self, time: Duration) {
        let end = self.now.mono + time;
        loop {
            let wanted = self.drain();
            let next = self.replies.keys().next().map(|(at, _)| *at);
            let Some(at) = next.into_iter().chain(wanted).min().filter(|at| *at <= end) else { break };
            self.now = self.now.after(at.since(self.now.mono));
            while let Some(entry) = self.replies.first_entry().filter(|entry| entry.key().0 <= at) {
                match entry.remove() {
                    Reply::Check(id, outcome) => self.routing.checked(self.now, id, outcome),
                    Reply::Lookup(id, target) => self.looked_up(id, target),
                    Reply::Outside(id) => self.routing.looked_up(self.now, id, 0),
                }
                self.drain();
            }
        }
        self.now = self.now.after(end.since(self.now.mono));
        self.drain();
    }

    /// A lookup works if anybody in the table answers; it finds the closest three who do.
    fn looked_up(&mut self, id: LookupId, target: u8) {
        let works = self.routing.iter().any(|entry| self.peers.contains_key(&entry.contact.peer));
        let mut found: Vec<u8> = self.peers.keys().copied().filter(|_| works).collect();
        found.sort_by_key(|peer| peer ^ target);
        found.truncate(3);
        self.heard(found.clone());
        self.routing.looked_up(self.now, id, found.len());
    }

    /// The refreshes that ended since events were last taken.
    fn refreshed(&mut self) -> Vec<(RefreshId, RefreshReport)> {
        let events = self.take_events().into_iter();
        events
            .filter_map(|event| match event {
                Event::Refreshed { id, report } => Some((id, report)),
                _ => None,
            })
            .collect()
    }

    fn table(&self) -> BTreeSet<u8> {
        self.routing.iter().map(|entry| entry.contact.peer).collect()
    }

    fn checked(&self) -> Vec<u8> {
        self.checks.iter().map(|(peer, ..)| *peer).collect()
    }

    /// The prefixes that lookups aimed at; 8 is the own key.
    fn prefixes(&self) -> Vec<u32> {
        self.lookups.iter().map(|(target, _)| (target ^ LOCAL).leading_zeros()).collect()
    }

    fn take_events(&mut self) -> Vec<Event<Tiny>> {
        std::mem::take(&mut self.events).into_iter().map(|(_, event)| event).collect()
    }
}
