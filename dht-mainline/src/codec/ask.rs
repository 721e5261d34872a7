//! Questions of ours as messages.

use dht_core::Request;

use super::{KrpcCodec, Sibling};
use crate::{
    Item, Mainline, Query, Record, Token,
    bencode::Limits,
    item::MAX_VALUE,
    krpc::{self, Body, Call, Canonical, Message, Signed, Want},
};

impl KrpcCodec {
    /// Appends a question; nothing for an item that is no bencode, or for what cannot be stored.
    pub(super) fn ask(
        &self,
        tid: &[u8],
        request: &Request<Mainline>,
        echo: Option<&Token>,
        out: &mut Vec<u8>,
    ) {
        let Some(call) = call(request) else { return };
        let (want, echo) = (self.wanted(&call), echo.map(Token::as_bytes));
        let query = krpc::Query { id: self.config.id, read_only: self.read_only, want, echo, call };
        Message { tid, version: None, ip: None, body: Body::Query(query) }.encode(out);
    }
}

impl KrpcCodec {
    /// Nodes of the other family too, where the node on its socket is in need of them (BEP 32): most answers have less room
    /// for what was asked then.
    fn wanted(&self, call: &Call<'_>) -> Want {
        let needed = self.config.sibling.as_ref().is_some_and(Sibling::is_needy);
        let both = needed && matches!(call, Call::FindNode { .. } | Call::GetPeers { .. });
        Want { n4: both, n6: both }
    }
}

fn call(request: &Request<Mainline>) -> Option<Call<'_>> {
    Some(match request {
        Request::Ping => Call::Ping,
        Request::FindNode { target } => Call::FindNode { target: *target },
        Request::Get { query: Query::Peers(swarm) } => {
            Call::GetPeers { info_hash: swarm.info_hash, scrape: swarm.scrape, noseed: swarm.noseed }
        }
        Request::Get { query: Query::Item(key) } => Call::Get { target: *key.target(), seq: key.known() },
        Request::Get { query: Query::Samples(target) } => Call::SampleInfohashes { target: *target },
        Request::Put { query: Query::Peers(swarm), item: Record::Peer(peer), ticket } => Call::AnnouncePeer {
            info_hash: swarm.info_hash,
            port: peer.addr.port(),
            implied_port: peer.implied_port,
            seed: peer.seed,
            token: shown(ticket),
        },
        Request::Put { query: Query::Item(key), item: Record::Item(item, cas), ticket } => Call::Put {
            token: shown(ticket),
            target: Some(*key.target()),
            v: Canonical::new(&item.value, Limits::of(MAX_VALUE)).ok()?,
            signed: signed(item),
            cas: cas.filter(|_| item.signed.is_some()),
        },
        Request::Put { .. } => return None,
    })
}

/// Who has no token asks all the same, and is told what is wrong.
fn shown(ticket: &Option<Token>) -> &[u8] {
    ticket.as_ref().map_or(&[], Token::as_bytes)
}

fn signed(item: &Item) -> Option<Signed<'_>> {
    item.signed.as_ref().map(|signed| Signed {
        key: &signed.key,
        signature: &signed.signature,
        seq: signed.seq,
        salt: &signed.salt,
    })
}
