use std::{fs, path::PathBuf, time::Duration};

use dht_core::{Mono, Now, Wall};
use dht_records::Invalid;
use libp2p_identity::Keypair;
use proptest::prelude::*;

use super::{Draft, IpnsRecord, IpnsValidator, MAX_RECORD, Name, dag_cbor::Document};
use crate::{
    NamespaceValidator,
    testing::{every_keypair, rsa_keypair},
};

fn at(secs: u64) -> Now {
    Now { mono: Mono::default(), wall: Wall::from_secs(secs) }
}

const TODAY: u64 = 1_790_000_000;

#[test]
fn the_published_vectors_are_judged_as_published() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/ipns");
    let Ok(files) = fs::read_dir(&folder) else {
        println!("skipped: the published vectors are not there");
        return;
    };
    let mut seen = 0;
    for file in files {
        let path = file.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        let (name, kind) = file.split_once('_').unwrap();
        let name: Name = name.parse().unwrap();
        let value = fs::read(&path).unwrap();
        let verdict = IpnsValidator.check(&name.routing_key(), &value, at(TODAY));
        let content = |want: &str| assert_eq!(IpnsRecord::parse(&value).unwrap().value(), want.as_bytes());
        match kind.trim_end_matches(".ipns-record") {
            "v1" | "v1-v2-broken-signature-v2" => assert_eq!(verdict, Err(Invalid::Signature), "{file}"),
            "v1-v2-broken-v1-value" => assert!(matches!(verdict, Err(Invalid::Malformed(_))), "{file}"),
            kind => {
                assert_eq!(verdict, Ok(()), "{file}");
                match kind {
                    "v1-v2" => content("/ipfs/bafkqaddwgevxmmraojswg33smq"),
                    "v1-v2-broken-signature-v1" => {
                        content("/ipfs/bafkqahtwgevxmmrao5uxi2bamjzg623fnyqhg2lhnzqxi5lsmuqhmmi");
                    }
                    kind => assert_eq!(kind, "v2"),
                }
            }
        }
        // Whatever is broken in a record that holds: it must not hold any more, and never panic.
        if verdict.is_ok() {
            for i in 0..value.len() {
                assert!(
                    IpnsValidator.check(&name.routing_key(), &value[..i], at(TODAY)).is_err(),
                    "{file} {i}"
                );
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 6);
}

#[test]
fn records_of_every_key_type_are_made_and_verified_with_and_without_v1() {
    for key in every_keypair() {
        for with_v1 in [true, false] {
            let draft = Draft::new("/ipfs/bafkqaaa", 7).ttl(Duration::from_secs(60)).with_v1(with_v1);
            let (name, record) = draft.sign(&key, Wall::from_secs(TODAY)).unwrap();
            let bytes = record.as_bytes();
            assert_eq!(IpnsValidator.check(&name.routing_key(), bytes, at(TODAY)), Ok(()));
            assert_eq!((record.value().as_ref(), record.sequence()), (&b"/ipfs/bafkqaaa"[..], 7));
            assert_eq!(record.ttl(), Duration::from_secs(60));
            assert_eq!(record.end_of_life(), Wall::from_secs(TODAY + 48 * 3600));
            assert_eq!(record.public_key().is_some(), name.0.public_key().is_none());
        }
    }
}

#[test]
fn a_record_holds_until_its_end_of_life_and_under_its_name_only() {
    let key = Keypair::generate_ed25519();
    let (name, record) =
        Draft::new("x", 1).lifetime(Duration::from_secs(10)).sign(&key, Wall::from_secs(TODAY)).unwrap();
    let check = |key: &[u8], now| IpnsValidator.check(key, record.as_bytes(), at(now));
    assert_eq!(check(&name.routing_key(), TODAY + 9), Ok(()));
    assert_eq!(check(&name.routing_key(), TODAY + 10), Err(Invalid::Expired));
    let (other, of_rsa) = Draft::new("x", 1).sign(&rsa_keypair(), Wall::from_secs(TODAY)).unwrap();
    assert_eq!(
        check(&other.routing_key(), TODAY),
        Err(Invalid::Malformed("neither record nor name has the public key"))
    );
    assert_eq!(
        IpnsValidator.check(&name.routing_key(), of_rsa.as_bytes(), at(TODAY)),
        Err(Invalid::KeyMismatch)
    );
    assert_eq!(check(&Name(other.0).routing_key()[..20], TODAY), Err(Invalid::InvalidKey));
    let stranger = Draft::new("x", 1).sign(&Keypair::generate_ed25519(), Wall::from_secs(TODAY)).unwrap().0;
    assert_eq!(check(&stranger.routing_key(), TODAY), Err(Invalid::Signature));
}

#[test]
fn every_bit_of_a_record_matters_or_is_refused() {
    let (name, record) =
        Draft::new("/ipfs/bafkqaaa", 3).sign(&Keypair::generate_ed25519(), Wall::from_secs(TODAY)).unwrap();
    let original = record.as_bytes().to_vec();
    let v1_signature = {
        let at = original.windows(2).position(|pair| pair == [0x12, 64]).unwrap();
        at + 2..at + 66
    };
    for bit in 0..original.len() * 8 {
        let mut flipped = original.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let verdict = IpnsValidator.check(&name.routing_key(), &flipped, at(TODAY));
        // The V1 signature is never looked at (N5); a flip in the tag of an optional field may hide the field.
        if verdict.is_ok() && !v1_signature.contains(&(bit / 8)) {
            let read = IpnsRecord::parse(&flipped).unwrap();
            assert_eq!((read.value(), read.sequence()), (record.value(), record.sequence()), "bit {bit}");
        }
    }
}

#[test]
fn large_records_are_neither_made_nor_read() {
    let key = Keypair::generate_ed25519();
    assert!(Draft::new(vec![0; MAX_RECORD], 1).sign(&key, Wall::from_secs(TODAY)).is_err());
    assert_eq!(IpnsRecord::parse(&vec![0; MAX_RECORD + 1]), Err(Invalid::TooLarge { limit: MAX_RECORD }));
}

#[test]
fn the_best_record_has_the_highest_sequence_then_the_latest_end_then_the_greatest_bytes() {
    let key = Keypair::generate_ed25519();
    let make = |value: &str, sequence, hours: u64| {
        let draft = Draft::new(value, sequence).lifetime(Duration::from_secs(hours * 3600));
        draft.sign(&key, Wall::from_secs(TODAY)).unwrap().1.as_bytes().clone()
    };
    let best = |values: &[&[u8]]| IpnsValidator.best(b"", values);
    let (old, new, later) = (make("a", 1, 48), make("a", 2, 1), make("a", 2, 2));
    assert_eq!(best(&[&old, &new]), Some(1));
    assert_eq!(best(&[&new, &old, &later]), Some(2));
    let (a, b) = (make("a", 5, 1), make("b", 5, 1));
    assert_eq!(best(&[&a, &b]), Some(usize::from(b > a)));
    assert_eq!(best(&[&b, &a]), Some(usize::from(a > b)));
    assert_eq!(best(&[&a, &a]), Some(0), "what is held stays");
    assert_eq!(best(&[b"broken", &a]), Some(1));
    assert_eq!(best(&[b"broken"]), None);
    assert_eq!(best(&[]), None);
}

/// A document by hand: a map head and fields in the given order.
fn cbor(head: &[u8], fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = head.to_vec();
    for (key, value) in fields {
        out.push(0x60 | key.len() as u8);
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(value);
    }
    out
}

#[test]
fn the_document_is_read_strictly() {
    let ttl: (&str, &[u8]) = ("TTL", &[1]);
    let value: (&str, &[u8]) = ("Value", b"\x41v");
    let sequence: (&str, &[u8]) = ("Sequence", &[2]);
    let validity: (&str, &[u8]) = ("Validity", b"\x41t");
    let kind: (&str, &[u8]) = ("ValidityType", &[0]);
    let good = cbor(&[0xa5], &[ttl, value, sequence, validity, kind]);
    let document = Document { value: b"v", validity: b"t", sequence: 2, ttl: 1 };
    assert_eq!(Document::read(&good), Ok(document.clone()));
    assert_eq!(document.write(), good);
    // A field of somebody else's is passed over, wherever the order puts it.
    let more = cbor(&[0xa6], &[("A", &[0x82, 1, 0x61, b'x']), ttl, value, sequence, validity, kind]);
    assert_eq!(Document::read(&more), Ok(document));
    for (what, bad) in [
        ("order", cbor(&[0xa5], &[value, ttl, sequence, validity, kind])),
        ("twice", cbor(&[0xa6], &[ttl, ttl, value, sequence, validity, kind])),
        ("missing", cbor(&[0xa4], &[ttl, value, sequence, validity])),
        ("unknown validity", cbor(&[0xa5], &[ttl, value, sequence, validity, ("ValidityType", &[1])])),
        ("long number", cbor(&[0xa5], &[("TTL", &[0x18, 1]), value, sequence, validity, kind])),
        ("negative", cbor(&[0xa5], &[("TTL", &[0x20]), value, sequence, validity, kind])),
        ("text value", cbor(&[0xa5], &[ttl, ("Value", b"\x61v"), sequence, validity, kind])),
        ("long length", cbor(&[0xa5], &[ttl, ("Value", b"\x58\x01v"), sequence, validity, kind])),
        ("pieces", cbor(&[0xa5], &[ttl, ("Value", b"\x5f\x41v\xff"), sequence, validity, kind])),
        ("open map", [cbor(&[0xbf], &[ttl, value, sequence, validity, kind]), vec![0xff]].concat()),
        ("long map head", cbor(&[0xb8, 5], &[ttl, value, sequence, validity, kind])),
        ("more behind", [good.clone(), vec![0]].concat()),
        ("huge map", cbor(&[0xbb, 255, 255, 255, 255, 255, 255, 255, 255], &[ttl])),
        ("not a map", vec![0x80]),
        ("nothing", vec![]),
    ] {
        assert!(Document::read(&bad).is_err(), "{what}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = IpnsRecord::parse(&bytes);
        let _ = Document::read(&bytes);
    }

    #[test]
    fn documents_are_read_as_they_were_written(
        value in prop::collection::vec(any::<u8>(), 0..300),
        validity in prop::collection::vec(any::<u8>(), 0..40),
        sequence in any::<u64>(),
        ttl in any::<u64>(),
    ) {
        let document = Document { value: &value, validity: &validity, sequence, ttl };
        let written = document.write();
        prop_assert_eq!(Document::read(&written), Ok(document));
    }
}
