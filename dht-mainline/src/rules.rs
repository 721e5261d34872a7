//! What a node of this network believes, keeps and shows, and whom it takes into its table.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use dht_core::{Contact, InvalidConfig, Now, Overlay, Request};
use dht_protocol::{Refusal, Rules};
use dht_records::{Conflict, Invalid, Stored, Validator};
use dht_routing::Admit;

use crate::{
    Endpoint, ItemError, Mainline, Peer, Query, Record, Token, Tokens,
    address::Reach,
    compact::Family,
    item::{MAX_SALT, MAX_VALUE},
};

impl From<ItemError> for Invalid {
    fn from(error: ItemError) -> Self {
        match error {
            ItemError::ValueTooBig => Self::TooLarge { limit: MAX_VALUE },
            ItemError::SaltTooBig => Self::TooLarge { limit: MAX_SALT },
            ItemError::Target => Self::KeyMismatch,
            ItemError::Signature => Self::Signature,
            ItemError::NegativeSeq => Self::Malformed("the sequence number is negative"),
            _ => Self::Malformed("the value is no canonical bencode"),
        }
    }
}

/// Peers of a swarm that a node of this network keeps.
pub(crate) const PEERS_PER_SWARM: usize = 512;

/// Judges peers by their address and items by BEP 44.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Where peers can be.
    pub reach: Reach,
}

impl Validator<Mainline> for Records {
    fn check(&self, query: &Query, record: &Record, _: Now) -> Result<(), Invalid> {
        match (query, record) {
            (Query::Peers(_), Record::Peer(peer)) if self.reach.allows(peer.addr) => Ok(()),
            // This node itself, which does not know its address: the codec lets nobody else's in.
            (Query::Peers(_), Record::Peer(peer)) if peer.is_here() && peer.addr.port() != 0 => Ok(()),
            (Query::Peers(_), Record::Peer(_)) => Err(Invalid::Malformed("nobody can be at this address")),
            (Query::Item(key), Record::Item(item, _)) => Ok(item.check(key.target())?),
            // Answers, and only to who asked for them.
            (Query::Peers(swarm), Record::Scrape(_)) if swarm.scrape => Ok(()),
            (Query::Samples(_), Record::Samples(_)) => Ok(()),
            _ => Err(Invalid::KeyMismatch),
        }
    }

    /// The latest announcement of a peer; the item with the highest sequence number, and of equals the one that was there.
    fn best(&self, query: &Query, records: &[Record]) -> Option<usize> {
        let Query::Item(_) = query else { return records.len().checked_sub(1) };
        let seq = |record: &Record| if let Record::Item(item, _) = record { Some(item.seq()) } else { None };
        let sequences = records.iter().enumerate().filter_map(|(i, record)| Some((i, seq(record)?)));
        sequences.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(i, _)| i)
    }

    /// A peer may announce himself anew; an item replaces what it says it replaces, and nothing that is as new.
    fn supersedes(&self, _: &Query, held: &Record, newcomer: &Record) -> Result<(), Conflict> {
        let (Record::Item(held, _), Record::Item(newcomer, cas)) = (held, newcomer) else { return Ok(()) };
        newcomer.replaces(Some(held), *cas).map_err(|error| match error {
            ItemError::Cas(_) => Conflict::Unexpected,
            _ => Conflict::Older,
        })
    }
}

/// Looks at every request of a stranger that is well-formed; `false` refuses it.
pub type RequestHook = Arc<dyn Fn(&Contact<Mainline>, &Request<Mainline>) -> bool + Send + Sync>;

/// The policy of a server.
#[derive(Clone)]
pub struct ServerRules {
    /// Where nodes and peers can be.
    pub reach: Reach,
    /// Who may store.
    pub tokens: Tokens,
    /// How long a peer is kept after its announcement. Default 45 min.
    pub peer_age: Duration,
    /// How long an item is kept after it was put. Default 2 h (BEP 44).
    pub item_age: Duration,
    /// Peers of one swarm from which on nobody else is invited to announce himself here: announcements spill over to
    /// nodes farther away (BEP 33). Default 512.
    pub peers_per_swarm: usize,
    /// Sees requests before they are served. Default none.
    pub hook: Option<RequestHook>,
}

impl ServerRules {
    /// The rules of the public network, with tokens by `secret`.
    pub fn new(secret: [u8; 16]) -> Self {
        Self {
            reach: Reach::Public,
            tokens: Tokens::new(secret),
            peer_age: Duration::from_secs(45 * 60),
            item_age: Duration::from_secs(2 * 3600),
            peers_per_swarm: PEERS_PER_SWARM,
            hook: None,
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// Names the field that is wrong and what would be right.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let lasts = |field, age: Duration| {
            InvalidConfig::require(age >= Duration::from_secs(1), field, age, "at least 1 s")
        };
        lasts("peer_age", self.peer_age)?;
        lasts("item_age", self.item_age)?;
        InvalidConfig::require(
            self.peers_per_swarm >= 1,
            "peers_per_swarm",
            self.peers_per_swarm,
            "at least 1",
        )
    }
}

fn place(contact: &Contact<Mainline>) -> Result<SocketAddr, Refusal> {
    contact.addr.0.ok_or(Refusal::NotAdmitted)
}

impl Rules<Mainline> for ServerRules {
    fn admit(&self, contact: &Contact<Mainline>, request: &Request<Mainline>, _: Now) -> Result<(), Refusal> {
        let from = place(contact)?;
        // Nobody speaks for others. The codec takes the sender's address only; this holds for other transports too.
        let own = match request {
            Request::Put { item: Record::Peer(peer), .. } => {
                peer.addr.ip().to_canonical() == from.ip().to_canonical()
            }
            _ => true,
        };
        let fits = own && self.reach.allows(from);
        let wanted = || self.hook.as_ref().is_none_or(|hook| hook(contact, request));
        if fits && wanted() { Ok(()) } else { Err(Refusal::NotAdmitted) }
    }

    /// Nodes of the asker's family, at places that can be meant: the two families are two networks (BEP 32).
    fn show(&self, contact: &Contact<Mainline>, to: &Contact<Mainline>) -> Option<Endpoint> {
        let (addr, to) = (contact.addr.0?, to.addr.0?);
        let shown = self.reach.allows(addr) && Family::of(addr.ip()) == Family::of(to.ip());
        shown.then_some(contact.addr)
    }

    fn ticket(&self, to: &Contact<Mainline>, query: &Query, held: usize, now: Now) -> Option<Token> {
        match query {
            Query::Peers(_) if held >= self.peers_per_swarm => return None,
            // Nothing is stored under samples.
            Query::Samples(_) => return None,
            _ => {}
        }
        Some(self.tokens.issue(to.addr.0?.ip(), &Mainline::target_of(query), now.mono))
    }

    fn redeem(
        &self,
        from: &Contact<Mainline>,
        query: &Query,
        ticket: Option<&Token>,
        now: Now,
    ) -> Result<(), Refusal> {
        let ip = place(from)?.ip();
        let target = Mainline::target_of(query);
        let holds = ticket.is_some_and(|token| self.tokens.holds(token.as_bytes(), ip, &target, now.mono));
        if holds { Ok(()) } else { Err(Refusal::BadTicket) }
    }

    fn lifetime(&self, query: &Query, _: &Record) -> Duration {
        match query {
            Query::Peers(_) => self.peer_age,
            Query::Item(_) | Query::Samples(_) => self.item_age,
        }
    }

    fn receive(&self, record: Record, _: Now) -> Record {
        record
    }

    fn present(&self, stored: &Stored<Mainline>, _: Now) -> Option<Record> {
        Some(match &stored.item {
            // What its sender once expected is nobody else's business.
            Record::Item(item, _) => Record::Item(item.clone(), None),
            Record::Peer(peer) if peer.is_here() => return None,
            other => other.clone(),
        })
    }

    /// This node's own announcements name the address that it is known at by now.
    fn renew(&self, record: Record, local: &Contact<Mainline>) -> Record {
        match (record, local.addr.0) {
            (Record::Peer(peer), Some(local)) if peer.is_here() => {
                Record::Peer(Peer { addr: SocketAddr::new(local.ip(), peer.addr.port()), ..peer })
            }
            (record, _) => record,
        }
    }
}

/// Whom the table takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// Where nodes can be.
    pub reach: Reach,
    /// Whether ids must suit their address (BEP 42). Default false: such nodes are preferred, but many still have others.
    pub enforce_ids: bool,
}

impl Admit<Mainline> for Admission {
    fn admit(&self, contact: &Contact<Mainline>) -> bool {
        let Some(addr) = contact.addr.0 else { return false };
        self.reach.allows(addr) && (!self.enforce_ids || contact.peer.suits(addr.ip()))
    }

    /// Those whose id suits their address: they did not choose their place.
    fn prefers(&self, contact: &Contact<Mainline>) -> bool {
        contact.addr.0.is_some_and(|addr| contact.peer.suits(addr.ip()))
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
