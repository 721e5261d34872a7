//! `dht provide`: announces content, once or for as long as it runs.

use std::time::Duration;

use anyhow::anyhow;
use dht::{
    Dht, ProvideError, Receipt,
    ipfs::{ContentKey, Ipfs},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    exit::usage,
    join::{self, Client, ClientArgs, Options, PlaceArgs, Stay},
    output::{self, Output},
    signals, text,
};

/// How long a node may take to find out where it is.
const LOCATE: Duration = Duration::from_secs(20);

/// Announce content.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What this machine provides
    #[arg(required = true, value_name = "CID", value_parser = text::content)]
    contents: Vec<ContentKey>,
    /// Announce once and end, instead of every 22 h until SIGINT or SIGTERM
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    client: ClientArgs,
}

/// `dht provide CID… [--once]`.
pub async fn run(args: Args, options: &Options, output: Output) -> anyhow::Result<()> {
    let stop = signals::listen()?;
    let announce = announce(&args, options, output);
    tokio::pin!(stop);
    let client = tokio::select! {
        () = &mut stop => return Ok(()),
        announced = announce => announced?,
    };
    if !args.once {
        stop.await;
    }
    client.close().await;
    Ok(())
}

async fn announce(args: &Args, options: &Options, output: Output) -> anyhow::Result<Client> {
    let deadline = args.client.deadline();
    let layered = options.load(|loader| args.place.layer(args.client.network().layer(loader)))?;
    let settings = layered.settings;
    if settings.network.listen.is_empty() {
        return Err(usage("a provider must be reachable; give an address with --listen"));
    }
    let keypair = join::identity(&settings)?;
    let stay = if args.once { Stay::Once } else { Stay::On };
    let client = Client::join_as(settings, keypair, stay, deadline).await?;
    located(&client.dht(), deadline.left().min(LOCATE)).await?;
    let mut unheard = 0;
    for content in &args.contents {
        let told = announce_one(&client.dht(), content, args.once).await;
        unheard += usize::from(told.is_err());
        say(output, content, told)?;
    }
    // Who keeps announcing tries again in ten minutes.
    if args.once && unheard > 0 {
        return Err(anyhow!("{unheard} of {} were stored by nobody", args.contents.len()));
    }
    Ok(client)
}

async fn announce_one(
    dht: &Dht<Ipfs>,
    content: &ContentKey,
    once: bool,
) -> Result<Receipt<Ipfs>, ProvideError<Ipfs>> {
    let key = content.as_bytes().clone();
    if once { dht.provide_once(key).await } else { Ok(dht.provide(key, true).await?.receipt) }
}

fn say(
    output: Output,
    content: &ContentKey,
    told: Result<Receipt<Ipfs>, ProvideError<Ipfs>>,
) -> std::io::Result<()> {
    let json = provided(content, &told);
    output.say(&json, || match &told {
        Ok(receipt) => format!("{content}  {}", output::receipt_text(receipt)),
        Err(error) => format!("{content}  {error}"),
    })
}

/// What came of an announcement.
pub fn provided(content: &ContentKey, told: &Result<Receipt<Ipfs>, ProvideError<Ipfs>>) -> Value {
    output::merged(json!({ "cid": content.to_string() }), output::stored(told))
}

/// Waits until the node knows where it can be reached: a record without an address is refused everywhere.
pub async fn located(dht: &Dht<Ipfs>, limit: Duration) -> anyhow::Result<()> {
    let mut local = dht.handle().watch_local();
    let found = timeout(limit, local.wait_for(|contact| contact.is_located())).await;
    match found {
        Ok(Ok(_)) => Ok(()),
        _ => Err(anyhow!(
            "no address of this node is known to be reachable from outside; name one as `network.announce` in a file \
             or in DHT_NETWORK__ANNOUNCE"
        )),
    }
}
