//! What the command line asks for.
//!
//! Cargo passes `--bench` when it measures and leaves it out when it tests, as criterion has it; so does this.

use anyhow::{Result, bail};

/// Which comparisons to run, and how.
#[derive(Clone, Debug, Default)]
pub struct Args {
    /// `b1` … `b10`; all when empty.
    names: Vec<String>,
    /// One short round of each, to see that it works.
    pub test: bool,
    /// One JSON object per row.
    pub json: bool,
    /// Rounds, when not the default.
    rounds: Option<usize>,
}

impl Args {
    /// Reads them.
    ///
    /// # Errors
    /// Names the argument that is not understood.
    pub fn read(given: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut args = Self { test: true, ..Self::default() };
        let mut forced = false;
        for argument in given {
            match argument.as_str() {
                "--bench" => args.test = false,
                "--test" => forced = true,
                "--json" => args.json = true,
                rounds if rounds.starts_with("--rounds=") => {
                    args.rounds = Some(rounds["--rounds=".len()..].parse()?);
                }
                flag if flag.starts_with('-') => {
                    bail!(
                        "unknown flag `{flag}`: --test, --json, --rounds=N, or names of comparisons (b1 … b10)"
                    )
                }
                name => args.names.push(name.to_owned()),
            }
        }
        args.test |= forced;
        Ok(args)
    }

    /// Whether this comparison was asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }

    /// How often each contender runs: nine times, once in a test.
    pub fn rounds(&self) -> usize {
        if self.test { 1 } else { self.rounds.unwrap_or(9) }
    }

    /// `full` when measuring, `quick` in a test.
    pub fn size(&self, full: usize, quick: usize) -> usize {
        if self.test { quick } else { full }
    }
}
