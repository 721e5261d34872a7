use proptest::{collection, prelude::*};

use super::*;

fn table() -> impl Strategy<Value = SavedTable> {
    let nodes = collection::vec((any::<[u8; 20]>(), any::<[u8; 15]>(), any::<u16>()), 0..20);
    (any::<bool>(), any::<[u8; 20]>(), nodes).prop_map(|(v6, id, nodes)| {
        let contacts = nodes.into_iter().map(|(id, ip, port)| {
            let addr = if v6 {
                let mut whole = [0x20; 16];
                whole[1..].copy_from_slice(&ip);
                SocketAddr::from((whole, port))
            } else {
                SocketAddr::from(([ip[0], ip[1], ip[2], ip[3]], port))
            };
            Contact::new(NodeId(id), Endpoint::from(addr))
        });
        let family = if v6 { Family::V6 } else { Family::V4 };
        SavedTable { family, id: NodeId(id), contacts: contacts.collect() }
    })
}

fn state() -> impl Strategy<Value = SavedState> {
    collection::vec(table(), 0..4).prop_map(|tables| SavedState { tables })
}

proptest! {
    #[test]
    fn what_is_saved_is_read_back(state in state()) {
        let read = SavedState::decode(&state.encode()).unwrap();
        for family in [Family::V4, Family::V6] {
            prop_assert_eq!(read.table(family), state.table(family));
        }
        prop_assert_eq!(read, state);
    }

    #[test]
    fn damage_is_noticed(state in state(), flip in any::<usize>(), more in collection::vec(any::<u8>(), 1..9)) {
        let bytes = state.encode();
        for end in 0..bytes.len() {
            prop_assert!(SavedState::decode(&bytes[..end]).is_err());
        }
        let mut flipped = bytes.clone();
        let bit = flip % (flipped.len() * 8);
        flipped[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(SavedState::decode(&flipped).is_err());
        prop_assert!(SavedState::decode(&[bytes, more].concat()).is_err());
    }

    /// What holds its checksum may still be nonsense.
    #[test]
    fn nonsense_is_refused(body in collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = [&MAGIC[..], &body].concat();
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
        if let Ok(state) = SavedState::decode(&bytes) {
            prop_assert_eq!(state.encode(), bytes);
        }
    }
}

#[test]
fn other_versions_and_other_files_are_refused() {
    let mut bytes = SavedState::default().encode();
    bytes[7] = 2;
    assert_eq!(SavedState::decode(&bytes), Err(InvalidState::Version));
    assert_eq!(SavedState::decode(b""), Err(InvalidState::Version));
    assert_eq!(SavedState::decode(&MAGIC), Err(InvalidState::Damaged));
    let long = [&MAGIC[..], &vec![0; SavedState::MAX_BYTES]].concat();
    assert_eq!(SavedState::decode(&long), Err(InvalidState::TooLong));
}

#[test]
fn what_is_beyond_the_bounds_or_elsewhere_is_not_kept() {
    let contact = Contact::new(NodeId([1; 20]), Endpoint(Some("[2a00::1]:6881".parse().unwrap())));
    let mut contacts = vec![contact.clone(); 3000];
    contacts[0] = Contact::unlocated(NodeId([2; 20]));
    contacts[1] = Contact::new(NodeId([3; 20]), Endpoint(Some("9.8.7.6:6881".parse().unwrap())));
    let table = SavedTable { family: Family::V6, id: NodeId([1; 20]), contacts };
    let bytes = SavedState { tables: vec![table; 9] }.encode();
    assert_eq!(bytes.len(), SavedState::MAX_BYTES);
    let read = SavedState::decode(&bytes).unwrap();
    assert_eq!(read.tables.len(), SavedState::MAX_TABLES);
    let kept = &read.table(Family::V6).unwrap().contacts;
    assert_eq!((kept.len(), &kept[0]), (SavedState::MAX_CONTACTS, &contact));
}

#[test]
fn ipv4_in_ipv6_was_never_saved() {
    let contacts = vec![Contact::new(NodeId([1; 20]), Endpoint(Some("[2a00::1]:6881".parse().unwrap())))];
    let table = SavedTable { family: Family::V6, id: NodeId([1; 20]), contacts };
    let mut bytes = SavedState { tables: vec![table] }.encode();
    let ip = bytes.len() - CHECK - 18;
    bytes[ip..ip + 16].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 9, 8, 7, 6]);
    let check = bytes.len() - CHECK;
    let sum = crc32c::crc32c(&bytes[..check]).to_be_bytes();
    bytes[check..].copy_from_slice(&sum);
    assert_eq!(SavedState::decode(&bytes), Err(InvalidState::Damaged));
}
