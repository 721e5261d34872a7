//! Bencode against a second reader that only knows the grammar: both take the same inputs and see the same values, what is
//! canonical is written back as it came, and whoever walks over a value in any manner never takes what is malformed.
//!
//! The second reader is plain, slow and allocates. Whether the fast one allocates or how fast it is, is shown elsewhere.

use std::collections::BTreeMap;

use dht_mainline::bencode::{Canonical, Error, Kind, Limits, Reader, Tree, Value, Writer};

use crate::input::Input;

/// Takes all bytes as bencode; the last of them also choose limits, and how a walk goes.
pub fn run(data: &[u8]) {
    let mut input = Input(data.get(data.len().saturating_sub(4)..).unwrap_or_default());
    let chosen = Limits { depth: input.byte(), bytes: usize::from(input.byte()) * 16 };
    for limits in [Limits::of(usize::MAX), Limits { depth: u8::MAX, bytes: data.len() }, chosen] {
        check(data, limits);
        walk(data, limits);
    }
}

/// What the grammar says of the bytes.
struct Known {
    tree: Tree,
    canonical: bool,
}

fn check(data: &[u8], limits: Limits) {
    let known = if data.len() > limits.bytes { None } else { Grammar::whole(data, limits.depth) };
    let tree = Tree::decode(data, limits);
    let canonical = Canonical::new(data, limits);
    assert_eq!(canonical.is_ok(), known.as_ref().is_some_and(|known| known.canonical));
    for error in [tree.as_ref().err(), canonical.as_ref().err()].into_iter().flatten() {
        assert!(error.offset <= data.len(), "{error}");
    }
    let Some(known) = known else {
        assert!(tree.is_err(), "{tree:?}");
        return;
    };
    assert_eq!(tree.as_ref(), Ok(&known.tree));
    let written = known.tree.encode();
    assert!(Canonical::new(&written, Limits { bytes: usize::MAX, ..limits }).is_ok());
    // An entry that stands twice is lost, and the sorted order is another one, but the values stay.
    assert_eq!(Tree::decode(&written, Limits { bytes: usize::MAX, ..limits }).as_ref(), Ok(&known.tree));
    if let Ok(canonical) = canonical {
        assert_eq!((&written[..], canonical.as_bytes()), (data, data));
        let mut copied = Vec::new();
        Writer::new(&mut copied).canonical(canonical);
        assert_eq!(copied, data);
    }
    let mut reader = Reader::new(data, limits).expect("it is not too long");
    assert_eq!(reader.value().raw(), Ok(data));
    assert_eq!((reader.offset(), reader.deviation().is_none()), (data.len(), known.canonical));
}

/// Walks over the value, each step chosen by the bytes of the value itself: read as some sort, skipped, copied, or left.
/// Faults are passed over as the messages' readers do with fields that they do not need.
fn walk(data: &[u8], limits: Limits) {
    for strict in [false, true] {
        let Ok(mut reader) = Reader::new(data, limits) else { return };
        if strict {
            reader = reader.strict();
        }
        let read = any(reader.value(), 0);
        // Only a container skips by itself what nobody read.
        let container = matches!(data.first(), Some(b'l' | b'd'));
        if read.is_ok() && reader.offset() > 0 && reader.finish().is_ok() {
            let known = Grammar::whole(data, limits.depth).expect("the walk took it");
            assert!(known.canonical || !strict);
            assert!(!container || reader.deviation().is_none() == known.canonical);
        }
        if let Err(error) = read {
            assert!(error.offset <= data.len());
        }
    }
}

fn any(value: Value<'_, '_>, choice: u8) -> Result<(), Error> {
    let kind = value.kind()?;
    match choice % 8 {
        // Taken for what it may not be.
        1 => drop(value.int()),
        2 => drop(value.bytes()),
        3 => drop(value.array::<20>()),
        4 => drop(value.canonical()),
        5 => drop(value.raw()?),
        6 => value.skip()?,
        7 => {}
        _ => match kind {
            Kind::Int => drop(value.int()),
            Kind::Bytes => drop(value.bytes()),
            Kind::List => {
                let mut at = 0u8;
                let faults = value.list(|element| {
                    at = at.wrapping_add(5);
                    any(element, at)
                });
                return faults;
            }
            Kind::Dict => {
                return value.dict(|key, value| any(value, key.first().copied().unwrap_or_default()));
            }
        },
    }
    Ok(())
}

/// The grammar, read the plain way.
struct Grammar<'a> {
    rest: &'a [u8],
    canonical: bool,
}

impl Grammar<'_> {
    /// `None` when the bytes are not exactly one value of at most this depth.
    fn whole(data: &[u8], depth: u8) -> Option<Known> {
        let mut grammar = Grammar { rest: data, canonical: true };
        let tree = grammar.value(depth.min(Limits::MAX_DEPTH))?;
        grammar.rest.is_empty().then_some(Known { tree, canonical: grammar.canonical })
    }

    fn value(&mut self, depth: u8) -> Option<Tree> {
        match self.rest.first()? {
            b'i' => self.int(),
            b'l' | b'd' => {
                let depth = depth.checked_sub(1)?;
                let dict = self.rest[0] == b'd';
                self.rest = &self.rest[1..];
                if dict { self.dict(depth) } else { self.list(depth) }
            }
            _ => self.string().map(Tree::Bytes),
        }
    }

    /// The text before the next `end`.
    fn until(&mut self, end: u8) -> Option<String> {
        let length = self.rest.iter().position(|byte| *byte == end)?;
        let text = String::from_utf8(self.rest[..length].to_vec()).ok()?;
        self.rest = &self.rest[length + 1..];
        Some(text)
    }

    fn int(&mut self) -> Option<Tree> {
        self.rest = &self.rest[1..];
        let text = self.until(b'e')?;
        if text.starts_with('+') {
            return None;
        }
        let number: i64 = text.parse().ok()?;
        self.canonical &= number.to_string() == text;
        Some(Tree::Int(number))
    }

    fn string(&mut self) -> Option<Vec<u8>> {
        let text = self.until(b':')?;
        if text.starts_with('+') || text.len() > 9 {
            return None;
        }
        let length: usize = text.parse().ok()?;
        self.canonical &= length.to_string() == text;
        let bytes = self.rest.get(..length)?.to_vec();
        self.rest = &self.rest[length..];
        Some(bytes)
    }

    fn ended(&mut self) -> Option<bool> {
        let end = *self.rest.first()? == b'e';
        self.rest = &self.rest[usize::from(end)..];
        Some(end)
    }

    fn list(&mut self, depth: u8) -> Option<Tree> {
        let mut list = Vec::new();
        while !self.ended()? {
            list.push(self.value(depth)?);
        }
        Some(Tree::List(list))
    }

    fn dict(&mut self, depth: u8) -> Option<Tree> {
        let mut dict = BTreeMap::new();
        let mut last: Option<Vec<u8>> = None;
        while !self.ended()? {
            let key = self.string()?;
            self.canonical &= last.is_none_or(|last| last < key);
            last = Some(key.clone());
            dict.insert(key, self.value(depth)?);
        }
        Some(Tree::Dict(dict))
    }
}

#[cfg(test)]
mod tests {
    use dht_mainline::bencode::Fault;

    use super::*;

    #[test]
    fn ten_thousand_levels_are_refused_at_the_limit() {
        for (open, middle) in [("l", ""), ("d1:a", "i1e"), ("ld0:", "0:")] {
            let deep = [open.repeat(10_000), middle.to_owned(), "e".repeat(20_000)].concat();
            run(deep.as_bytes());
            for depth in [0, 8, Limits::MAX_DEPTH, u8::MAX] {
                let error = Canonical::new(deep.as_bytes(), Limits { depth, bytes: usize::MAX }).unwrap_err();
                assert_eq!(error.fault, Fault::TooDeep { limit: depth.min(Limits::MAX_DEPTH) });
            }
        }
    }
}
