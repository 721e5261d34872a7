//! Writing messages, canonical by construction.

use super::{Body, Call, Message, Query, Reject, Reply, Want};
use crate::{
    bencode::{DictWriter, Writer},
    compact::{CompactAddr, Peers},
};

impl Message<'_> {
    /// Appends the datagram to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        Writer::new(out).dict(|top| {
            match &self.body {
                Body::Query(query) => top.entry(b"a", |value| value.dict(|args| arguments(query, args))),
                Body::Reject(reject) => top.entry(b"e", |value| self::reject(reject, value)),
                Body::Reply(_) => {}
            }
            if let Some(ip) = self.ip {
                top.bytes(b"ip", CompactAddr::new(ip).as_bytes());
            }
            match &self.body {
                Body::Query(query) => {
                    top.bytes(b"q", query.call.method());
                    if query.read_only {
                        top.int(b"ro", 1);
                    }
                }
                Body::Reply(reply) => top.entry(b"r", |value| value.dict(|r| fields(reply, r))),
                Body::Reject(_) => {}
            }
            top.bytes(b"t", self.tid);
            if let Some(version) = self.version {
                top.bytes(b"v", version);
            }
            top.bytes(
                b"y",
                match self.body {
                    Body::Query(_) => b"q",
                    Body::Reply(_) => b"r",
                    Body::Reject(_) => b"e",
                },
            );
        });
    }
}

impl<'a> Call<'a> {
    /// The method's name on the wire.
    pub fn method(&self) -> &'a [u8] {
        match self {
            Self::Ping => b"ping",
            Self::FindNode { .. } => b"find_node",
            Self::GetPeers { .. } => b"get_peers",
            Self::AnnouncePeer { .. } => b"announce_peer",
            Self::Get { .. } => b"get",
            Self::Put { .. } => b"put",
            Self::SampleInfohashes { .. } => b"sample_infohashes",
            Self::Unknown { method, .. } => method,
        }
    }
}

fn arguments(query: &Query<'_>, args: &mut DictWriter<'_>) {
    if let Call::Put { cas: Some(cas), .. } = query.call {
        args.int(b"cas", cas);
    }
    args.bytes(b"id", &query.id.0);
    match query.call {
        Call::Ping => {}
        Call::FindNode { target } | Call::SampleInfohashes { target } => args.bytes(b"target", &target.0),
        Call::GetPeers { info_hash, scrape, noseed } => {
            args.bytes(b"info_hash", &info_hash.0);
            if noseed {
                args.int(b"noseed", 1);
            }
            if scrape {
                args.int(b"scrape", 1);
            }
        }
        // Both flags are always sent: some peers are silent without them.
        Call::AnnouncePeer { info_hash, port, implied_port, seed, token } => {
            args.int(b"implied_port", i64::from(implied_port));
            args.bytes(b"info_hash", &info_hash.0);
            args.int(b"port", i64::from(port));
            args.int(b"seed", i64::from(seed));
            args.bytes(b"token", token);
        }
        Call::Get { target, seq } => {
            if let Some(seq) = seq {
                args.int(b"seq", seq);
            }
            args.bytes(b"target", &target.0);
        }
        Call::Put { token, target, v, signed, .. } => {
            if let Some(signed) = signed {
                args.bytes(b"k", signed.key);
                if !signed.salt.is_empty() {
                    args.bytes(b"salt", signed.salt);
                }
                args.int(b"seq", signed.seq);
                args.bytes(b"sig", signed.signature);
            }
            if let Some(target) = target {
                args.bytes(b"target", &target.0);
            }
            args.bytes(b"token", token);
            args.entry(b"v", |value| value.canonical(v));
        }
        Call::Unknown { target, .. } => {
            if let Some(target) = target {
                args.bytes(b"target", &target.0);
            }
        }
    }
    if let (Call::GetPeers { .. } | Call::Get { .. }, Some(token)) = (query.call, query.echo) {
        args.bytes(b"token", token);
    }
    if query.want != Want::default() {
        args.entry(b"want", |value| {
            value.list(|names| {
                if query.want.n4 {
                    names.bytes(b"n4");
                }
                if query.want.n6 {
                    names.bytes(b"n6");
                }
            });
        });
    }
}

fn fields(reply: &Reply<'_>, r: &mut DictWriter<'_>) {
    if let Some(scrape) = reply.scrape {
        r.bytes(b"BFpe", scrape.peers);
        r.bytes(b"BFsd", scrape.seeds);
    }
    if reply.echo {
        r.int(b"echo", 1);
    }
    r.bytes(b"id", &reply.id.0);
    if let Some(samples) = reply.samples {
        r.int(b"interval", i64::from(samples.interval));
    }
    if let Some((key, _)) = reply.signed {
        r.bytes(b"k", key);
    }
    if let Some(nodes) = reply.nodes {
        r.bytes(b"nodes", nodes.as_bytes());
    }
    if let Some(nodes) = reply.nodes6 {
        r.bytes(b"nodes6", nodes.as_bytes());
    }
    if let Some(samples) = reply.samples {
        r.int(b"num", i64::from(samples.num));
    }
    if let Some(port) = reply.port {
        r.int(b"p", i64::from(port));
    }
    if let Some(samples) = reply.samples {
        r.bytes(b"samples", samples.hashes);
    }
    if let Some(seq) = reply.seq {
        r.int(b"seq", seq);
    }
    if let Some((_, signature)) = reply.signed {
        r.bytes(b"sig", signature);
    }
    if let Some(token) = reply.token {
        r.bytes(b"token", token);
    }
    if let Some(v) = reply.v {
        r.entry(b"v", |value| value.canonical(v));
    }
    if let Some(values) = reply.values {
        r.entry(b"values", |value| peers(&values, value));
    }
}

fn peers(values: &Peers<'_>, to: Writer<'_>) {
    to.list(|list| {
        values.for_each(|peer| list.bytes(CompactAddr::new(peer).as_bytes()));
    });
}

fn reject(reject: &Reject<'_>, to: Writer<'_>) {
    to.list(|parts| {
        parts.int(i64::from(reject.code));
        parts.bytes(reject.message);
    });
}
