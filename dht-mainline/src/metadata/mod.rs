//! The info dictionary of a torrent from a peer, or for one: the BitTorrent handshake, extension messages (BEP 10) and
//! ut_metadata (BEP 9), as one machine for one connection.
//!
//! [`Session`] is fed with the bytes that arrive and hands out the bytes to send. It believes nothing before the hash of the
//! whole is right, and holds no more memory than what was really sent to it. It knows no clock: how long a peer may take,
//! and so the fate of one that sends a byte a second, is for whoever owns the connection to say.

mod config;
mod message;
mod wire;

use std::collections::BTreeSet;

use bytes::Bytes;
use dht_core::InvalidConfig;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use thiserror::Error;

use crate::InfoHash;
pub use config::Config;
use message::{Extended, Piece};
use wire::{Frame, Frames, Handshake};

/// Bytes of a piece; only the last one is shorter.
pub const PIECE: usize = 16_384;

/// What an info dictionary must hash to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Its SHA-1.
    V1(InfoHash),
    /// Its SHA-256 (BEP 52).
    V2([u8; 32]),
    /// Its SHA-1, or the beginning of its SHA-256: all that the DHT tells.
    Swarm(InfoHash),
}

impl Wanted {
    /// What the swarm is known by in handshakes and in the DHT.
    pub fn info_hash(&self) -> InfoHash {
        match self {
            Self::V1(hash) | Self::Swarm(hash) => *hash,
            Self::V2(hash) => truncated(hash),
        }
    }

    /// Whether this is the info dictionary.
    pub fn is(&self, metadata: &[u8]) -> bool {
        match self {
            Self::V1(hash) => v1(metadata) == *hash,
            Self::V2(hash) => v2(metadata) == *hash,
            Self::Swarm(hash) => v1(metadata) == *hash || truncated(&v2(metadata)) == *hash,
        }
    }
}

fn v1(metadata: &[u8]) -> InfoHash {
    InfoHash(Sha1::digest(metadata).into())
}

fn v2(metadata: &[u8]) -> [u8; 32] {
    Sha256::digest(metadata).into()
}

pub(crate) fn truncated(hash: &[u8; 32]) -> InfoHash {
    let mut first = [0; 20];
    first.copy_from_slice(&hash[..20]);
    InfoHash(first)
}

/// Why a session ended without what it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The peer does not speak BitTorrent.
    #[error("not the BitTorrent protocol")]
    Protocol,
    /// The peer is in another swarm.
    #[error("another swarm")]
    Swarm,
    /// The peer has no extension messages, or not this one.
    #[error("the peer does not exchange metadata")]
    Unsupported,
    /// The size that the peer names is none, or beyond the limit.
    #[error("metadata of {0} bytes")]
    Size(i64),
    /// A message is longer than any should be.
    #[error("a message of {0} bytes")]
    Frame(u32),
    /// A message cannot be read.
    #[error("a malformed message")]
    Malformed,
    /// A piece that was not asked for, or of another size than it must have.
    #[error("piece {0} was not asked for, or has a wrong size")]
    Piece(i64),
    /// The peer does not give a piece.
    #[error("piece {0} was refused")]
    Refused(i64),
    /// All pieces are there and are not what was wanted.
    #[error("the hash does not match")]
    Hash,
    /// The peer sends or asks more than it may.
    #[error("the peer sends too much")]
    Flood,
}

/// Which info dictionary a swarm has, if it is served.
type Lookup = Box<dyn Fn(&InfoHash) -> Option<Bytes> + Send + Sync>;

enum Duty {
    Fetch {
        wanted: Wanted,
        size: usize,
        next: usize,
        open: BTreeSet<usize>,
        missing: usize,
        data: Vec<u8>,
    },
    /// It is not known yet what the peer wants.
    Choose(Lookup),
    Serve {
        metadata: Bytes,
        answered: usize,
    },
}

/// One connection.
pub struct Session {
    config: Config,
    local: [u8; 20],
    duty: Duty,
    frames: Frames,
    greeted: bool,
    /// The peer's number for ut_metadata; 0 as long as it has none.
    theirs: u8,
    received: usize,
    out: Vec<u8>,
    result: Option<Result<Bytes, SessionError>>,
}

impl Session {
    /// A session that fetches, over a connection that this side opened. `local` is the peer id to show.
    ///
    /// # Errors
    /// Names the option that has a value it must not have.
    pub fn fetch(wanted: Wanted, local: [u8; 20], config: Config) -> Result<Self, InvalidConfig> {
        let empty =
            Duty::Fetch { wanted, size: 0, next: 0, open: BTreeSet::new(), missing: 0, data: Vec::new() };
        let mut session = Self::new(empty, local, config)?;
        Handshake { info_hash: wanted.info_hash(), peer: local }.encode(&mut session.out);
        Ok(session)
    }

    /// A session that serves `metadata`, over a connection that the peer opened.
    ///
    /// # Errors
    /// Names the option that has a value it must not have.
    pub fn serve(metadata: Bytes, local: [u8; 20], config: Config) -> Result<Self, InvalidConfig> {
        Self::serve_any(
            move |swarm| Wanted::Swarm(*swarm).is(&metadata).then(|| metadata.clone()),
            local,
            config,
        )
    }

    /// A session that serves whichever of many info dictionaries the peer names, over a connection that it opened.
    /// `lookup` is asked once, finds them by their hash, and is trusted to.
    ///
    /// # Errors
    /// Names the option that has a value it must not have.
    pub fn serve_any(
        lookup: impl Fn(&InfoHash) -> Option<Bytes> + Send + Sync + 'static,
        local: [u8; 20],
        config: Config,
    ) -> Result<Self, InvalidConfig> {
        Self::new(Duty::Choose(Box::new(lookup)), local, config)
    }

    fn new(duty: Duty, local: [u8; 20], config: Config) -> Result<Self, InvalidConfig> {
        config.validate()?;
        Ok(Self {
            config,
            local,
            duty,
            frames: Frames::default(),
            greeted: false,
            theirs: 0,
            received: 0,
            out: Vec::new(),
            result: None,
        })
    }

    /// Takes what arrived. After the end nothing more is read.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.received = self.received.saturating_add(bytes.len());
        let mut rest = bytes;
        while self.result.is_none() {
            match self.step(&mut rest) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => self.result = Some(Err(error)),
            }
        }
        if self.result.is_none() && self.received > self.allowance() {
            self.result = Some(Err(SessionError::Flood));
        }
    }

    /// What is to be sent now. Who cannot send it does well to read no more until it is gone: requests that wait in the
    /// connection cost nothing, their answers do.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// What was fetched, or why the session ended. `None` while it goes on; a session that serves ends by a fault only.
    pub fn result(&self) -> Option<&Result<Bytes, SessionError>> {
        self.result.as_ref()
    }

    fn allowance(&self) -> usize {
        match &self.duty {
            Duty::Fetch { size, .. } => self.config.max_overhead.saturating_add(*size),
            Duty::Choose(_) | Duty::Serve { .. } => self.config.max_overhead,
        }
    }

    /// One handshake or message; whether there may be another.
    fn step(&mut self, rest: &mut &[u8]) -> Result<bool, SessionError> {
        if !self.greeted {
            let Some(bytes) = self.frames.exactly(Handshake::LEN, rest) else { return Ok(false) };
            let handshake = Handshake::decode(&bytes)?;
            self.greet(handshake.info_hash)?;
            return Ok(true);
        }
        match self.frames.next(rest)? {
            None => Ok(false),
            Some(Frame::Other) => Ok(true),
            Some(Frame::Extended { id, payload }) => {
                self.extended(id, &payload)?;
                Ok(true)
            }
        }
    }

    fn greet(&mut self, info_hash: InfoHash) -> Result<(), SessionError> {
        self.greeted = true;
        let size = match &self.duty {
            Duty::Fetch { wanted, .. } if wanted.info_hash() == info_hash => None,
            Duty::Choose(lookup) => {
                let metadata = lookup(&info_hash).ok_or(SessionError::Swarm)?;
                Handshake { info_hash, peer: self.local }.encode(&mut self.out);
                let size = metadata.len();
                self.duty = Duty::Serve { metadata, answered: 0 };
                Some(size)
            }
            _ => return Err(SessionError::Swarm),
        };
        wire::extended(&mut self.out, 0, |out| Extended::write(size, out), &[]);
        Ok(())
    }

    fn extended(&mut self, id: u8, payload: &[u8]) -> Result<(), SessionError> {
        match id {
            0 => self.introduced(Extended::read(payload)?),
            message::UT_METADATA => match Piece::read(payload)? {
                Some((Piece::Request(index), _)) => self.asked(index),
                Some((Piece::Data { index, total }, data)) => self.given(index, total, data),
                Some((Piece::Reject(index), _)) => self.refused(index),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn introduced(&mut self, peer: Extended) -> Result<(), SessionError> {
        if let Some(id) = peer.ut_metadata {
            self.theirs = id;
        }
        let Duty::Fetch { size, missing, .. } = &mut self.duty else { return Ok(()) };
        // Later introductions change numbers, never the size.
        if *size == 0 {
            if self.theirs == 0 {
                return Err(SessionError::Unsupported);
            }
            let named = peer.metadata_size.ok_or(SessionError::Unsupported)?;
            *size = usize::try_from(named)
                .ok()
                .filter(|size| (1..=self.config.max_size).contains(size))
                .ok_or(SessionError::Size(named))?;
            *missing = size.div_ceil(PIECE);
        }
        self.ask();
        Ok(())
    }

    /// Asks for pieces in order, as many as the window holds.
    fn ask(&mut self) {
        let Duty::Fetch { size, next, open, .. } = &mut self.duty else { return };
        while self.theirs != 0 && open.len() < self.config.window && *next < size.div_ceil(PIECE) {
            let index = *next as i64;
            wire::extended(&mut self.out, self.theirs, |out| Piece::Request(index).write(out), &[]);
            open.insert(*next);
            *next += 1;
        }
    }

    fn given(&mut self, index: i64, total: Option<i64>, piece: &[u8]) -> Result<(), SessionError> {
        let Duty::Fetch { wanted, size, open, missing, data, .. } = &mut self.duty else { return Ok(()) };
        let at =
            usize::try_from(index).ok().filter(|at| open.remove(at)).ok_or(SessionError::Piece(index))?;
        let (start, end) = (at * PIECE, (at * PIECE + PIECE).min(*size));
        if piece.len() != end - start || total.is_some_and(|total| usize::try_from(total) != Ok(*size)) {
            return Err(SessionError::Piece(index));
        }
        if data.len() < end {
            data.resize(end, 0);
        }
        data[start..end].copy_from_slice(piece);
        *missing -= 1;
        if *missing == 0 {
            let whole = Bytes::from(std::mem::take(data));
            self.result = Some(if wanted.is(&whole) { Ok(whole) } else { Err(SessionError::Hash) });
            return Ok(());
        }
        self.ask();
        Ok(())
    }

    fn refused(&self, index: i64) -> Result<(), SessionError> {
        match self.duty {
            Duty::Fetch { .. } => Err(SessionError::Refused(index)),
            Duty::Choose(_) | Duty::Serve { .. } => Ok(()),
        }
    }

    /// Gives a piece; refuses it as long as nothing is complete.
    fn asked(&mut self, index: i64) -> Result<(), SessionError> {
        if self.theirs == 0 {
            return Ok(());
        }
        let piece = match &mut self.duty {
            Duty::Fetch { .. } | Duty::Choose(_) => None,
            Duty::Serve { metadata, answered } => {
                *answered += 1;
                if *answered > self.config.max_rounds.saturating_mul(metadata.len().div_ceil(PIECE)) {
                    return Err(SessionError::Flood);
                }
                let start = usize::try_from(index).ok().and_then(|index| index.checked_mul(PIECE));
                let start = start.filter(|start| *start < metadata.len());
                start
                    .map(|start| (metadata.slice(start..(start + PIECE).min(metadata.len())), metadata.len()))
            }
        };
        match piece {
            Some((piece, total)) => {
                let head = Piece::Data { index, total: Some(total as i64) };
                wire::extended(&mut self.out, self.theirs, |out| head.write(out), &piece);
            }
            None => wire::extended(&mut self.out, self.theirs, |out| Piece::Reject(index).write(out), &[]),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
