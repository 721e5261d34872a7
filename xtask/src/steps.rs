//! Named, timed steps. A failing step ends the run: what comes after it would report the same fault again.
//!
//! What a step prints goes straight through, so the output of a failing one stands above its verdict.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;

/// The steps of one run, with what became of them.
#[derive(Default)]
pub struct Steps {
    done: Vec<(String, Duration, bool)>,
}

impl Steps {
    /// Runs one step and says how long it took.
    pub fn run(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("== {name}");
        let start = now();
        let outcome = step();
        let took = start.elapsed();
        let verdict = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("== {name}: {verdict} after {:.1} s", took.as_secs_f64());
        self.done.push((name.to_owned(), took, outcome.is_ok()));
        outcome
    }

    /// Every step with its time, the whole, and as the last line `N steps passed, N failed`.
    pub fn summary(&self) -> String {
        let width = self.done.iter().map(|(name, ..)| name.len()).max().unwrap_or_default();
        let mut text = String::from("\n");
        for (name, took, ok) in &self.done {
            let verdict = if *ok { "ok" } else { "FAILED" };
            let _ = writeln!(text, "{name:width$}  {:>7.1} s  {verdict}", took.as_secs_f64());
        }
        let whole: Duration = self.done.iter().map(|(_, took, _)| *took).sum();
        let _ = writeln!(text, "{:width$}  {:>7.1} s", "all", whole.as_secs_f64());
        let passed = self.done.iter().filter(|(.., ok)| *ok).count();
        let _ = write!(text, "{passed} steps passed, {} failed", self.done.len() - passed);
        text
    }
}

#[allow(clippy::disallowed_methods, reason = "a program measures how long its own steps take")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::Steps;

    #[test]
    fn the_last_line_counts_what_passed_and_what_failed() {
        let mut steps = Steps::default();
        steps.run("good", || Ok(())).unwrap();
        steps.run("bad", || anyhow::bail!("no")).unwrap_err();
        assert_eq!(steps.summary().lines().last(), Some("1 steps passed, 1 failed"));
    }
}
