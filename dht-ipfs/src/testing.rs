//! What the tests of several files share.

use libp2p_identity::Keypair;

/// An RSA key made for these tests.
pub(crate) fn rsa_keypair() -> Keypair {
    let mut pkcs8 = include_bytes!("testdata/rsa-2048.pk8").to_vec();
    Keypair::rsa_from_pkcs8(&mut pkcs8).expect("a PKCS#8 key")
}

/// One key of every type.
pub(crate) fn every_keypair() -> [Keypair; 4] {
    [Keypair::generate_ed25519(), Keypair::generate_secp256k1(), Keypair::generate_ecdsa(), rsa_keypair()]
}
