//! The two dictionaries of the exchange: the introduction of BEP 10 and the heads of BEP 9.

use super::SessionError;
use crate::bencode::{Error, Kind, Limits, Reader, Writer};

/// Our number for ut_metadata, told to every peer.
pub(super) const UT_METADATA: u8 = 1;

const LIMITS: Limits = Limits::of(65_536);

/// What a peer says of itself, as far as it matters here.
#[derive(Debug, Default)]
pub(super) struct Extended {
    /// The peer's number for ut_metadata; 0 switches it off.
    pub(super) ut_metadata: Option<u8>,
    pub(super) metadata_size: Option<i64>,
}

impl Extended {
    pub(super) fn write(metadata_size: Option<usize>, out: &mut Vec<u8>) {
        Writer::new(out).dict(|top| {
            top.entry(b"m", |value| value.dict(|m| m.int(b"ut_metadata", i64::from(UT_METADATA))));
            if let Some(size) = metadata_size {
                top.int(b"metadata_size", size as i64);
            }
        });
    }

    pub(super) fn read(payload: &[u8]) -> Result<Self, SessionError> {
        let mut peer = Self::default();
        let mut reader = Reader::new(payload, LIMITS).map_err(|_| SessionError::Malformed)?;
        let read = reader.value().dict(|key, value| {
            match key {
                b"m" if value.kind()? == Kind::Dict => value.dict(|key, value| {
                    if key == b"ut_metadata"
                        && let Ok(id) = value.int()
                    {
                        peer.ut_metadata = u8::try_from(id).ok();
                    }
                    Ok::<_, Error>(())
                })?,
                b"metadata_size" => peer.metadata_size = value.int().ok(),
                _ => {}
            }
            Ok::<_, Error>(())
        });
        read.map_err(|_| SessionError::Malformed)?;
        Ok(peer)
    }
}

/// The head of a ut_metadata message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Request(i64),
    Data { index: i64, total: Option<i64> },
    Reject(i64),
}

impl Piece {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (kind, index, total) = match *self {
            Self::Request(index) => (0, index, None),
            Self::Data { index, total } => (1, index, total),
            Self::Reject(index) => (2, index, None),
        };
        Writer::new(out).dict(|head| {
            head.int(b"msg_type", kind);
            head.int(b"piece", index);
            if let Some(total) = total {
                head.int(b"total_size", total);
            }
        });
    }

    /// The head and what follows it; `None` for a type that is not known, which is to be ignored.
    pub(super) fn read(payload: &[u8]) -> Result<Option<(Self, &[u8])>, SessionError> {
        let (mut kind, mut index, mut total) = (None, None, None);
        let mut reader = Reader::new(payload, LIMITS).map_err(|_| SessionError::Malformed)?;
        let read = reader.value().dict(|key, value| {
            match key {
                b"msg_type" => kind = value.int().ok(),
                b"piece" => index = value.int().ok(),
                b"total_size" => total = value.int().ok(),
                _ => {}
            }
            Ok::<_, Error>(())
        });
        read.map_err(|_| SessionError::Malformed)?;
        let index = index.ok_or(SessionError::Malformed)?;
        let piece = match kind.ok_or(SessionError::Malformed)? {
            0 => Self::Request(index),
            1 => Self::Data { index, total },
            2 => Self::Reject(index),
            _ => return Ok(None),
        };
        Ok(Some((piece, &payload[reader.offset()..])))
    }
}
