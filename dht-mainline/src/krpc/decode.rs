//! Reading messages: one pass that collects the fields, then one look at what the method needs.

use dht_core::Key;

use super::{
    Body, Call, Canonical, MAX_DATAGRAM, MAX_TID, Message, Query, Reject, Reply, Samples, Scrape, Signed,
    Unreadable, Want, Why, code,
};
use crate::{
    InfoHash, NodeId,
    bencode::{Error, Kind, Limits, Reader, Value},
    compact::{Family, Nodes, Peers, read_addr},
};

const LIMITS: Limits = Limits::of(MAX_DATAGRAM);

/// Reads one datagram.
///
/// # Errors
/// What is wrong, and whether it may be answered.
pub fn decode(datagram: &[u8]) -> Result<Message<'_>, Unreadable<'_>> {
    let silent = |why| Unreadable { refuse: None, answers: None, why };
    let top = Top::read(datagram).map_err(|error| silent(Why::Bencode(error)))?;
    let Some(tid) = top.tid.filter(|tid| tid.len() <= MAX_TID) else {
        return Err(silent(Why::Field("t")));
    };
    let (version, ip) = (top.version, top.ip.and_then(read_addr));
    let answers = |field| Unreadable { answers: Some(tid), ..silent(Why::Field(field)) };
    let message = |body| Ok(Message { tid, version, ip, body });
    match top.kind {
        b"r" => match reply(top.reply.as_ref()) {
            Ok(reply) => message(Body::Reply(reply)),
            Err(field) => Err(answers(field)),
        },
        b"q" => match top.query() {
            Ok(query) => message(Body::Query(query)),
            Err(field) => Err(Unreadable { refuse: Some(tid), ..silent(Why::Field(field)) }),
        },
        b"e" => message(Body::Reject(top.reject.ok_or(answers("e"))?)),
        _ => Err(silent(Why::Field("y"))),
    }
}

/// The fields of the outermost dictionary.
#[derive(Default)]
struct Top<'a> {
    kind: &'a [u8],
    tid: Option<&'a [u8]>,
    version: Option<&'a [u8]>,
    ip: Option<&'a [u8]>,
    method: Option<&'a [u8]>,
    read_only: bool,
    args: Option<Args<'a>>,
    reply: Option<Fields<'a>>,
    reject: Option<Reject<'a>>,
}

/// The arguments of a question.
#[derive(Default)]
struct Args<'a> {
    id: Option<&'a [u8; 20]>,
    target: Option<&'a [u8; 20]>,
    info_hash: Option<&'a [u8; 20]>,
    port: Option<i64>,
    implied_port: bool,
    seed: bool,
    scrape: bool,
    noseed: bool,
    want: Want,
    token: Option<&'a [u8]>,
    seq: Option<i64>,
    cas: Option<i64>,
    key: Option<&'a [u8; 32]>,
    signature: Option<&'a [u8; 64]>,
    salt: Option<&'a [u8]>,
    v: Option<Canonical<'a>>,
    signs: bool,
    bad: Option<&'static str>,
}

/// The fields of an answer.
#[derive(Default)]
struct Fields<'a> {
    id: Option<&'a [u8; 20]>,
    nodes: Option<&'a [u8]>,
    nodes6: Option<&'a [u8]>,
    token: Option<&'a [u8]>,
    values: Option<Peers<'a>>,
    seeds: Option<&'a [u8]>,
    peers: Option<&'a [u8]>,
    v: Option<Canonical<'a>>,
    has_v: bool,
    key: Option<&'a [u8; 32]>,
    signature: Option<&'a [u8; 64]>,
    seq: Option<i64>,
    samples: Option<&'a [u8]>,
    num: Option<i64>,
    interval: Option<i64>,
    port: Option<i64>,
    echo: bool,
}

/// A field of the wrong sort counts as absent. The reader stays before it, and skips and checks it.
#[inline]
fn array<'a, const N: usize>(value: Value<'_, 'a>) -> Option<&'a [u8; N]> {
    value.bytes_if().and_then(|bytes| bytes.try_into().ok())
}

fn flag(value: Value<'_, '_>) -> bool {
    value.int().is_ok_and(|value| value != 0)
}

impl<'a> Top<'a> {
    #[inline]
    fn read(datagram: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(datagram, LIMITS)?;
        let mut top = Self::default();
        reader.value().dict(|key, value| {
            match key {
                b"a" if value.kind()? == Kind::Dict => {
                    top.args.insert(Args::default()).read(value)?;
                }
                b"e" => top.reject = Some(reject(value)?),
                b"ip" => top.ip = value.bytes_if(),
                b"q" => top.method = value.bytes_if(),
                b"r" if value.kind()? == Kind::Dict => {
                    top.reply.insert(Fields::default()).read(value)?;
                }
                b"ro" => top.read_only = flag(value),
                b"t" => top.tid = value.bytes_if(),
                b"v" => top.version = value.bytes_if(),
                b"y" => top.kind = value.bytes_if().unwrap_or_default(),
                _ => {}
            }
            Ok::<_, Error>(())
        })?;
        reader.finish()?;
        Ok(top)
    }

    fn query(self) -> Result<Query<'a>, &'static str> {
        let method = self.method.ok_or("q")?;
        let args = self.args.ok_or("a")?;
        let id = NodeId(*args.id.ok_or("id")?);
        let (want, token) = (args.want, args.token);
        let call = args.call(method)?;
        let echo = token.filter(|_| matches!(call, Call::GetPeers { .. } | Call::Get { .. }));
        Ok(Query { id, read_only: self.read_only, want, echo, call })
    }
}

impl<'a> Args<'a> {
    fn read(&mut self, value: Value<'_, 'a>) -> Result<(), Error> {
        value.dict(|key, value| {
            match key {
                b"id" => self.id = array(value),
                b"target" => self.target = array(value),
                b"info_hash" => self.info_hash = array(value),
                b"port" => self.port = value.int().ok(),
                b"implied_port" => self.implied_port = flag(value),
                b"seed" => self.seed = flag(value),
                b"scrape" => self.scrape = flag(value),
                b"noseed" => self.noseed = flag(value),
                b"want" => self.want = want(value)?,
                b"token" => self.token = value.bytes_if(),
                b"seq" => self.number(value, "seq", |args| &mut args.seq),
                b"cas" => self.number(value, "cas", |args| &mut args.cas),
                b"k" => (self.key, self.signs) = (array(value), true),
                b"sig" => (self.signature, self.signs) = (array(value), true),
                b"salt" => match value.bytes() {
                    Ok(salt) => self.salt = Some(salt),
                    Err(_) => self.bad = Some("salt"),
                },
                b"v" => self.v = value.canonical().ok(),
                _ => {}
            }
            Ok::<_, Error>(())
        })
    }

    fn number(
        &mut self,
        value: Value<'_, '_>,
        name: &'static str,
        field: impl FnOnce(&mut Self) -> &mut Option<i64>,
    ) {
        match value.int() {
            Ok(number) => *field(self) = Some(number),
            Err(_) => self.bad = Some(name),
        }
    }

    fn call(self, method: &'a [u8]) -> Result<Call<'a>, &'static str> {
        Ok(match method {
            b"ping" => Call::Ping,
            b"find_node" => Call::FindNode { target: Key(*self.target.ok_or("target")?) },
            b"get_peers" => Call::GetPeers {
                info_hash: InfoHash(*self.info_hash.ok_or("info_hash")?),
                scrape: self.scrape,
                noseed: self.noseed,
            },
            b"announce_peer" => {
                let port = self.port.and_then(|port| u16::try_from(port).ok());
                Call::AnnouncePeer {
                    info_hash: InfoHash(*self.info_hash.ok_or("info_hash")?),
                    // The announced port may be missing where it does not count.
                    port: if self.implied_port { port.unwrap_or(0) } else { port.ok_or("port")? },
                    implied_port: self.implied_port,
                    seed: self.seed,
                    token: self.token.ok_or("token")?,
                }
            }
            b"get" => Call::Get { target: Key(*self.target.ok_or("target")?), seq: self.seq },
            b"put" => self.put()?,
            b"sample_infohashes" => Call::SampleInfohashes { target: Key(*self.target.ok_or("target")?) },
            _ => Call::Unknown { method, target: self.target.or(self.info_hash).copied().map(Key) },
        })
    }

    fn put(self) -> Result<Call<'a>, &'static str> {
        if let Some(bad) = self.bad {
            return Err(bad);
        }
        // A mutable item by halves is no immutable one.
        let signed = if self.signs {
            Some(Signed {
                key: self.key.ok_or("k")?,
                signature: self.signature.ok_or("sig")?,
                seq: self.seq.ok_or("seq")?,
                salt: self.salt.unwrap_or_default(),
            })
        } else {
            None
        };
        Ok(Call::Put {
            token: self.token.ok_or("token")?,
            target: self.target.copied().map(Key),
            v: self.v.ok_or("v")?,
            cas: self.cas.filter(|_| signed.is_some()),
            signed,
        })
    }
}

impl<'a> Fields<'a> {
    fn read(&mut self, value: Value<'_, 'a>) -> Result<(), Error> {
        value.dict(|key, value| {
            match key {
                b"id" => self.id = array(value),
                b"nodes" => self.nodes = value.bytes_if(),
                b"nodes6" => self.nodes6 = value.bytes_if(),
                b"token" => self.token = value.bytes_if(),
                b"values" if value.kind()? == Kind::List => self.values = Some(Peers::checked(value.raw()?)),
                b"BFsd" => self.seeds = value.bytes_if(),
                b"BFpe" => self.peers = value.bytes_if(),
                b"v" => (self.v, self.has_v) = (value.canonical().ok(), true),
                b"k" => self.key = array(value),
                b"sig" => self.signature = array(value),
                b"seq" => self.seq = value.int().ok(),
                b"samples" => self.samples = value.bytes_if(),
                b"num" => self.num = value.int().ok(),
                b"interval" => self.interval = value.int().ok(),
                b"p" => self.port = value.int().ok(),
                b"echo" => self.echo = flag(value),
                _ => {}
            }
            Ok::<_, Error>(())
        })
    }
}

#[inline]
fn reply<'a>(fields: Option<&Fields<'a>>) -> Result<Reply<'a>, &'static str> {
    let fields = fields.ok_or("r")?;
    let id = NodeId(*fields.id.ok_or("id")?);
    let nodes = |family, bytes: Option<_>, name| match bytes {
        Some(bytes) => Nodes::new(family, bytes).map(Some).ok_or(name),
        None => Ok(None),
    };
    if fields.has_v && fields.v.is_none() {
        return Err("v");
    }
    let filter = |bytes: Option<_>| bytes.and_then(|bytes| <&[u8; 256]>::try_from(bytes).ok());
    let count = |number: Option<i64>| number.map_or(0, |n| u32::try_from(n.max(0)).unwrap_or(u32::MAX));
    let samples = match fields.samples {
        Some(hashes) => {
            Some(Samples::new(hashes, count(fields.num), count(fields.interval)).ok_or("samples")?)
        }
        None => None,
    };
    Ok(Reply {
        id,
        nodes: nodes(Family::V4, fields.nodes, "nodes")?,
        nodes6: nodes(Family::V6, fields.nodes6, "nodes6")?,
        token: fields.token,
        values: fields.values,
        scrape: filter(fields.seeds).zip(filter(fields.peers)).map(|(seeds, peers)| Scrape { seeds, peers }),
        v: fields.v,
        signed: fields.key.zip(fields.signature),
        seq: fields.seq,
        samples,
        port: fields.port.and_then(|port| u16::try_from(port).ok()),
        echo: fields.echo,
    })
}

/// A refusal is what it is in any shape: some peers send only the number, or only the words.
fn reject<'a>(value: Value<'_, 'a>) -> Result<Reject<'a>, Error> {
    let mut reject = Reject { code: code::GENERIC, message: &[] };
    match value.kind()? {
        Kind::Int => reject.code = value.int().map(clamped)?,
        Kind::Bytes => reject.message = value.bytes()?,
        Kind::Dict => value.skip()?,
        Kind::List => value.list(|part| {
            match part.kind()? {
                Kind::Int => reject.code = clamped(part.int()?),
                Kind::Bytes => reject.message = part.bytes()?,
                _ => {}
            }
            Ok::<_, Error>(())
        })?,
    }
    Ok(reject)
}

fn clamped(code: i64) -> u32 {
    u32::try_from(code.max(0)).unwrap_or(u32::MAX)
}

/// A list of names; a single one outside a list is understood too, and unknown ones are passed over.
fn want(value: Value<'_, '_>) -> Result<Want, Error> {
    let mut want = Want::default();
    let mut note = |name: &[u8]| match name {
        b"n4" => want.n4 = true,
        b"n6" => want.n6 = true,
        _ => {}
    };
    match value.kind()? {
        Kind::Bytes => note(value.bytes()?),
        Kind::List => value.list(|name| {
            if name.kind()? == Kind::Bytes {
                note(name.bytes()?);
            }
            Ok::<_, Error>(())
        })?,
        _ => value.skip()?,
    }
    Ok(want)
}
