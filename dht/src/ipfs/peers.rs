//! Peers of this network: closest to a key, and their public keys.

use bytes::Bytes;
use dht_core::Contact;
use dht_ipfs::{Ipfs, PeerId, PublicKey, Query, Record};

use super::values::{into_value, not_empty};
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
    /// When the key is empty, the lookup could not run or nobody answered.
    pub async fn closest_peers(&self, key: impl Into<Bytes>) -> Result<Vec<Contact<Ipfs>>, QueryError> {
        let key = key.into();
        not_empty(&key)?;
        self.closest_to(key).await
    }

    /// A peer's public key: from its id, from the peer itself, or from the record `/pk/<id>` in the DHT, which must derive
    /// the id. `None`: nobody has it.
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
        // One deadline over all of it, of which the peer itself has half.
        let whole = self.call.timeout.unwrap_or(self.shared.query_timeout);
        let started = self.handle.now().mono;
        let record = match one.timeout(whole / 2).held_by(peer, &key).await? {
            Some(record) => Some(record),
            None => {
                let left = whole.saturating_sub(self.handle.now().mono.since(started));
                one.timeout(left).get_record(key.into()).await?
            }
        };
        // The validator has seen to it that the key derives the id.
        Ok(record.and_then(|record| PublicKey::try_decode_protobuf(&record.value).ok()))
    }

    /// What a peer that can be found holds about itself, or those it knows do; it may not serve, or not hold it.
    async fn held_by(&self, peer: PeerId, key: &[u8]) -> Result<Option<Record>, QueryError> {
        if self.call.local_only {
            return Ok(None);
        }
        let Ok((contact, rest)) = self.locate(peer).await else { return Ok(None) };
        let query = Query::Value(Bytes::copy_from_slice(key));
        let finished = self.handle.fetch_through(query, contact, rest.query_options()).await?;
        Ok(finished.items.into_iter().find_map(into_value))
    }
}
