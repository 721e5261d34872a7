//! The node under attack in a process of its own, so that its memory is measured and not its attackers'.

use std::process::Stdio;

use libp2p::{Multiaddr, PeerId};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdin, Command},
};

use super::{KEY, MIB, PATIENCE, VALUE, Victim, builder, within};

/// Says to the child that it is one.
const APART: &str = "HOSTILE_VICTIM";
/// The largest value that the node holds.
pub const BIG: &[u8] = b"/v/big";

/// A node that may hold 2 MiB for a peer and 16 MiB for all.
pub struct Apart {
    pub peer: PeerId,
    pub addr: Multiaddr,
    child: Child,
    /// It lives as long as this is open.
    _stdin: ChildStdin,
    before: usize,
}

impl Apart {
    pub async fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "apart::a_victim_of_its_own", "--ignored", "--nocapture"])
            .env(APART, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut lines = BufReader::new(stdout).lines();
        let addr: Multiaddr = loop {
            let line = within(lines.next_line()).await.unwrap().expect("it says where it listens");
            if let Some((_, addr)) = line.split_once("listening ") {
                break addr.parse().unwrap();
            }
        };
        tokio::spawn(async move { while lines.next_line().await.is_ok_and(|line| line.is_some()) {} });
        let peer = addr.iter().find_map(|part| match part {
            libp2p::multiaddr::Protocol::P2p(peer) => Some(peer),
            _ => None,
        });
        let mut apart = Self { peer: peer.unwrap(), addr, child, _stdin: stdin, before: 0 };
        apart.before = apart.resident();
        apart
    }

    /// Bytes of its memory; nothing where the system does not tell.
    fn resident(&self) -> usize {
        let id = self.child.id().expect("it runs");
        let statm = std::fs::read_to_string(format!("/proc/{id}/statm")).unwrap_or_default();
        let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
        pages.unwrap_or(0) * 4096
    }

    /// By how much it has grown since it started.
    pub fn grown(&self) -> usize {
        self.resident().saturating_sub(self.before)
    }
}

/// Not a test: what [`Apart::start`] runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the other tests start it"]
async fn a_victim_of_its_own() {
    if std::env::var_os(APART).is_none() {
        return;
    }
    let tight = builder().configure(|s| {
        s.host.bytes_per_peer = 2 * MIB;
        s.host.bytes = 16 * MIB;
        s.host.message_timeout = PATIENCE;
    });
    let victim = Victim::start(tight).await;
    victim.node.values().put(KEY, VALUE).await.unwrap();
    victim.node.values().put(std::str::from_utf8(BIG).unwrap(), vec![7; 60_000]).await.unwrap();
    println!("listening {}", victim.addr);
    // Until the one who started it goes.
    let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    victim.node.close().await;
}
