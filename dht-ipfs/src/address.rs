//! One multiaddr as bytes: whether it is well-formed, and what kind of place it names.
//!
//! The walk exists because the `multiaddr` crate builds a value to check one (about 80 ns each); a FIND_NODE answer
//! carries eighty. It agrees with that crate on everything that has a known protocol, which a property test shows. It does
//! not dial, resolve or print.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const IP4: u16 = 4;
const IP6: u16 = 41;
const IP6ZONE: u16 = 42;
const DNS: u16 = 53;
const DNSADDR: u16 = 56;
const P2P_CIRCUIT: u16 = 290;
const UNIX: u16 = 400;
const P2P: u16 = 421;
const CERTHASH: u16 = 466;
const MEMORY: u16 = 777;

/// What follows a protocol's code.
#[derive(Clone, Copy)]
enum Operand {
    Fixed(usize),
    Text,
    Blob,
    Peer,
    Multihash,
}

/// The operand of every protocol in the table of the `multiaddr` crate; `None` for the rest.
fn operand(code: u16) -> Option<Operand> {
    Some(match code {
        IP4 => Operand::Fixed(4),
        6 | 33 | 132 | 273 => Operand::Fixed(2), // tcp, dccp, sctp, udp
        IP6 => Operand::Fixed(16),
        43 => Operand::Fixed(1), // ipcidr
        // The webrtc family, p2p-circuit, udt, utp, https, tls, noise, quic, quic-v1, webtransport, ws, wss, http.
        275..=277 | 280 | 281 | P2P_CIRCUIT | 301 | 302 | 443 | 448 | 454 | 460 | 461 | 465 | 477..=480 => {
            Operand::Fixed(0)
        }
        P2P => Operand::Peer,
        IP6ZONE | DNS..=DNSADDR | UNIX | 449 | 481 | 4770 | 4780 => Operand::Text, // sni, http-path, ws and wss with a path
        444 => Operand::Fixed(12),                                                 // onion
        445 => Operand::Fixed(37),                                                 // onion3
        446 | 447 => Operand::Blob,                                                // garlic
        CERTHASH => Operand::Multihash,
        MEMORY => Operand::Fixed(8),
        _ => return None,
    })
}

/// A minimal varint of one or two bytes. No protocol code and no operand of an address within our bounds needs three.
fn short_varint(bytes: &[u8]) -> Option<(u16, &[u8])> {
    match bytes {
        [a, rest @ ..] if *a < 0x80 => Some((u16::from(*a), rest)),
        [a, b, rest @ ..] if (1..0x80).contains(b) => Some((u16::from(a & 0x7f) | u16::from(*b) << 7, rest)),
        _ => None,
    }
}

/// A minimal varint of up to ten bytes, as `unsigned-varint` reads it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return (*byte != 0 || i == 0).then_some((value, &bytes[i + 1..]));
        }
    }
    None
}

/// Code and digest of a multihash that fills `bytes`, its digest at most 64 bytes.
fn multihash(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (code, rest) = varint(bytes)?;
    let (size, digest) = varint(rest)?;
    (size <= 64 && size == digest.len() as u64).then_some((code, digest))
}

/// One protocol of an address with its operand, the length before the operand taken off.
#[derive(Clone, Copy)]
struct Component<'a> {
    code: u16,
    value: &'a [u8],
}

/// The first component and what comes after it; `None` when it is unknown or broken.
fn component(bytes: &[u8]) -> Option<(Component<'_>, &[u8])> {
    let (code, rest) = short_varint(bytes)?;
    let operand = operand(code)?;
    let (size, rest) = match operand {
        Operand::Fixed(size) => (size, rest),
        _ => short_varint(rest).map(|(size, rest)| (usize::from(size), rest))?,
    };
    let (value, rest) = rest.split_at_checked(size)?;
    let sound = match operand {
        Operand::Fixed(_) | Operand::Blob => true,
        Operand::Text => std::str::from_utf8(value).is_ok(),
        Operand::Multihash => multihash(value).is_some(),
        // The rule of libp2p, which is wider than ours: a SHA-256 of any length, an inline key of at most 42 bytes.
        Operand::Peer => {
            multihash(value).is_some_and(|(code, digest)| code == 0x12 || code == 0 && digest.len() <= 42)
        }
    };
    sound.then_some((Component { code, value }, rest))
}

/// What the walk over a well-formed address found.
#[derive(Clone, Copy)]
pub(crate) struct Walked<'a> {
    /// The address in front of its last component, and the peer id, when that component is `/p2p`.
    pub trailing_peer: Option<(&'a [u8], &'a [u8])>,
}

/// Whether the address is one of the four that most peers announce: IPv4 or IPv6 with TCP or QUIC.
#[inline]
fn is_plain(address: &[u8]) -> bool {
    const TCP: u8 = 6;
    const UDP: [u8; 2] = [0x91, 0x02];
    const QUIC_V1: [u8; 2] = [0xcd, 0x03];
    match address {
        [4, _, _, _, _, TCP, _, _] => true,
        [4, _, _, _, _, a, b, _, _, c, d] => [*a, *b] == UDP && [*c, *d] == QUIC_V1,
        [41, rest @ ..] if rest.len() == 19 => rest[16] == TCP,
        [41, rest @ ..] if rest.len() == 22 => rest[16..18] == UDP && rest[20..22] == QUIC_V1,
        _ => false,
    }
}

/// Walks over all components; `None` when the address is empty, broken or uses a protocol that is not known.
#[inline]
pub(crate) fn walk(address: &[u8]) -> Option<Walked<'_>> {
    if is_plain(address) {
        return Some(Walked { trailing_peer: None });
    }
    walk_components(address)
}

fn walk_components(address: &[u8]) -> Option<Walked<'_>> {
    let (mut last, mut rest) = component(address)?;
    let mut before = address;
    while !rest.is_empty() {
        before = rest;
        (last, rest) = component(rest)?;
    }
    let trailing_peer = (last.code == P2P).then(|| (&address[..address.len() - before.len()], last.value));
    Some(Walked { trailing_peer })
}

/// What kind of place an address names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressKind {
    /// This very machine: loopback, `localhost`, memory and Unix sockets.
    Loopback,
    /// A place that only its own network reaches: private, link-local, shared, documentation, multicast or reserved ranges.
    Private,
    /// A place on the public Internet, a DNS name included.
    Public,
    /// A way through a relay.
    Relay,
    /// None of these, such as an onion service.
    Other,
}

impl AddressKind {
    /// The kind of a multiaddr's bytes; [`AddressKind::Other`] when they are none. A relay that is itself at a private
    /// place is as far away as that place.
    pub fn of(address: &[u8]) -> Self {
        let (mut kind, mut relayed) = (None, false);
        let mut rest = address;
        while !rest.is_empty() {
            let Some((part, after)) = component(rest) else { return Self::Other };
            match part.code {
                P2P_CIRCUIT => relayed = true,
                IP4 | IP6 => kind = kind.or_else(|| ip(part).map(Self::of_ip)),
                DNS..=DNSADDR => kind = kind.or_else(|| Some(Self::of_name(part.value))),
                UNIX | MEMORY => kind = kind.or(Some(Self::Loopback)),
                _ => {}
            }
            rest = after;
        }
        match kind {
            Some(Self::Public) | None if relayed => Self::Relay,
            kind => kind.unwrap_or(Self::Other),
        }
    }

    /// The kind of an IP address. An IPv4 address inside an IPv6 one (mapped, NAT64, 6to4) counts as itself.
    pub fn of_ip(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::of_ipv4(ip),
            IpAddr::V6(ip) => Self::of_ipv6(ip),
        }
    }

    fn of_ipv4(ip: Ipv4Addr) -> Self {
        let private = match ip.octets() {
            [127, ..] => return Self::Loopback,
            [0 | 10 | 224.., ..] | [169, 254, ..] | [192, 168, ..] | [192, 0, 0 | 2, _] => true,
            [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _] => true,
            [100, b, ..] => b & 0xc0 == 64,
            [172, b, ..] => b & 0xf0 == 16,
            [198, b, ..] => b & 0xfe == 18,
            _ => false,
        };
        if private { Self::Private } else { Self::Public }
    }

    fn of_ipv6(ip: Ipv6Addr) -> Self {
        let v4 = |high: u16, low: u16| {
            let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
            Self::of_ipv4(Ipv4Addr::new(a, b, c, d))
        };
        match ip.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
            [0x2002, high, low, ..] => v4(high, low),
            [0x2001, 0xdb8 | 0..=0x1ff, ..] => Self::Private, // documentation; protocol assignments with Teredo
            [0x3fff, 0..=0xfff, ..] => Self::Private,         // documentation
            [first, ..] if first & 0xe000 == 0x2000 => Self::Public,
            _ => Self::Private, // nothing else is allocated for global unicast
        }
    }

    fn of_name(name: &[u8]) -> Self {
        let name = name.strip_suffix(b".").unwrap_or(name);
        let last = name.rsplit(|byte| *byte == b'.').next().unwrap_or(name);
        let is = |label: &str| last.eq_ignore_ascii_case(label.as_bytes());
        if is("localhost") {
            Self::Loopback
        } else if is("local") || is("internal") || is("lan") || is("arpa") {
            Self::Private
        } else {
            Self::Public
        }
    }
}

fn ip(part: Component<'_>) -> Option<IpAddr> {
    match part.code {
        IP4 => <[u8; 4]>::try_from(part.value).ok().map(IpAddr::from),
        IP6 => <[u8; 16]>::try_from(part.value).ok().map(IpAddr::from),
        _ => None,
    }
}

/// The IP address that a multiaddr begins with; what diversity groups are made from.
pub(crate) fn leading_ip(address: &[u8]) -> Option<IpAddr> {
    let (first, rest) = component(address)?;
    if first.code == IP6ZONE {
        return ip(component(rest)?.0);
    }
    ip(first)
}

/// The network group of an IP address, the unit of diversity: the /16 of IPv4, the /8 where one owner has it whole, the
/// /32 of IPv6. An IPv4 address inside an IPv6 one counts as itself.
pub(crate) fn ip_group(ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            // The class A networks that one organisation still holds, as the Go implementation lists them.
            let whole = matches!(a, 12 | 17 | 19 | 38 | 48 | 53 | 56 | 73);
            4 << 32 | u64::from(a) << 8 | if whole { 0 } else { u64::from(b) }
        }
        IpAddr::V6(ip) => {
            let [a, b, ..] = ip.segments();
            6 << 32 | u64::from(a) << 16 | u64::from(b)
        }
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
