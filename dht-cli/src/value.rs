//! `dht put` and `dht get`.

use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{
    exit::{not_found, usage},
    join::{Client, ClientArgs, Options},
    output::{self, Output},
    text,
};

/// Bytes of the largest value that is read: no server of any network takes more.
const MAX_VALUE: u64 = 1 << 20;

/// Store a value.
#[derive(Debug, clap::Args)]
pub struct PutArgs {
    /// `/pk/<id>`, `/ipns/<name>`, or `/v/<name>` in a private network
    key: String,
    /// The value, `@FILE` for what is in a file, `-` for what comes on stdin
    value: String,
    #[command(flatten)]
    client: ClientArgs,
}

/// Get a value.
#[derive(Debug, clap::Args)]
pub struct GetArgs {
    /// `/pk/<id>`, `/ipns/<name>`, or `/v/<name>` in a private network
    key: String,
    /// Write the value to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    client: ClientArgs,
}

/// `dht put KEY VALUE|@FILE|-`.
pub async fn put(args: PutArgs, options: &Options, output: Output) -> anyhow::Result<()> {
    let deadline = args.client.deadline();
    let settings = args.client.load(options)?;
    let key = text::value_key(&args.key, &settings).map_err(usage)?.to_string();
    let value = read(&args.value)?;
    let client = Client::join(settings, deadline).await?;
    let put = client.dht().put_value(&key, value).await.with_context(|| format!("cannot put `{key}`"))?;
    let told = output::merged(json!({ "key": key }), output::receipt(&put.receipt));
    output.say(&told, || format!("{key}  {}", output::receipt_text(&put.receipt)))?;
    client.close().await;
    Ok(())
}

/// `dht get KEY [--out FILE]`.
pub async fn get(args: GetArgs, options: &Options, output: Output) -> anyhow::Result<()> {
    let deadline = args.client.deadline();
    let settings = args.client.load(options)?;
    let key = text::value_key(&args.key, &settings).map_err(usage)?.to_string();
    let client = Client::join(settings, deadline).await?;
    let value = client.dht().get_value(&key).await.with_context(|| format!("cannot get `{key}`"))?;
    client.close().await;
    let value = value.ok_or_else(|| not_found(format!("nobody has a value under `{key}`")))?;
    if let Some(path) = &args.out {
        fs::write(path, &value).with_context(|| format!("cannot write `{}`", path.display()))?;
        let told = json!({ "key": key, "file": path.display().to_string(), "bytes": value.len() });
        return Ok(output.say(&told, || format!("{key}  {} bytes in {}", value.len(), path.display()))?);
    }
    if output.json {
        return Ok(output::object(&json!({ "key": key, "value": STANDARD.encode(&value) }))?);
    }
    Ok(output::raw(&value)?)
}

/// The value that an argument stands for.
fn read(argument: &str) -> anyhow::Result<Vec<u8>> {
    let value = if argument == "-" {
        bounded(io::stdin().lock()).context("cannot read the value from stdin")?
    } else if let Some(path) = argument.strip_prefix('@') {
        let named = || format!("cannot read the value from `{path}`");
        bounded(fs::File::open(path).with_context(named)?).with_context(named)?
    } else {
        argument.as_bytes().to_vec()
    };
    if value.len() as u64 > MAX_VALUE {
        return Err(usage(format!("the value has more than {MAX_VALUE} bytes, which no server takes")));
    }
    Ok(value)
}

fn bounded(source: impl Read) -> io::Result<Vec<u8>> {
    let mut value = Vec::new();
    source.take(MAX_VALUE + 1).read_to_end(&mut value)?;
    Ok(value)
}
