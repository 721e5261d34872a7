//! A stock rust-libp2p Kademlia peer that is told what to do by JSON lines on stdin. The protocol is described in
//! `../../README.md`. It shares no code with the node it meets, on purpose.

mod keys;
mod lines;
mod peer;
mod queries;

use std::{error::Error, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{keys::ExtraKey, lines::Arguments, peer::Peer};

/// No operation may outlive this: a test that waits longer has failed anyway.
const DEADLINE: Duration = Duration::from_secs(30);

/// What an operation answers: fields of the answer line, or the text of its error.
pub type Outcome = Result<Value, String>;

/// One operation on its way to the task that owns the swarm.
pub struct Command {
    pub request: Value,
    pub reply: oneshot::Sender<Outcome>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let (commands, inbox) = mpsc::channel(1024);
    let mut peer = Peer::new(&arguments)?;
    lines::write(peer.ready(&arguments.listen).await?);
    tokio::spawn(peer.run(inbox));

    let extra = ExtraKey::generate();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let request: Value = serde_json::from_str(&line)?;
        let id = request["id"].clone();
        if request["op"] == "quit" {
            lines::write(json!({ "id": id, "ok": true }));
            break;
        }
        if request["op"] == "own_pk" {
            lines::write(lines::answer(id, Ok(extra.record())));
            continue;
        }
        let commands = commands.clone();
        tokio::spawn(async move {
            let outcome = match request["op"].as_str() {
                Some("burst") => burst(&commands, &request).await,
                _ => perform(&commands, request).await,
            };
            lines::write(lines::answer(id, outcome));
        });
    }
    Ok(())
}

async fn perform(commands: &mpsc::Sender<Command>, request: Value) -> Outcome {
    let (reply, outcome) = oneshot::channel();
    let sent = commands.send(Command { request, reply }).await;
    sent.map_err(|_| "the swarm has stopped".to_owned())?;
    match timeout(DEADLINE, outcome).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err("the swarm dropped the request".into()),
        Err(_) => Err("deadline of 30 s passed".into()),
    }
}

/// Lookups of random keys, all at once. The library can not aim a single request at a peer, so `peer` is ignored: a
/// test that wants all of them at one peer connects to that peer alone.
async fn burst(commands: &mpsc::Sender<Command>, request: &Value) -> Outcome {
    let count = request["count"].as_u64().unwrap_or(1);
    let lookups = (0..count).map(|_| {
        let key = lines::base64(&libp2p::PeerId::random().to_bytes());
        perform(commands, json!({ "op": "closest", "key": key }))
    });
    let outcomes = futures::future::join_all(lookups).await;
    let succeeded = outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
    let first_error = outcomes.into_iter().find_map(Result::err);
    Ok(json!({ "succeeded": succeeded, "failed": count - succeeded, "first_error": first_error }))
}
