//! Who a peer is: the multihash of its public key, kept inline.
//!
//! The network knows exactly two shapes: an identity multihash that carries the key itself (Ed25519, secp256k1; at most 42
//! bytes) and a SHA-256 multihash of the key (RSA, ECDSA). Both fit in 44 bytes, so an id is copied, never allocated.

use std::{
    borrow::Borrow,
    fmt::{self, Debug, Display},
    hash::{Hash, Hasher},
    str::FromStr,
};

use cid::Cid;
use libp2p_identity::PublicKey;
use thiserror::Error;

/// Multihash code of the identity "hash".
pub(crate) const IDENTITY: u8 = 0x00;
/// Multihash code of SHA-256.
pub(crate) const SHA2_256: u8 = 0x12;
/// Multicodec of a libp2p public key, the codec of a peer id written as a CID.
const LIBP2P_KEY: u64 = 0x72;
/// The longest public key that is carried inline.
const MAX_INLINE_KEY: usize = 42;

/// A peer id: a multihash of at most [`PeerId::MAX_LEN`] bytes, ordered and compared by its bytes.
#[derive(Clone, Copy, Eq, PartialOrd, Ord)]
pub struct PeerId {
    // Zero-padded and compared before the length, so that the derived order is the order of the byte strings.
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

/// These bytes or this text name no peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a peer id: {0}")]
pub struct InvalidPeerId(&'static str);

impl PeerId {
    /// Bytes of the longest peer id.
    pub const MAX_LEN: usize = 2 + MAX_INLINE_KEY;

    /// The id of a public key.
    pub fn from_public_key(key: &PublicKey) -> Self {
        Self::try_from(key.to_peer_id()).expect("an id made from a key is inline or a whole SHA-256")
    }

    /// The public key, where the id carries it.
    pub fn public_key(&self) -> Option<PublicKey> {
        match self.bytes[0] {
            IDENTITY => PublicKey::try_decode_protobuf(&self.as_ref()[2..]).ok(),
            _ => None,
        }
    }

    /// The bytes with the zeros behind them.
    pub(crate) fn padded(&self) -> &[u8; Self::MAX_LEN] {
        &self.bytes
    }

    /// The id as a CIDv1 in base 36 (`k51…`, `k2k4…`), the text that IPNS names use.
    pub fn to_cid_text(&self) -> String {
        let hash =
            multihash::Multihash::<64>::from_bytes(self.as_ref()).expect("checked when the id was made");
        Cid::new_v1(LIBP2P_KEY, hash)
            .to_string_of_base(cid::multibase::Base::Base36Lower)
            .expect("a CIDv1 has a text in every base")
    }
}

impl AsRef<[u8]> for PeerId {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl Borrow<[u8]> for PeerId {
    fn borrow(&self) -> &[u8] {
        self.as_ref()
    }
}

impl PartialEq for PeerId {
    /// All ids of one kind begin alike, so the end of the shortest usual one is looked at first: buckets and lookups
    /// compare ids that differ most of the time.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        const LATE: usize = 26;
        self.bytes[LATE..LATE + 8] == other.bytes[LATE..LATE + 8]
            && self.bytes == other.bytes
            && self.len == other.len
    }
}

impl Hash for PeerId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl TryFrom<&[u8]> for PeerId {
    type Error = InvalidPeerId;

    fn try_from(multihash: &[u8]) -> Result<Self, InvalidPeerId> {
        let [code, size, digest @ ..] = multihash else { return Err(InvalidPeerId("too short")) };
        if usize::from(*size) != digest.len() {
            return Err(InvalidPeerId("the length does not fit"));
        }
        match (*code, digest.len()) {
            (IDENTITY, 1..=MAX_INLINE_KEY) | (SHA2_256, 32) => {
                let mut bytes = [0; Self::MAX_LEN];
                bytes[..multihash.len()].copy_from_slice(multihash);
                Ok(Self { bytes, len: size + 2 })
            }
            (IDENTITY | SHA2_256, _) => Err(InvalidPeerId("the length is not one that keys have")),
            _ => Err(InvalidPeerId("neither an inline key nor a SHA-256")),
        }
    }
}

impl TryFrom<libp2p_identity::PeerId> for PeerId {
    type Error = InvalidPeerId;

    fn try_from(peer: libp2p_identity::PeerId) -> Result<Self, InvalidPeerId> {
        Self::try_from(peer.to_bytes().as_slice())
    }
}

impl From<PeerId> for libp2p_identity::PeerId {
    fn from(peer: PeerId) -> Self {
        Self::from_bytes(peer.as_ref()).expect("every id of ours is one of libp2p's")
    }
}

impl From<&PublicKey> for PeerId {
    fn from(key: &PublicKey) -> Self {
        Self::from_public_key(key)
    }
}

impl Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&bs58::encode(self.as_ref()).into_string())
    }
}

impl Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl FromStr for PeerId {
    type Err = InvalidPeerId;

    /// Reads both texts of the peer-ids specification: base 58 of the multihash (`12D3…`, `Qm…`), and a CIDv1 with the
    /// codec `libp2p-key` in any base (`k51…`, `bafz…`).
    fn from_str(text: &str) -> Result<Self, InvalidPeerId> {
        // A CID of the longest id has 48 bytes; in base 2 that would be 385 characters, nobody writes it.
        if text.len() > 128 {
            return Err(InvalidPeerId("too long"));
        }
        if text.starts_with('1') || text.starts_with("Qm") {
            let mut bytes = [0; Self::MAX_LEN];
            let len = bs58::decode(text).onto(&mut bytes).map_err(|_| InvalidPeerId("not base 58"))?;
            return Self::try_from(&bytes[..len]);
        }
        let (_, bytes) = cid::multibase::decode(text).map_err(|_| InvalidPeerId("no known base"))?;
        let cid = Cid::try_from(bytes).map_err(|_| InvalidPeerId("not a CID"))?;
        if cid.codec() != LIBP2P_KEY {
            return Err(InvalidPeerId("the CID does not name a key"));
        }
        Self::try_from(cid.hash().to_bytes().as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_ids_are_read_and_written_in_both_texts() {
        let secp256k1 =
            PeerId::from_public_key(&libp2p_identity::Keypair::generate_secp256k1().public()).to_string();
        assert!(secp256k1.starts_with("16Uiu2"));
        for text in [
            "12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8",
            "QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN",
            &secp256k1,
        ] {
            let peer: PeerId = text.parse().unwrap();
            assert_eq!(peer.to_string(), text);
            assert_eq!(peer.to_cid_text().parse::<PeerId>().unwrap(), peer);
            assert_eq!(libp2p_identity::PeerId::from(peer).to_string(), text);
        }
        let name = "k51qzi5uqu5dilgf7gorsh9vcqqq4myo6jd4zmqkuy9pxyxi5fua3uf7axph4y";
        assert_eq!(name.parse::<PeerId>().unwrap().to_cid_text(), name);
    }

    #[test]
    fn what_names_no_peer_is_refused() {
        for text in
            ["", "1", "Qm", "k51", "QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN2", "bafkqaaa", "l0l"]
        {
            assert!(text.parse::<PeerId>().is_err(), "{text}");
        }
        assert!("1".repeat(200).parse::<PeerId>().is_err());
        assert!(PeerId::try_from(&[0u8, 0][..]).is_err());
        assert!(PeerId::try_from(&[SHA2_256, 31][..]).is_err());
    }

    #[test]
    fn an_inline_id_gives_its_key_back() {
        let key = libp2p_identity::Keypair::generate_ed25519().public();
        assert_eq!(PeerId::from_public_key(&key).public_key(), Some(key));
        let key = libp2p_identity::Keypair::generate_ecdsa().public();
        assert_eq!(PeerId::from_public_key(&key).public_key(), None);
    }

    fn id() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 1..=42)
                .prop_map(|d| [&[IDENTITY, d.len() as u8][..], &d].concat()),
            any::<[u8; 32]>().prop_map(|d| [&[SHA2_256, 32][..], &d].concat()),
        ]
    }

    proptest! {
        #[test]
        fn ids_order_as_their_bytes_do(a in id(), b in id()) {
            let (x, y) = (PeerId::try_from(&a[..]).unwrap(), PeerId::try_from(&b[..]).unwrap());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.as_ref(), &a[..]);
            prop_assert_eq!(x.to_string().parse::<PeerId>(), Ok(x));
            prop_assert_eq!(x.to_cid_text().parse::<PeerId>(), Ok(x));
        }

        #[test]
        fn what_we_accept_libp2p_accepts(bytes in prop::collection::vec(any::<u8>(), 0..70)) {
            if let Ok(peer) = PeerId::try_from(&bytes[..]) {
                prop_assert_eq!(libp2p_identity::PeerId::from_bytes(&bytes).unwrap(), peer.into());
            }
        }
    }
}
