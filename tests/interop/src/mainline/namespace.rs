//! Nodes that speak to no loopback address are met in a network of their own: the suite runs itself in there, for one
//! peer, and what it tells becomes cells of the table here.

use std::{net::UdpSocket, path::PathBuf, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use super::{Check, cell, foreign::Foreign};
use crate::{
    report::{Cell, Report},
    verdict::{Expected, Outcome, Stop, Verdict, wrong},
};

/// What the script says where the machine allows no such network.
const NOT_ALLOWED: i32 = 77;

/// Whether this process can meet a peer itself.
pub fn is_here(peer: &Foreign) -> bool {
    UdpSocket::bind((peer.ip, 0)).is_ok()
}

/// Meets a peer in there.
pub async fn meet(peer: &Foreign, checks: &[&Check], wanted: &str, report: &mut Report) {
    let mut open = checks.to_vec();
    let verdict = match run(peer, &mut open, wanted, report).await {
        Ok(()) => Verdict::from(Err(wrong("a line for this check", "none"))),
        Err(stop) => Verdict::from(Err(stop)),
    };
    open.into_iter().for_each(|check| report.add(cell(peer, check, verdict.clone())));
}

/// Takes from `open` what was told.
async fn run(peer: &Foreign, open: &mut Vec<&Check>, wanted: &str, report: &mut Report) -> Outcome {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers/bittorrent/namespace");
    let tried = Command::new(&script).arg("true").output().await.expected("the script starts")?;
    if tried.status.code() == Some(NOT_ALLOWED) {
        return Err(Stop::Skipped(String::from_utf8_lossy(&tried.stderr).trim().to_owned()));
    }
    let program = std::env::current_exe().expected("the name of this program")?;
    let mut inside = Command::new(&script)
        .arg(program)
        .args(["--network", "mainline", "--json", "--peer", peer.name, "--check", wanted])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expected("the suite starts in there")?;
    let stdout = inside.stdout.take().ok_or_else(|| wrong("a pipe", "none"))?;
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await.expected("lines")? {
        let Ok(told) = serde_json::from_str::<Value>(&line) else { continue };
        let is = |check: &&&Check| {
            told["capability"] == check.capability && told["direction"] == check.side.to_string()
        };
        if let Some(at) = open.iter().position(|check| is(&check)) {
            let check = open.remove(at);
            let took = Duration::try_from_secs_f64(told["seconds"].as_f64().unwrap_or_default());
            let verdict = Verdict::from(outcome(&told));
            report.add(Cell { took: took.unwrap_or_default(), ..cell(peer, check, verdict) });
        }
    }
    inside.wait().await.expected("its end").map(drop)
}

fn outcome(told: &Value) -> Outcome {
    let text = |field: &str| told[field].as_str().unwrap_or_default().to_owned();
    match told["verdict"].as_str() {
        Some("ok") => Ok(()),
        Some("skipped") => Err(Stop::Skipped(text("reason"))),
        _ => Err(wrong(text("expected"), text("got"))),
    }
}
