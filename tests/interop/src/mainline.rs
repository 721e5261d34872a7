//! The BitTorrent half of the suite: nodes of ours and a foreign one in one network, and what each wants of the other. What
//! a foreign library has no call for it says itself, and is skipped.

mod foreign;
mod membership;
mod metadata;
mod namespace;
mod ours_ask;
mod scene;
mod they_ask;

use futures::future::LocalBoxFuture;
use tokio::time::{Duration, Instant, timeout};

use crate::{
    arguments::Arguments,
    foreign::Built,
    report::{Cell, Report, Side},
    verdict::{Outcome, Stop, Verdict, wrong},
};
pub use foreign::ALL;
use foreign::Foreign;
use scene::Scene;

/// One row of the table.
pub struct Check {
    pub capability: &'static str,
    pub side: Side,
    pub run: for<'a> fn(&'a Scene) -> LocalBoxFuture<'a, Outcome>,
}

/// No check may take longer; the single steps give up before.
const CHECK_LIMIT: Duration = Duration::from_secs(130);

fn checks() -> impl Iterator<Item = &'static Check> {
    ours_ask::CHECKS.iter().chain(they_ask::CHECKS)
}

/// Which peers and checks there are.
pub fn list() {
    for peer in &ALL {
        println!("peer   {}", peer.name);
    }
    for check in checks() {
        println!("check  {:<9} {}", check.side, check.capability);
    }
}

/// Every selected check with every selected peer.
pub async fn meet_all(arguments: &Arguments, report: &mut Report) {
    let wanted = arguments.check.as_deref().unwrap_or_default();
    for peer in &ALL {
        if !arguments.peer.is_empty() && arguments.peer.iter().all(|name| name != peer.name) {
            continue;
        }
        let checks: Vec<_> = checks().filter(|check| check.capability.contains(wanted)).collect();
        let verdict = match crate::foreign::build(peer.folder).await {
            Ok(Built::Program(program)) => {
                if namespace::is_here(peer) {
                    meet(peer, program, &checks, report).await;
                } else {
                    namespace::meet(peer, &checks, wanted, report).await;
                }
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
}

fn cell(peer: &Foreign, check: &Check, verdict: Verdict) -> Cell {
    Cell { peer: peer.name, capability: check.capability, side: check.side, verdict, took: Duration::ZERO }
}

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
            None => timeout(CHECK_LIMIT, (check.run)(&scene))
                .await
                .unwrap_or_else(|_| Err(wrong("an end within 130 s", "the check still ran"))),
        };
        report.add(Cell { took: began.elapsed(), ..cell(peer, check, Verdict::from(outcome)) });
    }
    scene.end().await;
    report.say(&format!("{}: {:.1} s", peer.name, started.elapsed().as_secs_f64()));
}
