//! The project's own chores, as `cargo xtask …`.

mod bench;
mod cargo;
mod checks;
mod daemon;
mod demo;
mod dist;
mod folders;
mod gpu;
mod process;
mod setup;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

use cargo::Profile;

/// Set-up, build, tests, demo and benchmarks of sdtrt.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fetch what building and testing need, into ~/.cache/sdtrt
    Setup,
    /// Print the environment for working by hand: eval "$(cargo xtask env)"
    Env,
    /// Build sdtrtd, sdtrtctl and sdtrt-worker
    Build {
        /// Optimised
        #[arg(long)]
        release: bool,
    },
    /// Run all tests, those with real TensorRT-RTX builds included
    Test {
        /// Leave out the slow ones
        #[arg(long)]
        quick: bool,
        /// For the test programs: names to run, or flags such as --nocapture
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// From a checkpoint to its engine, and on through a move, with the real programs
    Demo {
        /// Show it with the newest checkpoint in here, which is linked to and left alone
        #[arg(long, value_name = "DIR")]
        models_dir: Option<PathBuf>,
        /// Leave the demo's folder, engine included, where it is
        #[arg(long)]
        keep: bool,
    },
    /// Measure, and print the figures as a table
    Bench {
        /// Which; by default all but gpu and scale
        #[arg(value_enum)]
        names: Vec<bench::Name>,
    },
    /// Pack a Debian package and a tarball into target/dist
    Dist {
        /// Unoptimised, to try the packing
        #[arg(long)]
        dev: bool,
    },
    /// Install the Debian package on a fresh Debian 12, use, remove and purge it. Needs root,
    /// debootstrap and systemd-nspawn; minutes
    CheckPackage {
        /// Of Debian's packages; debootstrap's own by default
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
    },
    /// Everything that a change must pass: format, ruff, mypy, clippy, rustdoc, tests
    Ci,
}

fn main() -> ExitCode {
    let result = process::heed_signals().and_then(|()| run(Cli::parse().command));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Setup => setup::all(Profile::Dev).map(drop),
        Command::Env => {
            print!("{}", setup::all(Profile::Dev)?.exports());
            Ok(())
        }
        Command::Build { release } => cargo::build_programs(Profile::new(release)).map(drop),
        Command::Test { quick, args } => checks::test(quick, &args),
        Command::Demo { models_dir, keep } => demo::run(models_dir.as_deref(), keep),
        Command::Bench { names } => bench::run(&names),
        Command::Dist { dev } => dist::run(Profile::new(!dev)).map(drop),
        Command::CheckPackage { mirror } => dist::check::run(mirror.as_deref()),
        Command::Ci => checks::all(),
    }
}
