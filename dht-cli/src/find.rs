//! `dht find`: who provides content, where a peer is, who is closest to a key.

use std::collections::BTreeMap;

use anyhow::Context;
use clap::Subcommand;
use dht::{
    Dht,
    ipfs::{ContentKey, Ipfs, PeerId},
};

use crate::{
    exit::{not_found, usage},
    join::{Client, ClientArgs, Options},
    output::Output,
    text,
};

/// Find something.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Who provides content
    Providers {
        /// The content
        #[arg(value_name = "CID", value_parser = text::content)]
        content: ContentKey,
        /// End after so many; 0 finds all
        #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
        number: usize,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Where a peer is
    Peer {
        /// The peer
        #[arg(value_name = "ID", value_parser = text::peer)]
        peer: PeerId,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Who is closest to a key
    Closest {
        /// A peer id, a CID, or the key of a value
        key: String,
        #[command(flatten)]
        client: ClientArgs,
    },
}

/// `dht find …`.
pub async fn run(command: Command, options: &Options, output: Output) -> anyhow::Result<()> {
    match command {
        Command::Providers { content, number, client } => {
            let deadline = client.deadline();
            let client = Client::join(client.load(options)?, deadline).await?;
            let found = providers(&client.dht(), &content, number, output).await?;
            client.close().await;
            if found == 0 {
                return Err(not_found(format!("nobody provides `{content}`")));
            }
        }
        Command::Peer { peer, client } => {
            let deadline = client.deadline();
            let client = Client::join(client.load(options)?, deadline).await?;
            let found =
                client.dht().find_peer(peer).await.with_context(|| format!("cannot look for `{peer}`"))?;
            client.close().await;
            output.contact(&found.ok_or_else(|| not_found(format!("nobody knows where `{peer}` is")))?)?;
        }
        Command::Closest { key, client } => {
            let deadline = client.deadline();
            let settings = client.load(options)?;
            let target = text::target(&key, &settings).map_err(usage)?;
            let client = Client::join(settings, deadline).await?;
            let closest = client.dht().closest_peers(target).await;
            client.close().await;
            for contact in closest.with_context(|| format!("cannot look up `{key}`"))? {
                output.contact(&contact)?;
            }
        }
    }
    Ok(())
}

/// Tells providers as they are found, each once; one whose addresses nobody told waits for them until the end.
async fn providers(
    dht: &Dht<Ipfs>,
    content: &ContentKey,
    number: usize,
    output: Output,
) -> anyhow::Result<usize> {
    let wanted = if number == 0 { usize::MAX } else { number };
    let mut search = dht.find_providers(content.as_bytes().clone(), 0).await?;
    // Peers that were told, and those that wait.
    let mut seen = BTreeMap::new();
    let mut told = 0;
    while told < wanted {
        let Some(provider) = search.next().await else { break };
        let known = seen.insert(provider.peer, provider.is_located());
        if provider.is_located() && known != Some(true) {
            output.contact(&provider)?;
            told += 1;
        }
    }
    let unlocated = seen.into_iter().filter(|(_, located)| !located);
    for (peer, _) in unlocated.take(wanted - told) {
        output.contact(&dht::Contact::unlocated(peer))?;
        told += 1;
    }
    Ok(told)
}
