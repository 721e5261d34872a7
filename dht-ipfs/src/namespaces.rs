//! The validator of the IPFS dialect: routes a value to the rules of its key's namespace, and checks provider records.
//!
//! The public network knows exactly `pk` and `ipns`; a private one registers what it likes. A key without a validator is
//! refused, never stored on trust.

use std::{
    collections::BTreeMap,
    fmt::{self, Debug},
    sync::Arc,
};

use dht_core::Now;
use dht_records::{Invalid, Validator};

use crate::{Ipfs, Item, MAX_PROVIDER_KEY, Query, ipns::IpnsValidator, pk::PkValidator};

/// The rules of one namespace. Keys are given whole, `/ns/` included.
pub trait NamespaceValidator: Send + Sync {
    /// Whether `value` may stand under `key` at `now`.
    ///
    /// # Errors
    /// Says why not.
    fn check(&self, key: &[u8], value: &[u8], now: Now) -> Result<(), Invalid>;

    /// The index of the best value; of equals the earlier. `None` when none is acceptable. What is given has mostly passed
    /// [`NamespaceValidator::check`], so signatures need not be verified again.
    fn best(&self, key: &[u8], values: &[&[u8]]) -> Option<usize>;
}

/// Validators by namespace, and the rule for provider records.
///
/// A provider record is valid under a key of 1 to 80 bytes. It may lack addresses: servers forget those earlier than the
/// provider, and whoever reads it asks for them. A server takes no record without an address; the codec sees to that.
#[derive(Clone)]
pub struct Namespaces {
    validators: BTreeMap<String, Arc<dyn NamespaceValidator>>,
    amino: bool,
}

/// A namespace is one or more characters without a slash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a namespace: it must be non-empty and without slashes")]
pub struct InvalidNamespace(pub String);

impl Namespaces {
    /// The two namespaces of the public network, `pk` and `ipns`.
    pub fn amino() -> Self {
        let mut validators: BTreeMap<String, Arc<dyn NamespaceValidator>> = BTreeMap::new();
        validators.insert("pk".into(), Arc::new(PkValidator));
        validators.insert("ipns".into(), Arc::new(IpnsValidator));
        Self { validators, amino: true }
    }

    /// No namespace at all, to begin a private network with.
    pub fn none() -> Self {
        Self { validators: BTreeMap::new(), amino: false }
    }

    /// Registers the rules of a namespace, in place of those it may have had. The set is then no longer the public
    /// network's.
    ///
    /// # Errors
    /// When the name is empty or contains a slash.
    pub fn with(
        self,
        namespace: &str,
        validator: impl NamespaceValidator + 'static,
    ) -> Result<Self, InvalidNamespace> {
        self.with_boxed(namespace, Box::new(validator))
    }

    /// The same for rules whose type is known at run time only.
    ///
    /// # Errors
    /// As [`Namespaces::with`].
    pub fn with_boxed(
        mut self,
        namespace: &str,
        validator: Box<dyn NamespaceValidator>,
    ) -> Result<Self, InvalidNamespace> {
        if namespace.is_empty() || namespace.contains('/') {
            return Err(InvalidNamespace(namespace.to_owned()));
        }
        self.validators.insert(namespace.to_owned(), validator.into());
        self.amino = false;
        Ok(self)
    }

    /// The registered namespaces, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.validators.keys().map(String::as_str)
    }

    /// Whether this is exactly the set of the public network.
    pub fn is_amino(&self) -> bool {
        self.amino
    }

    fn of(&self, key: &[u8]) -> Result<&dyn NamespaceValidator, Invalid> {
        let namespace = split_key(key).ok_or(Invalid::InvalidKey)?.0;
        let name = std::str::from_utf8(namespace).map_err(|_| Invalid::UnknownNamespace)?;
        self.validators.get(name).map(AsRef::as_ref).ok_or(Invalid::UnknownNamespace)
    }
}

impl Default for Namespaces {
    fn default() -> Self {
        Self::amino()
    }
}

impl Debug for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Namespace and rest of a key `/ns/rest`; `None` for a key of another shape.
pub(crate) fn split_key(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let path = key.strip_prefix(b"/")?;
    let slash = path.iter().position(|byte| *byte == b'/')?;
    (slash > 0).then(|| (&path[..slash], &path[slash + 1..]))
}

impl Validator<Ipfs> for Namespaces {
    fn check(&self, query: &Query, item: &Item, now: Now) -> Result<(), Invalid> {
        match (query, item) {
            (Query::Value(key), Item::Value(record)) if record.key == *key => {
                self.of(key)?.check(key, &record.value, now)
            }
            (Query::Value(_), Item::Value(_)) => Err(Invalid::KeyMismatch),
            (Query::Providers(key), Item::Provider(_)) if (1..=MAX_PROVIDER_KEY).contains(&key.len()) => {
                Ok(())
            }
            (Query::Providers(_), Item::Provider(_)) => Err(Invalid::InvalidKey),
            _ => Err(Invalid::Malformed("an item of another kind than the query")),
        }
    }

    fn best(&self, query: &Query, items: &[Item]) -> Option<usize> {
        match query {
            Query::Value(key) => {
                // Indices of the values, should anything else stand between them.
                let (at, values): (Vec<usize>, Vec<&[u8]>) = items
                    .iter()
                    .enumerate()
                    .filter_map(|(i, item)| Some((i, &item.as_value()?.value[..])))
                    .unzip();
                self.of(key).ok()?.best(key, &values).and_then(|best| at.get(best).copied())
            }
            // One provider's records: the latest has today's addresses, if it has any.
            Query::Providers(_) => {
                let located = |item: &Item| item.as_provider().is_some_and(|record| !record.addrs.is_empty());
                let latest = items.iter().rposition(located);
                latest.or_else(|| items.iter().rposition(|item| item.as_provider().is_some()))
            }
        }
    }
}

/// Takes any value up to a size, for namespaces of private networks that need no rules.
///
/// Nothing in such a value tells its age, so of several the lexicographically greatest is best: every holder decides
/// alike, and a value that starts with a counter or a time stamp of fixed width is updated by a greater one.
#[derive(Clone, Copy, Debug)]
pub struct AnyValue {
    max_bytes: usize,
}

impl AnyValue {
    /// Values of up to `max_bytes`.
    pub fn up_to(max_bytes: usize) -> Self {
        Self { max_bytes }
    }
}

impl Default for AnyValue {
    /// Values of up to 64 KiB.
    fn default() -> Self {
        Self { max_bytes: 64 << 10 }
    }
}

impl NamespaceValidator for AnyValue {
    fn check(&self, _: &[u8], value: &[u8], _: Now) -> Result<(), Invalid> {
        if value.len() > self.max_bytes {
            return Err(Invalid::TooLarge { limit: self.max_bytes });
        }
        Ok(())
    }

    fn best(&self, _: &[u8], values: &[&[u8]]) -> Option<usize> {
        first_max_by(values.iter().map(Some), |a, b| a.cmp(b))
    }
}

/// The index of the greatest of those that are there, the first of equals.
pub(crate) fn first_max_by<T>(
    values: impl Iterator<Item = Option<T>>,
    order: impl Fn(&T, &T) -> std::cmp::Ordering,
) -> Option<usize> {
    let mut best: Option<(usize, T)> = None;
    for (i, value) in values.enumerate() {
        let Some(value) = value else { continue };
        if best.as_ref().is_none_or(|(_, known)| order(&value, known).is_gt()) {
            best = Some((i, value));
        }
    }
    best.map(|(i, _)| i)
}

#[cfg(test)]
#[path = "namespaces_tests.rs"]
mod tests;
