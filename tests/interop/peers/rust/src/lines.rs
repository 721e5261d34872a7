//! The words of the line protocol: arguments, fields of a request, answer lines.

use std::io::Write;

use ::base64::{Engine, engine::general_purpose::STANDARD};
use cid::Cid;
use libp2p::{Multiaddr, PeerId, kad::RecordKey};
use serde_json::{Value, json};

use crate::Outcome;

pub struct Arguments {
    pub prefix: String,
    pub server: bool,
    pub listen: Multiaddr,
}

impl Arguments {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self {
            prefix: "/ipfs".into(),
            server: true,
            listen: "/ip4/127.0.0.1/tcp/0".parse().expect("the constant is an address"),
        };
        while let Some(name) = words.next() {
            let value = words.next().ok_or(format!("{name} needs a value"))?;
            match name.as_str() {
                "--prefix" => arguments.prefix = value,
                "--mode" => arguments.server = value != "client",
                "--listen" => arguments.listen = value.parse().map_err(|e| format!("--listen: {e}"))?,
                _ => return Err(format!("unknown argument {name}")),
            }
        }
        Ok(arguments)
    }
}

pub fn write(line: Value) {
    let mut out = std::io::stdout().lock();
    // When nobody reads any more, stdin ends too and the program with it.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

pub fn answer(id: Value, outcome: Outcome) -> Value {
    let mut line = match outcome {
        Ok(mut fields) => {
            fields["ok"] = true.into();
            fields
        }
        Err(error) => json!({ "ok": false, "error": error }),
    };
    line["id"] = id;
    line
}

pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub fn text<'a>(request: &'a Value, field: &str) -> Result<&'a str, String> {
    request[field].as_str().ok_or(format!("{field} is missing"))
}

pub fn bytes(request: &Value, field: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text(request, field)?).map_err(|e| format!("{field}: {e}"))
}

pub fn peer(request: &Value) -> Result<PeerId, String> {
    text(request, "peer")?.parse().map_err(|e| format!("peer: {e}"))
}

/// Providers are stored under the multihash of a CID, so both CID versions name the same key.
pub fn provider_key(request: &Value) -> Result<RecordKey, String> {
    let cid: Cid = text(request, "cid")?.parse().map_err(|e| format!("cid: {e}"))?;
    Ok(RecordKey::new(&cid.hash().to_bytes()))
}
