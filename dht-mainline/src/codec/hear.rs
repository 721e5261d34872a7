//! Messages of others as questions and answers. What is copied from a datagram is bounded by its size.

use std::net::SocketAddr;

use bytes::Bytes;
use dht_core::{Contact, Failure, Key, Mono, Request, Response};
use dht_protocol::{Datagram, Malformed, TransactionId, Unread};
use sha1::{Digest, Sha1};

use super::{About, KrpcCodec, Question};
use crate::{
    Bloom, Endpoint, Item, ItemKey, Mainline, NodeId, Peer, Query, Record, Samples, Scrape, Swarm, Token,
    compact::Family,
    item,
    krpc::{self, Body, Call, Reject, Reply, Signed, Unreadable, Why, code, decode},
};

/// What is asked, and what the answer needs; or a refusal that goes out at once.
type Understood = Result<(Request<Mainline>, About), (Reject<'static>, Malformed)>;

const NO_PORT: Reject<'static> = Reject { code: code::PROTOCOL, message: b"invalid port" };
const MALFORMED: Reject<'static> = Reject { code: code::PROTOCOL, message: b"malformed question" };
const UNKNOWN: Reject<'static> = Reject { code: code::UNKNOWN_METHOD, message: b"unknown method" };

impl KrpcCodec {
    pub(super) fn hear<'a>(
        &self,
        now: Mono,
        from: SocketAddr,
        datagram: &[u8],
        asked: &dyn Fn(TransactionId) -> Option<&'a Request<Mainline>>,
        out: &mut Vec<u8>,
    ) -> Result<Datagram<Mainline, Question>, Unread> {
        let waiting = |tid: &[u8]| {
            let tid = tid.try_into().map_err(|_| Unread::Stray)?;
            Ok((tid, asked(tid).ok_or(Unread::Stray)?))
        };
        let message = match decode(datagram) {
            Ok(message) => message,
            Err(Unreadable { answers: Some(tid), .. }) => {
                let (tid, _) = waiting(tid)?;
                let result = Err(Failure::Malformed);
                return Ok(Datagram::Answer { tid, peer: None, result, seen: None, withheld: false });
            }
            Err(Unreadable { refuse: Some(tid), why, .. }) => {
                return Err(self.rejected(tid, MALFORMED, malformed(why), out));
            }
            Err(Unreadable { why, .. }) => return Err(Unread::Silent(malformed(why))),
        };
        match message.body {
            Body::Query(query) => self.question(now, from, message.tid, query, out),
            Body::Reply(reply) => {
                let (tid, request) = waiting(message.tid)?;
                let result = Ok(self.told(request, &reply));
                let (peer, seen, withheld) = (Some(reply.id), message.ip, reply.echo);
                Ok(Datagram::Answer { tid, peer, result, seen, withheld })
            }
            Body::Reject(reject) => {
                let (tid, _) = waiting(message.tid)?;
                let result = Err(Failure::Refused(reject.code));
                Ok(Datagram::Answer { tid, peer: None, result, seen: message.ip, withheld: false })
            }
        }
    }

    /// Who answers nothing refuses nothing either (BEP 43).
    fn rejected(&self, tid: &[u8], reject: Reject<'_>, why: Malformed, out: &mut Vec<u8>) -> Unread {
        if self.read_only {
            return Unread::Silent(why);
        }
        self.refuse(tid, reject, out);
        Unread::Rejected(why)
    }

    fn question(
        &self,
        now: Mono,
        from: SocketAddr,
        tid: &[u8],
        query: krpc::Query<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Datagram<Mainline, Question>, Unread> {
        let (request, about) =
            understand(from, query.call).map_err(|(reject, why)| self.rejected(tid, reject, why, out))?;
        let proven = self.proves(now, from, &query, &request);
        let question = Question::new(tid, query.want, about);
        Ok(Datagram::Request { peer: query.id, serves: !query.read_only, proven, request, question })
    }

    /// Whether a token is shown that only who is at `from` can have received.
    fn proves(
        &self,
        now: Mono,
        from: SocketAddr,
        query: &krpc::Query<'_>,
        request: &Request<Mainline>,
    ) -> bool {
        let token = match query.call {
            Call::AnnouncePeer { token, .. } | Call::Put { token, .. } => Some(token),
            _ => query.echo,
        };
        let Some(token) = token else { return false };
        request.target().is_some_and(|target| self.config.tokens.holds(token, from.ip(), &target, now))
    }

    /// What an answer tells of what was asked. Nodes of the socket's family only: the other one is another network, whose node
    /// hears of its own.
    fn told(&self, request: &Request<Mainline>, reply: &Reply<'_>) -> Response<Mainline> {
        let mut response = Response::default();
        if matches!(request, Request::Ping | Request::Put { .. }) {
            return response;
        }
        let (nodes, others) = match self.config.family {
            Family::V4 => (reply.nodes, reply.nodes6),
            Family::V6 => (reply.nodes6, reply.nodes),
        };
        let useful =
            |(id, addr): &(NodeId, SocketAddr)| *id != self.config.id && self.config.reach.allows(*addr);
        let nodes = nodes.into_iter().flat_map(|nodes| nodes.iter()).filter(useful);
        response.closer.extend(nodes.map(|(id, addr)| Contact::new(id, Endpoint::from(addr))));
        if let Some(sibling) = &self.config.sibling {
            let others = others.into_iter().flat_map(|nodes| nodes.iter());
            sibling.hear(others.filter(|(_, addr)| self.config.reach.allows(*addr)));
        }
        let Request::Get { query } = request else { return response };
        response.ticket = reply.token.and_then(Token::new);
        match query {
            Query::Peers(swarm) => self.members(swarm, reply, &mut response.items),
            Query::Item(key) => response.items.extend(item_of(key, reply)),
            Query::Samples(_) => response.items.extend(samples_of(reply)),
        }
        response
    }

    fn members(&self, swarm: &Swarm, reply: &Reply<'_>, items: &mut Vec<Record>) {
        if let Some(scrape) = reply.scrape.filter(|_| swarm.scrape) {
            let [seeds, peers] = [scrape.seeds, scrape.peers].map(|filter| Bloom::from_bytes(*filter));
            items.push(Record::Scrape(Box::new(Scrape { seeds, peers })));
        }
        let Some(values) = reply.values else { return };
        values.for_each(|addr| {
            if self.config.reach.allows(addr) {
                items.push(Record::Peer(Peer { addr, seed: false, implied_port: false }));
            }
        });
    }
}

fn malformed(why: Why) -> Malformed {
    Malformed(match why {
        Why::Field(name) => name,
        Why::Bencode(_) => "bencode",
    })
}

fn understand(from: SocketAddr, call: Call<'_>) -> Understood {
    let get = |query, about| Ok((Request::Get { query }, about));
    match call {
        Call::Ping => Ok((Request::Ping, About::Nothing)),
        // BEP 5 wants nodes for whatever has a target: what is not known yet may still be spread by this node.
        Call::FindNode { target } | Call::Unknown { target: Some(target), .. } => {
            Ok((Request::FindNode { target }, About::Nodes(target)))
        }
        Call::Unknown { target: None, .. } => Err((UNKNOWN, Malformed("q"))),
        Call::GetPeers { info_hash, scrape, noseed } => get(
            Query::Peers(Swarm { info_hash, scrape, noseed }),
            About::Peers { target: info_hash.key(), scrape, noseed },
        ),
        Call::Get { target, seq } => get(Query::Item(ItemKey::new(target)), About::Item { target, seq }),
        Call::SampleInfohashes { target } => get(Query::Samples(target), About::Samples(target)),
        Call::AnnouncePeer { info_hash, port, implied_port, seed, token } => {
            let port = if implied_port { from.port() } else { port };
            if port == 0 {
                return Err((NO_PORT, Malformed("port")));
            }
            let addr = SocketAddr::new(from.ip().to_canonical(), port);
            let item = Record::Peer(Peer { addr, seed, implied_port });
            let query = Query::from(info_hash);
            Ok((Request::Put { query, item, ticket: Token::new(token) }, About::Nothing))
        }
        Call::Put { token, v, signed, cas, .. } => {
            Ok((put(token, v.as_bytes(), signed, cas), About::Nothing))
        }
    }
}

/// The target follows from the item: what the asker says of it is not looked at.
fn put(token: &[u8], v: &[u8], signed: Option<Signed<'_>>, cas: Option<i64>) -> Request<Mainline> {
    let value = Bytes::copy_from_slice(v);
    let (key, signed) = match signed {
        Some(Signed { key, signature, seq, salt }) => {
            let salt = Bytes::copy_from_slice(salt);
            let signed = item::Signed { key: *key, signature: *signature, seq, salt: salt.clone() };
            (ItemKey::mutable(key, salt), Some(signed))
        }
        None => (ItemKey::new(Key(Sha1::digest(&value).into())), None),
    };
    Request::Put {
        query: Query::Item(key),
        item: Record::Item(Item { value, signed }, cas),
        ticket: Token::new(token),
    }
}

/// The item of an answer, with the salt that answers leave out. One without a value is none: the answerer thinks that it
/// is known already.
fn item_of(key: &ItemKey, reply: &Reply<'_>) -> Option<Record> {
    let value = Bytes::copy_from_slice(reply.v?.as_bytes());
    let signed = match reply.signed {
        Some((public, signature)) => Some(item::Signed {
            key: *public,
            signature: *signature,
            seq: reply.seq?,
            salt: key.salt().clone(),
        }),
        None => None,
    };
    Some(Record::Item(Item { value, signed }, None))
}

fn samples_of(reply: &Reply<'_>) -> Option<Record> {
    let samples = reply.samples?;
    let (num, interval) = (samples.num, samples.interval);
    Some(Record::Samples(Box::new(Samples { hashes: samples.iter().collect(), num, interval })))
}
