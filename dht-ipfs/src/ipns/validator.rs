//! The rules of the namespace `ipns`.

use dht_core::Now;
use dht_records::Invalid;

use super::{IpnsRecord, Name};
use crate::{NamespaceValidator, namespaces::first_max_by};

/// Accepts a record under `/ipns/<name>` that the name's key signed and that is not past its end of life; the best one has
/// the highest sequence, then the latest end of life, then the greatest bytes.
#[derive(Clone, Copy, Debug)]
pub struct IpnsValidator;

impl NamespaceValidator for IpnsValidator {
    fn check(&self, key: &[u8], value: &[u8], now: Now) -> Result<(), Invalid> {
        let name = Name::from_routing_key(key).ok_or(Invalid::InvalidKey)?;
        let record = IpnsRecord::parse(value)?;
        record.check_age(now.wall)?; // before the signature, which costs a thousand times as much
        record.verify(&name)
    }

    fn best(&self, _: &[u8], values: &[&[u8]]) -> Option<usize> {
        first_max_by(values.iter().map(|value| IpnsRecord::parse(value).ok()), |a, b| {
            (a.sequence(), a.end_of_life(), a.as_bytes()).cmp(&(b.sequence(), b.end_of_life(), b.as_bytes()))
        })
    }
}
