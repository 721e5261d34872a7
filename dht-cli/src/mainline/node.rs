//! `dht mainline node`: a node that runs until SIGINT or SIGTERM. It says `listening` for every socket with the id there,
//! `restored` when it goes on from a file, `not_joined` as long as nobody answers, `ready` when it knows somebody or is the
//! first of a closed network, `closed` at last; with --json also `id` when an id changed (BEP 42) and `state` every minute.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use dht::{
    Dht,
    mainline::{Mainline, NodeId, SavedState},
};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::{
    join::{self, NetworkArgs},
    state, text,
};
use crate::{
    output::{Output, lenient},
    signals,
};

/// How long closing may take before the program ends without it.
const CLOSE: Duration = Duration::from_millis(1900);
/// Between two looks at whether somebody is known.
const LOOK: Duration = Duration::from_millis(500);
/// Between two reports.
const REPORT: Duration = Duration::from_secs(60);
/// Reports between two savings of the state.
const SAVE: u32 = 5;
/// After so long the table says by itself who is there.
const SETTLED: Duration = Duration::from_secs(5 * 60);

/// Run a node.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Listen here, with a node for each address; several times for several
    #[arg(long, value_name = "IP:PORT", value_parser = text::listen, default_value = "0.0.0.0:6881")]
    listen: Vec<SocketAddr>,
    #[command(flatten)]
    network: NetworkArgs,
    /// Keep ids and tables in this file, and go on from it
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Questions per second at most [default: 250]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_qps: Option<u32>,
    /// Answer nothing, and ask others to keep this node out of their tables (BEP 43)
    #[arg(long)]
    read_only: bool,
}

/// `dht mainline node`.
pub async fn run(args: Args, output: Output) -> anyhow::Result<()> {
    let stop = signals::listen().context("cannot listen for signals")?;
    let mut options = args.network.options(&args.listen)?;
    options.read_only = args.read_only;
    if let Some(max_qps) = args.max_qps {
        let limits = &mut options.udp.limits;
        limits.max_qps = max_qps;
        limits.max_new_destinations = limits.max_new_destinations.min(max_qps);
    }
    let first = options.bootstrap.is_empty();
    let restored = args.state.as_deref().map(state::read).transpose()?.flatten();
    let mut builder = Dht::<Mainline>::builder().options(options);
    if let Some(state) = &restored {
        builder = builder.restore(state.clone());
    }
    let dht = join::build(builder).await?;
    let node = Node { dht, output, file: args.state, first, restored, started: Instant::now() };
    tokio::pin!(stop);
    let result = tokio::select! {
        () = stop => Ok(()),
        result = node.live() => result,
    };
    let saved = node.save().await;
    // What is not closed by then ends with the process.
    let _ = timeout(CLOSE, node.dht.close_all()).await;
    result.and(saved)?;
    node.tell(&json!({ "event": "closed" }), || "closed".to_owned())
}

struct Node {
    dht: Dht<Mainline>,
    output: Output,
    file: Option<PathBuf>,
    /// Whether nobody introduces it.
    first: bool,
    /// What an earlier run left.
    restored: Option<SavedState>,
    started: Instant,
}

impl Node {
    /// Joins, then tells what happens; ends only when something is wrong.
    async fn live(&self) -> anyhow::Result<()> {
        let mut ids = self.ids().await?;
        for (addr, id) in self.dht.sockets().zip(&ids) {
            let json = json!({ "event": "listening", "addr": addr.to_string(), "id": id.to_string() });
            self.tell(&json, || format!("listening at {addr} as {id}"))?;
        }
        if let (Some(file), Some(state)) = (&self.file, &self.restored) {
            self.tell_restored(file, state)?;
        }
        // Whether it can be written is better known now than at the end.
        self.save().await?;
        self.join().await?;
        let mut reports = interval_at(Instant::now() + REPORT, REPORT);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for report in 1u32.. {
            reports.tick().await;
            anyhow::ensure!(!self.dht.is_closed(), "the node ended by itself");
            let now = self.ids().await?;
            for (addr, id) in self.dht.sockets().zip(&now).filter(|(_, id)| !ids.contains(id)) {
                self.report(&json!({ "event": "id", "addr": addr.to_string(), "id": id.to_string() }))?;
            }
            ids = now;
            self.report(&self.state().await?)?;
            if report % SAVE == 0
                && let Err(error) = self.save().await
            {
                let why = crate::exit::line(&error);
                self.tell(&json!({ "event": "not_saved", "why": why }), || why.clone())?;
            }
        }
        Ok(())
    }

    /// Waits until somebody is known; trying goes on by itself.
    async fn join(&self) -> anyhow::Result<()> {
        if !self.first || self.restored.is_some() {
            let failed = self.dht.bootstrap_all().await.err().map(|error| error.to_string());
            if join::known(&self.dht).await? == 0 {
                let why = failed.unwrap_or_else(|| "nobody answered".to_owned());
                self.tell(&json!({ "event": "not_joined", "why": why }), || {
                    format!("not joined yet: {why}")
                })?;
            }
            while !self.first && join::known(&self.dht).await? == 0 {
                sleep(LOOK).await;
            }
        }
        let known = join::known(&self.dht).await?;
        self.tell(&json!({ "event": "ready", "nodes": known }), || format!("ready, {known} nodes are known"))
    }

    fn tell_restored(&self, file: &Path, state: &SavedState) -> anyhow::Result<()> {
        let (file, nodes) = (file.display(), remembered(state));
        let json = json!({ "event": "restored", "file": file.to_string(), "nodes": nodes });
        self.tell(&json, || format!("{nodes} nodes are remembered in {file}"))
    }

    async fn ids(&self) -> anyhow::Result<Vec<NodeId>> {
        Ok(self.dht.saved_state().await?.tables.iter().map(|table| table.id).collect())
    }

    async fn state(&self) -> anyhow::Result<Value> {
        let metrics = self.dht.metrics();
        let size = self.dht.network_size().await?;
        Ok(json!({
            "event": "state",
            "nodes": join::known(&self.dht).await?,
            "network_size": size.map(|size| size.peers.round()),
            "asked": metrics.requests.total,
            "answered": metrics.requests.ok,
            "served": metrics.served.ok,
            "refused": metrics.served.refused,
            "stored": self.dht.datastore().statistics().await?.records,
        }))
    }

    async fn save(&self) -> anyhow::Result<()> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let mut state = self.dht.saved_state().await?;
        // A run that was short, or met nobody, takes nothing from what the earlier one knew.
        if let Some(earlier) = &self.restored
            && (self.started.elapsed() < SETTLED || remembered(&state) == 0)
        {
            add(&mut state, earlier);
        }
        tokio::task::spawn_blocking(move || state::write(&file, &state)).await?
    }

    /// What is of interest to programs only.
    fn report(&self, json: &Value) -> anyhow::Result<()> {
        if self.output.json { self.tell(json, String::new) } else { Ok(()) }
    }

    /// A node whose reader has left goes on.
    fn tell(&self, json: &Value, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        Ok(lenient(self.output.say(json, text))?)
    }
}

/// Adds whom an earlier run knew on the same sockets, after those who are known now.
fn add(state: &mut SavedState, earlier: &SavedState) {
    for table in &mut state.tables {
        let known: BTreeSet<_> = table.contacts.iter().map(|contact| contact.peer).collect();
        let same = earlier.tables.iter().filter(|earlier| earlier.family == table.family);
        let more = same.flat_map(|earlier| &earlier.contacts);
        table.contacts.extend(more.filter(|contact| !known.contains(&contact.peer)).cloned());
    }
}

fn remembered(state: &SavedState) -> usize {
    state.tables.iter().map(|table| table.contacts.len()).sum()
}

#[cfg(test)]
mod tests {
    use dht::{
        Contact,
        mainline::{Endpoint, SavedTable, compact::Family},
    };

    use super::*;

    #[test]
    fn a_short_run_forgets_nobody() {
        let table = |family, ids: &[u8]| {
            let addr = SocketAddr::from(([127, 0, 0, 1], 1));
            let contact = |id: &u8| Contact::new(NodeId([*id; 20]), Endpoint(Some(addr)));
            SavedTable { family, id: NodeId([0; 20]), contacts: ids.iter().map(contact).collect() }
        };
        let earlier = SavedState { tables: vec![table(Family::V4, &[1, 2]), table(Family::V6, &[4])] };
        let mut state = SavedState { tables: vec![table(Family::V4, &[3, 2])] };
        add(&mut state, &earlier);
        assert_eq!(state.tables, [table(Family::V4, &[3, 2, 1])]);
        assert_eq!(remembered(&state), 3);
    }
}
