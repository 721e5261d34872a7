//! Whole nodes of the Mainline network, in memory and on loopback: what a user of [`Dht<Mainline>`] calls, and what it must
//! do.

#![cfg(feature = "mainline")]

mod network;

mod items;
mod loopback;
mod metadata;
mod reflection;
mod swarms;

/// Every call can be made in a task of its own.
#[allow(dead_code, reason = "it is compiled, which is all there is to see")]
fn calls_may_move_between_threads(
    dht: &dht::Dht<dht::mainline::Mainline>,
    key: &ed25519_dalek::SigningKey,
    torrent: &dht::mainline::Torrent,
    magnet: &dht::mainline::Magnet,
) {
    fn sent<T: Send>(_: T) {}
    let (hash, tree) = (network::info_hash(1), "x".into());
    sent(dht.get_peers(hash));
    sent(dht.announce(hash, Default::default()));
    sent(dht.withdraw(hash));
    sent(dht.scrape(hash));
    sent(dht.put_immutable(&tree));
    sent(dht.put_mutable(key, b"", 1, None, &tree));
    sent(dht.get_immutable(hash.key()));
    sent(dht.get_mutable(&[0; 32], b""));
    sent(dht.search_mutable(&[0; 32], b""));
    sent(dht.sample_infohashes(network::addr(1), hash.key()));
    sent(dht.serve_metadata(torrent));
    sent(dht.fetch_metadata(magnet));
    sent(dht.bootstrap_all());
    sent(dht.saved_state());
    sent(dht.close_all());
}
