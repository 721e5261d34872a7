//! Lines B1, B2, B4 to B8 and B10; see the library for what they compare. B6 and B7 start this program again as its servers.

use anyhow::Result;
use bench_peers::{
    args::Args,
    closest, codec, contest, datagrams, krpc, lookups, puts,
    server::{self, process::SERVE, serve},
    tables,
};

/// A comparison.
type Line = fn(&Args) -> Result<()>;

const LINES: [(&str, Line); 8] = [
    ("b1", |args| {
        closest::run(args);
        Ok(())
    }),
    ("b2", |args| {
        tables::run(args);
        Ok(())
    }),
    ("b4", |args| {
        codec::run(args);
        Ok(())
    }),
    ("b5", krpc::run),
    ("b6", |args| on_linux(args, "b6", datagrams::run)),
    ("b7", |args| on_linux(args, "b7", server::run)),
    ("b8", |args| {
        lookups::run(args);
        Ok(())
    }),
    ("b10", puts::run),
];

fn main() -> Result<()> {
    let mut given = std::env::args().skip(1).peekable();
    if given.next_if_eq(SERVE).is_some() {
        return serve::serve(&given.next().unwrap_or_default());
    }
    if given.next_if_eq(datagrams::serve::SERVE).is_some() {
        return datagrams::serve::serve(given);
    }
    let args = Args::read(given)?;
    LINES.iter().filter(|(name, _)| args.wants(name)).try_for_each(|(_, run)| run(&args))
}

fn on_linux(args: &Args, name: &'static str, run: Line) -> Result<()> {
    if cfg!(target_os = "linux") {
        return run(args);
    }
    contest::note(args, name, "needs the scheduler's counters of Linux");
    Ok(())
}
