//! What the wire says where the engine says no.

use dht_protocol::Refusal;
use dht_records::{Conflict, Invalid};

use crate::{
    item::{MAX_SALT, MAX_VALUE},
    krpc::{Reject, code},
};

/// The refusal that the asker gets, by the numbers of BEP 5 and BEP 44; `None` where he gets silence: from who does not
/// serve, or at an address that cannot be his.
pub fn reject(refusal: Refusal) -> Option<Reject<'static>> {
    let (code, message): (u32, &[u8]) = match refusal {
        Refusal::NotServing | Refusal::NotAdmitted => return None,
        Refusal::BadTicket => (code::PROTOCOL, b"invalid token"),
        Refusal::Invalid(invalid) => self::invalid(invalid),
        Refusal::Worse(Conflict::Unexpected) => (code::CAS, b"another sequence number is stored"),
        Refusal::Worse(_) => (code::OLD_SEQ, b"what is stored is as new or newer"),
        Refusal::Unavailable => (code::SERVER, b"cannot store now"),
        _ => (code::GENERIC, b"refused"),
    };
    Some(Reject { code, message })
}

fn invalid(invalid: Invalid) -> (u32, &'static [u8]) {
    match invalid {
        Invalid::TooLarge { limit: MAX_SALT } => (code::SALT_TOO_BIG, b"salt too big"),
        Invalid::TooLarge { limit: MAX_VALUE } => (code::TOO_BIG, b"value too big"),
        // Of the store's own limits, which are not those of the network.
        Invalid::TooLarge { .. } => (code::SERVER, b"too big for this node"),
        Invalid::Signature => (code::SIGNATURE, b"invalid signature"),
        Invalid::Malformed(why) => (code::PROTOCOL, why.as_bytes()),
        _ => (code::PROTOCOL, b"invalid item"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_number_or_is_silent() {
        for (refusal, want) in [
            (Refusal::NotServing, None),
            (Refusal::NotAdmitted, None),
            (Refusal::BadTicket, Some(203)),
            (Refusal::Worse(Conflict::Unexpected), Some(301)),
            (Refusal::Worse(Conflict::Older), Some(302)),
            (Refusal::Unavailable, Some(202)),
            (Refusal::Invalid(Invalid::TooLarge { limit: MAX_VALUE }), Some(205)),
            (Refusal::Invalid(Invalid::TooLarge { limit: MAX_SALT }), Some(207)),
            (Refusal::Invalid(Invalid::TooLarge { limit: 500 }), Some(202)),
            (Refusal::Invalid(Invalid::Signature), Some(206)),
            (Refusal::Invalid(Invalid::Malformed("x")), Some(203)),
            (Refusal::Invalid(Invalid::KeyMismatch), Some(203)),
            (Refusal::Invalid(Invalid::Expired), Some(203)),
        ] {
            assert_eq!(reject(refusal).map(|reject| reject.code), want, "{refusal:?}");
        }
    }
}
