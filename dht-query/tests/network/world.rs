//! A small network of made-up peers around one `Queries`, in virtual time, with everything that came out written down.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    convert::Infallible,
    time::Duration,
};

use dht_core::{
    Contact, Failure, Key, Mono, Now, Overlay, Request, RequestId, Response,
    testing::{Tiny, TinyItem, TinyQuery, TinyTicketed},
};
use dht_query::{Config, Finished, Judge, Output, Progress, Queries, QueryId, StepOutcome};

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub fn at(after: u64) -> Mono {
    Mono(ms(after))
}

/// The two small overlays.
pub trait Little:
    Overlay<Key = Key<1>, Target = u8, PeerId = u8, Addr = u16, Query = TinyQuery, Item = TinyItem>
{
    /// What a peer gives to those that may store with it.
    fn ticket(peer: u8) -> Option<Self::Ticket>;
}

impl Little for Tiny {
    fn ticket(_: u8) -> Option<Infallible> {
        None
    }
}

impl Little for TinyTicketed {
    fn ticket(peer: u8) -> Option<u8> {
        Some(peer ^ 0xff)
    }
}

/// Version 0 is invalid, the highest version is best, the first of equals wins.
pub struct ByVersion;

impl<O: Little> Judge<O> for ByVersion {
    fn is_valid(&self, _: &TinyQuery, item: &TinyItem) -> bool {
        item.version > 0
    }
    fn best(&self, _: &TinyQuery, items: &[TinyItem]) -> Option<usize> {
        (0..items.len()).rev().max_by_key(|i| items[*i].version)
    }
}

/// How a peer takes a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// Answers with the k nearest it knows.
    Honest,
    /// Answers with these, whatever is asked.
    Liar(Vec<u8>),
    /// Answers, and then again.
    Twice,
    /// Says nothing.
    Silent,
    /// Says nothing to the first few requests, then answers.
    Deaf(u32),
    /// Fails the first few requests like this, then answers.
    Fails(Failure, u32),
    /// Takes part in lookups and refuses stores like this.
    Refuses(Failure),
    /// Takes part in lookups and does not answer the first few stores.
    Forgetful(u32),
}

#[derive(Clone, Debug)]
pub struct Peer {
    pub way: Way,
    pub delay: Duration,
    /// Whom it knows; everybody when `None`.
    pub knows: Option<Vec<u8>>,
    pub holds: Vec<TinyItem>,
    pub gives_ticket: bool,
}

impl Default for Peer {
    fn default() -> Self {
        Self { way: Way::Honest, delay: ms(50), knows: None, holds: Vec::new(), gives_ticket: true }
    }
}

type Delivery<O> = Result<Response<O>, Failure>;

pub struct World<O: Little> {
    pub queries: Queries<O>,
    pub now: Now,
    pub peers: BTreeMap<u8, Peer>,
    pub k: usize,
    /// Everything that came out, `Wait` excepted, with its time.
    pub log: Vec<(Mono, Output<O>)>,
    /// Who was asked how often, lookups and stores apart.
    heard: BTreeMap<(u8, bool), u32>,
    mail: BinaryHeap<Reverse<(Mono, u64)>>,
    letters: BTreeMap<u64, (RequestId, Delivery<O>)>,
    posted: u64,
}

impl<O: Little> World<O> {
    pub fn new(config: Config) -> Self {
        let k = config.k;
        Self::around(Queries::new(0, config, 1).expect("a valid configuration"), k)
    }

    pub fn around(queries: Queries<O>, k: usize) -> Self {
        Self {
            queries,
            now: Now::default(),
            peers: BTreeMap::new(),
            k,
            log: Vec::new(),
            heard: BTreeMap::new(),
            mail: BinaryHeap::new(),
            letters: BTreeMap::new(),
            posted: 0,
        }
    }

    pub fn with(mut self, ids: impl IntoIterator<Item = u8>) -> Self {
        self.peers.extend(ids.into_iter().map(|id| (id, Peer::default())));
        self
    }

    pub fn peer(&mut self, id: u8) -> &mut Peer {
        self.peers.entry(id).or_default()
    }

    pub fn nearest(&self, target: u8, n: usize) -> Vec<u8> {
        let mut ids: Vec<u8> = self.peers.keys().copied().collect();
        ids.sort_by_key(|id| id ^ target);
        ids.truncate(n);
        ids
    }

    fn reply(&mut self, from: u8, request: &Request<O>) -> Option<Delivery<O>> {
        let put = matches!(request, Request::Put { .. });
        let heard = self.heard.entry((from, put)).or_default();
        *heard += 1;
        let times = *heard;
        let Some(peer) = self.peers.get(&from) else { return Some(Err(Failure::Unreachable)) };
        match &peer.way {
            Way::Silent => return None,
            Way::Deaf(first) if times <= *first => return None,
            Way::Fails(why, first) if times <= *first => return Some(Err(*why)),
            Way::Refuses(why) if put => return Some(Err(*why)),
            Way::Forgetful(first) if put && times <= *first => return None,
            _ => {}
        }
        let Some(target) = request.target().filter(|_| !put) else { return Some(Ok(Response::default())) };
        let mut closer = match (&peer.way, &peer.knows) {
            (Way::Liar(names), _) => names.clone(),
            (_, Some(known)) => known.clone(),
            _ => self.peers.keys().copied().filter(|id| *id != from).collect(),
        };
        if !matches!(peer.way, Way::Liar(_)) {
            closer.sort_by_key(|id| id ^ target);
            closer.truncate(self.k);
        }
        let get = matches!(request, Request::Get { .. });
        Some(Ok(Response {
            closer: closer.into_iter().map(contact).collect(),
            items: if get { peer.holds.clone() } else { Vec::new() },
            ticket: O::ticket(from).filter(|_| get && peer.gives_ticket),
        }))
    }

    fn post(&mut self, at: Mono, id: RequestId, delivery: Delivery<O>) {
        self.posted += 1;
        self.mail.push(Reverse((at, self.posted)));
        self.letters.insert(self.posted, (id, delivery));
    }

    /// Takes everything out until it says wait.
    pub fn drain(&mut self) -> Option<Mono> {
        for _ in 0..100_000 {
            let output = self.queries.poll(self.now);
            match &output {
                Output::Wait(until) => {
                    assert!(until.is_none_or(|until| until > self.now.mono), "a wait for the past");
                    return *until;
                }
                Output::Send { id, to, request } => {
                    let delay = self.peers.get(&to.peer).map_or(ms(1), |peer| peer.delay);
                    let twice = self.peers.get(&to.peer).is_some_and(|peer| peer.way == Way::Twice);
                    let when = self.now.mono + delay;
                    let (id, peer, request) = (*id, to.peer, request.clone());
                    if let Some(delivery) = self.reply(peer, &request) {
                        if twice {
                            self.post(when + ms(3), id, delivery.clone());
                        }
                        self.post(when, id, delivery);
                    }
                }
                _ => {}
            }
            self.log.push((self.now.mono, output));
        }
        panic!("no end of outputs");
    }

    /// Lets time pass until `end`, or until nothing can happen any more.
    pub fn run_until(&mut self, end: Mono) {
        for _ in 0..100_000 {
            let wake = self.drain();
            let letter = self.mail.peek().map(|Reverse((at, _))| *at);
            let Some(next) = wake.into_iter().chain(letter).min().filter(|next| *next <= end) else {
                return;
            };
            self.now = self.now.after(next.since(self.now.mono));
            if letter != Some(next) {
                continue;
            }
            let Some(Reverse((_, number))) = self.mail.pop() else { continue };
            let Some((id, delivery)) = self.letters.remove(&number) else { continue };
            match delivery {
                Ok(response) => self.queries.on_response(self.now, id, response, &ByVersion),
                Err(why) => self.queries.on_failure(self.now, id, why),
            }
        }
        panic!("no end of events");
    }

    pub fn run(&mut self) {
        self.run_until(Mono(Duration::MAX));
    }

    /// Runs to the end and returns the one result of a query.
    pub fn finish(&mut self, id: QueryId) -> Finished<O> {
        self.run();
        let mut results = self.results(id);
        assert_eq!(results.len(), 1, "finished exactly once");
        results.remove(0).1
    }

    pub fn results(&self, id: QueryId) -> Vec<(Mono, Finished<O>)> {
        let finished = |(at, output): &(Mono, Output<O>)| match output {
            Output::Finished(which, finished) if *which == id => Some((*at, finished.clone())),
            _ => None,
        };
        self.log.iter().filter_map(finished).collect()
    }

    /// What was sent to whom and when.
    pub fn sent(&self) -> Vec<(Mono, u8, Request<O>)> {
        let sent = |(at, output): &(Mono, Output<O>)| match output {
            Output::Send { to, request, .. } => Some((*at, to.peer, request.clone())),
            _ => None,
        };
        self.log.iter().filter_map(sent).collect()
    }

    pub fn asked(&self) -> Vec<u8> {
        self.sent().into_iter().map(|(_, peer, _)| peer).collect()
    }

    pub fn forgotten(&self) -> Vec<RequestId> {
        self.log
            .iter()
            .filter_map(|(_, o)| if let Output::Forget(id) = o { Some(*id) } else { None })
            .collect()
    }

    pub fn failures(&self) -> Vec<(Mono, u8, Failure)> {
        let failed = |(at, output): &(Mono, Output<O>)| match output {
            Output::Failed { contact, why } => Some((*at, contact.peer, *why)),
            _ => None,
        };
        self.log.iter().filter_map(failed).collect()
    }

    pub fn items(&self) -> Vec<TinyItem> {
        let item = |(_, output): &(Mono, Output<O>)| match output {
            Output::Progress(_, Progress::Item(item)) => Some(*item),
            _ => None,
        };
        self.log.iter().filter_map(item).collect()
    }

    pub fn lone(&self, id: RequestId) -> Vec<(Mono, Result<Duration, Failure>)> {
        let lone = |(at, output): &(Mono, Output<O>)| match output {
            Output::Lone { id: which, result, .. } if *which == id => {
                Some((*at, result.as_ref().map(|(_, rtt)| *rtt).map_err(|why| *why)))
            }
            _ => None,
        };
        self.log.iter().filter_map(lone).collect()
    }

    /// The most requests that one traced query had in flight at once, overdue ones not counted.
    pub fn most_in_flight(&self) -> usize {
        let (mut now, mut most) = (0usize, 0);
        let mut waiting = BTreeMap::<u8, bool>::new();
        for (_, output) in &self.log {
            let Output::Progress(_, Progress::Step(step)) = output else { continue };
            match step.outcome {
                StepOutcome::Asked => {
                    now += 1;
                    waiting.insert(step.peer, true);
                }
                _ => now -= usize::from(waiting.insert(step.peer, false) == Some(true)),
            }
            most = most.max(now);
        }
        most
    }
}

pub fn contact<O: Little>(peer: u8) -> Contact<O> {
    Contact::new(peer, 1)
}

pub fn contacts<O: Little>(peers: impl IntoIterator<Item = u8>) -> Vec<Contact<O>> {
    peers.into_iter().map(contact).collect()
}

pub fn names<O: Little>(contacts: &[Contact<O>]) -> Vec<u8> {
    contacts.iter().map(|contact| contact.peer).collect()
}
