//! What every check with one foreign node finds: that node as a server, two servers of ours, and a client of each kind.

use bytes::Bytes;
use dht::{
    Dht, Mode,
    ipfs::{Ipfs, PeerId},
};
use serde_json::json;
use tokio::time::Duration;

use crate::{
    child::Child,
    foreign::Foreign,
    ours::{self, Plan, Sample},
    verdict::{Expected, Outcome, PATIENCE, Stop, eventually, wrong},
    wire,
};

/// The nodes of one foreign peer's checks.
pub struct Scene {
    pub foreign: &'static Foreign,
    program: Vec<String>,
    /// The foreign node, a server.
    pub them: Child,
    /// Its name, as we write it.
    pub their_id: PeerId,
    /// Our server, which it connected to.
    pub server: Dht<Ipfs>,
    /// A server of ours that has joined through `server` only.
    pub friend: Dht<Ipfs>,
    /// Our client, which joined through the foreign node and may know everybody.
    pub client: Dht<Ipfs>,
    /// Our client that asks nobody but the foreign node.
    pub reader: Dht<Ipfs>,
}

impl Scene {
    pub async fn start(foreign: &'static Foreign, program: Vec<String>) -> Outcome<Self> {
        let plan = Plan { prefix: foreign.prefix, mode: Mode::Server, only: None };
        let server = plan.start().await?;
        let friend = plan.start().await?;
        join(&friend, &ours::address(&server)?).await?;
        let them = start_foreign(foreign, &program, "server").await?;
        let their_id: PeerId = them.peer.parse().expected("a peer id")?;
        them.connect(&ours::address(&server)?).await?;
        let client = Plan { mode: Mode::Client, ..plan }.start().await?;
        let reader = Plan { mode: Mode::Client, only: Some(their_id), ..plan }.start().await?;
        join(&client, &them.address).await?;
        join(&reader, &them.address).await?;
        Ok(Self { foreign, program, them, their_id, server, friend, client, reader })
    }

    /// A node of ours in this network.
    pub fn plan(&self, mode: Mode) -> Plan {
        Plan { prefix: self.foreign.prefix, mode, only: None }
    }

    /// Another process of the foreign node, as a client.
    pub async fn their_client(&self) -> Outcome<Child> {
        start_foreign(self.foreign, &self.program, "client").await
    }

    /// The names in the foreign node's table: told, or seen in a lookup, which starts from there.
    pub async fn their_table(&self) -> Result<Vec<String>, String> {
        if self.foreign.tells_table {
            return self.them.names("table", json!({}), "peers").await;
        }
        let own = PeerId::from_public_key(&self.server.keypair().public());
        self.them.names("closest", json!({ "key": wire::base64(own.as_ref()) }), "peers").await
    }

    /// Waits until a peer is, or is not, in the foreign node's table.
    pub async fn their_table_has(&self, peer: &str, wanted: bool) -> Outcome {
        let word = if wanted { "holds" } else { "does not hold" };
        eventually(format!("its table {word} {peer}"), PATIENCE, async || {
            let table = self.their_table().await?;
            if table.iter().any(|name| name == peer) == wanted { Ok(()) } else { Err(format!("{table:?}")) }
        })
        .await
    }

    /// Whether identify told the foreign node that a peer serves the network's protocol.
    pub async fn they_see_server(&self, peer: &str) -> Result<bool, String> {
        let protocol = format!("{}/kad/1.0.0", self.foreign.prefix);
        let told = self.them.names("protocols", json!({ "peer": peer }), "protocols").await?;
        Ok(told.contains(&protocol))
    }

    /// Stores at its peers from the foreign node.
    pub async fn they_put(&self, sample: &Sample) -> Result<(), String> {
        let fields = json!({ "key": wire::base64(&sample.key), "value": wire::base64(&sample.value) });
        self.them.ask("put", fields).await.map(drop)
    }

    /// A record that the foreign node makes.
    pub async fn their_sample(&self, op: &str, fields: serde_json::Value) -> Outcome<Sample> {
        let made = self.them.ask(op, fields).await.expected(format!("`{op}`"))?;
        let bytes = |field: &str| made[field].as_str().and_then(wire::from_base64).map(Bytes::from);
        match (bytes("key"), bytes("value")) {
            (Some(key), Some(value)) => Ok(Sample { key, value }),
            _ => Err(wrong("a key and a value", made)),
        }
    }

    /// Frames written on one stream to our server, and as many replies as expected, unless the stream breaks.
    pub async fn raw(&self, frames: &[Vec<u8>], expect: usize) -> Outcome<Vec<wire::Reply>> {
        self.raw_to(&ours::address(&self.server)?, frames, expect).await
    }

    /// The same to any node.
    pub async fn raw_to(
        &self,
        address: &str,
        frames: &[Vec<u8>],
        expect: usize,
    ) -> Outcome<Vec<wire::Reply>> {
        let frames: Vec<String> = frames.iter().map(|frame| wire::base64(frame)).collect();
        let fields = json!({ "addr": address, "frames": frames, "expect": expect });
        let answer = self.them.ask("raw", fields).await.expected(format!("{expect} replies"))?;
        if let Some(broken) = answer["broken"].as_str() {
            return Err(wrong(format!("{expect} replies"), format!("the stream broke: {broken}")));
        }
        let replies = answer["replies"].as_array().map(Vec::as_slice).unwrap_or_default();
        let parse = |reply: &serde_json::Value| wire::Reply::parse(&wire::from_base64(reply.as_str()?)?);
        replies
            .iter()
            .map(parse)
            .collect::<Option<_>>()
            .ok_or_else(|| wrong("replies that are messages", &answer))
    }

    /// What our server holds under the key of a sample.
    pub async fn held(&self, sample: &Sample) -> Outcome<Option<Bytes>> {
        let held = self.server.datastore().get(&sample.query()).await.expected("our store answers")?;
        let values = held.into_iter().filter_map(|stored| match stored.item {
            dht::ipfs::Item::Value(record) => Some(record.value),
            dht::ipfs::Item::Provider(_) => None,
        });
        Ok(values.last())
    }

    /// Waits until our server holds a sample.
    pub async fn holds(&self, sample: &Sample) -> Outcome {
        eventually("our server holds the value", PATIENCE, async || match self.held(sample).await {
            Ok(Some(value)) if value == sample.value => Ok(()),
            Ok(Some(other)) => Err(format!("it holds another one of {} bytes", other.len())),
            Ok(None) => Err("it holds nothing under that key".to_owned()),
            Err(stop) => Err(format!("{stop:?}")),
        })
        .await
    }

    /// Ends all of it.
    pub async fn end(mut self) {
        self.them.end().await;
        for node in [&self.reader, &self.client, &self.friend, &self.server] {
            node.close().await;
        }
    }
}

/// Joins a node of ours to the network of the peer at this address.
pub async fn join(node: &Dht<Ipfs>, address: &str) -> Outcome {
    let contact = ours::contact(address)?;
    let peer = contact.peer;
    node.dial_at(contact.clone()).await.expected(format!("our node connects to {address}"))?;
    eventually(format!("our table takes {address}"), Duration::from_secs(15), async || {
        let entries = node.table().peers().await.map_err(|error| error.to_string())?;
        let names: Vec<_> = entries.iter().map(|entry| entry.contact.peer.to_string()).collect();
        if entries.iter().any(|entry| entry.contact.peer == peer) {
            Ok(())
        } else {
            Err(format!("{names:?}"))
        }
    })
    .await
}

async fn start_foreign(foreign: &Foreign, program: &[String], mode: &str) -> Outcome<Child> {
    let log = foreign.log(mode).map_err(|error| wrong("a folder for logs", error))?;
    let arguments = ["--prefix", foreign.prefix, "--mode", mode, "--listen", "/ip4/127.0.0.1/tcp/0"];
    Child::start(program, &arguments, &log).await
}

/// A reason to leave a check out.
pub fn skipped<T>(reason: impl Into<String>) -> Outcome<T> {
    Err(Stop::Skipped(reason.into()))
}
