//! Shows that what touches sockets compiles where nobody here runs it: Windows, macOS and a BSD each take other paths through
//! the batches and errors of `dht-net`.
//!
//! Nothing is linked or run, so a compiler with the standard library of the target is all it takes. Which are there is the
//! machine's affair: those that are missing are named and passed over.

use std::path::Path;

use anyhow::Result;
use xshell::{Shell, cmd};

/// One of each sort: without `sendmmsg` and `recvmmsg`, with the second, and not Unix at all.
const TARGETS: [&str; 3] = ["aarch64-apple-darwin", "x86_64-unknown-freebsd", "x86_64-pc-windows-gnu"];

/// Checks everything below the BitTorrent side of `dht` for each target, with the warnings of each denied.
pub fn check(sh: &Shell) -> Result<()> {
    for target in TARGETS {
        if !is_installed(sh, target) {
            println!("skipped: no standard library for {target} (`rustup target add {target}` brings it)");
            continue;
        }
        let flags =
            ["--package", "dht", "--no-default-features", "--features", "mainline", "--target", target];
        cmd!(sh, "cargo clippy --quiet {flags...} -- -D warnings").run()?;
        println!("{target}: ok");
    }
    Ok(())
}

/// The compiler names the folder of a target whether it is there or not.
fn is_installed(sh: &Shell, target: &str) -> bool {
    let folder = cmd!(sh, "rustc --print target-libdir --target {target}").quiet().ignore_stderr().read();
    folder.is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_target_is_not_installed() {
        let sh = Shell::new().unwrap();
        assert!(!is_installed(&sh, "no-such-target"));
        let host = cmd!(sh, "rustc --print host-tuple").quiet().read().unwrap();
        assert!(is_installed(&sh, &host));
    }
}
