//! A whole Mainline node under any sequence of datagrams: codec, rules, table, lookups and store as they are put together
//! over a socket, under a clock of the target.
//!
//! Nothing is believed that was not asked for, nobody stores without a token that went to his address, whatever goes out is
//! read again and keeps to the room that it was given, every bound holds, and every question of the owner ends once. Rates,
//! echoes and duplicates are the transport's, and tried on sockets.

mod speech;
mod watch;

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use dht_core::{Contact, Failure, Key, Mono, Now, Request, RequestId, Response, Wall};
use dht_mainline::{
    Admission, CodecConfig, Endpoint, KrpcCodec, Mainline, NodeId, Peer, Preset, Query, Question, Record,
    Records, SampleConfig, SampleStore, ServerRules, Swarm, Token,
    address::Reach,
    bencode::{Canonical, Limits},
    compact::Family,
    item,
    krpc::{Body, MAX_DATAGRAM, Reply, SAFE_PAYLOAD, decode},
};
use dht_protocol::{Datagram, DatagramCodec as _, Node, Parts, Refusal, Room, Served, TransactionId, Unread};
use dht_query::{QueryId, QueryOptions};
use dht_records::{MemoryConfig, MemoryStore, Store as _};
use dht_routing::{Admit as _, BootstrapOptions};
use futures::executor::block_on;

use self::speech::Speech;
use crate::input::Input;

/// Where the node is.
const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(5, 5, 5, 5)), 6881);
const MAX_SIZE: usize = 24;
const PER_GROUP: usize = 3;
const MAX_QUERIES: usize = 4;
const MAX_LONE: usize = 24;
const MAX_CANDIDATES: usize = 24;
const MAX_KNOWN: usize = 12;
const MAX_RECORDS: usize = 12;
const MAX_BYTES: usize = 6000;
const QUERY_TIMEOUT: Duration = Duration::from_secs(20);
/// A token holds no longer.
const TOKEN_AGE: Duration = Duration::from_secs(600);
/// What a transport lets go: in full, and to who proved nothing.
const FULL: Room = Room { bytes: 1440, stored: true };
const SMALL: Room = Room { bytes: 300, stored: false };

/// A question of the node that waits, as a transport keeps it.
struct Waiting {
    id: RequestId,
    to: SocketAddr,
    peer: NodeId,
    request: Request<Mainline>,
}

struct Run {
    node: Node<Mainline>,
    codec: KrpcCodec,
    store: SampleStore<MemoryStore<Mainline>>,
    now: Now,
    wake: Option<Mono>,
    open: BTreeMap<TransactionId, Waiting>,
    /// Tokens that went out: to whom, for what, and when last.
    issued: BTreeMap<(IpAddr, Key<20>, Vec<u8>), Mono>,
    tokens: Vec<Vec<u8>>,
    /// What came last, to be said again.
    heard: VecDeque<(SocketAddr, Vec<u8>)>,
    queries: BTreeMap<u64, u32>,
    asked: BTreeMap<RequestId, u32>,
}

/// Each byte is something that a stranger says, the owner wants, or time brings.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let mut run = Run::new();
    while !input.is_empty() {
        run.step(&mut input);
        run.drain();
        run.bounds();
    }
    run.end();
}

fn options() -> (Preset, MemoryConfig) {
    let mut preset = Preset::default();
    preset.routing = dht_routing::Config {
        max_size: MAX_SIZE,
        replacements: 2,
        max_checks: 8,
        max_remembered: 4,
        max_per_group: PER_GROUP,
        ..preset.routing
    };
    preset.queries = dht_query::Config {
        query_timeout: QUERY_TIMEOUT,
        max_queries: MAX_QUERIES,
        max_lone: MAX_LONE,
        max_candidates: MAX_CANDIDATES,
        max_items: 8,
        ..preset.queries
    };
    preset.node.max_known_peers = MAX_KNOWN;
    let store = MemoryConfig {
        max_records: MAX_RECORDS,
        max_bytes: MAX_BYTES,
        max_items_per_query: 4,
        max_items_per_group: 2,
        max_records_per_peer: 6,
        ..preset.store.clone()
    };
    (preset, store)
}

impl Run {
    fn new() -> Self {
        let (preset, store) = options();
        let rules = ServerRules { peers_per_swarm: 4, ..ServerRules::new([9; 16]) };
        let id = NodeId([0x41; 20]);
        let codec = KrpcCodec::new(CodecConfig::new(id, Family::V4, rules.tokens.clone(), 3));
        let admission = Admission::default();
        let parts = Parts {
            config: preset.node,
            routing: preset.routing,
            queries: preset.queries,
            admit: Box::new(admission),
            filter: Some(Arc::new(move |contact| admission.admit(contact))),
            validator: Arc::new(Records::default()),
            rules: Arc::new(rules),
            seed: 5,
        };
        let node = Node::new(Contact::new(id, Endpoint::from(HERE)), parts).expect("these options are valid");
        let store = MemoryStore::new(&id, store, 7).expect("these caps are usable");
        Self {
            node,
            codec,
            store: SampleStore::new(store, SampleConfig::default(), 8).expect("these options are valid"),
            now: Now { mono: Mono(Duration::from_secs(1000)), wall: Wall::from_secs(1_790_000_000) },
            wake: None,
            open: BTreeMap::new(),
            issued: BTreeMap::new(),
            tokens: Vec::new(),
            heard: VecDeque::new(),
            queries: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 24 {
            0..=6 => {
                let (from, bytes) = Speech { input, tokens: &self.tokens }.question();
                self.hear(from, bytes);
            }
            7..=13 => self.answered(input),
            14 => {
                let from = speech::addr(input.byte());
                self.hear(from, input.some(255).to_vec());
            }
            15 => {
                // Again, from there or from elsewhere: a token of somebody else, an answer that came already.
                let (which, from) = (input.byte(), input.byte());
                let heard = self.heard.get(usize::from(which & 3)).cloned();
                if let Some((first, bytes)) = heard {
                    self.hear(if which & 4 == 0 { first } else { speech::addr(from) }, bytes);
                }
            }
            16 | 17 => self.own(input),
            18 => {
                let which = input.byte();
                let why = [Failure::Timeout, Failure::Unreachable, Failure::Offline, Failure::Overloaded];
                if let Some((_, waiting)) = self.pick(which).and_then(|tid| self.open.remove_entry(&tid)) {
                    self.node.on_failure(self.now, waiting.id, why[usize::from(which >> 6)]);
                }
            }
            19 => drop(block_on(self.store.sweep(self.now))),
            20 => self.now = self.now.after(Duration::from_millis(u64::from(input.short()))),
            21 => self.now = self.now.after(Duration::from_secs(30 * u64::from(input.byte()))),
            _ => {
                let due = self.wake.map(|due| due.since(self.now.mono));
                self.now = self.now.after(due.unwrap_or(Duration::from_secs(900)));
            }
        }
    }

    /// A question under way.
    fn pick(&self, which: u8) -> Option<TransactionId> {
        let at = usize::from(which & 63) % self.open.len().max(1);
        self.open.keys().nth(at).copied()
    }

    /// Somebody answers a question of ours: who was asked, or who was not.
    fn answered(&mut self, input: &mut Input<'_>) {
        let (which, lie) = (input.byte(), input.byte());
        let Some(mut tid) = self.pick(which) else { return };
        let (mut from, mut id) = (self.open[&tid].to, self.open[&tid].peer);
        match lie {
            0..=15 => from = speech::addr(lie),
            16..=23 => id = speech::peer(lie),
            24..=27 => tid[0] ^= 1 << (lie & 3),
            28 => id = self.codec.local(),
            29 => from.set_port(1),
            _ => {}
        }
        let mut speech = Speech { input, tokens: &self.tokens };
        let bytes = if lie > 240 { speech.refusal(tid) } else { speech.answer(tid, id) };
        self.hear(from, bytes);
    }

    /// What the owner wants.
    fn own(&mut self, input: &mut Input<'_>) {
        let (what, which, now) = (input.byte(), input.byte(), self.now);
        let options = QueryOptions { quorum: (what & 128 > 0).then_some(1), ..QueryOptions::default() };
        let key = || Query::Item(speech::place(speech::item(which)));
        let swarm = Swarm { scrape: which & 64 > 0, ..Swarm::new(speech::swarm(which)) };
        let started = match what % 12 {
            0 => self.node.closest(now, speech::target(which), options),
            1 => self.node.find_peer(now, speech::peer(which), options),
            2 | 3 => self.node.fetch(now, Query::Peers(swarm), vec![], options),
            4 | 5 => self.node.fetch(now, key(), vec![], options),
            6 => {
                let addr = SocketAddr::new(HERE.ip(), 1 + u16::from(which));
                let peer = Record::Peer(Peer { addr, seed: which & 32 > 0, implied_port: which & 64 > 0 });
                self.node.store(now, Query::Peers(swarm), peer, options)
            }
            7 => {
                let cas = (which & 128 > 0).then_some(1);
                self.node.store(now, key(), Record::Item(speech::item(which).clone(), cas), options)
            }
            8 => {
                let request = Request::Get { query: Query::Samples(speech::target(which)) };
                let id = self.node.ask(now, contact(which), request, Duration::from_secs(5));
                self.asked.insert(id, 0);
                return;
            }
            9 => {
                let seeds = input.some(4).iter().map(|byte| contact(*byte)).collect();
                self.node.bootstrap(now, seeds, Vec::new(), BootstrapOptions::default());
                return;
            }
            10 => {
                self.node.cancel(now, QueryId(u64::from(which & 7)));
                return;
            }
            _ => {
                // A refusal is a fine answer.
                let _ = self.node.add_peer(now, contact(which));
                return;
            }
        };
        if let Ok(id) = started {
            assert!(self.queries.insert(id.0, 0).is_none());
        }
    }

    /// A datagram comes in, as a transport takes it.
    fn hear(&mut self, from: SocketAddr, bytes: Vec<u8>) {
        if bytes.len() > MAX_DATAGRAM {
            return;
        }
        self.heard.push_front((from, bytes.clone()));
        self.heard.truncate(4);
        let mut out = Vec::new();
        let open = &self.open;
        let asked = |tid| open.get(&tid).filter(|waiting| waiting.to == from).map(|waiting| &waiting.request);
        match self.codec.decode(self.now.mono, from, &bytes, &asked, &mut out) {
            Ok(Datagram::Answer { tid, peer, result, seen, .. }) => {
                let waiting = self.open.remove(&tid).expect("what nobody asked is no answer");
                assert_eq!(waiting.to, from, "somebody else answers");
                self.take(waiting, peer, result, seen);
            }
            Ok(Datagram::Request { peer, serves, proven, request, question }) => {
                let asker = Contact::new(peer, self.codec.addr(from));
                if proven {
                    assert!(self.was_issued(from.ip(), &request), "a proof that nobody was given");
                }
                let answer = self.serve(&asker, request.clone());
                if serves {
                    self.node.on_asker(self.now, asker);
                }
                for room in [FULL, SMALL, Room { bytes: bytes.len(), stored: false }] {
                    self.reply(from, &bytes, &request, &question, answer.as_ref(), room);
                }
            }
            Err(Unread::Stray | Unread::Silent(_)) => {}
            Err(Unread::Rejected(_)) => {
                let said = decode(&out).expect("it was written here");
                assert!(matches!(said.body, Body::Reject(_)) && out.len() <= 160);
                return;
            }
        }
        assert!(out.is_empty(), "only refusals are written by who reads");
    }

    fn take(
        &mut self,
        waiting: Waiting,
        peer: Option<NodeId>,
        result: Result<Response<Mainline>, Failure>,
        seen: Option<SocketAddr>,
    ) {
        if let Some(contact) = seen.and_then(|us| self.codec.sighted(waiting.to, us)) {
            assert!(
                contact.peer == self.codec.local()
                    && contact.addr.0.is_some_and(|us| contact.peer.suits(us.ip()))
            );
            self.node.set_local(self.now, contact);
        }
        match (peer, result) {
            (Some(peer), _) if peer != waiting.peer => {
                self.node.on_failure(self.now, waiting.id, Failure::WrongPeer);
                self.node.on_peer(self.now, Contact::new(peer, Endpoint::from(waiting.to)), true);
            }
            (_, Ok(response)) => self.node.on_response(self.now, waiting.id, response),
            (_, Err(why)) => self.node.on_failure(self.now, waiting.id, why),
        }
    }

    fn was_issued(&self, ip: IpAddr, request: &Request<Mainline>) -> bool {
        let Some(target) = request.target() else { return false };
        let shown = match request {
            Request::Put { ticket, .. } => ticket.as_ref().map(Token::as_bytes),
            _ => None,
        };
        self.issued.iter().any(|((to, of, token), when)| {
            let is_shown = shown.is_none_or(|shown| shown == token);
            (*to, *of) == (ip, target) && is_shown && self.now.mono.since(*when) <= TOKEN_AGE
        })
    }

    fn serve(
        &mut self,
        from: &Contact<Mainline>,
        request: Request<Mainline>,
    ) -> Result<Response<Mainline>, Refusal> {
        let (now, asked) = (self.now, request.clone());
        match self.node.serve(now, from, request) {
            Served::Answer(response) => Ok(response),
            Served::Refused(refusal) => Err(refusal),
            Served::Load(load) => {
                let found = block_on(self.store.load(&load.query, now)).expect("memory does not fail");
                Ok(load.answer(found, &**self.node.rules(), &**self.node.validator(), now).0)
            }
            Served::Save(save) => {
                let ip = from.addr.0.expect("it came from somewhere").ip();
                assert!(self.was_issued(ip, &asked), "somebody stores without a token of his own");
                let (item, lease) = (save.item.clone(), save.lease.clone());
                let saved = block_on(self.store.save(&save.query, item, lease, &Records::default(), now));
                self.node.settle(save, &saved)
            }
        }
    }

    /// What goes out to `to`, who asked with `asked`.
    fn reply(
        &mut self,
        to: SocketAddr,
        asked: &[u8],
        request: &Request<Mainline>,
        question: &Question,
        answer: Result<&Response<Mainline>, &Refusal>,
        room: Room,
    ) {
        let mut out = Vec::new();
        let refused = answer.is_err();
        self.codec.encode_answer(to, question, answer.map_err(|refusal| *refusal), room, &mut out);
        assert!(out.len() <= room.bytes, "{} bytes for {room:?}", out.len());
        if out.is_empty() {
            assert!(refused || room.bytes < 120, "an answer was left out");
            return;
        }
        assert!(Canonical::new(&out, Limits::of(out.len())).is_ok());
        let message = decode(&out).expect("it was written here");
        let tid = decode(asked).map(|asked| asked.tid);
        assert_eq!(Ok(message.tid), tid, "the name of the question is repeated");
        match message.body {
            Body::Query(_) => panic!("a question is no answer"),
            Body::Reject(_) => assert!(refused),
            Body::Reply(reply) => {
                assert!(!refused && reply.id == self.codec.local());
                assert!(reply.v.is_some() || out.len() <= SAFE_PAYLOAD);
                self.told(to, request, &reply, room);
            }
        }
    }

    fn told(&mut self, to: SocketAddr, request: &Request<Mainline>, reply: &Reply<'_>, room: Room) {
        if !room.stored {
            let told =
                reply.values.is_some() || reply.v.is_some() || reply.signed.is_some() || reply.seq.is_some();
            let counted = reply.scrape.is_some() || reply.samples.is_some();
            assert!(!told && !counted, "who proved nothing is told nothing that was stored: {reply:?}");
        }
        let nodes: Vec<_> = reply.nodes.into_iter().flat_map(|nodes| nodes.iter()).collect();
        assert!(nodes.len() <= 8 && nodes.iter().all(|(_, addr)| Reach::Public.allows(*addr)), "{nodes:?}");
        let mut ids: Vec<NodeId> = nodes.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), nodes.len(), "everybody is named once");
        reply
            .values
            .into_iter()
            .for_each(|values| values.for_each(|addr| assert!(Reach::Public.allows(addr))));
        if let Some(v) = reply.v {
            let signed = reply.signed.map(|(key, signature)| (*key, *signature));
            self.is_kept(request, v.as_bytes(), signed, reply.seq);
        }
        if let (Some(token), Some(target)) = (reply.token, request.target()) {
            self.issued.insert((to.ip(), target, token.to_vec()), self.now.mono);
            self.tokens.push(token.to_vec());
        }
    }

    /// An item that is told is one that is kept, and true.
    fn is_kept(
        &self,
        request: &Request<Mainline>,
        v: &[u8],
        signed: Option<([u8; 32], [u8; 64])>,
        seq: Option<i64>,
    ) {
        let Request::Get { query: query @ Query::Item(key) } = request else {
            panic!("nobody asked for an item")
        };
        let kept = block_on(self.store.load(query, self.now)).expect("memory does not fail");
        let Some(Record::Item(item, _)) = kept.first().map(|stored| &stored.item) else {
            panic!("nothing is kept")
        };
        assert!(item.check(key.target()).is_ok());
        let told = item::Signed { key: [0; 32], signature: [0; 64], seq: 0, salt: Default::default() };
        let told =
            signed.zip(seq).map(|((key, signature), seq)| item::Signed { key, signature, seq, ..told });
        let bare = |signed: &Option<item::Signed>| signed.as_ref().map(|s| (s.key, s.signature, s.seq));
        assert_eq!((&item.value[..], bare(&item.signed)), (v, bare(&told)));
    }
}

fn contact(byte: u8) -> Contact<Mainline> {
    Contact::new(speech::peer(byte), Endpoint::from(speech::addr(byte)))
}
