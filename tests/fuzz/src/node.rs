//! A whole node under any sequence of inputs: it comes to rest, keeps its bounds, never asks itself, and ends every query
//! once, with and without tickets.
//!
//! It runs on the 8-bit overlays, where every bucket is within reach. Whether lookups find the right peers is shown by the
//! node's own tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use dht_core::{
    Contact, Failure, Key, Mono, Now, Overlay, Request, RequestId, Response, Wall,
    testing::{Tiny, TinyItem, TinyQuery, TinyTicketed},
};
use dht_protocol::{Config, Event, Node, Output, Parts, Refusal, Rules, Served};
use dht_query::{QueryId, QueryOptions};
use dht_records::{Invalid, Saved, StoreError, Stored, Validator};
use dht_routing::AdmitAll;

use crate::input::Input;

const LOCAL: u8 = 1;
const K: usize = 3;
const MAX_QUERIES: usize = 6;
const MAX_LONE: usize = 24;
const MAX_CANDIDATES: usize = 40;
const MAX_KNOWN: usize = 12;
const MAX_SIZE: usize = 16;
const QUERY_TIMEOUT: Duration = Duration::from_secs(20);

/// Both 8-bit overlays; they differ in their tickets only.
trait Small:
    Overlay<
        Key = Key<1>,
        Target = u8,
        PeerId = u8,
        Addr = u16,
        Query = TinyQuery,
        Item = TinyItem,
        Slot = Option<u8>,
    >
{
    fn ticket(byte: u8) -> Option<Self::Ticket>;
}

impl Small for Tiny {
    fn ticket(_: u8) -> Option<Infallible> {
        None
    }
}

impl Small for TinyTicketed {
    fn ticket(byte: u8) -> Option<u8> {
        (byte & 3 > 0).then_some(byte)
    }
}

/// Versions above zero are valid, the highest is best.
struct Versions;

impl<O: Small> Validator<O> for Versions {
    fn check(&self, _: &TinyQuery, item: &TinyItem, _: Now) -> Result<(), Invalid> {
        if item.version == 0 { Err(Invalid::Signature) } else { Ok(()) }
    }

    fn best(&self, _: &TinyQuery, items: &[TinyItem]) -> Option<usize> {
        (0..items.len()).max_by_key(|i| (items[*i].version, std::cmp::Reverse(*i)))
    }
}

/// Shows everybody whose address is known to whoever is not its neighbour in number.
struct Open;

impl<O: Small> Rules<O> for Open {
    fn admit(&self, from: &Contact<O>, _: &Request<O>, _: Now) -> Result<(), Refusal> {
        if from.peer == 0 { Err(Refusal::NotAdmitted) } else { Ok(()) }
    }
    fn show(&self, contact: &Contact<O>, to: &Contact<O>) -> Option<u16> {
        (contact.is_located() && contact.peer ^ 1 != to.peer).then_some(contact.addr)
    }
    fn ticket(&self, to: &Contact<O>, _: &TinyQuery, _: usize, _: Now) -> Option<O::Ticket> {
        O::ticket(to.peer)
    }
    fn redeem(
        &self,
        from: &Contact<O>,
        _: &TinyQuery,
        ticket: Option<&O::Ticket>,
        _: Now,
    ) -> Result<(), Refusal> {
        if ticket == O::ticket(from.peer).as_ref() { Ok(()) } else { Err(Refusal::BadTicket) }
    }
    fn lifetime(&self, _: &TinyQuery, _: &TinyItem) -> Duration {
        Duration::from_secs(7200)
    }
    fn receive(&self, item: TinyItem, _: Now) -> TinyItem {
        item
    }
    fn present(&self, stored: &Stored<O>, _: Now) -> Option<TinyItem> {
        Some(stored.item)
    }
    fn renew(&self, item: TinyItem, _: &Contact<O>) -> TinyItem {
        item
    }
}

fn node<O: Small>(paths: usize) -> Node<O> {
    let parts = Parts {
        config: Config { closer_per_answer: K, serve: true, max_known_peers: MAX_KNOWN },
        routing: dht_routing::Config {
            k: K,
            max_size: MAX_SIZE,
            replacements: 2,
            max_checks: 8,
            max_remembered: 4,
            ..dht_routing::Config::default()
        },
        queries: dht_query::Config {
            k: K,
            alpha: 4,
            query_timeout: QUERY_TIMEOUT,
            request_timeout: Duration::from_secs(5),
            max_queries: MAX_QUERIES,
            max_lone: MAX_LONE,
            max_closer: 6,
            max_candidates: MAX_CANDIDATES,
            max_items: 8,
            disjoint_paths: paths,
            ..dht_query::Config::default()
        },
        admit: Box::new(AdmitAll),
        filter: None,
        validator: Arc::new(Versions),
        rules: Arc::new(Open),
        seed: 5,
    };
    Node::new(at(LOCAL), parts).expect("these options are valid")
}

/// The first byte chooses overlay and paths, then each byte is an input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let first = input.byte();
    let paths = 1 + usize::from(first >> 1) % 3;
    if first & 1 == 0 {
        Run::<Tiny>::new(paths).all(input)
    } else {
        Run::<TinyTicketed>::new(paths).all(input)
    }
}

fn at<O: Small>(peer: u8) -> Contact<O> {
    Contact::new(peer, 1000 + u16::from(peer))
}

/// Every fourth comes without an address.
fn contacts<O: Small>(bytes: &[u8]) -> Vec<Contact<O>> {
    bytes.iter().map(|peer| if peer % 4 == 3 { Contact::unlocated(*peer) } else { at(*peer) }).collect()
}

struct Run<O: Small> {
    node: Node<O>,
    now: Now,
    wake: Option<Mono>,
    /// Requests under way, in the order they were sent.
    open: Vec<RequestId>,
    sent: BTreeSet<RequestId>,
    /// Queries of ours, with how often they ended.
    queries: BTreeMap<u64, u32>,
    pings: BTreeMap<RequestId, u32>,
}

impl<O: Small> Run<O> {
    fn new(paths: usize) -> Self {
        Self {
            node: node(paths),
            now: Now { mono: Mono(Duration::from_secs(1000)), wall: Wall::from_secs(1_790_000_000) },
            wake: None,
            open: Vec::new(),
            sent: BTreeSet::new(),
            queries: BTreeMap::new(),
            pings: BTreeMap::new(),
        }
    }

    fn all(mut self, mut input: Input<'_>) {
        while !input.is_empty() {
            self.step(&mut input);
            self.drain();
            self.bounds();
        }
        // At the latest at its deadline every query has ended, once.
        self.acquaintances();
        let end = self.now.mono + QUERY_TIMEOUT + Duration::from_secs(1);
        let mut turns = 0;
        while let Some(due) = self.wake.filter(|due| *due <= end) {
            self.now = self.now.after(due.since(self.now.mono));
            self.drain();
            turns += 1;
            assert!(turns < 5_000, "it wakes all the time");
        }
        self.bounds();
        assert!(self.queries.values().all(|times| *times == 1), "{:?}", self.queries);
        assert!(self.pings.values().all(|times| *times == 1), "{:?}", self.pings);
    }

    fn drain(&mut self) {
        for _ in 0..20_000 {
            match self.node.poll_output(self.now) {
                Output::Send { id, to, .. } => {
                    assert_ne!(to.peer, LOCAL, "it asks itself");
                    assert!(self.sent.insert(id), "an id names one request");
                    self.open.push(id);
                }
                Output::Forget(id) => self.open.retain(|open| *open != id),
                Output::Event(Event::Finished(id, finished)) => {
                    assert!(finished.closest.len() <= K.max(MAX_CANDIDATES));
                    assert!(finished.closest.iter().all(|contact| contact.peer != LOCAL));
                    *self.queries.get_mut(&id.0).expect("a query of ours ends") += 1;
                }
                Output::Event(Event::Answered { id, .. }) => *self.pings.entry(id).or_default() += 1,
                Output::Event(_) | Output::Observed(_) => {}
                Output::Wait(until) => {
                    assert!(until.is_none_or(|at| at > self.now.mono), "it waits for the past");
                    self.wake = until;
                    return;
                }
            }
        }
        panic!("it does not come to rest");
    }

    fn bounds(&self) {
        let table = self.node.routing();
        assert!(table.len() <= MAX_SIZE.min(8 * K));
        assert!(table.iter().all(|entry| entry.contact.peer != LOCAL));
        let running = self.queries.values().filter(|times| **times == 0).count();
        assert!(running <= MAX_QUERIES);
        // A lookup may have asked all it knows, and everybody once more; corrections and upkeep count as queries.
        assert!(self.open.len() <= MAX_QUERIES * 2 * MAX_CANDIDATES + MAX_LONE, "{}", self.open.len());
    }

    /// Who is known beside the table; it only ever grows by one at a time, so that looking once is enough.
    fn acquaintances(&self) {
        let known = (0..=255).filter(|peer| *peer != LOCAL && self.node.known(peer).is_some()).count();
        assert!(known <= MAX_KNOWN + self.node.routing().len());
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let call = input.byte();
        match call % 32 {
            0..=4 => self.ask(call % 32, input),
            5 => {
                let to = input.byte();
                if to != LOCAL {
                    let id = self.node.ask(self.now, at(to), Request::Ping, Duration::from_secs(5));
                    self.pings.entry(id).or_default();
                }
            }
            6 => drop(self.node.refresh(self.now, input.flag())),
            7 => {
                let (seeds, fallback) = (contacts(input.some(4)), contacts(input.some(3)));
                self.node.bootstrap(self.now, seeds, fallback, Default::default());
            }
            8 => {
                let which = usize::from(input.byte()) % self.queries.len().max(1);
                if let Some(id) = self.queries.keys().nth(which) {
                    self.node.cancel(self.now, QueryId(*id));
                }
            }
            9..=18 => self.answer(input),
            19 | 20 => {
                let why = [
                    Failure::Timeout,
                    Failure::Unreachable,
                    Failure::Unsupported,
                    Failure::Reset,
                    Failure::Refused(203),
                    Failure::Malformed,
                    Failure::Overloaded,
                    Failure::Closed,
                ];
                if let Some(id) = self.pick(input) {
                    self.node.on_failure(self.now, id, why[usize::from(input.byte()) % 8]);
                }
            }
            21 => {
                let id = RequestId(u64::from(input.short()));
                self.node.on_response(self.now, id, Response::default());
            }
            22..=24 => {
                let peer = input.byte();
                self.node.on_peer(self.now, at(peer), input.byte() & 3 > 0);
            }
            25 => self.node.on_disconnected(&input.byte()),
            26 | 27 => self.serve(input),
            28 => {
                let peer = input.byte();
                // A refusal is a fine answer.
                let _ = self.node.add_peer(self.now, at(peer));
            }
            29 => drop(self.node.remove_peer(self.now, &input.byte())),
            30 => self.now = self.now.after(Duration::from_millis(u64::from(input.short()))),
            _ => {
                // To the next deadline, or a step of an hour.
                let due = self.wake.map(|due| due.since(self.now.mono));
                self.now = self.now.after(due.unwrap_or(Duration::from_secs(3600)));
            }
        }
    }

    fn ask(&mut self, what: u8, input: &mut Input<'_>) {
        let (now, to, flags) = (self.now, input.byte(), input.byte());
        let options = QueryOptions {
            quorum: (flags & 1 == 1).then_some(usize::from(flags >> 4 & 3)),
            limit: (flags & 2 == 2).then_some(usize::from(flags >> 4 & 3)),
            k: (flags & 0x40 == 0x40).then_some(usize::from(flags >> 4)),
            trace: flags & 4 == 4,
            paths: (flags & 8 == 8).then_some(usize::from(flags >> 4)),
            timeout: (flags & 0x80 == 0x80).then_some(Duration::from_millis(700)),
        };
        let started = match what {
            0 => self.node.closest(now, to, options),
            1 => self.node.find_peer(now, to, options),
            2 => self.node.fetch(now, TinyQuery::Value(to), vec![], options),
            3 => self.node.fetch(
                now,
                TinyQuery::Crowd(to),
                vec![TinyItem { author: Some(to), version: 2 }],
                options,
            ),
            _ => self.node.store(now, TinyQuery::Value(to), TinyItem::value(flags), options),
        };
        if let Ok(id) = started {
            assert!(self.queries.insert(id.0, 0).is_none());
        }
    }

    /// A request that is under way, or was: answers may come late and twice.
    fn pick(&mut self, input: &mut Input<'_>) -> Option<RequestId> {
        let which = input.byte();
        if which >= 240 {
            return self.sent.iter().nth(usize::from(which) % self.sent.len().max(1)).copied();
        }
        let at = usize::from(which) % self.open.len().max(1);
        (!self.open.is_empty()).then(|| self.open.remove(at))
    }

    fn answer(&mut self, input: &mut Input<'_>) {
        let Some(id) = self.pick(input) else { return };
        let closer = contacts(input.some(8));
        let items = input
            .some(3)
            .iter()
            .map(|byte| TinyItem { author: (byte & 1 == 1).then_some(byte >> 4), version: byte >> 1 & 7 });
        let response = Response { closer, items: items.collect(), ticket: O::ticket(input.byte()) };
        self.node.on_response(self.now, id, response);
    }

    fn serve(&mut self, input: &mut Input<'_>) {
        let (from, kind, key) = (input.byte(), input.byte(), input.byte());
        let query = if kind & 8 == 0 { TinyQuery::Value(key) } else { TinyQuery::Crowd(key) };
        let item = TinyItem { author: (kind & 8 == 8).then_some(from), version: kind >> 4 };
        let request = match kind & 3 {
            0 => Request::Ping,
            1 => Request::FindNode { target: key },
            2 => Request::Get { query },
            _ => Request::Put { query, item, ticket: O::ticket(if kind & 4 == 0 { from } else { key }) },
        };
        let response = match self.node.serve(self.now, &at(from), request) {
            Served::Answer(response) => response,
            Served::Load(load) => {
                let stored = Stored { item, received: self.now.wall, expires: Wall(Duration::MAX) };
                let rules: &dyn Rules<O> = &Open;
                load.answer([stored], rules, &Versions, self.now).0
            }
            Served::Save(save) => {
                assert_ne!(item.version, 0, "what is invalid is not stored");
                let saved = match kind >> 4 & 3 {
                    0 => Err(StoreError::Backend("full".into())),
                    1 => Ok(Saved::Worse(dht_records::Conflict::Older)),
                    _ => Ok(Saved::New),
                };
                let answer = self.node.settle(save, &saved);
                assert_eq!(answer.is_ok(), kind >> 4 & 3 > 1);
                return;
            }
            Served::Refused(_) => return,
        };
        assert!(from != 0 && response.closer.len() <= K + 1);
        let others = response.closer.iter().filter(|contact| contact.peer != key);
        assert!(
            others.clone().all(|contact| contact.peer != from && contact.peer != LOCAL),
            "nobody is told of itself"
        );
        assert!(response.closer.iter().all(Contact::is_located));
        let mut peers: Vec<u8> = response.closer.iter().map(|contact| contact.peer).collect();
        peers.sort_unstable();
        peers.dedup();
        assert_eq!(peers.len(), response.closer.len(), "everybody is named once");
    }
}
