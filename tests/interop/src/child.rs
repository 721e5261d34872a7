//! A foreign node as a child process, and the line protocol it speaks. Dropping it ends the process.

use std::{
    collections::BTreeMap,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{self, ChildStdin, ChildStdout, Command},
    sync::{Mutex as AsyncMutex, oneshot},
    time::timeout,
};

use crate::verdict::{Expected, Outcome, wrong};

/// A peer says that it is ready within this.
const START: Duration = Duration::from_secs(30);
/// Requests end after 30 s at the latest; this notices that one did not.
const ANSWER: Duration = Duration::from_secs(35);
/// An orderly end takes no longer.
const END: Duration = Duration::from_secs(2);

type Waiting = Arc<Mutex<BTreeMap<u64, oneshot::Sender<Value>>>>;

/// A running foreign node.
#[derive(Debug)]
pub struct Child {
    /// Its name in the network.
    pub peer: String,
    /// Where it is, `/…/p2p/<peer>`.
    pub address: String,
    /// Where a BitTorrent node takes connections; empty where it takes none.
    pub tcp: String,
    process: process::Child,
    stdin: AsyncMutex<(u64, ChildStdin)>,
    waiting: Waiting,
}

impl Child {
    /// Starts a program of the IPFS network and waits until it is ready. What it writes to stderr goes to the file `log`.
    pub async fn start(program: &[String], arguments: &[&str], log: &std::path::Path) -> Outcome<Self> {
        let (mut child, ready) = Self::launch(program, arguments, log).await?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let (Some(peer), Some(address)) = (text(&ready["peer"]), text(&ready["addrs"][0])) else {
            return Err(wrong("`ready` with a peer and an address", ready));
        };
        (child.peer, child.address) = (peer, address);
        Ok(child)
    }

    /// The same of a BitTorrent node: its `addr`, and its `id` and `tcp` where it tells them.
    pub async fn start_node(program: &[String], arguments: &[&str], log: &std::path::Path) -> Outcome<Self> {
        let (mut child, ready) = Self::launch(program, arguments, log).await?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let Some(address) = text(&ready["addr"]) else { return Err(wrong("`ready` with an address", ready)) };
        (child.peer, child.address) = (text(&ready["id"]).unwrap_or_default(), address);
        child.tcp = text(&ready["tcp"]).unwrap_or_default();
        Ok(child)
    }

    async fn launch(program: &[String], arguments: &[&str], log: &std::path::Path) -> Outcome<(Self, Value)> {
        let stderr = std::fs::File::create(log).expected("a log file for the peer")?;
        let (first, rest) = program.split_first().ok_or_else(|| wrong("a command line", "an empty one"))?;
        let mut process = Command::new(first)
            .args(rest)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .expected("the peer starts")?;
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(wrong("both pipes of the peer", "one is missing"));
        };
        let mut lines = BufReader::new(stdout).lines();
        let first = timeout(START, lines.next_line()).await.expected("the peer is ready within 30 s")?;
        let first = first.expected("a line of the peer")?;
        let ready: Value = serde_json::from_str(first.as_deref().unwrap_or_default())
            .expected("`ready`, see the peer's log")?;
        let waiting = Waiting::default();
        tokio::spawn(read(lines, waiting.clone()));
        let (peer, address, tcp) = Default::default();
        Ok((Self { peer, address, tcp, process, stdin: AsyncMutex::new((0, stdin)), waiting }, ready))
    }

    /// One operation: the fields of its answer, or its error.
    pub async fn ask(&self, op: &str, mut fields: Value) -> Result<Value, String> {
        let (reply, answer) = oneshot::channel();
        {
            let mut stdin = self.stdin.lock().await;
            stdin.0 += 1;
            let id = stdin.0;
            fields["id"] = id.into();
            fields["op"] = op.into();
            lock(&self.waiting).insert(id, reply);
            let line = format!("{fields}\n");
            stdin.1.write_all(line.as_bytes()).await.map_err(|error| format!("its stdin: {error}"))?;
        }
        let answer = timeout(ANSWER, answer).await.map_err(|_| format!("no line for `{op}` within 35 s"))?;
        let answer = answer.map_err(|_| format!("the peer ended before it answered `{op}`"))?;
        if answer["ok"] == true {
            return Ok(answer);
        }
        Err(answer["error"].as_str().map_or_else(|| answer.to_string(), str::to_owned))
    }

    /// The strings in a list of the answer.
    pub async fn names(&self, op: &str, fields: Value, list: &str) -> Result<Vec<String>, String> {
        let answer = self.ask(op, fields).await?;
        let names = answer[list].as_array().ok_or_else(|| format!("no `{list}` in {answer}"))?;
        Ok(names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
    }

    /// Connects it to an address.
    pub async fn connect(&self, address: &str) -> Outcome {
        self.ask("connect", json!({ "addr": address })).await.expected("it connects to us").map(drop)
    }

    /// Ends the process: asked first, so that it can clear up behind itself, then by its own handle.
    pub async fn end(&mut self) {
        // It may have ended before.
        let _ = timeout(END, self.ask("quit", json!({}))).await;
        if timeout(END, self.process.wait()).await.is_err() {
            let _ = self.process.start_kill();
            let _ = timeout(END, self.process.wait()).await;
        }
    }
}

async fn read(mut lines: Lines<BufReader<ChildStdout>>, waiting: Waiting) {
    while let Ok(Some(line)) = lines.next_line().await {
        // What is no line of the protocol answers nobody.
        let Ok(answer) = serde_json::from_str::<Value>(&line) else { continue };
        let Some(id) = answer["id"].as_u64() else { continue };
        if let Some(reply) = lock(&waiting).remove(&id) {
            // Whoever asked may have given up.
            let _ = reply.send(answer);
        }
    }
    lock(&waiting).clear();
}

fn lock(waiting: &Waiting) -> std::sync::MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Value>>> {
    waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
