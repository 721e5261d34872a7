//! What the program says on stdout: one JSON object per line for programs, aligned text for people.

use std::io::{self, Write};

use dht::{Contact, Overlay, PutError, Receipt, ipfs::Ipfs};
use serde_json::{Value, json};

/// Characters of the longest peer id that is common; shorter ones are padded, so that columns stand below one another.
const PEER_WIDTH: usize = 52;

/// Where results go.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Whether programs read it.
    pub json: bool,
}

impl Output {
    /// One result, in the form that was asked for.
    pub fn say(self, json: &Value, text: impl FnOnce() -> String) -> io::Result<()> {
        if self.json { object(json) } else { text_line(&text()) }
    }

    /// A peer and where it is.
    pub fn contact(self, contact: &Contact<Ipfs>) -> io::Result<()> {
        let addrs = addresses(contact);
        let text = || {
            format!("{:<PEER_WIDTH$}  {}", contact.peer.to_string(), addrs.join(" ")).trim_end().to_owned()
        };
        self.say(&json!({ "peer": contact.peer.to_string(), "addrs": addrs }), text)
    }
}

/// A line of JSON, whatever was asked for.
pub fn object(json: &Value) -> io::Result<()> {
    text_line(&json.to_string())
}

/// What was told to somebody who may have left, which changes nothing for who goes on.
pub fn lenient(told: io::Result<()>) -> io::Result<()> {
    match told {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        told => told,
    }
}

/// Bytes as they are.
pub fn raw(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

fn text_line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// A contact's addresses as text.
pub fn addresses(contact: &Contact<Ipfs>) -> Vec<String> {
    contact.addr.multiaddrs().map(|addr| addr.to_string()).collect()
}

/// Who took something, as counts and names.
pub fn receipt<O: Overlay>(receipt: &Receipt<O>) -> Value {
    let stored: Vec<_> = receipt.stored.iter().map(ToString::to_string).collect();
    json!({
        "stored": receipt.stored.len(),
        "refused": receipt.refused.len(),
        "failed": receipt.failed.len(),
        "peers": stored,
    })
}

/// What came of a store, with counts in any case.
pub fn stored<O: Overlay>(told: &Result<Receipt<O>, PutError<O>>) -> Value {
    match told {
        Ok(receipt) => self::receipt(receipt),
        Err(error @ PutError::NotStored { receipt }) => {
            merged(self::receipt(receipt), json!({ "error": error.to_string() }))
        }
        Err(error) => merged(self::receipt(&Receipt::<O>::default()), json!({ "error": error.to_string() })),
    }
}

/// The same in words.
pub fn receipt_text<O: Overlay>(receipt: &Receipt<O>) -> String {
    let Receipt { stored, refused, failed } = receipt;
    format!("stored by {}, refused by {}, no answer from {}", stored.len(), refused.len(), failed.len())
}

/// `more` below `first`, in one object.
pub fn merged(mut first: Value, more: Value) -> Value {
    if let (Some(first), Value::Object(more)) = (first.as_object_mut(), more) {
        first.extend(more);
    }
    first
}
