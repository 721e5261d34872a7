//! Lines B1, B2, B4, B7 and B8; see the library for what they compare. B7 starts this program again as its servers.

use bench_peers::{
    args::Args,
    closest, codec, contest, lookups,
    server::{self, process::SERVE, serve},
    tables,
};

fn main() -> anyhow::Result<()> {
    let mut given = std::env::args().skip(1).peekable();
    if given.next_if_eq(SERVE).is_some() {
        return serve::serve(&given.next().unwrap_or_default());
    }
    let args = Args::read(given)?;
    let lines: [(&str, fn(&Args)); 4] =
        [("b1", closest::run), ("b2", tables::run), ("b4", codec::run), ("b8", lookups::run)];
    for (_, run) in lines.iter().filter(|(name, _)| args.wants(name)) {
        run(&args);
    }
    if args.wants("b7") {
        match cfg!(target_os = "linux") {
            true => server::run(&args)?,
            false => contest::note(&args, "b7", "needs the scheduler's counters of Linux"),
        }
    }
    Ok(())
}
