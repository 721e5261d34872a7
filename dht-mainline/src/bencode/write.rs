//! Writing: whatever is called, what comes out is one canonical value.
//!
//! A dictionary accepts its keys in any order. In order they cost nothing; out of order the entry is moved to its place,
//! and a key given twice keeps its later value.

use std::ops::Range;

use super::Canonical;

/// Room for one value at the end of a buffer.
///
/// ```
/// use dht_mainline::bencode::Writer;
///
/// let mut out = Vec::new();
/// Writer::new(&mut out).dict(|dict| {
///     dict.int(b"port", 6881);
///     dict.bytes(b"id", b"abc");
/// });
/// assert_eq!(out, b"d2:id3:abc4:porti6881ee");
/// ```
#[derive(Debug)]
pub struct Writer<'w> {
    out: &'w mut Vec<u8>,
}

/// The elements of a list.
#[derive(Debug)]
pub struct ListWriter<'w> {
    out: &'w mut Vec<u8>,
}

/// The entries of a dictionary.
#[derive(Debug)]
pub struct DictWriter<'w> {
    out: &'w mut Vec<u8>,
    start: usize,
    last: Option<Range<usize>>,
}

impl<'w> Writer<'w> {
    /// Appends to `out`.
    pub fn new(out: &'w mut Vec<u8>) -> Self {
        Self { out }
    }

    /// A byte string.
    pub fn bytes(self, bytes: &[u8]) {
        string(self.out, bytes);
    }

    /// An integer.
    pub fn int(self, value: i64) {
        self.out.push(b'i');
        if value < 0 {
            self.out.push(b'-');
        }
        decimal(self.out, value.unsigned_abs());
        self.out.push(b'e');
    }

    /// A value that is written already.
    pub fn canonical(self, value: Canonical<'_>) {
        self.out.extend_from_slice(value.as_bytes());
    }

    /// A list of what `fill` adds.
    pub fn list(self, fill: impl FnOnce(&mut ListWriter<'_>)) {
        self.out.push(b'l');
        fill(&mut ListWriter { out: self.out });
        self.out.push(b'e');
    }

    /// A dictionary of what `fill` adds.
    pub fn dict(self, fill: impl FnOnce(&mut DictWriter<'_>)) {
        self.out.push(b'd');
        let start = self.out.len();
        fill(&mut DictWriter { out: self.out, start, last: None });
        self.out.push(b'e');
    }
}

impl ListWriter<'_> {
    /// Room for one more element.
    pub fn element(&mut self) -> Writer<'_> {
        Writer { out: self.out }
    }

    /// One more byte string.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.element().bytes(bytes);
    }

    /// One more integer.
    pub fn int(&mut self, value: i64) {
        self.element().int(value);
    }
}

impl DictWriter<'_> {
    /// An entry whose value `write` writes; without one there is no entry.
    pub fn entry(&mut self, key: &[u8], write: impl FnOnce(Writer<'_>)) {
        let from = self.out.len();
        string(self.out, key);
        let value = self.out.len();
        write(Writer { out: self.out });
        if self.out.len() == value {
            self.out.truncate(from);
            return;
        }
        match self.last.clone() {
            Some(last) if self.out[last.clone()] >= *key => self.settle(from, key),
            _ => self.last = Some(value - key.len()..value),
        }
    }

    /// A byte string under `key`.
    pub fn bytes(&mut self, key: &[u8], bytes: &[u8]) {
        self.entry(key, |value| value.bytes(bytes));
    }

    /// An integer under `key`.
    pub fn int(&mut self, key: &[u8], number: i64) {
        self.entry(key, |value| value.int(number));
    }

    /// Moves the entry that begins at `from` to its place; one with the same key gives way.
    fn settle(&mut self, mut from: usize, key: &[u8]) {
        let mut at = self.start;
        while at < from {
            let name = string_at(self.out, at);
            let end = value_end(self.out, name.end);
            if self.out[name.clone()] < *key {
                at = end;
                continue;
            }
            if self.out[name] == *key {
                self.out.drain(at..end);
                from -= end - at;
            }
            break;
        }
        let moved = self.out.len() - from;
        self.out[at..].rotate_right(moved);
        while at < self.out.len() {
            let name = string_at(self.out, at);
            at = value_end(self.out, name.end);
            self.last = Some(name);
        }
    }
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    decimal(out, bytes.len() as u64);
    out.push(b':');
    out.extend_from_slice(bytes);
}

fn decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The bytes of the string that begins at `at`, in what was written here.
fn string_at(out: &[u8], at: usize) -> Range<usize> {
    let digits = out[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let (count, length) =
        digits.fold((0, 0), |(count, length), digit| (count + 1, length * 10 + usize::from(digit - b'0')));
    let begin = at + count + 1;
    begin..begin + length
}

/// The end of the value that begins at `at`, in what was written here; not recursive, for writers may nest at will.
fn value_end(out: &[u8], mut at: usize) -> usize {
    let mut open = 0usize;
    loop {
        match out[at] {
            b'l' | b'd' => {
                open += 1;
                at += 1;
                continue;
            }
            b'e' => {
                open -= 1;
                at += 1;
            }
            b'i' => at += out[at..].iter().take_while(|byte| **byte != b'e').count() + 1,
            _ => at = string_at(out, at).end,
        }
        if open == 0 {
            return at;
        }
    }
}
