//! What a node remembers over a restart: its ids and tables, so that it finds its way back without asking those who
//! introduce newcomers, and sits where it sat before.
//!
//! Bytes only; where they are kept is somebody else's duty. Whoever reads them asks every contact before believing it.

use std::net::SocketAddr;

use dht_core::Contact;
use thiserror::Error;

use crate::{
    Endpoint, Mainline, NodeId,
    compact::{Family, Nodes},
};

/// Says what follows; the last byte is the version.
const MAGIC: [u8; 8] = *b"dht-ml\0\x01";
/// Bytes of the checksum at the end.
const CHECK: usize = 4;

/// The tables of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedState {
    /// One for each socket.
    pub tables: Vec<SavedTable>,
}

/// The table of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedTable {
    /// The family of the socket.
    pub family: Family,
    /// The own id there.
    pub id: NodeId,
    /// Who was in the table. Those without an address of the family are not kept.
    pub contacts: Vec<Contact<Mainline>>,
}

/// Why saved bytes are not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidState {
    /// It is something else, or of a version that is not known.
    #[error("not a saved state of a known version")]
    Version,
    /// It is larger than any that is written.
    #[error("more than {} bytes", SavedState::MAX_BYTES)]
    TooLong,
    /// It was cut off or altered.
    #[error("the saved state is damaged")]
    Damaged,
}

impl SavedState {
    /// Tables that are kept.
    pub const MAX_TABLES: usize = 8;
    /// Contacts of a table that are kept, the first ones.
    pub const MAX_CONTACTS: usize = 2048;
    /// Bytes of the largest state.
    pub const MAX_BYTES: usize =
        MAGIC.len() + 1 + Self::MAX_TABLES * (1 + 20 + 2 + Self::MAX_CONTACTS * 38) + CHECK;

    /// The table of the first socket of a family.
    pub fn table(&self, family: Family) -> Option<&SavedTable> {
        self.tables.iter().find(|table| table.family == family)
    }

    /// The state as bytes, at most [`SavedState::MAX_BYTES`].
    pub fn encode(&self) -> Vec<u8> {
        let tables = &self.tables[..self.tables.len().min(Self::MAX_TABLES)];
        let mut out = MAGIC.to_vec();
        out.push(tables.len() as u8);
        tables.iter().for_each(|table| table.encode(&mut out));
        out.extend_from_slice(&crc32c::crc32c(&out).to_be_bytes());
        out
    }

    /// Reads what [`SavedState::encode`] wrote.
    ///
    /// # Errors
    /// When it is something else, of another version, or damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidState> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(InvalidState::Version)?;
        if bytes.len() > Self::MAX_BYTES {
            return Err(InvalidState::TooLong);
        }
        let (mut rest, check) = rest.split_last_chunk::<CHECK>().ok_or(InvalidState::Damaged)?;
        if crc32c::crc32c(&bytes[..bytes.len() - CHECK]) != u32::from_be_bytes(*check) {
            return Err(InvalidState::Damaged);
        }
        let tables = Self::tables(&mut rest).filter(|_| rest.is_empty()).ok_or(InvalidState::Damaged)?;
        Ok(Self { tables })
    }

    fn tables(rest: &mut &[u8]) -> Option<Vec<SavedTable>> {
        let count = usize::from(rest.split_off_first().copied()?);
        if count > Self::MAX_TABLES {
            return None;
        }
        (0..count).map(|_| SavedTable::decode(rest)).collect()
    }
}

impl SavedTable {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self.family {
            Family::V4 => 4,
            Family::V6 => 6,
        });
        out.extend_from_slice(&self.id.0);
        let located = self.contacts.iter().filter_map(|contact| Some((contact.peer, contact.addr.0?)));
        let located = located.filter(|(_, addr)| Family::of(addr.ip()) == self.family);
        let kept: Vec<(NodeId, SocketAddr)> = located.take(SavedState::MAX_CONTACTS).collect();
        out.extend_from_slice(&(kept.len() as u16).to_be_bytes());
        kept.iter().for_each(|(id, addr)| Nodes::push(out, id, *addr));
    }

    fn decode(rest: &mut &[u8]) -> Option<Self> {
        let family = match rest.split_off_first()? {
            4 => Family::V4,
            6 => Family::V6,
            _ => return None,
        };
        let id = NodeId(rest.split_off(..20)?.try_into().ok()?);
        let count = usize::from(u16::from_be_bytes(rest.split_off(..2)?.try_into().ok()?));
        if count > SavedState::MAX_CONTACTS {
            return None;
        }
        let nodes = Nodes::new(family, rest.split_off(..count * family.node_len())?)?;
        // Nobody of the other family was saved, not even as IPv6 writes IPv4.
        let own = |(id, addr): (NodeId, SocketAddr)| {
            (Family::of(addr.ip()) == family).then(|| Contact::new(id, Endpoint::from(addr)))
        };
        Some(Self { family, id, contacts: nodes.iter().map(own).collect::<Option<_>>()? })
    }
}

#[cfg(test)]
#[path = "saved_tests.rs"]
mod tests;
