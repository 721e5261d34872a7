//! The peer protocol as far as metadata needs it: the handshake, and messages behind their length. Messages that are not
//! extension messages are passed over without being kept.

use super::SessionError;
use crate::InfoHash;

const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";
/// The message id of extension messages.
const EXTENDED: u8 = 20;
/// Bytes of the longest extension message: a piece and its head, or a long introduction.
const MAX_EXTENDED: u32 = 65_536;
/// Bytes of the longest other message, a bitfield or a block.
const MAX_OTHER: u32 = 1 << 20;

/// The first message of both sides.
pub(super) struct Handshake {
    pub(super) info_hash: InfoHash,
    pub(super) peer: [u8; 20],
}

impl Handshake {
    pub(super) const LEN: usize = 68;

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(PROTOCOL);
        // Extension messages (BEP 10), and a DHT node at our side (BEP 5).
        out.extend_from_slice(&[0, 0, 0, 0, 0, 0x10, 0, 0x01]);
        out.extend_from_slice(&self.info_hash.0);
        out.extend_from_slice(&self.peer);
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, SessionError> {
        let rest = bytes.strip_prefix(PROTOCOL).ok_or(SessionError::Protocol)?;
        let (reserved, rest) = rest.split_first_chunk::<8>().ok_or(SessionError::Protocol)?;
        let (info_hash, rest) = rest.split_first_chunk::<20>().ok_or(SessionError::Protocol)?;
        let peer = rest.try_into().map_err(|_| SessionError::Protocol)?;
        if reserved[5] & 0x10 == 0 {
            return Err(SessionError::Unsupported);
        }
        Ok(Self { info_hash: InfoHash(*info_hash), peer })
    }
}

/// One message.
pub(super) enum Frame {
    Extended { id: u8, payload: Vec<u8> },
    Other,
}

/// Cuts what arrives into messages. Keeps at most one extension message.
#[derive(Default)]
pub(super) struct Frames {
    kept: Vec<u8>,
    skip: usize,
}

impl Frames {
    /// The first `n` bytes, once they are there.
    pub(super) fn exactly(&mut self, n: usize, rest: &mut &[u8]) -> Option<Vec<u8>> {
        let lacking = n.saturating_sub(self.kept.len()).min(rest.len());
        let (more, after) = rest.split_at(lacking);
        self.kept.extend_from_slice(more);
        *rest = after;
        (self.kept.len() == n).then(|| std::mem::take(&mut self.kept))
    }

    pub(super) fn next(&mut self, rest: &mut &[u8]) -> Result<Option<Frame>, SessionError> {
        loop {
            let skipped = self.skip.min(rest.len());
            *rest = &rest[skipped..];
            self.skip -= skipped;
            if self.skip > 0 {
                return Ok(None);
            }
            // Length and message id; a keep-alive has no id.
            if !self.holds(4, rest) {
                return Ok(None);
            }
            let length = u32::from_be_bytes([self.kept[0], self.kept[1], self.kept[2], self.kept[3]]);
            if length == 0 {
                self.kept.clear();
                return Ok(Some(Frame::Other));
            }
            if !self.holds(5, rest) {
                return Ok(None);
            }
            let limit = if self.kept[4] == EXTENDED { MAX_EXTENDED } else { MAX_OTHER };
            if length > limit {
                return Err(SessionError::Frame(length));
            }
            if self.kept[4] != EXTENDED {
                self.kept.clear();
                self.skip = length as usize - 1;
                continue;
            }
            if length < 2 {
                return Err(SessionError::Malformed);
            }
            if !self.holds(4 + length as usize, rest) {
                return Ok(None);
            }
            let mut payload = std::mem::take(&mut self.kept);
            let id = payload[5];
            payload.drain(..6);
            return Ok(Some(Frame::Extended { id, payload }));
        }
    }

    /// Whether `n` bytes are kept, once as many as possible are taken from `rest`.
    fn holds(&mut self, n: usize, rest: &mut &[u8]) -> bool {
        let lacking = n.saturating_sub(self.kept.len()).min(rest.len());
        let (more, after) = rest.split_at(lacking);
        self.kept.extend_from_slice(more);
        *rest = after;
        self.kept.len() >= n
    }
}

/// Appends an extension message: a head that `write` writes, and `tail`.
pub(super) fn extended(out: &mut Vec<u8>, id: u8, write: impl FnOnce(&mut Vec<u8>), tail: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, EXTENDED, id]);
    write(out);
    out.extend_from_slice(tail);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}
