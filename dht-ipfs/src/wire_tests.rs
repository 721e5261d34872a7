use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::oracle;

/// Everything in a message, read the way the codec reads it.
fn read(bytes: &[u8]) -> Result<oracle::Message, Malformed> {
    let (mut closer, mut providers) = (Vec::new(), Vec::new());
    let head = message(bytes, |side, bytes| {
        let mut peer = oracle::Peer::default();
        let mut fields = Fields::new(bytes);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Bytes(id)) => peer.id = id.to_vec(),
                (2, Value::Bytes(addr)) => peer.addrs.push(addr.to_vec()),
                (3, Value::Varint(connection)) => peer.connection = connection as i32,
                (1..=3, _) => return Err(WRONG_WIRE_TYPE),
                _ => {}
            }
        }
        // The real reader of peers refuses exactly the same.
        assert!(contact(bytes, Source::Copy).is_ok());
        match side {
            Side::Closer => closer.push(peer),
            Side::Provider => providers.push(peer),
        }
        Ok(())
    })?;
    let record = head.record.map(|record| oracle::Record {
        key: record.key.to_vec(),
        value: record.value.to_vec(),
        time_received: record.time_received.to_vec(),
    });
    Ok(oracle::Message {
        kind: head.kind,
        key: head.key.to_vec(),
        record,
        closer,
        providers,
        cluster_level: 0,
    })
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..max)
}

fn peer() -> impl Strategy<Value = oracle::Peer> {
    let address = prop_oneof![Just(vec![4, 1, 2, 3, 4, 6, 0, 1]), bytes(20)];
    (
        prop_oneof![any::<[u8; 32]>().prop_map(|d| [&[0x12, 32][..], &d].concat()), bytes(40)],
        prop::collection::vec(address, 0..5),
        prop_oneof![Just(0), Just(1), any::<i32>()],
    )
        .prop_map(|(id, addrs, connection)| oracle::Peer { id, addrs, connection })
}

pub(crate) fn any_message() -> impl Strategy<Value = oracle::Message> {
    let record = prop::option::of(
        (bytes(40), bytes(200), bytes(40)).prop_map(|(key, value, time_received)| oracle::Record {
            key,
            value,
            time_received,
        }),
    );
    (
        prop_oneof![0..6i32, any::<i32>()],
        bytes(50),
        record,
        prop::collection::vec(peer(), 0..5),
        prop::collection::vec(peer(), 0..5),
    )
        .prop_map(|(kind, key, record, closer, providers)| oracle::Message {
            kind,
            key,
            record,
            closer,
            providers,
            cluster_level: 0,
        })
}

/// Whether the oracle takes what we refuse on purpose: groups among unknown fields.
fn has_groups(bytes: &[u8]) -> bool {
    read(bytes) == Err(Malformed("a wire type that is not used"))
}

proptest! {
    #[test]
    fn what_prost_writes_we_read_alike(message in any_message()) {
        prop_assert_eq!(read(&message.encode_to_vec()), Ok(message));
    }

    /// Both readers agree on broken messages: accepted by both and equal, or refused by both.
    #[test]
    fn both_readers_agree_on_mutations(
        message in any_message(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        more in bytes(12),
    ) {
        let mut bytes = message.encode_to_vec();
        bytes.extend_from_slice(&more);
        if bytes.is_empty() { return Ok(()) }
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut { bytes.truncate(cut.index(bytes.len())) }
        agree(&bytes)?;
    }

    #[test]
    fn both_readers_agree_on_any_bytes(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0x0a), Just(0x12), Just(0x42), Just(0x4a), 0u8..8], 0..60)) {
        agree(&bytes)?;
    }

    /// Whatever a peer record says, what is kept of it is a list within its bounds.
    #[test]
    fn what_is_kept_of_a_peer_is_sound(peer in peer(), junk in bytes(8)) {
        let bytes = Bytes::from([peer.encode_to_vec(), junk].concat());
        for source in [Source::Copy, Source::Borrow(&bytes)] {
            if let Ok(Some(contact)) = contact(&bytes, source) {
                let packed = Bytes::copy_from_slice(contact.addr.as_ref());
                prop_assert_eq!(AddrList::try_from(packed), Ok(contact.addr));
            }
        }
    }
}

fn agree(bytes: &[u8]) -> Result<(), TestCaseError> {
    if has_groups(bytes) {
        return Ok(());
    }
    let theirs = oracle::Message::decode(bytes).ok().map(|mut message| {
        message.cluster_level = 0;
        message
    });
    prop_assert_eq!(
        read(bytes).ok(),
        theirs,
        "{:?} {:?}",
        read(bytes).err(),
        oracle::Message::decode(bytes).err()
    );
    Ok(())
}

/// A nested peer that overruns its own length, with an unknown field of length near 2^64 behind it: it makes
/// quick-protobuf's nested reader step backwards for ever.
#[test]
fn a_nested_message_that_overruns_its_length_is_refused() {
    let mut overrun = vec![0x08, 4, 0x42, 3, 0x0a, 12];
    overrun.extend_from_slice(&[0; 12]);
    overrun.extend_from_slice(&[0x7a, 0xf3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    assert_eq!(overrun.len(), 29);
    assert!(read(&overrun).is_err());
    // The same inside the record.
    let nested = [&[0x1a, overrun.len() as u8][..], &overrun].concat();
    assert!(read(&nested).is_err());
    for length in [u64::MAX, u64::MAX - 12, 1 << 63, 1 << 32, (1 << 32) + 1, u64::from(u32::MAX)] {
        let mut field = vec![0x12];
        prost::encoding::encode_varint(length, &mut field);
        field.push(7);
        assert!(read(&field).is_err(), "{length}");
    }
}

#[test]
fn what_nobody_writes_is_refused() {
    for (what, bytes) in [
        ("field 0", &[0x02, 0][..]),
        ("field 0 as a number", &[0, 0]),
        ("a group", &[0x0b, 0x0c]),
        ("the end of a group", &[0x0c]),
        ("wire type 6", &[0x7e, 0]),
        ("wire type 7", &[0x7f, 0]),
        ("a key that is a number", &[0x10, 1]),
        ("a type that is bytes", &[0x0a, 0]),
        ("an endless varint", &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        ("a varint of 65 bits", &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2]),
        ("a tag of 33 bits", &[0x88, 0x80, 0x80, 0x80, 0x10, 1]),
        ("a fixed field that is cut off", &[0x79, 1, 2, 3]),
    ] {
        assert!(read(bytes).is_err(), "{what}");
    }
    assert_eq!(read(&[0x08, 99]).unwrap().kind, 99, "an unknown type stays what it is");
    assert!(
        read(&[0x7d, 1, 2, 3, 4, 0x79, 1, 2, 3, 4, 5, 6, 7, 8]).is_ok(),
        "unknown fixed fields are passed over"
    );
}

#[test]
fn counts_are_capped_while_reading() {
    // Two million empty peers in 4 MiB; none of them becomes anything.
    let flood: Vec<u8> = [0x42, 0].repeat(1 << 21);
    let mut seen = 0;
    message(&flood, |_, _| {
        seen += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, MAX_PEERS);
    let peer = oracle::Peer {
        id: [&[0x12, 32][..], &[1; 32]].concat(),
        addrs: (0..200u16).map(|port| [&[4, 1, 2, 3, 4, 6][..], &port.to_be_bytes()].concat()).collect(),
        connection: 0,
    };
    let kept = contact(&peer.encode_to_vec(), Source::Copy).unwrap().unwrap();
    assert_eq!(kept.addr.len(), AddrList::MAX_ADDRS);
    // Nor do millions of copies of one address cost more than a walk over them.
    let copies = oracle::Peer { addrs: vec![vec![4, 1, 2, 3, 4, 6, 0, 1]; 300_000], ..peer };
    assert_eq!(contact(&copies.encode_to_vec(), Source::Copy).unwrap().unwrap().addr.len(), 1);
}

#[test]
fn addresses_are_borrowed_when_they_stand_as_they_should() {
    let id = [&[0x12, 32][..], &[1; 32]].concat();
    let clean = oracle::Peer { id: id.clone(), addrs: vec![vec![4, 1, 2, 3, 4, 6, 0, 1]; 2], connection: 1 };
    let bytes = Bytes::from(clean.encode_to_vec());
    let range = bytes.as_ptr_range();
    let kept = contact(&bytes, Source::Borrow(&bytes)).unwrap().unwrap().addr;
    assert!(range.contains(&kept.as_ref().as_ptr()));
    let copied = contact(&bytes, Source::Copy).unwrap().unwrap().addr;
    assert!(!range.contains(&copied.as_ref().as_ptr()));
    assert_eq!(copied, kept);
    // Broken ones are left out, the own id is cut off, and the order of fields does not matter.
    let own = [&[4, 1, 2, 3, 4, 6, 0, 2, 0xa5, 3, 34][..], &id].concat();
    let mixed = oracle::Peer {
        id: vec![],
        addrs: vec![vec![9, 9], own, vec![4, 1, 2, 3, 4, 6, 0, 1], vec![]],
        connection: 5,
    };
    let bytes = [
        mixed.encode_to_vec(),
        oracle::Peer { id, addrs: vec![vec![4, 9, 9, 9, 9, 6, 0, 3]], connection: 0 }.encode_to_vec(),
    ]
    .concat();
    let kept = contact(&bytes, Source::Copy).unwrap().unwrap().addr;
    assert_eq!(format!("{kept:?}"), r#"["/ip4/1.2.3.4/tcp/2", "/ip4/1.2.3.4/tcp/1", "/ip4/9.9.9.9/tcp/3"]"#);
    assert_eq!(contact(&[0x0a, 1, 7], Source::Copy), Ok(None), "an id that is none");
}
