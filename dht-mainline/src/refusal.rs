//! What the wire says where the engine says no.

use dht_core::Request;
use dht_protocol::Refusal;

use crate::{
    ItemError, Mainline, Query, Record,
    krpc::{Reject, code},
};

/// The refusal that the asker gets; `None` where he gets silence: from who does not serve, or at an address that cannot be
/// his.
///
/// The engine tells only that an item is invalid or worse. Which of the numbers of BEP 44 that means is found from the
/// request again, without verifying a signature twice.
pub fn reject(refusal: Refusal, request: &Request<Mainline>) -> Option<Reject<'static>> {
    let (code, message): (u32, &[u8]) = match refusal {
        Refusal::NotServing | Refusal::NotAdmitted => return None,
        Refusal::BadTicket => (code::PROTOCOL, b"invalid token"),
        Refusal::Invalid => (invalid(request), b"invalid item"),
        Refusal::Worse => (worse(request), b"another item is stored"),
        Refusal::Unavailable => (code::SERVER, b"cannot store now"),
        _ => (code::GENERIC, b"refused"),
    };
    Some(Reject { code, message })
}

fn invalid(request: &Request<Mainline>) -> u32 {
    match request {
        Request::Put { query: Query::Item(key), item: Record::Item(item, _), .. } => {
            item.check_form(key.target()).err().unwrap_or(ItemError::Signature).code()
        }
        _ => code::PROTOCOL,
    }
}

/// An item above the number that it expects can only have met another number.
fn worse(request: &Request<Mainline>) -> u32 {
    match request {
        Request::Put { item: Record::Item(item, Some(cas)), .. } if item.seq() > Some(*cas) => code::CAS,
        _ => code::OLD_SEQ,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::{InfoHash, Item, ItemKey, Peer};

    fn put(item: Item, cas: Option<i64>) -> Request<Mainline> {
        let key = ItemKey::new(item.target());
        Request::Put { query: Query::Item(key), item: Record::Item(item, cas), ticket: None }
    }

    fn item(seq: i64) -> Item {
        Item::mutable(&SigningKey::from_bytes(&[7; 32]), b"", seq, &"a".into()).unwrap()
    }

    fn number(refusal: Refusal, request: &Request<Mainline>) -> Option<u32> {
        reject(refusal, request).map(|reject| reject.code)
    }

    #[test]
    fn every_refusal_has_its_number_or_is_silent() {
        let good = put(item(3), None);
        for (refusal, want) in [
            (Refusal::NotServing, None),
            (Refusal::NotAdmitted, None),
            (Refusal::BadTicket, Some(203)),
            (Refusal::Worse, Some(302)),
            (Refusal::Unavailable, Some(202)),
        ] {
            assert_eq!(number(refusal, &good), want);
        }
        for (seq, cas, want) in [(3, 2, 301), (3, 3, 302), (3, 4, 302)] {
            assert_eq!(number(Refusal::Worse, &put(item(seq), Some(cas))), Some(want));
        }
    }

    #[test]
    fn the_reason_of_an_invalid_item_is_found_again() {
        let altered = |change: fn(&mut Item)| {
            let mut item = item(3);
            change(&mut item);
            number(Refusal::Invalid, &put(item, None))
        };
        assert_eq!(altered(|item| item.value = Bytes::from(vec![b'1'; 1001])), Some(205));
        assert_eq!(altered(|item| item.value = Bytes::from_static(b"i01e")), Some(203));
        assert_eq!(altered(|item| item.value = Bytes::from_static(b"i1e")), Some(206));
        let salted = |signed: &mut crate::item::Signed| signed.salt = Bytes::from(vec![0; 65]);
        let mut long = item(3);
        long.signed.as_mut().map(salted).unwrap();
        assert_eq!(number(Refusal::Invalid, &put(long, None)), Some(207));
        let addr = "9.8.7.6:0".parse().unwrap();
        let peer = Record::Peer(Peer { addr, seed: false, implied_port: false });
        let announce = Request::Put { query: Query::Peers(InfoHash([1; 20])), item: peer, ticket: None };
        assert_eq!(number(Refusal::Invalid, &announce), Some(203));
    }
}
