//! The table that the demonstration prints, row by row: step, time, messages, verdict.

use std::{io, time::Duration};

use anyhow::anyhow;
use dht::Network;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::swarm::Swarm;
use crate::{exit, output::Output};

/// What a step has seen when it held.
pub type Seen = anyhow::Result<String>;

/// Runs steps and tells how each went.
pub struct Report {
    output: Output,
    start: Instant,
    limit: Duration,
    steps: usize,
    failed: usize,
}

impl Report {
    /// An empty table with its head.
    pub fn new(output: Output, limit: Duration) -> io::Result<Self> {
        if !output.json {
            let head =
                format!("{:<26} {:>10}  {:>8}  {:<7}  {}", "step", "time", "messages", "verdict", "seen");
            output.say(&Value::Null, || head)?;
        }
        Ok(Self { output, start: Instant::now(), limit, steps: 0, failed: 0 })
    }

    /// The first step, which makes the network; `None` when that failed.
    pub async fn start<O: Network>(
        &mut self,
        starting: impl Future<Output = anyhow::Result<Swarm<O>>>,
    ) -> anyhow::Result<Option<Swarm<O>>> {
        let start = Instant::now();
        let started = timeout(self.left(), starting).await.unwrap_or_else(|_| Err(late()));
        // Options that cannot be right are the user's to change, not a step that failed.
        if let Err(error) = &started
            && exit::code(error) == exit::USAGE
        {
            return started.map(Some);
        }
        let seen = started.as_ref().map(Swarm::described).map_err(|error| anyhow!("{error:#}"));
        self.row("start", start.elapsed(), 0, seen)?;
        Ok(started.ok())
    }

    /// Runs a step and tells how it went.
    pub async fn step<O: Network>(
        &mut self,
        swarm: &Swarm<O>,
        name: &str,
        step: impl Future<Output = Seen>,
    ) -> anyhow::Result<()> {
        let (start, before) = (Instant::now(), swarm.messages());
        let seen = timeout(self.left(), step).await.unwrap_or_else(|_| Err(late()));
        self.row(name, start.elapsed(), swarm.messages() - before, seen)
    }

    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.start.elapsed())
    }

    fn row(&mut self, name: &str, took: Duration, messages: u64, seen: Seen) -> anyhow::Result<()> {
        self.steps += 1;
        self.failed += usize::from(seen.is_err());
        let (held, seen) = match seen {
            Ok(seen) => (true, seen),
            Err(error) => (false, exit::line(&error)),
        };
        let ms = millis(took);
        let json = json!({ "step": name, "ms": ms, "messages": messages, "ok": held, "seen": seen });
        let verdict = if held { "ok" } else { "FAILED" };
        self.output.say(&json, || format!("{name:<26} {ms:>7.1} ms  {messages:>8}  {verdict:<7}  {seen}"))?;
        Ok(())
    }

    /// The last line; an error unless every step held.
    pub fn finish(self) -> anyhow::Result<()> {
        let Self { output, start, steps, failed, .. } = self;
        let took = start.elapsed();
        if output.json {
            let ok = failed == 0;
            output.say(
                &json!({ "done": true, "steps": steps, "failed": failed, "ms": millis(took), "ok": ok }),
                String::new,
            )?;
        } else {
            output
                .say(&Value::Null, || format!("\n{} of {steps} steps held, in {took:.1?}", steps - failed))?;
        }
        if failed == 0 { Ok(()) } else { Err(anyhow!("{failed} of {steps} steps failed")) }
    }
}

fn late() -> anyhow::Error {
    anyhow!("not done when the time was up")
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}
