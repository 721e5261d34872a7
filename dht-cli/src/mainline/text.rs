//! Reads what people type on this network: places, swarms, items. Every error says what would be right.

use std::net::SocketAddr;

use data_encoding::HEXLOWER_PERMISSIVE;
use dht::{
    core::Key,
    mainline::{InfoHash, Magnet, item::MAX_SALT},
};

/// Where to listen.
pub fn listen(text: &str) -> Result<SocketAddr, String> {
    let fault = |_| "not an address with a port; give one such as `0.0.0.0:6881` or `[::]:6881`".to_owned();
    text.parse().map_err(fault)
}

/// A host and its port, as text: names are resolved later.
pub fn host(text: &str) -> Result<String, String> {
    let named = text.rsplit_once(':').is_some_and(|(host, port)| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let fits = (1..=253).contains(&host.len()) && host.bytes().all(plain);
        fits && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    let addressed = text.parse::<SocketAddr>().is_ok_and(|addr| addr.port() != 0);
    if named || addressed {
        return Ok(text.to_owned());
    }
    Err("not a host with a port; give one such as `router.example:6881`, `192.0.2.1:6881` or \
         `[2001:db8::1]:6881`"
        .to_owned())
}

/// A swarm, by its hash or by a link to it.
pub fn swarm(text: &str) -> Result<Magnet, String> {
    if let Ok(info_hash) = text.parse::<InfoHash>() {
        return Ok(Magnet { v1: Some(info_hash), ..Magnet::default() });
    }
    text.parse().map_err(|why| format!("{why}; give 40 hexadecimal digits, or `magnet:?xt=urn:btih:…`"))
}

/// The swarm in words: its first hash.
pub fn name_of(swarm: &Magnet) -> String {
    swarm.info_hashes().next().map_or_else(String::new, |hash| hash.to_string())
}

/// Where an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Under this point of the key space.
    Target(Key<20>),
    /// Under what this public key and the salt come to.
    PublicKey([u8; 32]),
}

/// A hash or a public key.
pub fn place(text: &str) -> Result<Place, String> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).unwrap_or_default();
    if let Ok(target) = <[u8; 20]>::try_from(&bytes[..]) {
        return Ok(Place::Target(Key(target)));
    }
    let key = <[u8; 32]>::try_from(&bytes[..]).map(Place::PublicKey);
    key.map_err(|_| "neither a target of 40 hexadecimal digits nor a public key of 64".to_owned())
}

/// What tells items of one key apart.
pub fn salt(text: &str) -> Result<String, String> {
    if text.len() > MAX_SALT {
        return Err(format!("{} bytes; a salt has {MAX_SALT} at most", text.len()));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";

    #[test]
    fn what_is_wrong_is_told_what_would_be_right() {
        for (error, right) in [
            (listen("6881").unwrap_err(), "0.0.0.0:6881"),
            (host("router").unwrap_err(), "router.example:6881"),
            (host("router:0").unwrap_err(), "router.example:6881"),
            (host("2001:db8::1:6881").unwrap_err(), "[2001:db8::1]:6881"),
            (host("127.0.0.1:0").unwrap_err(), "192.0.2.1:6881"),
            (swarm("x").unwrap_err(), "40 hexadecimal digits"),
            (swarm("magnet:?xt=urn:btih:x").unwrap_err(), "`xt` is malformed"),
            (place(&HASH[1..]).unwrap_err(), "40 hexadecimal digits"),
            (salt(&"s".repeat(65)).unwrap_err(), "64 at most"),
        ] {
            assert!(error.contains(right) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        for text in ["router.bittorrent.com:6881", "127.0.0.1:1", "[::1]:65535", "my_host-2:80"] {
            assert_eq!(host(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn swarms_and_items_are_told_by_their_form() {
        let link = format!("magnet:?xt=urn:btih:{HASH}");
        assert_eq!(swarm(HASH).unwrap().v1, swarm(&link).unwrap().v1);
        assert_eq!(name_of(&swarm(&HASH.to_uppercase()).unwrap()), HASH);
        assert!(matches!(place(HASH), Ok(Place::Target(_))));
        assert_eq!(place(&"ab".repeat(32)), Ok(Place::PublicKey([0xab; 32])));
    }
}
