use data_encoding::HEXLOWER;
use proptest::{collection, prelude::*};

use super::*;

fn hex<const N: usize>(text: &str) -> [u8; N] {
    HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap()
}

const KEY: &str = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";
const HELLO: &[u8] = b"12:Hello World!";

fn published(salt: &'static [u8], signature: &str) -> Item {
    let signed = Signed { key: hex(KEY), signature: hex(signature), seq: 1, salt: Bytes::from_static(salt) };
    Item { value: Bytes::from_static(HELLO), signed: Some(signed) }
}

fn plain() -> Item {
    published(
        b"",
        "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01",
    )
}

fn salted() -> Item {
    published(
        b"foobar",
        "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17ddf9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08",
    )
}

#[test]
fn the_published_vectors_hold() {
    for (item, target) in [
        (plain(), "4a533d47ec9c7d95b1ad75f576cffc641853b750"),
        (salted(), "411eba73b6f087ca51a3795d9c8c938d365e32c1"),
        (Item::immutable(&"Hello World!".into()).unwrap(), "e5f96f6f38320f0f33959cb4d3d656452117aadb"),
    ] {
        assert_eq!(item.target(), Key(hex(target)));
        assert_eq!(item.check(&item.target()), Ok(()));
        assert_eq!(item.value, HELLO);
        assert_eq!(item.tree(), Ok(Tree::from("Hello World!")));
    }
    // The published private key is in its expanded form; signing by it gives the published signature.
    let expanded: [u8; 64] = hex(
        "e06d3183d14159228433ed599221b80bd0a5ce8352e4bdf0262f76786ef1c74db7e7a9fea2c0eb269d61e3b38e450a22e754941ac78479d6c54e1faf6037881d",
    );
    let expanded = ed25519_dalek::hazmat::ExpandedSecretKey::from_bytes(&expanded);
    let key = VerifyingKey::from(&expanded);
    assert_eq!(key.to_bytes(), hex(KEY));
    for item in [plain(), salted()] {
        let signed = item.signed.unwrap();
        let text = signed_text(&signed.salt, 1, HELLO);
        let signature = ed25519_dalek::hazmat::raw_sign::<sha2::Sha512>(&expanded, &text, &key);
        assert_eq!(signature.to_bytes(), signed.signature);
    }
}

/// The salted vector with one thing changed.
fn altered(change: impl FnOnce(&mut Item, &mut Signed)) -> Item {
    let mut item = salted();
    let mut signed = item.signed.take().unwrap();
    change(&mut item, &mut signed);
    item.signed = Some(signed);
    item
}

#[test]
fn every_reason_to_refuse_has_its_code() {
    let big = |length: usize| Bytes::from(Tree::from(vec![b'x'; length]).encode());
    let target = salted().target();
    for (item, why, code) in [
        (altered(|item, _| item.value = big(997)), ItemError::ValueTooBig, 205),
        (altered(|_, signed| signed.salt = vec![0; 65].into()), ItemError::SaltTooBig, 207),
        (altered(|_, signed| signed.seq = -1), ItemError::NegativeSeq, 203),
        (altered(|item, _| item.value = Bytes::from_static(b"d1:b0:1:a0:e")), ItemError::Malformed, 203),
        (altered(|item, _| item.value = Bytes::from_static(b"i01e")), ItemError::Malformed, 203),
        (altered(|item, _| item.value = Bytes::new()), ItemError::Malformed, 203),
        (altered(|_, signed| signed.salt = Bytes::from_static(b"foobaz")), ItemError::Target, 203),
        (altered(|_, signed| signed.seq = 2), ItemError::Signature, 206),
        (altered(|_, signed| signed.signature[0] ^= 1), ItemError::Signature, 206),
        (altered(|item, _| item.value = Bytes::from_static(b"12:Hello World?")), ItemError::Signature, 206),
        (Item { signed: None, ..salted() }, ItemError::Target, 203),
    ] {
        assert_eq!((item.check(&target), why.code()), (Err(why), code));
    }
    assert_eq!(Item { value: big(996), signed: None }.value.len(), MAX_VALUE);
    let largest = Item { value: big(996), signed: None };
    assert_eq!(largest.check(&largest.target()), Ok(()));
}

#[test]
fn a_key_of_small_order_signs_nothing() {
    // The neutral element as key and as the signature's point: accepted for every text by a lax check.
    let mut key = [0; 32];
    key[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let signed = Signed { key, signature, seq: 1, salt: Bytes::new() };
    let item = Item { value: Bytes::from_static(HELLO), signed: Some(signed) };
    assert_eq!(item.check(&item.target()), Err(ItemError::Signature));
}

#[test]
fn sequence_numbers_decide_what_stays() {
    let key = SigningKey::from_bytes(&[7; 32]);
    let item = |seq, text: &str| Item::mutable(&key, b"s", seq, &text.into()).unwrap();
    let held = item(5, "a");
    for (new, cas, want) in [
        (item(6, "b"), None, Ok(())),
        (item(6, "b"), Some(5), Ok(())),
        (item(5, "a"), None, Ok(())),
        (item(5, "a"), Some(5), Ok(())),
        (item(5, "b"), None, Err(ItemError::OldSeq(5))),
        (item(4, "a"), None, Err(ItemError::OldSeq(5))),
        (item(6, "b"), Some(4), Err(ItemError::Cas(5))),
        (item(4, "b"), Some(4), Err(ItemError::Cas(5))),
    ] {
        assert_eq!(new.replaces(Some(&held), cas), want, "{} {cas:?}", new.seq().unwrap());
        assert_eq!(new.replaces(None, cas), Ok(()));
    }
    assert_eq!((ItemError::Cas(5).code(), ItemError::OldSeq(5).code()), (301, 302));
    let fixed = Item::immutable(&"a".into()).unwrap();
    assert_eq!(fixed.replaces(Some(&fixed), None), Ok(()));
}

#[test]
fn nothing_is_made_that_would_be_refused() {
    let key = SigningKey::from_bytes(&[7; 32]);
    let big = Tree::from(vec![0; 997]);
    assert_eq!(Item::immutable(&big), Err(ItemError::ValueTooBig));
    assert_eq!(Item::mutable(&key, b"", 0, &big), Err(ItemError::ValueTooBig));
    assert_eq!(Item::mutable(&key, &[0; 65], 0, &1.into()), Err(ItemError::SaltTooBig));
    assert_eq!(Item::mutable(&key, b"", -1, &1.into()), Err(ItemError::NegativeSeq));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn what_is_signed_holds_and_what_is_altered_does_not(
        secret in any::<[u8; 32]>(), salt in collection::vec(any::<u8>(), 0..=64), seq in 0..=i64::MAX,
        value in collection::vec(any::<u8>(), 0..900), bit in 0usize..512,
    ) {
        let item = Item::mutable(&SigningKey::from_bytes(&secret), &salt, seq, &value.into()).unwrap();
        prop_assert_eq!(item.check(&item.target()), Ok(()));
        let mut forged = item.clone();
        if let Some(signed) = &mut forged.signed {
            signed.signature[bit / 8] ^= 1 << (bit % 8);
        }
        prop_assert_eq!(forged.check(&item.target()), Err(ItemError::Signature));
    }
}
