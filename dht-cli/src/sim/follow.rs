//! Following runs while they run: a progress bar, the log of everything that happens, the story of one node or key.

use std::{
    fmt::{self, Display},
    io::{IsTerminal, stderr},
    str::FromStr,
};

use dht_sim::{Happening, OpKind, Sample, Scenario, Violation, Watch};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::files::Log;
use crate::{
    exit,
    output::{Output, lenient, merged},
};

/// Steps of the bar that one run takes.
const STEPS: u64 = 1000;

/// Whose story is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A node's.
    Node(u32),
    /// A key's.
    Key(u32),
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, make): (_, fn(u32) -> Self) = match text.strip_prefix("key:") {
            Some(key) => (key, Self::Key),
            None => (text.strip_prefix("node:").unwrap_or(text), Self::Node),
        };
        number.parse().map(make).map_err(|_| "a node such as `17`, or a key such as `key:7`".to_owned())
    }
}

impl Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(number) => write!(f, "node {number}"),
            Self::Key(number) => write!(f, "key {number}"),
        }
    }
}

impl Subject {
    fn concerns(self, happening: &Happening) -> bool {
        use Happening::{Aborted, Began, Down, Ended, Struck, Up};
        match (self, happening) {
            (Self::Node(n), Up { node } | Down { node, .. } | Struck { node, .. }) => *node == n,
            (Self::Node(n), Began { node, .. } | Ended { node, .. } | Aborted { node, .. }) => *node == n,
            (Self::Key(n), Began { kind, key, .. } | Ended { kind, key, .. } | Aborted { kind, key, .. }) => {
                *key == Some(n) && *kind != OpKind::Lookup
            }
            // What befalls the network belongs to every story.
            (_, Happening::Fault { .. }) => true,
            _ => false,
        }
    }

    fn is_at_fault(self, violation: &Violation) -> bool {
        match self {
            Self::Node(node) => violation.node == Some(node),
            Self::Key(key) => violation.detail.starts_with(&format!("key {key}:")),
        }
    }
}

/// How far all runs are.
pub struct Bar(ProgressBar);

impl Bar {
    /// One bar for all seeds; hidden where nobody looks.
    pub fn new(scenario: &Scenario, seeds: u32) -> anyhow::Result<Self> {
        let bar = if stderr().is_terminal() {
            ProgressBar::new(STEPS * u64::from(seeds))
        } else {
            ProgressBar::hidden()
        };
        let style = ProgressStyle::with_template("{elapsed}  {prefix} [{bar:40}] {percent}% {msg}")?;
        Ok(Self(bar.with_style(style).with_prefix(scenario.name.clone())))
    }

    /// Takes it away.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// Follows one run.
pub struct Follower<'a> {
    seed: u64,
    bar: &'a Bar,
    /// Steps of the bar that this run took.
    steps: u64,
    log: Option<&'a Log>,
    subject: Option<Subject>,
    /// Whether anything was told of the subject itself.
    met: bool,
    /// Whether other runs are told of at the same time.
    among: bool,
    output: Output,
}

impl<'a> Follower<'a> {
    /// For the run of a seed.
    pub fn new(
        seed: u64,
        bar: &'a Bar,
        log: Option<&'a Log>,
        subject: Option<Subject>,
        output: Output,
    ) -> Self {
        Self { seed, bar, steps: 0, log, subject, met: false, among: false, output }
    }

    /// Lines of several runs mix: each says in words too whose it is.
    pub fn among_others(self, among: bool) -> Self {
        Self { among, ..self }
    }

    /// The run has ended.
    pub fn finish(self) {
        self.bar.0.inc(STEPS.saturating_sub(self.steps));
        if let Some(subject) = self.subject.filter(|_| !self.met) {
            let seed = self.seed;
            self.bar.0.suspend(|| exit::complain(&format!("nothing happened to {subject} with seed {seed}")));
        }
    }

    fn tell(&self, json: &Value) {
        let text = || {
            let seed = self.among.then(|| format!("seed {}", self.seed));
            let fields = json.as_object().into_iter().flatten().filter(|(name, _)| *name != "seed");
            let fields = fields.map(|(name, value)| format!("{name} {value}"));
            seed.into_iter().chain(fields).collect::<Vec<_>>().join("  ")
        };
        // Who has seen enough of the story still wants the end.
        let _ = self.bar.0.suspend(|| lenient(self.output.say(json, text)));
    }

    fn line(&self, at: f64, what: Value) -> Value {
        merged(json!({ "seed": self.seed, "at": millis(at) }), what)
    }
}

/// Seconds to the millisecond.
fn millis(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}

impl Watch for Follower<'_> {
    fn sampled(&mut self, sample: &Sample, duration: f64) {
        let steps = (STEPS as f64 * (sample.at / duration).clamp(0.0, 1.0)) as u64;
        self.bar.0.inc(steps.saturating_sub(self.steps));
        self.bar.0.set_message(format!("{} up, {} failed lately", sample.state.up, sample.failed));
        self.steps = steps.max(self.steps);
    }

    fn happened(&mut self, at: f64, happening: &Happening) {
        let told = self.subject.is_some_and(|subject| subject.concerns(happening));
        self.met |= told && !matches!(happening, Happening::Fault { .. });
        if self.log.is_none() && !told {
            return;
        }
        let line = self.line(at, serde_json::to_value(happening).unwrap_or_default());
        if let Some(log) = self.log {
            log.write(&line);
        }
        if told {
            self.tell(&line);
        }
    }

    fn violated(&mut self, violation: &Violation) {
        let told = self.subject.is_some_and(|subject| subject.is_at_fault(violation));
        if self.log.is_none() && !told {
            return;
        }
        let mut what = json!({ "event": "violation" });
        what = merged(what, serde_json::to_value(violation).unwrap_or_default());
        what = merged(what, json!({ "seed": self.seed, "at": millis(violation.at) }));
        if let Some(log) = self.log {
            log.write(&what);
        }
        if told {
            self.tell(&what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_nodes_or_keys() {
        assert_eq!("17".parse(), Ok(Subject::Node(17)));
        assert_eq!("node:17".parse(), Ok(Subject::Node(17)));
        assert_eq!("key:7".parse(), Ok(Subject::Key(7)));
        assert!("seven".parse::<Subject>().is_err());
    }

    #[test]
    fn a_story_is_that_of_its_subject() {
        let began = Happening::Began { kind: OpKind::Get, node: 3, key: Some(7) };
        let looked = Happening::Began { kind: OpKind::Lookup, node: 3, key: Some(7) };
        assert!(Subject::Node(3).concerns(&began) && Subject::Key(7).concerns(&began));
        let struck = Happening::Struck { node: 3, name: "clock_freeze", begins: true };
        assert!(Subject::Node(3).concerns(&struck) && !Subject::Node(7).concerns(&struck));
        assert!(!Subject::Node(7).concerns(&began) && !Subject::Key(7).concerns(&looked));
    }
}
