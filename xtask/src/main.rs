//! The maintainers' tasks: `ci`, `tidy`, `interop`, `sim`, `bench`, `fuzz`. What a change has to pass is written here once, so
//! that the build server and a person at a desk run the same thing.
//!
//! Deliberately not here: anything a user of the crates needs. Nothing depends on this package.

mod changed;
mod ci;
mod fuzz;
mod outside;
mod platforms;
mod sim;
mod steps;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use steps::Steps;
use workspace::Workspace;
use xshell::{Shell, cmd};

mod flags {
    #![allow(missing_docs, reason = "written by the macro, which has no place for sentences")]
    xflags::xflags! {
        /// Maintainers' tasks; run as `cargo xtask …`.
        cmd xtask {
            /// Everything a change has to pass.
            cmd ci {
                /// What one runs before every commit: fmt, clippy, tidy and the tests of what changed.
                optional --quick
            }
            /// Layers, purity, file heads, lengths, names, words and the feature table.
            cmd tidy {}
            /// The suite against foreign implementations; what follows `--` is handed to it.
            cmd interop {
                repeated arguments: String
            }
            /// Every fault scenario of the simulator, 20 seeds each at 1,000 nodes.
            cmd sim {
                /// 1,000 seeds each.
                optional --nightly
                /// As `ci` does it: 3 seeds each at 300 nodes.
                optional --quick
                /// Only the scenarios whose file name contains this.
                optional --only only: String
            }
            /// Each layer used alone, by a crate outside the workspace.
            cmd outside {}
            /// The BitTorrent side for other systems, those that the compiler has a standard library for.
            cmd platforms {}
            /// Every benchmark, the comparisons with peers included; what follows selects by name.
            cmd bench {
                repeated names: String
            }
            /// Every fuzz target for some seconds each.
            cmd fuzz {
                /// Seconds per target (default 60).
                optional --seconds seconds: u64
                /// Only this target.
                optional --target target: String
            }
        }
    }
}

fn main() -> ExitCode {
    let flags = match flags::Xtask::from_env() {
        Ok(flags) => flags,
        Err(wrong) => wrong.exit(),
    };
    let mut steps = Steps::default();
    let outcome = run(&flags, &mut steps);
    if let Err(error) = &outcome {
        eprintln!("{error:#}");
    }
    println!("{}", steps.summary());
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(flags: &flags::Xtask, steps: &mut Steps) -> Result<()> {
    let workspace = Workspace::load()?;
    let sh = Shell::new()?;
    sh.change_dir(&workspace.root);
    match &flags.subcommand {
        flags::XtaskCmd::Ci(ci) if ci.quick => ci::quick(&sh, &workspace, steps),
        flags::XtaskCmd::Ci(_) => ci::full(&sh, &workspace, steps),
        flags::XtaskCmd::Tidy(_) => steps.run("tidy", || tidy::check(&workspace)),
        flags::XtaskCmd::Interop(interop) => steps.run("interop", || ci::interop(&sh, &interop.arguments)),
        flags::XtaskCmd::Sim(sim) => {
            let size = match (sim.nightly, sim.quick) {
                (true, _) => sim::Size::NIGHTLY,
                (_, true) => sim::Size::CI,
                _ => sim::Size::RELEASE,
            };
            steps.run("sim", || sim::run(&sh, size, sim.only.as_deref()))
        }
        flags::XtaskCmd::Outside(_) => steps.run("outside the workspace", || outside::check(&sh, &workspace)),
        flags::XtaskCmd::Platforms(_) => steps.run("other systems", || platforms::check(&sh)),
        flags::XtaskCmd::Bench(bench) => bench_all(&sh, &workspace, steps, &bench.names),
        flags::XtaskCmd::Fuzz(fuzz) => steps
            .run("fuzz", || fuzz::run(&sh, &workspace, fuzz.seconds.unwrap_or(60), fuzz.target.as_deref())),
    }
}

/// The criterion benches of the crates, then the comparisons with peers, which are a workspace of their own.
fn bench_all(sh: &Shell, workspace: &Workspace, steps: &mut Steps, names: &[String]) -> Result<()> {
    if workspace.packages.iter().any(|package| !package.benches.is_empty()) {
        steps.run("bench", || {
            Ok(cmd!(sh, "cargo bench --workspace --all-features --bench * -- {names...}").run()?)
        })?;
    }
    let comparisons = workspace.root.join("tests/bench/Cargo.toml");
    if comparisons.is_file() {
        let target = &workspace.target;
        steps.run("bench against peers", || {
            Ok(cmd!(sh, "cargo bench --manifest-path {comparisons} --target-dir {target} -- {names...}")
                .run()?)
        })?;
    }
    Ok(())
}
