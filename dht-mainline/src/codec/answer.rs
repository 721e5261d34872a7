//! Answers as messages: always who is closer, the token and where the asker is seen, then as much of what is held as fits.
//!
//! Every part is laid out on the stack and counted before it is taken, so that an answer is written once and needs no heap.

use std::{
    hash::Hasher,
    net::{IpAddr, SocketAddr},
};

use dht_core::Response;
use dht_protocol::Room;
use siphasher::sip::SipHasher24;

use super::{
    About, KrpcCodec, MAX_NODES, Question,
    budget::{self, Budget},
};
use crate::{
    Item, Mainline, NodeId, Peer, Record, Scrape, Token,
    bencode::Limits,
    compact::{CompactAddr, Family, Nodes, Peers},
    item::MAX_VALUE,
    krpc::{self, Body, Canonical, Message, Reply, SAFE_PAYLOAD},
};

/// Samples in an answer: with nodes beside them they stay below [`SAFE_PAYLOAD`].
pub(crate) const MAX_SAMPLES: usize = 20;

/// An answer while its parts are chosen.
struct Draft<'a> {
    reply: Reply<'a>,
    budget: Budget,
    v4: Option<Packed<{ MAX_NODES * 26 }>>,
    v6: Option<Packed<{ MAX_NODES * 38 }>>,
    values: Packed<SAFE_PAYLOAD>,
    filters: Option<Scrape>,
    samples: Option<(Packed<{ MAX_SAMPLES * 20 }>, u32, u32)>,
}

/// Bytes on the stack; what does not fit is left out, which the budget prevents.
struct Packed<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl KrpcCodec {
    /// Appends the answer; nothing when there is no room to say who answers.
    pub(super) fn answer(
        &self,
        to: SocketAddr,
        question: &Question,
        response: &Response<Mainline>,
        room: Room,
        out: &mut Vec<u8>,
    ) {
        let held = if room.stored { &response.items[..] } else { &[] };
        let item = held.iter().find_map(|record| match (record, question.about) {
            (Record::Item(item, _), About::Item { seq, .. }) => Some((item, seq)),
            _ => None,
        });
        // An item can be larger than what BEP 32 wants at most; everything else is cut to it.
        let bytes = if item.is_some() { room.bytes } else { room.bytes.min(SAFE_PAYLOAD) };
        let Some(budget) = Budget::of_reply(bytes, question.tid()) else { return };
        let mut draft = Draft::new(self.config.id, budget);
        // What it takes to get the rest comes before everything else.
        if !room.stored && !response.items.is_empty() {
            draft.withhold(response.ticket.as_ref());
        }
        let ip = Some(to).filter(|to| draft.budget.take_bytes(b"ip", Family::of(to.ip()).peer_len()));
        if question.about != About::Nothing && !draft.reply.echo {
            draft.token(response.ticket.as_ref());
        }
        if let Some((item, seq)) = item {
            draft.item(item, seq);
        }
        self.own_nodes(question, response, &mut draft);
        let version = Some(&self.config.version[..]).filter(|_| room.stored);
        let version = version.filter(|version| draft.budget.take_bytes(b"v", version.len()));
        if room.stored {
            draft.told(question, held);
        }
        self.other_nodes(question, &mut draft);
        if let About::Peers { noseed, .. } = question.about {
            draft.values(self.shown_peers(held, noseed), self.first_shown(to.ip(), question.tid()));
        }
        draft.write(|reply| {
            Message { tid: question.tid(), version, ip, body: Body::Reply(reply) }.encode(out)
        });
    }

    fn own_nodes(&self, question: &Question, response: &Response<Mainline>, draft: &mut Draft<'_>) {
        if question.about == About::Nothing {
            return;
        }
        let family = self.config.family;
        let located = response.closer.iter().filter_map(|contact| Some((contact.peer, contact.addr.0?)));
        draft.nodes(family, located.filter(|(_, addr)| Family::of(addr.ip()) == family));
    }

    /// Nodes of the other family, for who wants them.
    fn other_nodes(&self, question: &Question, draft: &mut Draft<'_>) {
        let (other, wanted) = match self.config.family {
            Family::V4 => (Family::V6, question.want.n6),
            Family::V6 => (Family::V4, question.want.n4),
        };
        let (Some(sibling), Some(target)) = (&self.config.sibling, question.target()) else { return };
        if wanted {
            let closest = sibling.closest(&target);
            draft.nodes(other, closest.iter().filter(|(_, addr)| Family::of(addr.ip()) == other));
        }
    }

    /// The peers that may be shown: those of the socket's family (BEP 32).
    fn shown_peers<'r>(
        &self,
        held: &'r [Record],
        noseed: bool,
    ) -> impl Iterator<Item = &'r Peer> + Clone + use<'r> {
        let family = self.config.family;
        held.iter().filter_map(move |record| match record {
            Record::Peer(peer) => {
                Some(peer).filter(|peer| Family::of(peer.addr.ip()) == family && !(noseed && peer.seed))
            }
            _ => None,
        })
    }

    /// Where in a large swarm an answer begins: elsewhere for every asker and question, so that all peers are seen.
    fn first_shown(&self, asker: IpAddr, tid: &[u8]) -> u64 {
        let mut hasher = SipHasher24::new_with_keys(self.config.seed, 0);
        match asker.to_canonical() {
            IpAddr::V4(ip) => hasher.write(&ip.octets()),
            IpAddr::V6(ip) => hasher.write(&ip.octets()),
        }
        hasher.write(tid);
        hasher.finish()
    }
}

impl<'a> Draft<'a> {
    fn new(id: NodeId, budget: Budget) -> Self {
        let values = Packed::new();
        Self { reply: Reply::of(id), budget, v4: None, v6: None, values, filters: None, samples: None }
    }

    fn token(&mut self, token: Option<&'a Token>) {
        let token = token.map(Token::as_bytes);
        self.reply.token = token.filter(|token| self.budget.take_bytes(b"token", token.len()));
    }

    /// The token, and that there is more for who shows it.
    fn withhold(&mut self, token: Option<&'a Token>) {
        let flag = budget::int(b"echo", 1);
        if let Some(token) = token.map(Token::as_bytes)
            && self.budget.take(budget::bytes(b"token", token.len()) + flag)
        {
            (self.reply.token, self.reply.echo) = (Some(token), true);
        }
    }

    /// The item, or only its number where the asker has that one or a later one (BEP 44).
    fn item(&mut self, item: &'a Item, known: Option<i64>) {
        let signed = item.signed.as_ref();
        let number = signed.map_or(0, |signed| budget::int(b"seq", signed.seq));
        if let Some(signed) = signed
            && known.is_some_and(|known| signed.seq <= known)
        {
            self.reply.seq = Some(signed.seq).filter(|_| self.budget.take(number));
            return;
        }
        let proof = signed.map_or(0, |_| budget::bytes(b"k", 32) + budget::bytes(b"sig", 64) + number);
        let Ok(v) = Canonical::new(&item.value, Limits::of(MAX_VALUE)) else { return };
        if self.budget.take(budget::text(1) + item.value.len() + proof) {
            self.reply.v = Some(v);
            self.reply.signed = signed.map(|signed| (&signed.key, &signed.signature));
            self.reply.seq = item.seq();
        }
    }

    /// The first nodes, as many as fit. The list stands there even when it is empty.
    fn nodes(&mut self, family: Family, nodes: impl Iterator<Item = (NodeId, SocketAddr)>) {
        match family {
            Family::V4 => self.v4 = pack(b"nodes", family, nodes, &mut self.budget),
            Family::V6 => self.v6 = pack(b"nodes6", family, nodes, &mut self.budget),
        }
    }

    /// What is told of a swarm or of swarms: it comes before the peers, for it was asked for.
    fn told(&mut self, question: &Question, held: &[Record]) {
        match question.about {
            About::Peers { scrape: true, .. } => {
                let cost = budget::bytes(b"BFpe", 256) + budget::bytes(b"BFsd", 256);
                if self.budget.take(cost) {
                    let filters = self.filters.insert(Scrape::default());
                    held.iter().for_each(|record| {
                        if let Record::Peer(peer) = record {
                            filters.insert(peer);
                        }
                    });
                }
            }
            About::Samples(_) => self.some_swarms(held),
            _ => {}
        }
    }

    /// BEP 51 wants the field in every answer, if need be empty.
    fn some_swarms(&mut self, held: &[Record]) {
        let samples = held.iter().find_map(|record| match record {
            Record::Samples(samples) => Some(&**samples),
            _ => None,
        });
        let (hashes, num, interval) = samples.map_or((&[][..], 0, krpc::Samples::MAX_INTERVAL), |samples| {
            (&samples.hashes[..], samples.num, samples.interval)
        });
        let cost = budget::int(b"num", num.into()) + budget::int(b"interval", interval.into());
        if !self.budget.take(cost) {
            return;
        }
        let count = self.budget.take_parts(b"samples", 20, hashes.len().min(MAX_SAMPLES));
        self.samples = count.map(|count| {
            let mut packed = Packed::new();
            hashes.iter().take(count).for_each(|hash| packed.push(&hash.0));
            (packed, num, interval)
        });
    }

    /// As many peers as fit, from the one on that `first` points to.
    fn values<'r>(&mut self, peers: impl Iterator<Item = &'r Peer> + Clone, first: u64) {
        // 6:values l … e
        let Some(room) = self.budget.left().checked_sub(budget::text(6) + 2) else { return };
        let Some(any) = peers.clone().next() else { return };
        let each = budget::text(Family::of(any.addr.ip()).peer_len());
        let count = peers.clone().count();
        let fitting = count.min(room / each);
        if fitting == 0 || !self.budget.take(budget::text(6) + 2 + fitting * each) {
            return;
        }
        let start = (first % count as u64) as usize;
        self.values.push(b"l");
        for peer in peers.cycle().skip(start).take(fitting) {
            let compact = CompactAddr::new(peer.addr);
            self.values.push(if compact.as_bytes().len() == 6 { b"6:" } else { b"18:" });
            self.values.push(compact.as_bytes());
        }
        self.values.push(b"e");
    }

    fn write(&self, write: impl FnOnce(Reply<'_>)) {
        let mut reply = self.reply;
        reply.nodes = self.v4.as_ref().and_then(|nodes| Nodes::new(Family::V4, nodes.as_bytes()));
        reply.nodes6 = self.v6.as_ref().and_then(|nodes| Nodes::new(Family::V6, nodes.as_bytes()));
        reply.values = Some(self.values.as_bytes()).filter(|list| !list.is_empty()).map(Peers::checked);
        reply.scrape = self
            .filters
            .as_ref()
            .map(|filters| krpc::Scrape { seeds: filters.seeds.as_bytes(), peers: filters.peers.as_bytes() });
        reply.samples = self
            .samples
            .as_ref()
            .and_then(|(hashes, num, interval)| krpc::Samples::new(hashes.as_bytes(), *num, *interval));
        write(reply);
    }
}

fn pack<const N: usize>(
    key: &[u8],
    family: Family,
    nodes: impl Iterator<Item = (NodeId, SocketAddr)>,
    budget: &mut Budget,
) -> Option<Packed<N>> {
    let mut packed = Packed::new();
    for (id, addr) in nodes.take(MAX_NODES) {
        packed.push(&id.0);
        packed.push(CompactAddr::new(addr).as_bytes());
    }
    let count = budget.take_parts(key, family.node_len(), packed.length / family.node_len())?;
    packed.length = count * family.node_len();
    Some(packed)
}

impl<const N: usize> Packed<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], length: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.length..self.length + bytes.len()) {
            room.copy_from_slice(bytes);
            self.length += bytes.len();
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
