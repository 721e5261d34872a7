//! How many bytes of a datagram are left while its parts are chosen, without writing it first.

/// Bytes that are left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget(usize);

impl Budget {
    /// What is left of `bytes` once an answer stands that only says who answers whom; `None` when not even that fits.
    pub(super) fn of_reply(bytes: usize, tid: &[u8]) -> Option<Self> {
        // d 1:r d 2:id 20:… e 1:t … 1:y 1:r e
        let frame = 1 + 3 + 1 + 4 + text(20) + 1 + 3 + text(tid.len()) + 3 + 3 + 1;
        bytes.checked_sub(frame).map(Self)
    }

    pub(super) fn left(self) -> usize {
        self.0
    }

    /// Takes the bytes if they are left.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }

    /// Takes a byte string under `key` of as many parts of `each` bytes as are left, at most `most`; `None` when not even
    /// an empty one fits.
    pub(super) fn take_parts(&mut self, key: &[u8], each: usize, most: usize) -> Option<usize> {
        let count = (0..=most).rev().find(|count| text(key.len()) + text(count * each) <= self.0)?;
        self.take(text(key.len()) + text(count * each));
        Some(count)
    }

    /// Takes an entry that holds a byte string, if it is left.
    pub(super) fn take_bytes(&mut self, key: &[u8], length: usize) -> bool {
        self.take(bytes(key, length))
    }
}

/// Bytes of an entry that holds a byte string.
pub(super) fn bytes(key: &[u8], length: usize) -> usize {
    text(key.len()) + text(length)
}

/// Bytes of an entry that holds an integer.
pub(super) fn int(key: &[u8], value: i64) -> usize {
    let sign = usize::from(value < 0);
    text(key.len()) + 2 + sign + digits(value.unsigned_abs())
}

/// Bytes of a byte string.
pub(super) fn text(length: usize) -> usize {
    digits(length as u64) + 1 + length
}

fn digits(value: u64) -> usize {
    value.checked_ilog10().unwrap_or(0) as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bencode::Writer;

    #[test]
    fn sizes_are_those_that_are_written() {
        for value in [0, 9, 10, -1, -10, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            Writer::new(&mut out).dict(|dict| dict.int(b"key", value));
            assert_eq!(int(b"key", value), out.len() - 2, "{value}");
        }
        for length in [0, 9, 10, 99, 100, 1000] {
            let mut out = Vec::new();
            Writer::new(&mut out).dict(|dict| dict.bytes(b"a", &vec![0; length]));
            assert_eq!(bytes(b"a", length), out.len() - 2, "{length}");
        }
    }

    #[test]
    fn what_does_not_fit_takes_nothing() {
        let mut budget = Budget(60);
        assert!(!budget.take_bytes(b"nodes", 52));
        assert_eq!(budget.take_parts(b"nodes", 26, 8), Some(1));
        assert_eq!(budget.left(), 60 - 7 - 29);
        assert_eq!(budget.take_parts(b"nodes6", 38, 8), Some(0));
        assert_eq!(budget.take_parts(b"a-very-long-name", 38, 8), None);
        assert!(budget.take(budget.left()) && !budget.take(1));
        assert!(Budget::of_reply(40, b"").is_none());
    }
}
