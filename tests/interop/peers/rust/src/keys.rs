//! The key behind the `/pk/` record of this peer.

use libp2p::{PeerId, identity::Keypair};
use serde_json::{Value, json};

use crate::lines;

/// The name of an Ed25519 peer contains its key, so only a longer key gives a `/pk/` record that somebody needs to
/// look up. The library can not generate RSA keys; ECDSA keys are long enough.
pub struct ExtraKey(Keypair);

impl ExtraKey {
    pub fn generate() -> Self {
        Self(Keypair::generate_ecdsa())
    }

    pub fn record(&self) -> Value {
        let public = self.0.public();
        let peer = PeerId::from(&public);
        let key = [b"/pk/".as_slice(), &peer.to_bytes()].concat();
        json!({
            "key": lines::base64(&key),
            "value": lines::base64(&public.encode_protobuf()),
            "peer": peer.to_string(),
        })
    }
}
