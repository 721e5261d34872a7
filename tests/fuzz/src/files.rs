//! What a user hands over, from wherever it came: torrent files, magnet links, saved tables. What is read is written again
//! and then read as the same; hashes are over the bytes that stand in the file.

use bytes::Bytes;
use dht_mainline::{SavedState, Torrent, compact::Family};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use crate::krpc::link;

/// Takes the bytes for a file of each sort.
pub fn run(data: &[u8]) {
    torrent(data);
    saved(data);
    // With what stands around it put right, so that what is inside is read.
    let mut whole = [b"dht-ml\0\x01", data].concat();
    whole.extend_from_slice(&crc32c::crc32c(&whole).to_be_bytes());
    saved(&whole);
    for text in [data.to_vec(), [b"magnet:?", data].concat()] {
        if let Some(magnet) = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()) {
            link(&magnet);
        }
    }
}

fn torrent(data: &[u8]) {
    let file = Torrent::decode(data);
    let info = Torrent::of(Bytes::copy_from_slice(data));
    if let Ok(torrent) = &file {
        let info = torrent.info();
        assert!(
            data.windows(info.len()).any(|window| window == info),
            "the info dictionary is not in the file"
        );
    }
    if let Ok(torrent) = &info {
        assert_eq!(torrent.info(), data);
    }
    for torrent in [file, info].into_iter().flatten() {
        assert_eq!(Torrent::decode(&torrent.encode()).as_ref(), Ok(&torrent));
        assert_eq!(Torrent::of(torrent.info().clone()).as_ref(), Ok(&torrent));
        let info = torrent.info();
        assert!(torrent.v1().is_none_or(|hash| hash.0 == <[u8; 20]>::from(Sha1::digest(info))));
        assert!(torrent.v2().is_none_or(|hash| hash == <[u8; 32]>::from(Sha256::digest(info))));
        assert!((1..=2).contains(&torrent.info_hashes().count()));
    }
}

fn saved(data: &[u8]) {
    let Ok(state) = SavedState::decode(data) else { return };
    assert!(state.tables.len() <= SavedState::MAX_TABLES);
    for table in &state.tables {
        assert!(table.contacts.len() <= SavedState::MAX_CONTACTS);
        let family = |contact: &dht_core::Contact<_>| {
            let dht_mainline::Endpoint(addr) = contact.addr;
            addr.is_some_and(|addr| Family::of(addr.ip()) == table.family)
        };
        assert!(table.contacts.iter().all(family), "somebody is of another network");
    }
    assert_eq!(SavedState::decode(&state.encode()).as_ref(), Ok(&state));
}
