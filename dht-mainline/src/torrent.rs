//! Torrent files, as far as this network needs them: the info dictionary that everything is named after, and the hashes.
//!
//! Trackers are only passed on, web seeds and the content itself are for clients. The bytes of the info dictionary are never written anew:
//! another form of the same values is another torrent.

use bytes::Bytes;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use thiserror::Error;

use crate::{
    InfoHash,
    bencode::{Error, Kind, Limits, Reader, Value, Writer},
    metadata::truncated,
};

/// File trees of BEP 52 nest by directory.
const LIMITS: Limits = Limits { depth: Limits::MAX_DEPTH, bytes: Torrent::MAX_BYTES };

/// A torrent without its trackers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torrent {
    info: Bytes,
    name: String,
    v1: Option<InfoHash>,
    v2: Option<[u8; 32]>,
}

/// Why something is no torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidTorrent {
    /// It is no bencode, or larger than [`Torrent::MAX_BYTES`].
    #[error(transparent)]
    Bencode(#[from] Error),
    /// Something is missing or of the wrong sort.
    #[error("`{0}` is missing or malformed")]
    Field(&'static str),
}

impl Torrent {
    /// Bytes of the largest file that is read.
    pub const MAX_BYTES: usize = 64 << 20;

    /// Reads a torrent file. What follows the outermost dictionary is an error.
    ///
    /// # Errors
    /// What is wrong.
    pub fn decode(file: &[u8]) -> Result<Self, InvalidTorrent> {
        let mut reader = Reader::new(file, LIMITS)?;
        let mut info = None;
        reader.value().dict(|key, value| {
            if key == b"info" {
                info = Some(value.raw()?);
            }
            Ok::<_, Error>(())
        })?;
        reader.finish()?;
        Self::of(Bytes::copy_from_slice(info.ok_or(InvalidTorrent::Field("info"))?))
    }

    /// The torrent of an info dictionary, as [`metadata::Session`](crate::metadata::Session) fetches it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn of(info: Bytes) -> Result<Self, InvalidTorrent> {
        let mut fields = Fields::default();
        let mut reader = Reader::new(&info, LIMITS)?;
        if reader.value().kind()? != Kind::Dict {
            return Err(InvalidTorrent::Field("info"));
        }
        reader.value().dict(|key, value| fields.read(key, value))?;
        reader.finish()?;
        let name = fields.name.ok_or(InvalidTorrent::Field("name"))?;
        let name = String::from_utf8_lossy(name).into_owned();
        // A hybrid torrent is of both versions and known by both hashes (BEP 52).
        let v1 = fields.pieces.then(|| InfoHash(Sha1::digest(&info).into()));
        let v2 = (fields.version == Some(2)).then(|| Sha256::digest(&info).into());
        if v1.is_none() && v2.is_none() {
            return Err(InvalidTorrent::Field("pieces"));
        }
        Ok(Self { info, name, v1, v2 })
    }

    /// A torrent file with the info dictionary and nothing else: no trackers, peers are found by this network. One of
    /// version 2 lacks the hashes of its pieces, which clients ask peers for.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with(&[] as &[&str])
    }

    /// The same with trackers, each in a tier of its own (BEP 12): they are tried in this order. Empty and repeated ones are
    /// left out.
    pub fn encode_with(&self, trackers: &[impl AsRef<str>]) -> Vec<u8> {
        let mut tiers: Vec<&str> = Vec::new();
        for tracker in trackers.iter().map(AsRef::as_ref) {
            if !tracker.is_empty() && !tiers.contains(&tracker) {
                tiers.push(tracker);
            }
        }
        let mut out = b"d".to_vec();
        if let Some(first) = tiers.first() {
            out.extend_from_slice(b"8:announce");
            Writer::new(&mut out).bytes(first.as_bytes());
        }
        // Who knows this list does not look at the field before, so it would say nothing more of one tracker.
        if tiers.len() > 1 {
            out.extend_from_slice(b"13:announce-list");
            Writer::new(&mut out).list(|list| {
                for tier in &tiers {
                    list.element().list(|tier_of_one| tier_of_one.bytes(tier.as_bytes()));
                }
            });
        }
        // As it came: a writer would sort its keys.
        out.extend_from_slice(b"4:info");
        out.extend_from_slice(&self.info);
        out.push(b'e');
        out
    }

    /// The info dictionary as it came.
    pub fn info(&self) -> &Bytes {
        &self.info
    }

    /// The name it suggests; what is no UTF-8 is replaced.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hash of version 1, if it is one.
    pub fn v1(&self) -> Option<InfoHash> {
        self.v1
    }

    /// The hash of version 2, if it is one (BEP 52).
    pub fn v2(&self) -> Option<[u8; 32]> {
        self.v2
    }

    /// The swarms that it is known by: one, or two of a hybrid torrent.
    pub fn info_hashes(&self) -> impl Iterator<Item = InfoHash> + use<> {
        self.v1.into_iter().chain(self.v2.as_ref().map(truncated))
    }
}

/// What matters of an info dictionary.
#[derive(Default)]
struct Fields<'a> {
    name: Option<&'a [u8]>,
    pieces: bool,
    version: Option<i64>,
}

impl<'a> Fields<'a> {
    fn read(&mut self, key: &[u8], value: Value<'_, 'a>) -> Result<(), Error> {
        match key {
            b"name" => self.name = value.bytes().ok(),
            b"pieces" => self.pieces = value.bytes().is_ok_and(|hashes| hashes.len().is_multiple_of(20)),
            b"meta version" => self.version = value.int().ok(),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Wanted;
    use proptest::{collection, prelude::*};

    const V1: &[u8] = b"d6:lengthi3e4:name5:a.txt12:piece lengthi16384e6:pieces20:abcdefghij0123456789e";
    const HYBRID: &[u8] = b"d12:meta versioni2e4:name1:\xff6:pieces0:e";

    fn file(info: &[u8]) -> Vec<u8> {
        [b"d8:announce3:url4:info", info, b"4:spam0:e"].concat()
    }

    #[test]
    fn files_are_read_for_their_info_dictionary() {
        let torrent = Torrent::decode(&file(V1)).unwrap();
        assert_eq!((torrent.info().as_ref(), torrent.name()), (V1, "a.txt"));
        assert!(Wanted::V1(torrent.v1().unwrap()).is(V1));
        assert_eq!((torrent.v2(), torrent.info_hashes().count()), (None, 1));
        assert_eq!(Torrent::decode(&torrent.encode()), Ok(torrent));
        // Unsorted keys are kept as they are: the hash is over them.
        let odd = b"d4:name1:a6:lengthi3e6:pieces0:e";
        assert_eq!(Torrent::decode(&file(odd)).unwrap().info().as_ref(), odd);
    }

    #[test]
    fn trackers_stand_before_the_info_dictionary_each_in_its_tier() {
        let odd = b"d4:name1:a6:lengthi3e6:pieces0:e";
        let torrent = Torrent::of(Bytes::from_static(odd)).unwrap();
        let list = b"13:announce-listll3:udpel4:httpee";
        for (trackers, head) in [
            (&[][..], &b"d"[..]),
            (&["", "udp", "udp"], b"d8:announce3:udp"),
            (&["udp", "http", "udp", ""], &[b"d8:announce3:udp", &list[..]].concat()),
        ] {
            let file = torrent.encode_with(trackers);
            assert_eq!(file, [head, b"4:info", odd, b"e"].concat());
            assert_eq!(Torrent::decode(&file).as_ref(), Ok(&torrent));
        }
    }

    #[test]
    fn a_hybrid_is_known_by_both_hashes() {
        let torrent = Torrent::of(Bytes::from_static(HYBRID)).unwrap();
        assert_eq!(torrent.name(), "\u{fffd}");
        assert!(torrent.info_hashes().all(|hash| Wanted::Swarm(hash).is(HYBRID)));
        assert!(Wanted::V2(torrent.v2().unwrap()).is(HYBRID));
        assert_eq!(torrent.info_hashes().count(), 2);
    }

    #[test]
    fn what_is_none_is_refused() {
        for (file, field) in [
            (&b"de"[..], "info"),
            (b"d4:infoi1ee", "info"),
            (b"d4:infod6:pieces0:ee", "name"),
            (b"d4:infod4:name1:aee", "pieces"),
            (b"d4:infod4:name1:a6:pieces1:xee", "pieces"),
        ] {
            assert_eq!(Torrent::decode(file), Err(InvalidTorrent::Field(field)));
        }
        for file in [&b""[..], b"le", b"d4:infode", b"d4:infodeex"] {
            assert!(matches!(Torrent::decode(file), Err(InvalidTorrent::Bencode(_))));
        }
        let deep = [&b"d4:info"[..], &b"l".repeat(100_000)].concat();
        assert!(Torrent::decode(&deep).is_err());
        assert!(Torrent::decode(&vec![b'd'; Torrent::MAX_BYTES + 1]).is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in collection::vec(any::<u8>(), 0..200), flip in any::<usize>()) {
            let _ = Torrent::decode(&bytes);
            let whole = file(HYBRID);
            for end in 0..whole.len() {
                prop_assert!(Torrent::decode(&whole[..end]).is_err());
            }
            let mut flipped = whole;
            let bit = flip % (flipped.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            let _ = Torrent::decode(&flipped);
        }
    }
}
