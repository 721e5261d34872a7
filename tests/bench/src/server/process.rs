//! One of the two servers of line B7, in a process of its own.

use std::time::Duration;

use anyhow::Result;
use libp2p::Multiaddr;

use crate::process::Process;

/// The argument that makes this program a server.
pub const SERVE: &str = "serve";

/// A running server; it ends when this is dropped.
pub struct Server {
    process: Process,
    /// Where it listens.
    pub addr: Multiaddr,
}

impl Server {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// When it does not.
    pub fn start(kind: &str) -> Result<Self> {
        let mut command = Process::again()?;
        command.args([SERVE, kind]);
        let (process, line) = Process::start(command)?;
        Ok(Self { process, addr: line.parse()? })
    }

    /// Processor time of all its threads so far.
    pub fn cpu(&self) -> Duration {
        self.process.cpu()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}
