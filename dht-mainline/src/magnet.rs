//! Magnet links: a swarm's hashes and where to begin, as people pass them on (BEP 9, BEP 52).

use std::{
    fmt::{self, Display},
    net::IpAddr,
    str::FromStr,
};

use data_encoding::{BASE32, HEXLOWER, HEXLOWER_PERMISSIVE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use thiserror::Error;

use crate::{InfoHash, metadata::Wanted};

/// Bytes of the longest link that is read.
const MAX_TEXT: usize = 16_384;
/// Trackers, and peers, of one link that are kept.
const MAX_EACH: usize = 100;
/// What stands in a value as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What stands in an address as it is, too.
const ADDRESS: &AsciiSet = &PLAIN.remove(b':').remove(b'[').remove(b']');
/// A multihash of SHA-256 begins so.
const SHA2_256: [u8; 2] = [0x12, 0x20];

/// A link to a swarm. It has at least one hash.
///
/// ```
/// use dht_mainline::Magnet;
///
/// let magnet: Magnet =
///     "magnet:?xt=urn:btih:C12FE1C06BBA254A9DC9F519B335AA7C1367A88A&dn=a+name&x.pe=9.8.7.6:6881".parse()?;
/// assert_eq!(magnet.name.as_deref(), Some("a name"));
/// assert_eq!(
///     magnet.to_string(),
///     "magnet:?xt=urn:btih:c12fe1c06bba254a9dc9f519b335aa7c1367a88a&dn=a%20name&x.pe=9.8.7.6:6881",
/// );
/// # Ok::<(), dht_mainline::InvalidMagnet>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Magnet {
    /// The SHA-1 of the info dictionary (`btih`).
    pub v1: Option<InfoHash>,
    /// The SHA-256 of the info dictionary (`btmh`).
    pub v2: Option<[u8; 32]>,
    /// What to call it until it is known.
    pub name: Option<String>,
    /// Trackers.
    pub trackers: Vec<String>,
    /// Peers to begin with, `host:port`.
    pub peers: Vec<String>,
}

/// Why a text is no magnet link.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidMagnet {
    /// It is longer than any should be.
    #[error("a link of more than {MAX_TEXT} bytes")]
    TooLong,
    /// It does not begin with `magnet:?`.
    #[error("not a magnet link")]
    Scheme,
    /// It has no hash of a swarm.
    #[error("no `xt` of BitTorrent")]
    NoHash,
    /// The value of this parameter is malformed.
    #[error("`{0}` is malformed")]
    Parameter(&'static str),
}

impl Magnet {
    /// What an info dictionary must be to be the one this link means: the stronger hash decides.
    pub fn wanted(&self) -> Option<Wanted> {
        self.v2.map(Wanted::V2).or(self.v1.map(Wanted::V1))
    }

    /// The names of the swarm in the DHT, one for each hash.
    pub fn info_hashes(&self) -> impl Iterator<Item = InfoHash> {
        let v2 = self.v2.map(|hash| Wanted::V2(hash).info_hash());
        self.v1.into_iter().chain(v2)
    }

    fn note_hash(&mut self, urn: &str) -> Result<(), InvalidMagnet> {
        let malformed = InvalidMagnet::Parameter("xt");
        let lower = urn.to_ascii_lowercase();
        if let Some(hash) = lower.strip_prefix("urn:btih:") {
            let bytes = match hash.len() {
                40 => HEXLOWER.decode(hash.as_bytes()).ok(),
                32 => BASE32.decode(hash.to_ascii_uppercase().as_bytes()).ok(),
                _ => None,
            };
            let hash = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(malformed)?;
            self.v1 = self.v1.or(Some(InfoHash(hash)));
        } else if let Some(hash) = lower.strip_prefix("urn:btmh:") {
            let bytes = HEXLOWER_PERMISSIVE.decode(hash.as_bytes()).map_err(|_| malformed.clone())?;
            let digest = bytes.strip_prefix(&SHA2_256).and_then(|digest| digest.try_into().ok());
            self.v2 = self.v2.or(Some(digest.ok_or(malformed)?));
        }
        Ok(())
    }
}

impl FromStr for Magnet {
    type Err = InvalidMagnet;

    /// Reads a link; parameters that are not known are passed over. Of two hashes of one sort the first counts.
    fn from_str(text: &str) -> Result<Self, InvalidMagnet> {
        if text.len() > MAX_TEXT {
            return Err(InvalidMagnet::TooLong);
        }
        let scheme = text.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("magnet:?"));
        let parameters = if scheme { &text[8..] } else { return Err(InvalidMagnet::Scheme) };
        let mut magnet = Self::default();
        for parameter in parameters.split('&') {
            let Some((key, value)) = parameter.split_once('=') else { continue };
            // Several values of one sort may be numbered: `xt.1`, `tr.2`.
            let plain = key.split_once('.').filter(|(_, n)| n.bytes().all(|b| b.is_ascii_digit()));
            let key = plain.map_or(key, |(key, _)| key);
            match key {
                "xt" => magnet.note_hash(&decoded(value, "xt")?)?,
                // Forms write a space as `+`; in names that is what is meant.
                "dn" => magnet.name = Some(decoded(&value.replace('+', " "), "dn")?),
                "tr" if magnet.trackers.len() < MAX_EACH => magnet.trackers.push(decoded(value, "tr")?),
                "x.pe" if magnet.peers.len() < MAX_EACH => {
                    let peer = decoded(value, "x.pe")?;
                    if !is_host_and_port(&peer) {
                        return Err(InvalidMagnet::Parameter("x.pe"));
                    }
                    magnet.peers.push(peer);
                }
                _ => {}
            }
        }
        magnet.wanted().map(|_| magnet).ok_or(InvalidMagnet::NoHash)
    }
}

impl Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("magnet:")?;
        let mut separator = '?';
        let mut parameter = |key: &str, value: &dyn Display| {
            let written = write!(f, "{separator}{key}={value}");
            separator = '&';
            written
        };
        if let Some(hash) = &self.v1 {
            parameter("xt", &format_args!("urn:btih:{hash}"))?;
        }
        if let Some(hash) = &self.v2 {
            parameter("xt", &format_args!("urn:btmh:1220{}", HEXLOWER.encode_display(hash)))?;
        }
        if let Some(name) = &self.name {
            parameter("dn", &utf8_percent_encode(name, PLAIN))?;
        }
        for tracker in &self.trackers {
            parameter("tr", &utf8_percent_encode(tracker, PLAIN))?;
        }
        self.peers.iter().try_for_each(|peer| parameter("x.pe", &utf8_percent_encode(peer, ADDRESS)))
    }
}

fn decoded(value: &str, parameter: &'static str) -> Result<String, InvalidMagnet> {
    let text = percent_decode_str(value).decode_utf8();
    text.map(String::from).map_err(|_| InvalidMagnet::Parameter(parameter))
}

/// `name:port`, `IPv4:port` or `[IPv6]:port`.
fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let host_ok = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(ip) => ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()),
        None => {
            let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            (1..=253).contains(&host.len()) && host.bytes().all(named)
        }
    };
    host_ok && port.parse::<u16>().is_ok_and(|port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection, prelude::*};

    const HEX: &str = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";

    fn v1(text: &str) -> Option<String> {
        text.parse::<Magnet>().unwrap().v1.map(|hash| hash.to_string())
    }

    #[test]
    fn both_spellings_of_a_hash_are_one() {
        let base32 = BASE32.encode(&HEXLOWER.decode(HEX.as_bytes()).unwrap());
        for hash in [HEX, &HEX.to_uppercase(), &base32, &base32.to_lowercase()] {
            assert_eq!(v1(&format!("magnet:?xt=urn:btih:{hash}")).as_deref(), Some(HEX));
            assert_eq!(v1(&format!("MAGNET:?xt.1=urn%3Abtih%3A{hash}&xl=5")).as_deref(), Some(HEX));
        }
    }

    #[test]
    fn hybrid_links_name_two_swarms_and_want_the_stronger_hash() {
        let v2 = "ab".repeat(32);
        let magnet: Magnet = format!("magnet:?xt=urn:btih:{HEX}&xt=urn:btmh:1220{v2}").parse().unwrap();
        assert_eq!(magnet.wanted(), Some(Wanted::V2([0xab; 32])));
        let names: Vec<_> = magnet.info_hashes().map(|hash| hash.to_string()).collect();
        assert_eq!(names, [HEX.to_owned(), "ab".repeat(20)]);
    }

    #[test]
    fn peers_and_trackers_are_kept_as_they_are() {
        let text = format!(
            "magnet:?xt=urn:btih:{HEX}&tr=http%3A%2F%2Ft.example%2Fannounce%3Fa%3Db&x.pe=[2a00::1]:6881&x.pe=host.example:1"
        );
        let magnet: Magnet = text.parse().unwrap();
        assert_eq!(magnet.trackers, ["http://t.example/announce?a=b"]);
        assert_eq!(magnet.peers, ["[2a00::1]:6881", "host.example:1"]);
        assert_eq!(magnet.to_string(), text);
    }

    #[test]
    fn what_is_no_link_is_refused_by_name() {
        let xt = InvalidMagnet::Parameter("xt");
        for (text, want) in [
            (String::new(), InvalidMagnet::Scheme),
            ("magnet:".to_owned(), InvalidMagnet::Scheme),
            ("http://x/?xt=urn:btih:".to_owned(), InvalidMagnet::Scheme),
            ("magnet:?".to_owned(), InvalidMagnet::NoHash),
            ("magnet:?xt=urn:sha1:abc".to_owned(), InvalidMagnet::NoHash),
            ("magnet:?xt=urn:btih:".to_owned(), xt.clone()),
            (format!("magnet:?xt=urn:btih:{}g", &HEX[1..]), xt.clone()),
            (format!("magnet:?xt=urn:btih:{}", "1".repeat(32)), xt.clone()),
            (format!("magnet:?xt=urn:btmh:1220{}", "ab".repeat(31)), xt.clone()),
            (format!("magnet:?xt=urn:btmh:1320{}", "ab".repeat(32)), xt),
            (format!("magnet:?xt=urn:btih:{HEX}&dn=%ff"), InvalidMagnet::Parameter("dn")),
            ("x".repeat(MAX_TEXT + 1), InvalidMagnet::TooLong),
        ] {
            assert_eq!(text.parse::<Magnet>(), Err(want), "{text}");
        }
        for peer in [
            "",
            "host",
            "host:",
            ":1",
            "host:0",
            "host:65536",
            "a b:1",
            "2a00::1:6881",
            "[9.8.7.6]:1",
            "[x]:1",
        ] {
            let text = format!("magnet:?xt=urn:btih:{HEX}&x.pe={peer}");
            assert_eq!(text.parse::<Magnet>(), Err(InvalidMagnet::Parameter("x.pe")), "{peer}");
        }
        let many = format!("magnet:?xt=urn:btih:{HEX}{}", "&x.pe=a:1&tr=x".repeat(300));
        let magnet: Magnet = many.parse().unwrap();
        assert_eq!((magnet.peers.len(), magnet.trackers.len()), (MAX_EACH, MAX_EACH));
    }

    proptest! {
        #[test]
        fn links_are_read_back(
            v1 in any::<Option<[u8; 20]>>(), v2 in any::<[u8; 32]>(), both in any::<bool>(),
            name in any::<Option<String>>(), trackers in collection::vec(any::<String>(), 0..3), port in 1u16..,
        ) {
            let v2 = (both || v1.is_none()).then_some(v2);
            let peers = vec![format!("[2a00::1]:{port}"), format!("9.8.7.6:{port}")];
            let magnet = Magnet { v1: v1.map(InfoHash), v2, name, trackers, peers };
            prop_assert_eq!(magnet.to_string().parse(), Ok(magnet));
        }

        #[test]
        fn noise_is_survived(text in "(magnet:\\?)?.{0,60}") {
            let _ = text.parse::<Magnet>();
        }
    }
}
