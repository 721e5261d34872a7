//! Meets foreign Kademlia nodes on loopback, both ways: what they want of us and what we want of them. Each check is one
//! cell of a table peer × capability × direction.
//!
//! The foreign nodes are programs of their own (`peers/`), built from package registries when the suite runs; ours is a
//! node as any user of `dht` builds it. What is not here: anything that our own nodes can show among themselves.

mod arguments;
mod checks;
mod child;
mod foreign;
mod mainline;
mod ours;
mod report;
mod scene;
mod verdict;
mod wire;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use tokio::time::{Duration, Instant, timeout};

use crate::{
    arguments::{Arguments, Network},
    checks::{CHECKS, Check},
    foreign::{ALL, Built, Foreign},
    report::{Cell, Report},
    scene::Scene,
    verdict::{Stop, Verdict, wrong},
};

/// No check may take longer; the single steps give up before.
const CHECK_LIMIT: Duration = Duration::from_secs(60);

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(&Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing failed.
async fn run(arguments: &Arguments) -> Result<bool> {
    let ipfs = arguments.network != Some(Network::Mainline);
    let bittorrent = arguments.network != Some(Network::Ipfs);
    let peers = if ipfs { selected(&arguments.peer)? } else { Vec::new() };
    let wanted = arguments.check.as_deref().unwrap_or_default();
    let checks: Vec<&Check> = CHECKS.iter().filter(|check| check.capability.contains(wanted)).collect();
    if arguments.list {
        report::list(&peers, &checks);
        if bittorrent {
            mainline::list();
        }
        return Ok(true);
    }
    let mut report = Report::new(arguments.json);
    report.next_table();
    for peer in peers {
        let verdict = match peer.build().await {
            Ok(Built::Program(program)) => {
                meet(peer, program, &checks, &mut report).await;
                continue;
            }
            Ok(Built::Missing(why)) => {
                report.say(&format!("{} is left out: {why}", peer.name));
                Verdict::Skipped(why)
            }
            Err(error) => Verdict::from(Err(wrong("the peer is built", format!("{error:#}")))),
        };
        checks.iter().for_each(|check| report.add(cell(peer, check, verdict.clone())));
    }
    if bittorrent {
        report.next_table();
        mainline::meet_all(arguments, &mut report).await;
    }
    Ok(report.end())
}

fn selected(names: &[String]) -> Result<Vec<&'static Foreign>> {
    let known: Vec<_> =
        ALL.iter().map(|peer| peer.name).chain(mainline::ALL.iter().map(|peer| peer.name)).collect();
    if let Some(unknown) = names.iter().find(|name| known.iter().all(|known| known != *name)) {
        bail!("there is no peer `{unknown}`; there are {}", known.join(", "));
    }
    Ok(ALL.iter().filter(|peer| names.is_empty() || names.iter().any(|name| name == peer.name)).collect())
}

fn cell(peer: &Foreign, check: &Check, verdict: Verdict) -> Cell {
    Cell { peer: peer.name, capability: check.capability, side: check.side, verdict, took: Duration::ZERO }
}

/// All checks with one peer, one after the other: together they would measure each other.
async fn meet(peer: &'static Foreign, program: Vec<String>, checks: &[&Check], report: &mut Report) {
    let started = Instant::now();
    let mut scene = match Scene::start(peer, program).await {
        Ok(scene) => scene,
        Err(stop) => {
            let verdict = Verdict::from(Err(stop));
            return checks.iter().for_each(|check| report.add(cell(peer, check, verdict.clone())));
        }
    };
    for check in checks {
        let began = Instant::now();
        let outcome = match peer.cannot(check.capability, check.side) {
            Some(reason) => Err(Stop::Skipped(reason.to_owned())),
            None => timeout(CHECK_LIMIT, (check.run)(&mut scene))
                .await
                .unwrap_or_else(|_| Err(wrong("an end within 60 s", "the check still ran"))),
        };
        let verdict = Verdict::from(outcome);
        report.add(Cell { took: began.elapsed(), ..cell(peer, check, verdict) });
    }
    scene.end().await;
    report.say(&format!("{}: {:.1} s", peer.name, started.elapsed().as_secs_f64()));
}
