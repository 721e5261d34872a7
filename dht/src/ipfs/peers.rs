//! Peers of this network: closest to a key, and their public keys.

use bytes::Bytes;
use dht_core::Contact;
use dht_ipfs::{Ipfs, PeerId};
use libp2p_identity::PublicKey;

use crate::{Dht, QueryError};

impl Dht<Ipfs> {
    /// The node's own key.
    pub fn keypair(&self) -> &libp2p_identity::Keypair {
        &self.shared.state.keypair
    }

    /// The addresses this node listens on, as bound.
    pub fn listen_addrs(&self) -> &[dht_ipfs::Multiaddr] {
        &self.shared.state.listening
    }

    /// The k peers closest to the SHA-256 of these key bytes, nearest first.
    ///
    /// # Errors
    /// When the lookup could not run or nobody answered.
    pub async fn closest_peers(&self, key: impl Into<Bytes>) -> Result<Vec<Contact<Ipfs>>, QueryError> {
        self.closest_to(key.into()).await
    }

    /// A peer's public key: from its id, or from the record `/pk/<id>` in the DHT, which must derive the id. `None`: nobody
    /// has it.
    ///
    /// # Errors
    /// When nobody could be asked.
    pub async fn public_key(&self, peer: PeerId) -> Result<Option<PublicKey>, QueryError> {
        if let Some(inline) = peer.public_key() {
            return Ok(Some(inline));
        }
        if peer == self.local().peer {
            return Ok(Some(self.keypair().public()));
        }
        let key = [b"/pk/", peer.as_ref()].concat();
        let one = self.with(crate::CallOptions { quorum: Some(1), ..self.call });
        let Some(record) = one.get_record(key.into()).await? else { return Ok(None) };
        // The validator has seen to it that the key derives the id.
        Ok(PublicKey::try_decode_protobuf(&record.value).ok())
    }
}
