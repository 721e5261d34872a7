//! A server in a process of its own, which tells in one line where it listens and serves until its input ends, so that it
//! never outlives this one.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};

/// A running server; it ends when this is dropped.
pub struct Process {
    child: Child,
}

impl Process {
    /// This program, started again.
    ///
    /// # Errors
    /// When it is not known where it is.
    pub fn again() -> Result<Command> {
        Ok(Command::new(std::env::current_exe()?))
    }

    /// Starts one and waits for its line.
    ///
    /// # Errors
    /// When there is none.
    pub fn start(mut command: Command) -> Result<(Self, String)> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("a pipe")?;
        let line = BufReader::new(output).lines().next().context("the server ended")??;
        Ok((Self { child }, line))
    }

    /// Processor time of all its threads so far. Threads that ended are not in it; the servers keep theirs.
    pub fn cpu(&self) -> Duration {
        let tasks = format!("/proc/{}/task", self.child.id());
        let tasks = fs::read_dir(tasks).into_iter().flatten().flatten();
        let of =
            |path| -> Option<u64> { fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok() };
        Duration::from_nanos(tasks.filter_map(|task| of(task.path().join("schedstat"))).sum())
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
