//! `dht mainline put`: stores a value under its own hash, or under a key and a salt (BEP 44).

use std::{collections::BTreeMap, fs::File, io::Read, path::PathBuf};

use anyhow::{Context, anyhow};
use dht::{
    Failure, PutError, Receipt,
    mainline::{
        Mainline, Put,
        bencode::{Canonical, Limits, Tree},
        item::MAX_VALUE,
        krpc::code,
    },
};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

use super::{
    join::{Client, ClientArgs},
    key, text,
};
use crate::{
    exit::usage,
    join::Stay,
    output::{self, Output},
};

/// The first sequence number of a key that has none yet.
const FIRST: i64 = 1;

/// Store a value.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Text, stored as a byte string; or `@FILE`: bencode as it is, anything else as one byte string
    #[arg(value_name = "VALUE|@FILE")]
    value: String,
    /// Store it under the key in this file, which is made when it is not there; the value can then be replaced
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Tells values of one key apart
    #[arg(long, value_name = "S", requires = "key", value_parser = text::salt, default_value = "", hide_default_value = true)]
    salt: String,
    /// The sequence number, higher than that of the value to be replaced; without it one more than what is found, and
    /// only in place of that
    #[arg(long, value_name = "N", requires = "key", value_parser = clap::value_parser!(i64).range(0..))]
    seq: Option<i64>,
    /// Only replace a value with this sequence number
    #[arg(long, value_name = "N", requires = "key", value_parser = clap::value_parser!(i64).range(0..))]
    cas: Option<i64>,
    #[command(flatten)]
    client: ClientArgs,
}

/// How an argument became a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Bencode,
    Bytes,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bencode => "bencode",
            Self::Bytes => "bytes",
        }
    }
}

/// `dht mainline put [--key FILE --salt S --seq N --cas N] VALUE|@FILE`.
pub async fn run(args: Args, output: Output) -> anyhow::Result<()> {
    let (value, form) = read(&args.value)?;
    match &args.key {
        None => {
            let client = Client::join(&args.client, Stay::Once).await?;
            let put = client.dht().put_immutable(&value).await.map_err(explained);
            client.close().await;
            let put = put.context("cannot put the value")?;
            let told = output::merged(json!({ "form": form.name() }), described(&put));
            output.say(&told, || format!("{}  {}, {}", put.target, form.name(), counts(&put)))?;
        }
        Some(path) => {
            let (key, new) = key::read_or_make(path)?;
            let client = Client::join(&args.client, Stay::Once).await?;
            let put = put_mutable(&args, &client, &key, &value).await;
            client.close().await;
            let (put, seq) = put?;
            let public = key::public(&key);
            let mutable = json!({
                "key": public, "key_made": new, "salt": args.salt, "seq": seq, "form": form.name(),
            });
            let told = output::merged(mutable, described(&put));
            output.say(&told, || format!("{public}  seq {seq}, {}, {}", form.name(), counts(&put)))?;
        }
    }
    Ok(())
}

async fn put_mutable(
    args: &Args,
    client: &Client,
    key: &SigningKey,
    value: &Tree,
) -> anyhow::Result<(Put, i64)> {
    let salt = args.salt.as_bytes();
    let (seq, cas) = match args.seq {
        Some(seq) => (seq, args.cas),
        None => {
            let public = key.verifying_key().to_bytes();
            let found =
                client.dht().get_mutable(&public, salt).await.context("cannot look for its number")?;
            match found.and_then(|item| item.seq()) {
                Some(seq) => {
                    let next = seq.checked_add(1).ok_or_else(|| anyhow!("the sequence is used up"))?;
                    (next, args.cas.or(Some(seq)))
                }
                None => (FIRST, args.cas),
            }
        }
    };
    let put = client.dht().put_mutable(key, salt, seq, cas, value).await.map_err(explained);
    Ok((put.with_context(|| format!("cannot put the value with sequence number {seq}"))?, seq))
}

fn described(put: &Put) -> Value {
    output::merged(json!({ "target": put.target.to_string() }), output::receipt(&put.receipt))
}

fn counts(put: &Put) -> String {
    output::receipt_text(&put.receipt)
}

/// A refusal with its reasons, each with how many gave it.
fn explained(error: PutError<Mainline>) -> anyhow::Error {
    match &error {
        PutError::NotStored { receipt } if !receipt.refused.is_empty() => {
            anyhow!("{error} ({})", reasons(receipt))
        }
        _ => error.into(),
    }
}

fn reasons(receipt: &Receipt<Mainline>) -> String {
    let mut reasons = BTreeMap::<String, usize>::new();
    for (_, why) in &receipt.refused {
        *reasons.entry(reason(*why)).or_default() += 1;
    }
    let reasons = reasons.into_iter().map(|(why, number)| format!("{number} × {why}"));
    reasons.collect::<Vec<_>>().join(", ")
}

fn reason(why: Failure) -> String {
    match why {
        Failure::Refused(code::CAS) => {
            format!("{}: what is stored has another number than --cas names", code::CAS)
        }
        Failure::Refused(code::OLD_SEQ) => {
            format!("{}: what is stored is as new or newer; give a higher --seq", code::OLD_SEQ)
        }
        why => why.to_string(),
    }
}

/// The value that an argument stands for.
fn read(argument: &str) -> anyhow::Result<(Tree, Form)> {
    let (value, form) = match argument.strip_prefix('@') {
        None => (Tree::from(argument), Form::Text),
        Some(path) => {
            let named = || format!("cannot read the value from `{path}`");
            let mut bytes = Vec::new();
            let file = File::open(path).with_context(named)?;
            file.take(MAX_VALUE as u64 + 1).read_to_end(&mut bytes).with_context(named)?;
            of_bytes(bytes)
        }
    };
    let size = value.encode().len();
    if size > MAX_VALUE {
        return Err(usage(format!(
            "the value has more than {MAX_VALUE} bytes in bencode, which no node takes; give a shorter one"
        )));
    }
    Ok((value, form))
}

fn of_bytes(bytes: Vec<u8>) -> (Tree, Form) {
    let limits = Limits::of(MAX_VALUE);
    let canonical = Canonical::new(&bytes, limits).is_ok();
    match Tree::decode(&bytes, limits) {
        Ok(tree) if canonical => (tree, Form::Bencode),
        _ => (Tree::from(bytes), Form::Bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_bencode_or_bytes() {
        assert_eq!(of_bytes(b"d1:ai1ee".to_vec()).1, Form::Bencode);
        assert_eq!(of_bytes(b"i5e".to_vec()), (Tree::Int(5), Form::Bencode));
        // Unsorted keys would be refused; so it is only bytes.
        for bytes in [&b"d1:bi1e1:ai1ee"[..], b"i5e\n", b"text", b""] {
            assert_eq!(of_bytes(bytes.to_vec()), (Tree::from(bytes), Form::Bytes));
        }
        assert_eq!(read("i5e").unwrap(), (Tree::from("i5e"), Form::Text));
    }

    #[test]
    fn what_nobody_takes_is_not_sent() {
        assert!(read(&"x".repeat(996)).is_ok());
        let error = read(&"x".repeat(997)).unwrap_err().to_string();
        assert!(error.contains("1000 bytes"), "{error}");
    }

    #[test]
    fn refusals_are_counted_by_reason() {
        let peer = |byte| dht::mainline::NodeId([byte; 20]);
        let refused = vec![
            (peer(1), Failure::Refused(301)),
            (peer(2), Failure::Refused(302)),
            (peer(3), Failure::Refused(301)),
        ];
        let told = reasons(&Receipt { refused, ..Receipt::default() });
        assert!(told.starts_with("2 × 301: ") && told.contains("1 × 302: "), "{told}");
    }
}
