//! The foreign nodes: how each is built, and what it can not do. The reasons are those of `README.md`, where they were
//! measured.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::process::Command;

use crate::report::Side::{self, TheyAsk, WeAsk};

/// What a `build` script says when the machine lacks what it needs.
const NOT_HERE: i32 = 77;

/// One foreign node.
#[derive(Debug)]
pub struct Foreign {
    /// Its folder in `peers/`.
    pub name: &'static str,
    /// What it is.
    pub describes: &'static str,
    /// The prefix of the network it is met in.
    pub prefix: &'static str,
    /// Whether it can tell its table, what identify says of a peer, and refresh.
    pub tells_table: bool,
    /// Whether it can write frames of ours on one stream.
    pub raw: bool,
    /// Whether it can sign IPNS records.
    pub makes_ipns: bool,
    /// Whether it tells addresses of providers that it has not met.
    pub provider_addresses: bool,
    /// Whether `put` fails when nobody stored the value.
    pub put_tells: bool,
    /// Streams that it opens at once.
    pub burst: u64,
    /// What it can not do, and why.
    cannot: &'static [(&'static str, Option<Side>, &'static str)],
}

const PY_KEYS: &str = "keeps keys that are text only, and the keys of /pk/ and /ipns/ are binary";
const NO_RAW: &str = "its library can not write several frames on one stream";
const AMINO: &str = "speaks /ipfs only, where no other namespaces are allowed";

/// All of them, the reference first.
pub const ALL: [Foreign; 5] = [
    Foreign {
        name: "go",
        describes: "go-libp2p-kad-dht 0.42.1, the reference",
        prefix: "/test",
        tells_table: true,
        raw: true,
        makes_ipns: true,
        provider_addresses: true,
        put_tells: false,
        burst: 200,
        cannot: &[],
    },
    Foreign {
        name: "rust",
        describes: "libp2p-kad 0.49",
        prefix: "/test",
        tells_table: true,
        raw: false,
        makes_ipns: false,
        provider_addresses: false,
        put_tells: true,
        burst: 200,
        cannot: &[
            ("pipelined requests", Some(TheyAsk), NO_RAW),
            ("ADD_PROVIDER answered by nobody", Some(TheyAsk), NO_RAW),
            ("unknown namespace refused", Some(WeAsk), "stores anything under any key: it has no validators"),
            ("invalid record refused", Some(WeAsk), "stores anything under any key: it has no validators"),
            ("older record refused", Some(WeAsk), "stores anything under any key: it has no validators"),
        ],
    },
    Foreign {
        name: "js",
        describes: "@libp2p/kad-dht 16.4.5",
        prefix: "/test",
        tells_table: true,
        raw: false,
        makes_ipns: true,
        provider_addresses: true,
        put_tells: true,
        burst: 60,
        cannot: &[
            ("pipelined requests", Some(TheyAsk), NO_RAW),
            ("ADD_PROVIDER answered by nobody", Some(TheyAsk), NO_RAW),
            ("older record refused", Some(WeAsk), "PUT_VALUE overwrites without comparing"),
        ],
    },
    Foreign {
        name: "py",
        describes: "py-libp2p 0.8.1",
        prefix: "/test",
        tells_table: true,
        raw: false,
        makes_ipns: false,
        provider_addresses: true,
        put_tells: true,
        burst: 200,
        cannot: &[
            ("put /pk/", Some(WeAsk), PY_KEYS),
            ("get /pk/", Some(WeAsk), PY_KEYS),
            ("put /ipns/", Some(WeAsk), PY_KEYS),
            ("get /ipns/", Some(WeAsk), PY_KEYS),
            ("older record refused", Some(WeAsk), PY_KEYS),
            ("pipelined requests", Some(TheyAsk), NO_RAW),
            ("ADD_PROVIDER answered by nobody", Some(TheyAsk), NO_RAW),
            ("unknown namespace refused", Some(WeAsk), "takes keys of namespaces that it does not know"),
        ],
    },
    Foreign {
        name: "p2pd",
        describes: "go-libp2p-kad-dht 0.25.1 with an RSA identity, on /ipfs",
        prefix: "/ipfs",
        tells_table: false,
        raw: true,
        makes_ipns: false,
        provider_addresses: true,
        put_tells: false,
        burst: 200,
        cannot: &[
            ("put /v/", None, AMINO),
            ("get /v/", None, AMINO),
            ("server kept after a refresh", Some(TheyAsk), "can not be told to refresh"),
        ],
    },
];

/// What building came to.
#[derive(Debug)]
pub enum Built {
    /// The command that runs it.
    Program(Vec<String>),
    /// The machine can not build it; says why.
    Missing(String),
}

impl Foreign {
    /// Why a check can not be made with it.
    pub fn cannot(&self, capability: &str, side: Side) -> Option<&'static str> {
        let about = |(name, of, _): &&(&str, Option<Side>, &str)| {
            *name == capability && of.is_none_or(|of| of == side)
        };
        self.cannot.iter().find(about).map(|(_, _, reason)| *reason)
    }

    /// Runs its `build`.
    pub async fn build(&self) -> Result<Built> {
        build(self.name).await
    }

    /// Where the stderr of its process goes.
    pub fn log(&self, role: &str) -> Result<PathBuf> {
        log(self.name, role)
    }
}

/// Runs the `build` of a peer, which is quick when there is nothing to do.
pub async fn build(name: &str) -> Result<Built> {
    let script = folder().join("peers").join(name).join("build");
    let output = Command::new(&script)
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("{} does not start", script.display()))?;
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.code() == Some(NOT_HERE) {
        return Ok(Built::Missing(complaint));
    }
    ensure!(output.status.success(), "building {name} ended with {}: {complaint}", output.status);
    let printed = String::from_utf8_lossy(&output.stdout);
    let Some(line) = printed.lines().last() else { bail!("{} printed nothing", script.display()) };
    let program = serde_json::from_str(line).with_context(|| format!("{}: {line}", script.display()))?;
    Ok(Built::Program(program))
}

/// Where the stderr of a peer's process goes: beside what the build scripts wrote.
pub fn log(name: &str, role: &str) -> Result<PathBuf> {
    let cache = match std::env::var_os("INTEROP_CACHE") {
        Some(cache) => PathBuf::from(cache),
        None => folder().join("../../target/interop"),
    };
    std::fs::create_dir_all(&cache)?;
    Ok(cache.join(format!("{name}-{role}.stderr")))
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::CHECKS;

    #[test]
    fn what_a_peer_can_not_do_is_a_check() {
        for (name, side, _) in ALL.iter().flat_map(|peer| peer.cannot) {
            let known =
                CHECKS.iter().any(|c| c.capability == *name && side.is_none_or(|side| c.side == side));
            assert!(known, "{name} {side:?}");
        }
    }

    #[test]
    fn a_reason_may_be_about_one_direction() {
        let py = ALL.iter().find(|peer| peer.name == "py").unwrap();
        assert_eq!(py.cannot("put /pk/", WeAsk), Some(PY_KEYS));
        assert_eq!(py.cannot("put /pk/", TheyAsk), None);
    }
}
