//! Values and their keys: the IPNS envelope, its signed document, public keys, and the validators in front of a store.

use std::sync::LazyLock;

use bytes::Bytes;
use dht_core::{Now, Wall};
use dht_ipfs::{
    AnyValue, Item, Keypair, NamespaceValidator, Namespaces, PeerId, PkValidator, PublicKey, Query, Record,
    ipns::{Draft, IpnsRecord, IpnsValidator, MAX_RECORD, Name},
};
use dht_records::Validator;

use crate::input::Input;

/// Always the same key, so that an input does the same every time.
static KEY: LazyLock<Keypair> =
    LazyLock::new(|| Keypair::ed25519_from_bytes([7; 32]).expect("any 32 bytes are an Ed25519 key"));
static NAME: LazyLock<Name> = LazyLock::new(|| Name(PeerId::from_public_key(&KEY.public())));
/// A name whose key signs nothing here.
static STRANGER: LazyLock<Name> = LazyLock::new(|| {
    let key = Keypair::ed25519_from_bytes([8; 32]).expect("any 32 bytes are an Ed25519 key");
    Name(PeerId::from_public_key(&key.public()))
});
static AMINO: LazyLock<Namespaces> = LazyLock::new(Namespaces::amino);

/// The first byte chooses what the rest is taken for.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    // Signing costs a thousand times what reading does, so it gets a small share.
    match input.byte() {
        0..80 => envelope(input.0),
        80..160 => document(input.0, false),
        160..200 => public_key(input.0),
        200..240 => any_key(input),
        240..248 => document(input.0, true),
        248..252 => signed(input),
        252.. => best(input),
    }
}

fn now() -> Now {
    Now { wall: Wall::from_secs(1_790_000_000), ..Now::default() }
}

/// An IPNS record as a stranger sends it.
fn envelope(bytes: &[u8]) {
    let Ok(record) = IpnsRecord::parse(bytes) else { return };
    sound(&record, bytes);
    assert!(record.verify(&STRANGER).is_err(), "nobody guesses a signature");
}

fn sound(record: &IpnsRecord, bytes: &[u8]) {
    assert!(bytes.len() <= MAX_RECORD);
    assert_eq!(record.as_bytes(), bytes);
    assert_eq!(IpnsRecord::parse(record.as_bytes()).as_ref(), Ok(record));
    assert!(record.value().len() < bytes.len());
    assert!(record.check_age(record.end_of_life()).is_err(), "its end of life is not part of its life");
}

/// A signed document in an envelope of ours. With `really`, the signature is right.
fn document(data: &[u8], really: bool) {
    if data.is_empty() {
        return;
    }
    let signature = match really {
        true => KEY.sign(&[b"ipns-signature:", data].concat()).expect("Ed25519 signs everything"),
        false => vec![1],
    };
    let mut bytes = Vec::new();
    field(8, &signature, &mut bytes);
    field(9, data, &mut bytes);
    let parsed = IpnsRecord::parse(&bytes);
    // What the document says does not depend on who signed it.
    let Ok(record) = parsed else { return };
    sound(&record, &bytes);
    let valid = IpnsValidator.check(&NAME.routing_key(), &bytes, now());
    if !really {
        assert!(valid.is_err());
        return;
    }
    assert_eq!(record.verify(&NAME), Ok(()));
    assert_eq!(valid.is_ok(), record.check_age(now().wall).is_ok());
    // Old readers believe the fields beside the document: a record that differs there is no record.
    let mut lying = bytes.clone();
    field(1, &[record.value(), &b"!"[..]].concat(), &mut lying);
    assert!(IpnsRecord::parse(&lying).is_err());
}

fn field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    prost::encoding::encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Bytes that may be a public key, under the id it would have.
fn public_key(bytes: &[u8]) {
    let Ok(key) = PublicKey::try_decode_protobuf(bytes) else {
        assert!(PkValidator.check(&[&b"/pk/"[..], NAME.0.as_ref()].concat(), bytes, now()).is_err());
        return;
    };
    let peer = PeerId::from_public_key(&key);
    let under = [&b"/pk/"[..], peer.as_ref()].concat();
    if PkValidator.check(&under, bytes, now()).is_ok() {
        assert_eq!(key.encode_protobuf(), bytes, "one value for each key");
        assert!(peer.public_key().is_none_or(|inline| inline == key));
    }
    if peer != NAME.0 {
        assert!(PkValidator.check(&[&b"/pk/"[..], NAME.0.as_ref()].concat(), bytes, now()).is_err());
    }
}

/// A key and a value as they come, through the validators of the public network.
fn any_key(mut input: Input<'_>) {
    let key = Bytes::copy_from_slice(input.some(80));
    let value = Bytes::copy_from_slice(input.0);
    for query in [Query::Value(key.clone()), Query::Providers(key.clone())] {
        let item = Item::Value(Record::new(key.clone(), value.clone()));
        let valid = AMINO.check(&query, &item, now()).is_ok();
        assert!(!valid || key.starts_with(b"/pk/") || key.starts_with(b"/ipns/"));
        assert!(!valid || matches!(query, Query::Value(_)), "a value is no provider");
        if valid {
            assert_eq!(AMINO.best(&query, std::slice::from_ref(&item)), Some(0));
        }
    }
}

/// A record of ours says what it was told to say, and no byte of it can be changed.
fn signed(mut input: Input<'_>) {
    let sequence = u64::from(input.short());
    let (at, flip) = (usize::from(input.short()), input.byte().max(1));
    let draft = Draft::new(input.0, sequence).with_v1(flip & 1 == 0);
    let Ok((name, record)) = draft.sign(&KEY, now().wall) else { return };
    assert_eq!(name, *NAME);
    assert_eq!((&record.value()[..], record.sequence()), (input.0, sequence));
    let bytes = record.as_bytes();
    assert_eq!(IpnsValidator.check(&name.routing_key(), bytes, now()), Ok(()));
    let mut changed = bytes.to_vec();
    let at = at % changed.len();
    changed[at] ^= flip;
    if let Ok(other) = IpnsRecord::parse(&changed)
        && other.verify(&name).is_ok()
    {
        // Only what nobody reads may differ: the old signature, a field that turned into an unknown one.
        assert_eq!(
            (other.value(), other.sequence(), other.end_of_life(), other.ttl()),
            (record.value(), record.sequence(), record.end_of_life(), record.ttl())
        );
    }
}

/// Of several values one is best, whatever their order.
fn best(mut input: Input<'_>) {
    let mut values: Vec<Vec<u8>> = Vec::new();
    while !input.is_empty() && values.len() < 8 {
        let (sequence, data) = (input.byte(), input.some(32));
        let record = match input.flag() {
            true => Draft::new(data, u64::from(sequence))
                .sign(&KEY, now().wall)
                .map(|(_, r)| r.as_bytes().to_vec()),
            false => Ok(data.to_vec()),
        };
        values.extend(record);
    }
    let judges: [&dyn NamespaceValidator; 2] = [&IpnsValidator, &AnyValue::default()];
    for judge in judges {
        let mut order: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        let first = judge.best(b"/x/y", &order).map(|i| order[i].to_vec());
        order.reverse();
        let second = judge.best(b"/x/y", &order).map(|i| order[i].to_vec());
        assert_eq!(first, second);
        order.rotate_left(values.len() / 2);
        assert_eq!(judge.best(b"/x/y", &order).map(|i| order[i].to_vec()), first);
    }
}
