//! Names of hosts to addresses, with the resolver of the system.
//!
//! The system's resolver blocks, for as long as it likes. It is asked on threads of its own: few, however often somebody
//! asks, and never waited for, not even when the runtime ends. Answers are not kept.

use std::{
    collections::BTreeSet,
    fmt, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use dht_core::{ErrorKind, InvalidConfig};
use thiserror::Error;
use tokio::{
    sync::{Semaphore, oneshot},
    task::JoinSet,
    time::{Instant, timeout_at},
};

/// Threads that ask the system's resolver, in the whole process. One that hangs keeps its place until it is answered.
const MAX_THREADS: usize = 8;

/// Bytes of the longest name (RFC 1035).
const MAX_NAME: usize = 253;

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(3600);

static THREADS: Semaphore = Semaphore::const_new(MAX_THREADS);

/// Which addresses are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Family {
    /// All.
    #[default]
    Any,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    fn has(self, ip: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => ip.is_ipv4(),
            Self::V6 => ip.is_ipv6(),
        }
    }
}

/// How much is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Hosts of one call; further ones are errors. Default: 64.
    pub max_hosts: usize,
    /// Addresses taken of one host. Default: 16.
    pub max_addresses: usize,
    /// How long the whole call may take. Default: 5 s.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_hosts: 64, max_addresses: 16, timeout: Duration::from_secs(5) }
    }
}

impl Limits {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that has a value it must not have.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let (hosts, addresses) = (self.max_hosts, self.max_addresses);
        InvalidConfig::require((1..=4096).contains(&hosts), "max_hosts", hosts, "1 to 4096")?;
        InvalidConfig::require((1..=256).contains(&addresses), "max_addresses", addresses, "1 to 256")?;
        let fits = (SHORTEST..=LONGEST).contains(&self.timeout);
        InvalidConfig::require(fits, "timeout", self.timeout, "1 ms to 1 h")
    }

    fn nearest(self) -> Self {
        Self {
            max_hosts: self.max_hosts.clamp(1, 4096),
            max_addresses: self.max_addresses.clamp(1, 256),
            timeout: self.timeout.clamp(SHORTEST, LONGEST),
        }
    }
}

/// What became of the hosts.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Resolved {
    /// Every address once, in the order of the hosts and of the resolver's answers.
    pub addrs: Vec<SocketAddr>,
    /// Hosts that gave no address, in their order.
    pub errors: Vec<ResolveError>,
}

/// A host that gave no address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{host}`: {why}")]
pub struct ResolveError {
    /// As it was given; cut after 260 bytes.
    pub host: String,
    /// Why.
    pub why: Why,
}

impl ResolveError {
    fn new(host: &str, why: Why) -> Self {
        let mut end = host.len().min(MAX_NAME + 7);
        while !host.is_char_boundary(end) {
            end -= 1;
        }
        Self { host: host[..end].escape_debug().to_string(), why }
    }

    /// The shared kind.
    pub fn kind(&self) -> ErrorKind {
        match self.why {
            Why::NoPort | Why::Port | Why::Brackets | Why::Name(_) | Why::Unusable(_) => {
                ErrorKind::Configuration
            }
            Why::TooMany(_) => ErrorKind::Capacity,
            Why::Timeout => ErrorKind::Timeout,
            Why::NoAddress(_) | Why::Lookup(_) => ErrorKind::Network,
        }
    }
}

/// Why a host gave no address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Why {
    /// No port is named.
    #[error("names no port (`host:port`)")]
    NoPort,
    /// The port is none.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// An IPv6 address without brackets, or brackets around something else.
    #[error("an IPv6 address is written `[address]:port`")]
    Brackets,
    /// The name is none.
    #[error("no name of a host: {0}")]
    Name(&'static str),
    /// All addresses, or the one that was given, lead to nobody: unspecified, multicast or broadcast.
    #[error("{0} is an address of nobody")]
    Unusable(IpAddr),
    /// More hosts than are resolved.
    #[error("more than {0} hosts")]
    TooMany(usize),
    /// The resolver knows the name, with no address of the family that is wanted.
    #[error("has no address of the family {0}")]
    NoAddress(Family),
    /// The resolver does not know the name, or does not work.
    #[error("cannot be resolved: {0}")]
    Lookup(String),
    /// The resolver took too long.
    #[error("was not resolved in time")]
    Timeout,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "IPv4 or IPv6",
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// Resolves `host:port`, `address:port` and `[address]:port`, all hosts at once. Limits that are not valid are brought to
/// the nearest that are.
///
/// Addresses of IPv4 within IPv6 become IPv4. Private and local addresses are not refused: who dials decides that.
pub async fn resolve(hosts: &[String], family: Family, limits: Limits) -> Resolved {
    resolve_with(hosts, family, limits, |name, port| Ok((name, port).to_socket_addrs()?.collect())).await
}

async fn resolve_with<L>(hosts: &[String], family: Family, limits: Limits, lookup: L) -> Resolved
where
    L: Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
{
    let limits = limits.nearest();
    let deadline = Instant::now() + limits.timeout;
    let lookup = Arc::new(lookup);
    let mut answers: Vec<Option<Result<Vec<SocketAddr>, Why>>> = Vec::new();
    let mut lookups = JoinSet::new();
    for (index, host) in hosts.iter().enumerate() {
        answers.push(if index >= limits.max_hosts {
            Some(Err(Why::TooMany(limits.max_hosts)))
        } else {
            match parse(host) {
                Err(why) => Some(Err(why)),
                Ok(Host::Address(addr)) => Some(Ok(vec![addr])),
                Ok(Host::Name(name, port)) => {
                    let (name, lookup) = (name.to_owned(), lookup.clone());
                    lookups.spawn(async move { (index, ask(lookup, name, port, deadline).await) });
                    None
                }
            }
        });
    }
    while let Some(done) = lookups.join_next().await {
        if let Ok((index, answer)) = done {
            answers[index] = Some(answer);
        }
    }
    let mut resolved = Resolved::default();
    let mut seen = BTreeSet::new();
    for (host, answer) in hosts.iter().zip(answers) {
        let answer = answer.unwrap_or(Err(Why::Lookup("the resolver ended".into())));
        match answer.and_then(|addrs| usable(addrs, family, limits.max_addresses)) {
            Ok(addrs) => resolved.addrs.extend(addrs.into_iter().filter(|addr| seen.insert(*addr))),
            Err(why) => resolved.errors.push(ResolveError::new(host, why)),
        }
    }
    resolved
}

/// Asks the resolver on a thread, once there is room for one.
async fn ask<L>(lookup: Arc<L>, name: String, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>, Why>
where
    L: Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
{
    let failed = |error: io::Error| Why::Lookup(error.to_string());
    let asking = async {
        // Nobody closes the semaphore.
        let place = THREADS.acquire().await.map_err(|error| Why::Lookup(error.to_string()))?;
        let (sender, receiver) = oneshot::channel();
        let thread = std::thread::Builder::new().name("resolve".into());
        let asked = thread.spawn(move || {
            let answer = lookup(&name, port);
            drop(place);
            // Who asked may have given up.
            let _ = sender.send(answer);
        });
        asked.map_err(failed)?;
        receiver.await.map_err(|_| Why::Lookup("the resolver ended".into()))?.map_err(failed)
    };
    timeout_at(deadline, asking).await.unwrap_or(Err(Why::Timeout))
}

/// The addresses that are wanted and lead to somebody.
fn usable(addrs: Vec<SocketAddr>, family: Family, limit: usize) -> Result<Vec<SocketAddr>, Why> {
    let mut nobody = None;
    let mut kept: Vec<SocketAddr> = Vec::new();
    for addr in addrs {
        let canonical = addr.ip().to_canonical();
        let addr = if canonical == addr.ip() { addr } else { SocketAddr::new(canonical, addr.port()) };
        let broadcast = matches!(canonical, IpAddr::V4(ip) if ip.is_broadcast());
        if canonical.is_unspecified() || canonical.is_multicast() || broadcast {
            nobody = Some(canonical);
        } else if family.has(canonical) && kept.len() < limit && !kept.contains(&addr) {
            kept.push(addr);
        }
    }
    match nobody {
        _ if !kept.is_empty() => Ok(kept),
        Some(ip) => Err(Why::Unusable(ip)),
        None => Err(Why::NoAddress(family)),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Host<'a> {
    Address(SocketAddr),
    Name(&'a str, u16),
}

fn parse(text: &str) -> Result<Host<'_>, Why> {
    if text.len() > MAX_NAME + 7 {
        return Err(Why::Name("longer than 253 bytes"));
    }
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Err(Why::Brackets);
    }
    let (host, port) = text.rsplit_once(':').ok_or(Why::NoPort)?;
    if host.starts_with('[') || host.contains(':') {
        let addr: SocketAddr = match text.parse() {
            Ok(addr) => addr,
            // The port is at fault only where the rest is right.
            Err(_) if format!("{host}:1").parse::<SocketAddr>().is_ok() => return Err(Why::Port),
            Err(_) if host.ends_with(']') || !host.starts_with('[') => return Err(Why::Brackets),
            Err(_) => return Err(Why::NoPort),
        };
        return if addr.port() == 0 { Err(Why::Port) } else { Ok(Host::Address(addr)) };
    }
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port: u16 = port.parse().ok().filter(|port| digits && *port != 0).ok_or(Why::Port)?;
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(Host::Address(SocketAddr::new(ip, port)));
    }
    name(host).map(|name| Host::Name(name, port))
}

/// A name that is worth asking for. Resolvers take more for one: `127.1` or `0x7f000001`, which mean addresses.
fn name(host: &str) -> Result<&str, Why> {
    if host.is_empty() || host.len() > MAX_NAME {
        return Err(Why::Name(if host.is_empty() { "nothing" } else { "longer than 253 bytes" }));
    }
    let mut labels = host.strip_suffix('.').unwrap_or(host).split('.');
    for label in labels.clone() {
        if label.is_empty() || label.len() > 63 {
            return Err(Why::Name("a part is empty or longer than 63 bytes"));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(Why::Name("a part begins or ends with a hyphen"));
        }
        if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            return Err(Why::Name("letters, digits, `-`, `_` and `.` only"));
        }
    }
    let last = labels.next_back().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or(last.strip_prefix("0X"));
    let number = last.bytes().all(|byte| byte.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if number { Err(Why::Name("ends in a number, and is no address")) } else { Ok(host) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hosts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn addrs(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn known(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let ips: &[&str] = match name {
            "a.example" => &["8.8.8.8", "8.8.4.4", "8.8.8.8"],
            "b.example" => &["2a00::1", "::ffff:9.9.9.9"],
            "bad.example" => &["0.0.0.0", "224.0.0.1"],
            "none.example" => &[],
            "many.example" => return Ok((1..=99).map(|n| SocketAddr::from(([8, 0, 0, n], port))).collect()),
            _ => return Err(io::Error::other("no such name")),
        };
        Ok(ips.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect())
    }

    #[tokio::test]
    async fn addresses_come_once_and_in_order() {
        let wanted = hosts(&["b.example:2", "8.8.4.4:1", "a.example:1", "[2a00::1]:2", "b.example.:3"]);
        let resolved = resolve_with(&wanted, Family::Any, Limits::default(), known).await;
        let order = ["[2a00::1]:2", "9.9.9.9:2", "8.8.4.4:1", "8.8.8.8:1"];
        assert_eq!(resolved.addrs, addrs(&order));
        assert_eq!(resolved.errors.len(), 1, "a name with a dot at its end is another name to the resolver");
        let four = resolve_with(&wanted, Family::V4, Limits::default(), known).await;
        assert_eq!(four.addrs, addrs(&["9.9.9.9:2", "8.8.4.4:1", "8.8.8.8:1"]));
        assert_eq!(four.errors[0].why, Why::NoAddress(Family::V4));
        let six = resolve_with(&wanted, Family::V6, Limits::default(), known).await;
        assert_eq!(six.addrs, addrs(&["[2a00::1]:2"]));
    }

    #[tokio::test]
    async fn hosts_and_addresses_are_bounded() {
        let limits = Limits { max_hosts: 2, max_addresses: 5, ..Limits::default() };
        let wanted = hosts(&["many.example:1", "none.example:1", "a.example:1"]);
        let resolved = resolve_with(&wanted, Family::Any, limits, known).await;
        assert_eq!(resolved.addrs.len(), 5);
        let whys: Vec<_> = resolved.errors.iter().map(|error| error.why.clone()).collect();
        assert_eq!(whys, [Why::NoAddress(Family::Any), Why::TooMany(2)]);
    }

    #[tokio::test]
    async fn every_fault_names_the_host() {
        for (text, why) in [
            ("router.example", Why::NoPort),
            ("", Why::NoPort),
            ("[::1]", Why::NoPort),
            ("::1", Why::Brackets),
            ("2a00::1:6881", Why::Brackets),
            ("2a00:1:2:3:4:5:6:7:6881", Why::Brackets),
            ("[a.example]:1", Why::Brackets),
            ("a.example:0", Why::Port),
            ("a.example:65536", Why::Port),
            ("a.example:+1", Why::Port),
            ("a.example:", Why::Port),
            ("[2a00::1]:0", Why::Port),
            ("[2a00::1]:99999", Why::Port),
            ("8.8.8.8:0", Why::Port),
            (":1", Why::Name("nothing")),
            ("127.1:80", Why::Name("ends in a number, and is no address")),
            ("0x7f000001:80", Why::Name("ends in a number, and is no address")),
            ("a..example:1", Why::Name("a part is empty or longer than 63 bytes")),
            ("-a.example:1", Why::Name("a part begins or ends with a hyphen")),
            ("a b:1", Why::Name("letters, digits, `-`, `_` and `.` only")),
            ("b\u{fc}cher.example:1", Why::Name("letters, digits, `-`, `_` and `.` only")),
            ("0.0.0.0:1", Why::Unusable("0.0.0.0".parse().unwrap())),
            ("[ff02::1]:1", Why::Unusable("ff02::1".parse().unwrap())),
            ("255.255.255.255:1", Why::Unusable("255.255.255.255".parse().unwrap())),
            ("bad.example:1", Why::Unusable("224.0.0.1".parse().unwrap())),
            ("lost.example:1", Why::Lookup("no such name".into())),
        ] {
            let resolved = resolve_with(&hosts(&[text]), Family::Any, Limits::default(), known).await;
            assert_eq!((resolved.addrs.len(), resolved.errors.len()), (0, 1), "{text}");
            assert_eq!(resolved.errors[0], ResolveError { host: text.to_owned(), why }, "{text}");
            assert!(resolved.errors[0].to_string().starts_with(&format!("`{text}`: ")));
        }
        let long = "\u{1b}".to_owned() + &"a".repeat(10_000);
        let resolved = resolve_with(&[long], Family::Any, Limits::default(), known).await;
        assert!(resolved.errors[0].host.len() < 300 && !resolved.errors[0].host.contains('\u{1b}'));
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolver_that_hangs_is_left_and_does_not_pile_up() {
        let (release, held) = std::sync::mpsc::sync_channel::<()>(0);
        let held = std::sync::Mutex::new(held);
        let hang = move |_: &str, _| {
            // Ends when the test drops its end.
            let _ = held.lock().map(|held| held.recv());
            Ok(Vec::new())
        };
        let wanted: Vec<String> =
            (0..20).map(|n| format!("h{n}.example:1")).chain(["8.8.8.8:1".into()]).collect();
        let start = Instant::now();
        let resolved = resolve_with(&wanted, Family::Any, Limits::default(), hang).await;
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        assert_eq!((resolved.addrs.len(), resolved.errors.len()), (1, 20));
        assert!(resolved.errors.iter().all(|error| error.why == Why::Timeout));
        drop(release);
    }

    #[tokio::test]
    async fn the_system_knows_this_machine() {
        let resolved = resolve(&hosts(&["localhost:6881"]), Family::Any, Limits::default()).await;
        assert!(resolved.addrs.iter().all(|addr| addr.ip().is_loopback() && addr.port() == 6881));
        assert_eq!((resolved.addrs.is_empty(), resolved.errors.is_empty()), (false, true));
    }

    #[test]
    fn limits_are_named() {
        assert_eq!(Limits::default().validate(), Ok(()));
        let fault = |limits: Limits| limits.validate().unwrap_err().field;
        assert_eq!(fault(Limits { max_hosts: 0, ..Limits::default() }), "max_hosts");
        assert_eq!(fault(Limits { max_addresses: 257, ..Limits::default() }), "max_addresses");
        assert_eq!(fault(Limits { timeout: Duration::ZERO, ..Limits::default() }), "timeout");
    }

    proptest! {
        #[test]
        fn an_address_is_itself(ip: IpAddr, port in 1..=u16::MAX) {
            let addr = SocketAddr::new(ip, port);
            let text = addr.to_string();
            prop_assert_eq!(parse(&text), Ok(Host::Address(addr)));
        }

        #[test]
        fn any_text_is_an_address_or_a_name_or_an_error(text in "\\PC*|[0-9a-fx.:\\[\\]%-]*") {
            if let Ok(Host::Name(name, port)) = parse(&text) {
                prop_assert!(port > 0 && name.parse::<IpAddr>().is_err() && name.is_ascii());
            }
        }
    }
}
