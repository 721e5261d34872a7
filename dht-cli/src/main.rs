//! The program `dht`: runs a node of the IPFS DHT or of BitTorrent Mainline, or asks their networks one question.
//!
//! Results go to stdout, logs and the one line that says what went wrong to stderr. Exit codes: 0 done, 1 failed,
//! 2 usage, 3 not found.

mod cli;
mod config;
mod demo;
mod exit;
mod find;
mod identity;
mod ipns;
mod join;
mod keygen;
mod lookup;
mod mainline;
mod node;
mod output;
mod ping;
mod provide;
mod signals;
mod sim;
mod text;
mod value;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use clap::{Parser, error::ErrorKind};
use tracing_subscriber::EnvFilter;

use crate::cli::Cli;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are asked for, so they are results.
        Err(answer) if !answer.use_stderr() => {
            let _ = answer.print();
            return ExitCode::SUCCESS;
        }
        // Nothing was typed: that is the place for the whole help.
        Err(help) if help.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = help.print();
            return ExitCode::from(exit::USAGE);
        }
        Err(error) => {
            let said = exit::parser_line(&error.render().to_string());
            exit::complain(&format!("{said}; see `dht --help`"));
            return ExitCode::from(exit::USAGE);
        }
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if exit::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            exit::complain(&exit::line(&error));
            ExitCode::from(exit::code(&error))
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    start_log(&cli)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(cli.run());
    // Nothing that is still under way may hold up the end.
    runtime.shutdown_background();
    result
}

/// Logs go to stderr: what `--log` says, or the variable `RUST_LOG`, or else only errors that nobody reports, because
/// what goes wrong in a command is told in its own one line.
fn start_log(cli: &Cli) -> anyhow::Result<()> {
    let wanted = cli.log.clone().or_else(|| std::env::var("RUST_LOG").ok());
    let wanted = wanted.unwrap_or_else(|| "error".to_owned());
    let filter = EnvFilter::try_new(&wanted).map_err(|_| {
        exit::usage(format!("`{wanted}` is not a log filter such as `info` or `dht=debug,libp2p=warn`"))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    Ok(())
}
