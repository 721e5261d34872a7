//! `dht ipns publish` and `dht ipns resolve`.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, anyhow};
use bytes::Bytes;
use clap::Subcommand;
use dht::{
    Dht,
    core::Wall,
    ipfs::{
        Ipfs, Keypair, ValueKey,
        ipns::{Draft, IpnsRecord, Name},
    },
};
use humantime_serde::re::humantime;
use serde_json::{Value, json};

use crate::{
    exit::not_found,
    identity,
    join::{Client, ClientArgs, Options},
    output::{self, Output},
    text,
};

/// Publish and resolve IPNS names.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Let the name of an identity point to a value
    Publish {
        /// File with the key that owns the name, as `dht keygen` makes it
        #[arg(long, value_name = "FILE")]
        identity: PathBuf,
        /// What the name points to, usually `/ipfs/<cid>`
        value: String,
        /// For how long
        #[arg(long, value_name = "DURATION", value_parser = text::duration, default_value = "48h")]
        lifetime: Duration,
        /// The record's sequence number; without it, one more than that of the record that is published now
        #[arg(long, value_name = "N")]
        sequence: Option<u64>,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Tell what a name points to
    Resolve {
        /// `k51…`, `12D3Koo…` or `/ipns/k51…`
        #[arg(value_parser = text::name)]
        name: Name,
        #[command(flatten)]
        client: ClientArgs,
    },
}

/// `dht ipns …`.
pub async fn run(command: Command, options: &Options, output: Output) -> anyhow::Result<()> {
    match command {
        Command::Publish { identity, value, lifetime, sequence, client } => {
            let deadline = client.deadline();
            let keypair = identity::read(&identity)?;
            let client = Client::join(client.load(options)?, deadline).await?;
            publish(&client, &keypair, &value, lifetime, sequence, output).await?;
            client.close().await;
        }
        Command::Resolve { name, client } => {
            let deadline = client.deadline();
            let client = Client::join(client.load(options)?, deadline).await?;
            let record = current(&client.dht(), &name).await?;
            client.close().await;
            let record = record.ok_or_else(|| not_found(format!("nobody has a record of `{name}`")))?;
            output
                .say(&described(&name, &record), || String::from_utf8_lossy(record.value()).into_owned())?;
        }
    }
    Ok(())
}

async fn publish(
    client: &Client,
    keypair: &Keypair,
    value: &str,
    lifetime: Duration,
    sequence: Option<u64>,
    output: Output,
) -> anyhow::Result<()> {
    let name = Name((&keypair.public()).into());
    let sequence = match sequence {
        Some(sequence) => sequence,
        None => match current(&client.dht(), &name).await? {
            Some(record) => {
                record.sequence().checked_add(1).ok_or_else(|| anyhow!("the sequence is used up"))?
            }
            None => 0,
        },
    };
    let dht = client.dht();
    let draft = Draft::new(value, sequence).lifetime(lifetime);
    let (name, record) = draft.sign(keypair, dht.handle().now().wall).context("cannot sign the record")?;
    let put = dht.put_record(ValueKey::ipns(&name).into_bytes(), record.as_bytes().clone()).await;
    let put = put.with_context(|| format!("cannot publish `{name}` with sequence {sequence}"))?;
    let told = output::merged(described(&name, &record), output::receipt(&put.receipt));
    output.say(&told, || {
        format!("/ipns/{name}  sequence {sequence}, {}", output::receipt_text(&put.receipt))
    })?;
    Ok(())
}

/// The best record there is.
async fn current(dht: &Dht<Ipfs>, name: &Name) -> anyhow::Result<Option<IpnsRecord>> {
    let key: Bytes = ValueKey::ipns(name).into_bytes();
    let found = dht.get_record(key).await.with_context(|| format!("cannot resolve `{name}`"))?;
    // What the node returns has passed the validator, so it can be read.
    found.map(|record| IpnsRecord::parse(&record.value).map_err(Into::into)).transpose()
}

fn described(name: &Name, record: &IpnsRecord) -> Value {
    json!({
        "name": name.to_string(),
        "value": String::from_utf8_lossy(record.value()),
        "sequence": record.sequence(),
        "valid_until": rfc3339(record.end_of_life()),
        "ttl_seconds": record.ttl().as_secs(),
    })
}

fn rfc3339(time: Wall) -> String {
    // The last second that the text can hold.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + time.0.min(LAST)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_however_late_they_are() {
        assert_eq!(rfc3339(Wall::from_secs(1_704_067_200)), "2024-01-01T00:00:00Z");
        assert_eq!(rfc3339(Wall(Duration::MAX)), "9999-12-31T23:59:59Z");
    }
}
