//! The namespace `pk`: a public key under the id that it derives, for ids that do not carry their key.

use dht_core::Now;
use dht_records::Invalid;
use libp2p_identity::{KeyType, PublicKey};

use crate::{NamespaceValidator, PeerId};

/// Bytes of the largest key: RSA with 8192 bits takes 1,071, whatever is larger is not parsed.
const MAX_KEY: usize = 1_200;
/// RSA keys outside this range are refused: smaller ones are broken, larger ones cost the verifier.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Accepts a public key under `/pk/<its peer id>`: Ed25519, secp256k1, ECDSA (P-256), RSA of 2048 to 8192 bits.
#[derive(Clone, Copy, Debug)]
pub struct PkValidator;

impl NamespaceValidator for PkValidator {
    fn check(&self, key: &[u8], value: &[u8], _: Now) -> Result<(), Invalid> {
        let id = key.strip_prefix(b"/pk/").ok_or(Invalid::InvalidKey)?;
        let peer = PeerId::try_from(id).map_err(|_| Invalid::InvalidKey)?;
        let public_key = read_key(value)?;
        if PeerId::from_public_key(&public_key) != peer {
            return Err(Invalid::KeyMismatch);
        }
        // Readers of DER differ in what they overlook; there is one value per key, so that there is nothing to choose.
        if public_key.encode_protobuf() != value {
            return Err(Invalid::Malformed("the public key is not in its canonical form"));
        }
        Ok(())
    }

    fn best(&self, _: &[u8], values: &[&[u8]]) -> Option<usize> {
        // An id has one key, so valid values do not differ.
        (!values.is_empty()).then_some(0)
    }
}

/// Reads a public key in libp2p's protobuf, if its size is one that we verify with.
pub(crate) fn read_key(bytes: &[u8]) -> Result<PublicKey, Invalid> {
    if bytes.len() > MAX_KEY {
        return Err(Invalid::TooLarge { limit: MAX_KEY });
    }
    let key = PublicKey::try_decode_protobuf(bytes).map_err(|_| Invalid::Malformed("not a public key"))?;
    if key.key_type() == KeyType::RSA {
        let bits = key.clone().try_into_rsa().ok().and_then(|rsa| modulus_bits(&rsa.encode_pkcs1()));
        if !bits.is_some_and(|bits| RSA_BITS.contains(&bits)) {
            return Err(Invalid::Malformed("an RSA key that has not between 2048 and 8192 bits"));
        }
    }
    Ok(key)
}

/// Bits of the modulus of a PKCS#1 RSAPublicKey: SEQUENCE { INTEGER n, INTEGER e }.
fn modulus_bits(der: &[u8]) -> Option<usize> {
    let sequence = der_value(0x30, der)?;
    let modulus = der_value(0x02, sequence)?;
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let (first, rest) = modulus[zeros..].split_first()?;
    Some(8 * rest.len() + (8 - first.leading_zeros() as usize))
}

/// The contents of the DER value with this tag that `bytes` begin with.
fn der_value(tag: u8, bytes: &[u8]) -> Option<&[u8]> {
    let (found, rest) = bytes.split_first()?;
    let (len, rest) = match rest.split_first()? {
        (len @ 0..=0x7f, rest) => (usize::from(*len), rest),
        (0x81, [len, rest @ ..]) => (usize::from(*len), rest),
        (0x82, [high, low, rest @ ..]) => (usize::from(*high) << 8 | usize::from(*low), rest),
        _ => return None,
    };
    (*found == tag).then(|| rest.get(..len)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{every_keypair, rsa_keypair};

    fn key_of(peer: PeerId) -> Vec<u8> {
        [b"/pk/", peer.as_ref()].concat()
    }

    #[test]
    fn every_key_type_is_valid_under_its_own_id_only() {
        let pairs = every_keypair();
        for (i, pair) in pairs.iter().enumerate() {
            let value = pair.public().encode_protobuf();
            for (j, other) in pairs.iter().enumerate() {
                let key = key_of(PeerId::from_public_key(&other.public()));
                let want = if i == j { Ok(()) } else { Err(Invalid::KeyMismatch) };
                assert_eq!(PkValidator.check(&key, &value, Now::default()), want, "{i} {j}");
            }
        }
    }

    #[test]
    fn broken_keys_and_values_are_refused() {
        let pair = rsa_keypair();
        let value = pair.public().encode_protobuf();
        let key = key_of(PeerId::from_public_key(&pair.public()));
        let check = |key: &[u8], value: &[u8]| PkValidator.check(key, value, Now::default());
        assert_eq!(check(b"/pk/", &value), Err(Invalid::InvalidKey));
        assert_eq!(check(b"/pk/QmText", &value), Err(Invalid::InvalidKey));
        assert_eq!(check(&key, b""), Err(Invalid::Malformed("not a public key")));
        assert_eq!(check(&key, &[0; 1201]), Err(Invalid::TooLarge { limit: 1200 }));
        for i in 0..value.len() {
            assert!(check(&key, &value[..i]).is_err());
            let mut flipped = value.clone();
            flipped[i] ^= 1;
            assert!(check(&key, &flipped).is_err(), "byte {i}");
        }
    }

    /// An RSA key of that many bits, the modulus all ones.
    fn rsa_of(bits: usize) -> Vec<u8> {
        fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
            let len = contents.len();
            let head =
                if len < 0x80 { vec![tag, len as u8] } else { vec![tag, 0x82, (len >> 8) as u8, len as u8] };
            [head, contents.to_vec()].concat()
        }
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] >>= (8 - bits % 8) % 8;
        if modulus[0] & 0x80 != 0 {
            modulus.insert(0, 0);
        }
        let key = der(0x30, &[der(2, &modulus), der(2, &[1, 0, 1])].concat());
        let algorithm =
            der(0x30, &[der(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1]), der(5, &[])].concat());
        let spki = der(0x30, &[algorithm, der(3, &[vec![0], key].concat())].concat());
        [&[8, 0, 18, (spki.len() & 0x7f) as u8 | 0x80, (spki.len() >> 7) as u8], &spki[..]].concat()
    }

    #[test]
    fn rsa_keys_have_2048_to_8192_bits() {
        for (bits, fine) in [
            (1024, false),
            (2047, false),
            (2048, true),
            (3072, true),
            (8192, true),
            (8193, false),
            (65_536, false),
        ] {
            assert_eq!(read_key(&rsa_of(bits)).is_ok(), fine, "{bits}");
        }
    }
}
