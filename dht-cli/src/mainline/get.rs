//! `dht mainline get`: the value under a hash, or the latest of a key and a salt (BEP 44).

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use data_encoding::HEXLOWER;
use dht::{
    Dht, QueryError,
    core::Key,
    mainline::{Item, ItemKey, Mainline, bencode::Tree},
};
use serde_json::{Value, json};

use super::{
    join::{Client, ClientArgs},
    text::{self, Place},
};
use crate::{
    exit::{not_found, usage},
    join::Stay,
    output::{self, Output},
};

/// Get a value. A byte string is written to stdout as it is, anything else as bencode.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A target of 40 hexadecimal digits, or a public key of 64
    #[arg(value_name = "TARGET|PUBKEY", value_parser = text::place)]
    place: Place,
    /// Tells values of one key apart
    #[arg(long, value_name = "S", value_parser = text::salt)]
    salt: Option<String>,
    #[command(flatten)]
    client: ClientArgs,
}

/// `dht mainline get TARGET|PUBKEY [--salt S]`.
pub async fn run(args: Args, output: Output) -> anyhow::Result<()> {
    if matches!(args.place, Place::Target(_)) && args.salt.is_some() {
        return Err(usage("a target already contains the salt; --salt goes with a public key"));
    }
    let client = Client::join(&args.client, Stay::Once).await?;
    let (found, named) = match args.place {
        Place::Target(target) => (under(&client.dht(), target).await, target.to_string()),
        Place::PublicKey(key) => {
            let salt = args.salt.unwrap_or_default();
            (client.dht().get_mutable(&key, salt.as_bytes()).await, HEXLOWER.encode(&key))
        }
    };
    client.close().await;
    let found = found.with_context(|| format!("cannot get `{named}`"))?;
    let item = found.ok_or_else(|| not_found(format!("nobody has a value under `{named}`")))?;
    if output.json {
        return Ok(output::object(&described(&item))?);
    }
    let tree = item.tree();
    Ok(output::raw(tree.as_ref().ok().and_then(Tree::as_bytes).unwrap_or(&item.value))?)
}

/// An immutable item is proven by the first answer; of a mutable one there may be a later.
async fn under(dht: &Dht<Mainline>, target: Key<20>) -> Result<Option<Item>, QueryError> {
    let first = dht.get_immutable(target).await?;
    match first.as_ref().and_then(Item::seq) {
        Some(_) => Ok(dht.get_item(ItemKey::new(target)).await?.or(first)),
        None => Ok(first),
    }
}

fn described(item: &Item) -> Value {
    let tree = item.tree().ok();
    let mut json = json!({
        "target": item.target().to_string(),
        "value": STANDARD.encode(&item.value),
        "text": tree.as_ref().and_then(Tree::as_str),
    });
    if let Some(signed) = &item.signed {
        json["key"] = HEXLOWER.encode(&signed.key).into();
        json["salt"] = String::from_utf8_lossy(&signed.salt).into();
        json["seq"] = signed.seq.into();
    }
    json
}
