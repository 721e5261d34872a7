//! Reading: a cursor over borrowed bytes. Nothing is allocated, nothing is read twice, nothing is read beyond the limits.
//!
//! Containers are walked by closures, so that a caller cannot lose its place: what a closure does not read is skipped, and
//! checked while it is.

use super::{Error, Fault, Kind, Limits};

/// Digits of the longest string length; a longer one is out of any limit.
const MAX_LENGTH_DIGITS: usize = 9;

/// A cursor over one input.
///
/// ```
/// use dht_mainline::bencode::{Error, Limits, Reader};
///
/// let mut reader = Reader::new(b"d2:id3:abc4:porti6881ee", Limits::default())?;
/// let mut port = None;
/// reader.value().dict(|key, value| {
///     if key == b"port" {
///         port = Some(value.int()?);
///     }
///     Ok::<_, Error>(())
/// })?;
/// reader.finish()?;
/// assert_eq!(port, Some(6881));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    left: u8,
    depth: u8,
    strict: bool,
    deviation: Option<Error>,
}

/// The next value of a reader: read it as what it should be, or drop it to skip it.
#[derive(Debug)]
#[must_use = "a value at the top that is not read is not checked either"]
pub struct Value<'r, 'a> {
    reader: &'r mut Reader<'a>,
}

/// The bytes of one complete value in canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canonical<'a>(&'a [u8]);

impl<'a> Canonical<'a> {
    /// Checks that `bytes` are exactly one value, in canonical form.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn new(bytes: &'a [u8], limits: Limits) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, limits)?.strict();
        reader.skip()?;
        reader.finish()?;
        Ok(Self(bytes))
    }

    /// The bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of `input`, which accepts deviations from the canonical form and remembers the first.
    ///
    /// # Errors
    /// When the input is longer than the limit.
    pub fn new(input: &'a [u8], limits: Limits) -> Result<Self, Error> {
        if input.len() > limits.bytes {
            return Err(Error { offset: limits.bytes, fault: Fault::TooLong { limit: limits.bytes } });
        }
        let depth = limits.depth.min(Limits::MAX_DEPTH);
        Ok(Self { input, at: 0, left: depth, depth, strict: false, deviation: None })
    }

    /// The same reader, which refuses what is not canonical.
    #[must_use]
    pub fn strict(self) -> Self {
        Self { strict: true, ..self }
    }

    /// The next value.
    pub fn value(&mut self) -> Value<'_, 'a> {
        Value { reader: self }
    }

    /// Where the reader stands.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The first deviation from the canonical form in what was read so far.
    pub fn deviation(&self) -> Option<Error> {
        self.deviation
    }

    /// Whether everything was read.
    ///
    /// # Errors
    /// [`Fault::Trailing`] when something is left.
    pub fn finish(&self) -> Result<(), Error> {
        if self.at == self.input.len() { Ok(()) } else { Err(self.fault(Fault::Trailing)) }
    }

    fn fault(&self, fault: Fault) -> Error {
        Error { offset: self.at, fault }
    }

    #[inline]
    fn peek(&self) -> Result<u8, Error> {
        self.input.get(self.at).copied().ok_or(self.fault(Fault::End))
    }

    #[inline]
    fn kind(&self) -> Result<Kind, Error> {
        match self.peek()? {
            b'0'..=b'9' => Ok(Kind::Bytes),
            b'i' => Ok(Kind::Int),
            b'l' => Ok(Kind::List),
            b'd' => Ok(Kind::Dict),
            _ => Err(self.fault(Fault::Unexpected)),
        }
    }

    fn expect(&self, kind: Kind) -> Result<(), Error> {
        if self.kind()? == kind { Ok(()) } else { Err(self.fault(Fault::Not(kind))) }
    }

    #[cold]
    fn deviates(&mut self, offset: usize, fault: Fault) -> Result<(), Error> {
        let error = Error { offset, fault };
        self.deviation = self.deviation.or(Some(error));
        if self.strict { Err(error) } else { Ok(()) }
    }

    /// A byte string. Lengths of one or two digits, nearly all there are, are read without a loop; a call would cost as
    /// much as that.
    #[inline(always)]
    fn string(&mut self) -> Result<&'a [u8], Error> {
        let (digits, length) = match self.input.get(self.at..) {
            Some([digit @ b'0'..=b'9', b':', ..]) => (1, usize::from(digit - b'0')),
            Some([ten @ b'1'..=b'9', one @ b'0'..=b'9', b':', ..]) => {
                (2, usize::from(ten - b'0') * 10 + usize::from(one - b'0'))
            }
            _ => self.length()?,
        };
        let begin = self.at + digits + 1;
        let bytes = self.input.get(begin..begin + length).ok_or(self.fault(Fault::End))?;
        self.at = begin + length;
        Ok(bytes)
    }

    /// The digits of a length of any form, and what they say; a colon follows them.
    fn length(&mut self) -> Result<(usize, usize), Error> {
        let start = self.at;
        let mut at = start;
        let mut length = 0usize;
        loop {
            match self.input.get(at) {
                Some(digit @ b'0'..=b'9') => {
                    if at - start == MAX_LENGTH_DIGITS {
                        return Err(self.fault(Fault::Range));
                    }
                    length = length * 10 + usize::from(digit - b'0');
                    at += 1;
                }
                Some(b':') if at > start => break,
                Some(_) => return Err(Error { offset: at, fault: Fault::Unexpected }),
                None => return Err(Error { offset: at, fault: Fault::End }),
            }
        }
        if at - start > 1 && self.input[start] == b'0' {
            self.deviates(start, Fault::LeadingZero)?;
        }
        Ok((at - start, length))
    }

    fn int(&mut self) -> Result<i64, Error> {
        let start = self.at;
        let mut at = start + 1;
        let negative = self.input.get(at) == Some(&b'-');
        at += usize::from(negative);
        let first = at;
        let mut value = 0i64;
        loop {
            match self.input.get(at) {
                Some(digit @ b'0'..=b'9') => {
                    let digit = i64::from(digit - b'0');
                    // Counted downwards, because there is one more negative number than there are positive ones.
                    let next = value.checked_mul(10).and_then(|tens| tens.checked_sub(digit));
                    value = next.ok_or(self.fault(Fault::Range))?;
                    at += 1;
                }
                Some(b'e') if at > first => break,
                Some(_) => return Err(Error { offset: at, fault: Fault::Unexpected }),
                None => return Err(Error { offset: at, fault: Fault::End }),
            }
        }
        if !negative {
            value = value.checked_neg().ok_or(self.fault(Fault::Range))?;
        }
        if self.input[first] == b'0' && at - first > 1 {
            self.deviates(start, Fault::LeadingZero)?;
        } else if negative && value == 0 {
            self.deviates(start, Fault::NegativeZero)?;
        }
        self.at = at + 1;
        Ok(value)
    }

    /// Steps into a container; its opening byte has been seen.
    fn enter(&mut self) -> Result<(), Error> {
        self.left = self.left.checked_sub(1).ok_or(self.fault(Fault::TooDeep { limit: self.depth }))?;
        self.at += 1;
        Ok(())
    }

    /// Steps over the end of a container when it is here.
    #[inline]
    fn leave(&mut self) -> Result<bool, Error> {
        let end = self.peek()? == b'e';
        if end {
            self.at += 1;
            self.left += 1;
        }
        Ok(end)
    }

    fn items<E: From<Error>>(
        &mut self,
        mut each: impl FnMut(Value<'_, 'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.enter()?;
        while !self.leave()? {
            let before = self.at;
            each(Value { reader: self })?;
            if self.at == before {
                self.skip()?;
            }
        }
        Ok(())
    }

    fn entries<E: From<Error>>(
        &mut self,
        mut each: impl FnMut(&'a [u8], Value<'_, 'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.enter()?;
        let mut last: Option<&[u8]> = None;
        while !self.leave()? {
            let key_at = self.at;
            if !self.input[key_at].is_ascii_digit() {
                return Err(self.fault(Fault::Key).into());
            }
            let key = self.string()?;
            if let Some(last) = last
                && key.first() <= last.first()
                && key <= last
            {
                let fault = if key == last { Fault::Duplicate } else { Fault::Unsorted };
                self.deviates(key_at, fault)?;
            }
            last = Some(key);
            let before = self.at;
            each(key, Value { reader: self })?;
            if self.at == before {
                self.skip()?;
            }
        }
        Ok(())
    }

    fn skip(&mut self) -> Result<(), Error> {
        match self.kind()? {
            Kind::Bytes => self.string().map(drop),
            Kind::Int => self.int().map(drop),
            Kind::List => self.items(|value| value.skip()),
            Kind::Dict => self.entries(|_, value| value.skip()),
        }
    }
}

impl<'a> Value<'_, 'a> {
    /// What sort of value begins here.
    ///
    /// # Errors
    /// When none does.
    pub fn kind(&self) -> Result<Kind, Error> {
        self.reader.kind()
    }

    /// A byte string.
    ///
    /// # Errors
    /// When it is something else, incomplete, or its length is malformed.
    #[inline]
    pub fn bytes(self) -> Result<&'a [u8], Error> {
        match self.reader.input.get(self.reader.at) {
            Some(b'0'..=b'9') => self.reader.string(),
            _ => Err(self.reader.expect(Kind::Bytes).err().unwrap_or(self.reader.fault(Fault::End))),
        }
    }

    /// A byte string, if it is one. For messages of many fields: inlined and without an error, it costs no memory access.
    #[inline(always)]
    pub(crate) fn bytes_if(self) -> Option<&'a [u8]> {
        self.reader.string().ok()
    }

    /// A byte string of exactly `N` bytes; `None` when it has another length.
    ///
    /// # Errors
    /// As [`Value::bytes`].
    #[inline]
    pub fn array<const N: usize>(self) -> Result<Option<&'a [u8; N]>, Error> {
        Ok(self.bytes()?.try_into().ok())
    }

    /// An integer.
    ///
    /// # Errors
    /// When it is something else, incomplete, or beyond 64 bits.
    pub fn int(self) -> Result<i64, Error> {
        self.reader.expect(Kind::Int)?;
        self.reader.int()
    }

    /// Walks a list. An element that `each` does not read is skipped.
    ///
    /// # Errors
    /// When it is something else or malformed, or what `each` says. The reader then stands before the list again.
    pub fn list<E: From<Error>>(self, each: impl FnMut(Value<'_, 'a>) -> Result<(), E>) -> Result<(), E> {
        self.reader.expect(Kind::List)?;
        let (at, left) = (self.reader.at, self.reader.left);
        let result = self.reader.items(each);
        if result.is_err() {
            (self.reader.at, self.reader.left) = (at, left);
        }
        result
    }

    /// Walks a dictionary in the order of the input. A value that `each` does not read is skipped.
    ///
    /// # Errors
    /// When it is something else or malformed, or what `each` says. The reader then stands before the dictionary again.
    #[inline]
    pub fn dict<E: From<Error>>(
        self,
        each: impl FnMut(&'a [u8], Value<'_, 'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.reader.expect(Kind::Dict)?;
        let (at, left) = (self.reader.at, self.reader.left);
        let result = self.reader.entries(each);
        if result.is_err() {
            (self.reader.at, self.reader.left) = (at, left);
        }
        result
    }

    /// Checks the value and leaves it behind.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn skip(self) -> Result<(), Error> {
        self.reader.skip()
    }

    /// The bytes of the whole value, checked.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn raw(self) -> Result<&'a [u8], Error> {
        let start = self.reader.at;
        self.reader.skip()?;
        Ok(&self.reader.input[start..self.reader.at])
    }

    /// The bytes of the whole value, which is in canonical form whatever surrounds it.
    ///
    /// # Errors
    /// When it is malformed or not canonical.
    pub fn canonical(self) -> Result<Canonical<'a>, Error> {
        let strict = std::mem::replace(&mut self.reader.strict, true);
        let (start, left) = (self.reader.at, self.reader.left);
        let result = self.reader.skip();
        self.reader.strict = strict;
        if let Err(error) = result {
            (self.reader.at, self.reader.left) = (start, left);
            return Err(error);
        }
        Ok(Canonical(&self.reader.input[start..self.reader.at]))
    }
}
