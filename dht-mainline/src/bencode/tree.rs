//! The owned form of a value, with conversions from and to native types: for what people store and look at, not for the
//! path that every datagram takes.

use std::collections::BTreeMap;

use super::{Error, Kind, Limits, Reader, Value, Writer};

/// An owned value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    /// An integer.
    Int(i64),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Tree>),
    /// A dictionary.
    Dict(BTreeMap<Vec<u8>, Tree>),
}

impl Tree {
    /// Reads exactly one value; of a key that stands twice the later value is kept.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn decode(bytes: &[u8], limits: Limits) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, limits)?;
        let tree = Self::read(reader.value())?;
        reader.finish()?;
        Ok(tree)
    }

    fn read(value: Value<'_, '_>) -> Result<Self, Error> {
        Ok(match value.kind()? {
            Kind::Int => Self::Int(value.int()?),
            Kind::Bytes => Self::Bytes(value.bytes()?.to_vec()),
            Kind::List => {
                let mut list = Vec::new();
                value.list(|element| {
                    list.push(Self::read(element)?);
                    Ok::<_, Error>(())
                })?;
                Self::List(list)
            }
            Kind::Dict => {
                let mut dict = BTreeMap::new();
                value.dict(|key, value| {
                    dict.insert(key.to_vec(), Self::read(value)?);
                    Ok::<_, Error>(())
                })?;
                Self::Dict(dict)
            }
        })
    }

    /// The canonical form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(Writer::new(&mut out));
        out
    }

    /// Writes the value where `to` points.
    pub fn write(&self, to: Writer<'_>) {
        match self {
            Self::Int(value) => to.int(*value),
            Self::Bytes(bytes) => to.bytes(bytes),
            Self::List(list) => to.list(|out| list.iter().for_each(|tree| tree.write(out.element()))),
            Self::Dict(dict) => to.dict(|out| {
                for (key, tree) in dict {
                    out.entry(key, |value| tree.write(value));
                }
            }),
        }
    }

    /// The integer, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        if let Self::Int(value) = self { Some(*value) } else { None }
    }

    /// The bytes, if it is a byte string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// The text, if it is a byte string in UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// What stands under `key`, if it is a dictionary.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<&Self> {
        if let Self::Dict(dict) = self { dict.get(key.as_ref()) } else { None }
    }
}

impl From<i64> for Tree {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Tree {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<&[u8]> for Tree {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Tree {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl FromIterator<Tree> for Tree {
    fn from_iter<I: IntoIterator<Item = Tree>>(elements: I) -> Self {
        Self::List(elements.into_iter().collect())
    }
}

impl<K: Into<Vec<u8>>> FromIterator<(K, Tree)> for Tree {
    fn from_iter<I: IntoIterator<Item = (K, Tree)>>(entries: I) -> Self {
        Self::Dict(entries.into_iter().map(|(key, tree)| (key.into(), tree)).collect())
    }
}
