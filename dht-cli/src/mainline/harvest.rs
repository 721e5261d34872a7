//! `dht mainline harvest`: collects swarms and what they are about, politely, for as long as wanted.

use std::{
    fs::{File, OpenOptions},
    io::{IsTerminal, Write, stderr},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use dht::mainline::{
    Torrent,
    harvest::{Found, Harvest, HarvestConfig, Progress, Source},
};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::join::{Client, PlaceArgs};
use crate::{
    join::{Deadline, Stay},
    output::Output,
    signals,
    text::duration,
};

/// How long joining may take.
const JOIN: Duration = Duration::from_secs(60);
/// Between two lines of progress.
const TICK: Duration = Duration::from_millis(500);

/// Collect swarms.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Append what is found to this file, one JSON object per line, instead of writing it to stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// End after this time; without it at SIGINT or SIGTERM
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    time: Option<Duration>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// How a harvest goes about it. Nodes of a closed network share few addresses and are asked without pauses.
pub fn polite(place: &PlaceArgs) -> anyhow::Result<HarvestConfig> {
    let default = HarvestConfig::default();
    let per_host = if place.options()?.is_local() { Duration::ZERO } else { default.per_host };
    Ok(HarvestConfig { per_host, ..default })
}

/// `dht mainline harvest [--out FILE] [--for DURATION]`.
pub async fn run(args: Args, output: Output) -> anyhow::Result<()> {
    let stop = signals::listen()?;
    tokio::pin!(stop);
    let mut out = Out::open(args.out.as_deref(), output)?;
    let client = tokio::select! {
        () = &mut stop => return Ok(()),
        client = Client::join_by(&args.place, Deadline::after(JOIN), Stay::On) => client?,
    };
    let start = Instant::now();
    out.bar.reset_elapsed();
    let mut harvest = client.node().harvest(polite(&args.place)?)?;
    let result = tokio::select! {
        () = &mut stop => Ok(()),
        () = end(start, args.time) => Ok(()),
        result = gather(&mut harvest, &mut out) => result,
    };
    let progress = harvest.progress();
    drop(harvest);
    client.close().await;
    result?;
    out.finish(&progress, start.elapsed())
}

async fn end(start: Instant, time: Option<Duration>) {
    match time {
        // A year is as good as for ever, and does not overflow.
        Some(time) => sleep_until(start + time.min(Duration::from_secs(365 * 86_400))).await,
        None => std::future::pending().await,
    }
}

async fn gather(harvest: &mut Harvest, out: &mut Out) -> anyhow::Result<()> {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            found = harvest.next() => match found {
                Some(found) => out.tell(&found)?,
                None => anyhow::bail!("the node ended by itself"),
            },
            _ = ticks.tick() => out.bar.set_message(line(&harvest.progress())),
        }
    }
}

/// Where what is found goes, and the line that says how far it is.
struct Out {
    output: Output,
    file: Option<(File, String)>,
    bar: ProgressBar,
}

impl Out {
    fn open(path: Option<&Path>, output: Output) -> anyhow::Result<Self> {
        let file = match path {
            Some(path) => {
                let shown = path.display().to_string();
                let file = OpenOptions::new().append(true).create(true).open(path);
                Some((file.with_context(|| format!("cannot write `{shown}`"))?, shown))
            }
            None => None,
        };
        let bar = if stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{spinner} {elapsed}  {msg}")?;
        Ok(Self { output, file, bar: bar.with_style(style) })
    }

    fn tell(&mut self, found: &Found) -> anyhow::Result<()> {
        let json = described(found);
        match &mut self.file {
            Some((file, shown)) => {
                writeln!(file, "{json}").with_context(|| format!("cannot write `{shown}`"))?;
            }
            None => self.bar.suspend(|| self.output.say(&json, || text(&json)))?,
        }
        Ok(())
    }

    fn finish(self, progress: &Progress, took: Duration) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        let mut json = json!({
            "done": true,
            "seconds": took.as_secs(),
            "swarms": progress.swarms,
            "again": progress.again,
            "overheard": progress.overheard,
            "metadata": progress.metadata,
            "nodes": progress.nodes,
            "sampled": progress.sampled,
            "without_samples": progress.without_samples,
            "silent": progress.silent,
        });
        if let Some((file, shown)) = &self.file {
            file.sync_all().with_context(|| format!("cannot write `{shown}`"))?;
            json["file"] = shown.as_str().into();
        }
        Ok(self.output.say(&json, || format!("{} in {took:.0?}", line(progress)))?)
    }
}

fn line(progress: &Progress) -> String {
    let Progress { nodes, sampled, swarms, metadata, .. } = progress;
    format!("{swarms} swarms, {metadata} with metadata; {nodes} nodes known, {sampled} told theirs")
}

fn described(found: &Found) -> Value {
    let (source, from) = teller(found.source);
    let torrent = found.metadata.as_ref().and_then(|info| Torrent::of(info.clone()).ok());
    json!({
        "info_hash": found.info_hash.to_string(),
        "source": source,
        "from": from.to_string(),
        "peers": found.peers.iter().map(SocketAddr::to_string).collect::<Vec<_>>(),
        "name": torrent.as_ref().map(Torrent::name),
        "metadata_bytes": found.metadata.as_ref().map(bytes::Bytes::len),
    })
}

/// How a swarm became known, and from where.
pub fn teller(source: Source) -> (&'static str, SocketAddr) {
    match source {
        Source::Sampled(from) => ("sampled", from),
        Source::Overheard(from) => ("overheard", from),
    }
}

fn text(json: &Value) -> String {
    let word = |field: &str| json[field].as_str().unwrap_or_default().to_owned();
    format!("{}  {:<9}  {}", word("info_hash"), word("source"), word("name")).trim_end().to_owned()
}
