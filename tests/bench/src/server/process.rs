//! A server in a process of its own: this program, started again with another argument.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use libp2p::Multiaddr;

/// The argument that makes this program a server.
pub const SERVE: &str = "serve";

/// A running server; it ends when this is dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub addr: Multiaddr,
}

impl Server {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// When it does not.
    pub fn start(kind: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        // It serves until its input ends, so it never outlives this process.
        let mut child = command.args([SERVE, kind]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("a pipe")?;
        let line = BufReader::new(output).lines().next().context("the server ended")??;
        Ok(Self { child, addr: line.parse()? })
    }

    /// Processor time of all its threads so far. Threads that ended are not in it; the servers keep theirs.
    pub fn cpu(&self) -> Duration {
        let tasks = format!("/proc/{}/task", self.child.id());
        let tasks = fs::read_dir(tasks).into_iter().flatten().flatten();
        let of =
            |path| -> Option<u64> { fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok() };
        Duration::from_nanos(tasks.filter_map(|task| of(task.path().join("schedstat"))).sum())
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
