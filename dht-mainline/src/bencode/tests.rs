use proptest::{collection, prelude::*};

use super::*;

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Tree::Int),
        collection::vec(any::<u8>(), 0..12).prop_map(Tree::Bytes),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..6).prop_map(Tree::List),
            collection::btree_map(collection::vec(any::<u8>(), 0..6), inner, 0..6).prop_map(Tree::Dict),
        ]
    })
}

/// A plain recursive reader of the canonical form, written from the text of BEP 3.
fn oracle(input: &[u8]) -> Option<(Tree, &[u8])> {
    let number = |text: &[u8]| -> Option<i64> {
        let text = std::str::from_utf8(text).ok()?;
        let value: i64 = text.parse().ok()?;
        (value.to_string() == text).then_some(value)
    };
    match input.first()? {
        b'i' => {
            let end = input.iter().position(|byte| *byte == b'e')?;
            Some((Tree::Int(number(&input[1..end])?), &input[end + 1..]))
        }
        b'0'..=b'9' => {
            let colon = input.iter().position(|byte| *byte == b':')?;
            let length = usize::try_from(number(&input[..colon])?).ok()?;
            let rest = &input[colon + 1..];
            Some((Tree::Bytes(rest.get(..length)?.to_vec()), &rest[length..]))
        }
        b'l' => {
            let (mut list, mut rest) = (Vec::new(), &input[1..]);
            while *rest.first()? != b'e' {
                let (element, after) = oracle(rest)?;
                list.push(element);
                rest = after;
            }
            Some((Tree::List(list), &rest[1..]))
        }
        b'd' => {
            let (mut dict, mut rest) = (std::collections::BTreeMap::new(), &input[1..]);
            while *rest.first()? != b'e' {
                let (Tree::Bytes(key), after) = oracle(rest)? else { return None };
                if dict.last_key_value().is_some_and(|(last, _)| *last >= key) {
                    return None;
                }
                let (value, after) = oracle(after)?;
                dict.insert(key, value);
                rest = after;
            }
            Some((Tree::Dict(dict), &rest[1..]))
        }
        _ => None,
    }
}

fn wide() -> Limits {
    Limits { depth: Limits::MAX_DEPTH, bytes: 1 << 20 }
}

proptest! {
    #[test]
    fn what_is_written_is_canonical_and_read_back(tree in tree()) {
        let bytes = tree.encode();
        prop_assert!(Canonical::new(&bytes, wide()).is_ok());
        prop_assert_eq!(Tree::decode(&bytes, wide()), Ok(tree.clone()));
        prop_assert_eq!(oracle(&bytes), Some((tree, &[][..])));
    }

    #[test]
    fn every_prefix_is_incomplete_at_its_end_or_before(tree in tree()) {
        let bytes = tree.encode();
        for end in 0..bytes.len() {
            let error = Canonical::new(&bytes[..end], wide()).unwrap_err();
            prop_assert_eq!(error.fault, Fault::End);
            prop_assert!(error.offset <= end);
        }
    }

    #[test]
    fn every_bit_flip_is_judged_as_the_plain_reader_judges_it(tree in tree()) {
        let mut bytes = tree.encode();
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let strict = Canonical::new(&bytes, wide()).is_ok();
            let plain = oracle(&bytes).filter(|(_, rest)| rest.is_empty());
            prop_assert_eq!(strict, plain.is_some());
            if let Some((tree, _)) = plain {
                prop_assert_eq!(Tree::decode(&bytes, wide()), Ok(tree));
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn noise_is_judged_as_the_plain_reader_judges_it(bytes in "[0-3:eildx-]{0,24}") {
        let bytes = bytes.as_bytes();
        let plain = oracle(bytes).filter(|(_, rest)| rest.is_empty());
        prop_assert_eq!(Canonical::new(bytes, wide()).is_ok(), plain.is_some());
        if let Err(error) = Tree::decode(bytes, wide()) {
            prop_assert!(error.offset <= bytes.len());
        }
    }

    #[test]
    fn keys_in_any_order_come_out_sorted_and_once(
        entries in collection::vec((collection::vec(0u8..4, 0..3), tree()), 0..12),
    ) {
        let mut out = b"before".to_vec();
        Writer::new(&mut out).dict(|dict| {
            for (key, tree) in &entries {
                dict.entry(key, |value| tree.write(value));
            }
        });
        let want: Tree = entries.into_iter().collect();
        prop_assert_eq!(&out[6..], &want.encode()[..]);
    }
}

fn fault(bytes: &[u8]) -> (usize, Fault) {
    let error = Canonical::new(bytes, Limits::default()).unwrap_err();
    (error.offset, error.fault)
}

#[test]
fn every_fault_names_its_byte() {
    for (bytes, offset, want) in [
        (&b""[..], 0, Fault::End),
        (b"i12", 3, Fault::End),
        (b"4:abc", 0, Fault::End),
        (b"12", 2, Fault::End),
        (b"l3:abc", 6, Fault::End),
        (b"d1:a", 4, Fault::End),
        (b"3:abcd", 5, Fault::Trailing),
        (b"e", 0, Fault::Unexpected),
        (b"ie", 1, Fault::Unexpected),
        (b"i-e", 2, Fault::Unexpected),
        (b"i1-e", 2, Fault::Unexpected),
        (b"i+1e", 1, Fault::Unexpected),
        (b"1x", 1, Fault::Unexpected),
        (b"-1:a", 0, Fault::Unexpected),
        (b"di1ei2ee", 1, Fault::Key),
        (b"i9223372036854775808e", 0, Fault::Range),
        (b"i-9223372036854775809e", 0, Fault::Range),
        (b"9999999999:a", 0, Fault::Range),
        (b"li01ee", 1, Fault::LeadingZero),
        (b"03:abc", 0, Fault::LeadingZero),
        (b"i-01e", 0, Fault::LeadingZero),
        (b"i-0e", 0, Fault::NegativeZero),
        (b"d1:b0:1:a0:e", 6, Fault::Unsorted),
        (b"d1:a0:1:a0:e", 6, Fault::Duplicate),
        (b"llllllllleeeeeeeee", 8, Fault::TooDeep { limit: 8 }),
    ] {
        assert_eq!(fault(bytes), (offset, want), "{}", bytes.escape_ascii());
    }
    let long = Reader::new(&[b'l'; 9], Limits::of(8)).unwrap_err();
    assert_eq!((long.offset, long.fault), (8, Fault::TooLong { limit: 8 }));
    assert_eq!(long.to_string(), "more than 8 bytes (byte 8)");
}

#[test]
fn the_ends_of_the_number_range_are_read_and_written() {
    for value in [i64::MIN, -1, 0, 1, i64::MAX] {
        let bytes = Tree::Int(value).encode();
        assert_eq!(bytes, format!("i{value}e").into_bytes());
        assert_eq!(Tree::decode(&bytes, Limits::default()), Ok(Tree::Int(value)));
    }
}

#[test]
fn depth_is_bounded_whatever_the_limit_says() {
    let eight = b"lllllllleeeeeeee";
    assert!(Canonical::new(eight, Limits::default()).is_ok());
    for (open, close) in [(&b"l"[..], &b"e"[..]), (b"d0:", b"e")] {
        let deep = [open.repeat(10_000), close.repeat(10_000)].concat();
        let limits = Limits { depth: u8::MAX, bytes: usize::MAX };
        let error = Canonical::new(&deep, limits).unwrap_err();
        assert_eq!(error.fault, Fault::TooDeep { limit: Limits::MAX_DEPTH });
        assert_eq!(Tree::decode(&deep, limits), Err(error));
    }
}

#[test]
fn deviations_are_accepted_and_remembered_unless_strict() {
    let odd = b"d1:bi00e1:a01:xe";
    let mut reader = Reader::new(odd, Limits::default()).unwrap();
    reader.value().skip().unwrap();
    reader.finish().unwrap();
    assert_eq!(reader.deviation(), Some(Error { offset: 4, fault: Fault::LeadingZero }));
    let mut strict = Reader::new(odd, Limits::default()).unwrap().strict();
    assert_eq!(strict.value().skip().unwrap_err().offset, 4);
}

#[test]
fn a_value_keeps_its_span_and_is_judged_by_itself() {
    let outer = b"d1:zi1e1:vd1:b0:1:ai7eee";
    let mut raw = None;
    let mut canonical = None;
    let mut reader = Reader::new(outer, Limits::default()).unwrap();
    let read = reader.value().dict(|key, value| {
        match key {
            b"v" => raw = Some(value.raw()?),
            b"z" => canonical = Some(value.canonical()?),
            _ => {}
        }
        Ok::<_, Error>(())
    });
    read.unwrap();
    assert_eq!(raw, Some(&b"d1:b0:1:ai7ee"[..]));
    assert_eq!(canonical.map(Canonical::as_bytes), Some(&b"i1e"[..]));
    assert_eq!(Canonical::new(raw.unwrap(), Limits::default()).unwrap_err().fault, Fault::Unsorted);
}

#[test]
fn a_wrong_sort_of_value_can_be_tolerated_without_losing_the_place() {
    let mut port = None;
    let mut name = None;
    let mut reader = Reader::new(b"d1:ad1:xl1:yee1:b3:abc4:porti5ee", Limits::default()).unwrap();
    let read = reader.value().dict(|key, value| {
        match key {
            b"a" => {
                let inner = value.dict(|_, value| value.list(|value| value.int().map(drop)));
                assert_eq!(inner.unwrap_err().fault, Fault::Not(Kind::Int));
            }
            b"b" => name = value.int().ok(),
            _ => port = Some(value.int()?),
        }
        Ok::<_, Error>(())
    });
    read.unwrap();
    assert_eq!((name, port), (None, Some(5)));
}

#[test]
fn an_entry_without_a_value_leaves_no_key() {
    let mut out = Vec::new();
    Writer::new(&mut out).dict(|dict| {
        dict.entry(b"a", |_| {});
        dict.entry(b"b", |value| value.list(|list| list.int(-3)));
    });
    assert_eq!(out, b"d1:bli-3eee");
}

#[test]
fn trees_convert_from_and_to_native_types() {
    let tree: Tree = [("name", Tree::from("x")), ("sizes", [1, 2].map(Tree::from).into_iter().collect())]
        .into_iter()
        .collect();
    assert_eq!(tree.encode(), b"d4:name1:x5:sizesli1ei2eee");
    assert_eq!(tree.get("name").and_then(Tree::as_str), Some("x"));
    assert_eq!(tree.get("name").and_then(Tree::as_int), None);
    assert_eq!(tree.get("sizes").and_then(|sizes| sizes.get("x")), None);
}
