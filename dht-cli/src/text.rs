//! Reads what people type: addresses, content, keys, durations. Every error says what would be right.

use std::time::Duration;

use bytes::Bytes;
use dht::{
    Contact, Overlay,
    config::{Settings, settings::Bootstrap},
    ipfs::{ContentKey, Ipfs, Multiaddr, PeerId, ValueKey, ipns::Name, parse_peer_addr},
};
use humantime_serde::re::humantime;

const PEER_ADDRESS: &str = "an address such as `/ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…`";

/// Where a peer is.
fn peer_address(text: &str) -> Result<Contact<Ipfs>, String> {
    parse_peer_addr(text).map_err(|why| format!("{why}; give {PEER_ADDRESS}"))
}

/// The same as text, for options; `default` stands for the peers that the network publishes.
pub fn bootstrap(text: &str) -> Result<String, String> {
    if text != Bootstrap::DEFAULT_PEERS {
        parse_peer_addr(text).map_err(|why| format!("{why}; give {PEER_ADDRESS}, or `default`"))?;
    }
    Ok(text.to_owned())
}

/// Where to listen, as text for options.
pub fn listen(text: &str) -> Result<String, String> {
    let fault = |_| "not a multiaddr; give an address such as `/ip4/0.0.0.0/tcp/4001`".to_owned();
    text.parse::<Multiaddr>().map(|_| text.to_owned()).map_err(fault)
}

/// Content.
pub fn content(text: &str) -> Result<ContentKey, String> {
    text.parse().map_err(|_| "not a CID; give one such as `bafkrei…` or `Qm…`".to_owned())
}

/// A peer.
pub fn peer(text: &str) -> Result<PeerId, String> {
    text.parse().map_err(|_| "not a peer id; give one such as `12D3Koo…`, `Qm…` or `k51…`".to_owned())
}

/// A peer, and perhaps where it is.
#[derive(Clone, Debug)]
pub enum Whom {
    /// At this place.
    At(Contact<Ipfs>),
    /// Wherever it is.
    Named(PeerId),
}

/// A peer at an address, or a peer to be looked up.
pub fn whom(text: &str) -> Result<Whom, String> {
    if let Ok(peer) = text.strip_prefix("/p2p/").unwrap_or(text).parse() {
        return Ok(Whom::Named(peer));
    }
    peer_address(text).map(Whom::At).map_err(|why| format!("{why}, or a peer id"))
}

/// An IPNS name.
pub fn name(text: &str) -> Result<Name, String> {
    text.parse()
        .map_err(|_| "not an IPNS name; give one such as `k51…`, `12D3Koo…` or `/ipns/k51…`".to_owned())
}

/// How long.
pub fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("not a duration; give one such as `500ms`, `10s` or `48h`".to_owned()),
    }
}

/// The key of a value, in a namespace that the network has.
pub fn value_key(text: &str, settings: &Settings) -> Result<ValueKey, String> {
    let bare = !settings.is_amino();
    let example = if bare {
        "`/v/name`, `/pk/12D3Koo…` or `/ipns/k51…`"
    } else {
        "`/pk/12D3Koo…` or `/ipns/k51…`"
    };
    let key = ValueKey::parse(text, bare)
        .map_err(|why| format!("`{text}`: {why}; give a key such as {example}"))?;
    let namespace = String::from_utf8_lossy(key.namespace()).into_owned();
    let known = |name: &str| name == namespace;
    if known("pk") || known("ipns") || settings.records.namespaces.iter().any(|name| known(name)) {
        return Ok(key);
    }
    let hint = if bare {
        format!("; add it with `--namespace {namespace}`")
    } else {
        " on the public network".into()
    };
    Err(format!("`{text}`: there is no namespace `{namespace}`{hint}; give a key such as {example}"))
}

/// What a lookup aims at: a peer id, a CID or the key of a value.
pub fn target(text: &str, settings: &Settings) -> Result<Bytes, String> {
    if let Ok(peer) = text.parse::<PeerId>() {
        return Ok(Ipfs::peer_target(&peer));
    }
    if let Ok(content) = text.parse::<ContentKey>() {
        return Ok(content.into_bytes());
    }
    match value_key(text, settings) {
        Ok(key) => Ok(key.into_bytes()),
        Err(why) if text.starts_with('/') => Err(why),
        Err(_) => Err(format!("`{text}` is neither a peer id, nor a CID, nor a key such as `/ipns/k51…`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8";
    const CID: &str = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n";

    fn private() -> Settings {
        let mut settings = Settings::default();
        settings.network.name = "/x".into();
        settings.records.namespaces = vec!["v".into()];
        settings
    }

    #[test]
    fn what_is_wrong_is_told_what_would_be_right() {
        for (error, right) in [
            (bootstrap("nonsense").unwrap_err(), "/p2p/"),
            (bootstrap("/ip4/192.0.2.1/tcp/4001").unwrap_err(), "/p2p/"),
            (listen("4001").unwrap_err(), "/ip4/0.0.0.0/tcp/4001"),
            (content("x").unwrap_err(), "bafkrei"),
            (peer("x").unwrap_err(), "12D3Koo"),
            (whom("/ip4/192.0.2.1/tcp/4001").unwrap_err(), "/p2p/"),
            (name("x").unwrap_err(), "k51"),
            (duration("ten").unwrap_err(), "10s"),
            (duration("0s").unwrap_err(), "10s"),
            (value_key("name", &Settings::default()).unwrap_err(), "/ipns/k51"),
            (value_key("/v/name", &Settings::default()).unwrap_err(), "public network"),
            (value_key("/w/name", &private()).unwrap_err(), "--namespace w"),
            (target("?", &Settings::default()).unwrap_err(), "neither a peer id"),
        ] {
            assert!(error.contains(right) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_target_is_a_peer_content_or_a_value() {
        let (amino, private) = (Settings::default(), private());
        let peer: PeerId = PEER.parse().unwrap();
        assert_eq!(target(PEER, &amino).unwrap(), peer.as_ref());
        assert_eq!(target(&peer.to_cid_text(), &amino).unwrap(), peer.as_ref());
        assert_eq!(target(CID, &amino).unwrap(), CID.parse::<ContentKey>().unwrap().into_bytes());
        assert_eq!(target(&format!("/pk/{PEER}"), &amino).unwrap(), [b"/pk/", peer.as_ref()].concat());
        assert_eq!(target("some name", &private).unwrap(), &b"/v/some name"[..]);
        assert!(bootstrap("default").is_ok());
        assert!(matches!(whom(&format!("/ip4/192.0.2.1/tcp/4001/p2p/{PEER}")), Ok(Whom::At(_))));
        assert!(
            matches!(whom(PEER), Ok(Whom::Named(_)))
                && matches!(whom(&format!("/p2p/{PEER}")), Ok(Whom::Named(_)))
        );
        assert_eq!(duration("48h"), Ok(Duration::from_secs(48 * 3600)));
    }
}
