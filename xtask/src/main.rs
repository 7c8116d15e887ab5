//! The project's own tasks, as `cargo xtask …`.

mod bench;
mod cargo;
mod checks;
mod daemon;
mod demo;
mod dist;
mod folders;
mod frontend;
mod gpu;
mod pip;
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
    /// Download what building and testing need into ~/.cache/sdtrt
    Setup,
    /// Print the environment for using cargo directly: eval "$(cargo xtask env)"
    Env,
    /// Build sdtrtd, sdtrtctl and sdtrt-worker
    Build {
        /// Optimised
        #[arg(long)]
        release: bool,
    },
    /// Run all tests, including real TensorRT-RTX builds
    Test {
        /// Skip the slow ones
        #[arg(long)]
        quick: bool,
        /// Arguments for the test programs: names to run, or flags such as --nocapture
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Build a checkpoint's engines and move the checkpoint, with the real programs
    Demo {
        /// Use the newest checkpoint in this folder, which is linked to and not changed
        #[arg(long, value_name = "DIR")]
        models_dir: Option<PathBuf>,
        /// Keep the demo's folder, including the engines
        #[arg(long)]
        keep: bool,
    },
    /// Measure the figures and print a table
    Bench {
        /// Which figures; by default all that are quick and need no GPU
        #[arg(value_enum)]
        names: Vec<bench::Name>,
        /// Unoptimised, to look for faults and not for figures
        #[arg(long)]
        dev: bool,
        /// How often `kills` kills
        #[arg(long, default_value_t = 200)]
        kills: u64,
    },
    /// Pack a Debian package and a tarball into target/dist
    Dist {
        /// Unoptimised, to test the packaging
        #[arg(long)]
        dev: bool,
        /// An RPM too; needs cargo-generate-rpm
        #[arg(long)]
        rpm: bool,
        /// Engines of the usual kinds too, for machines of your own; docs/store.md says why only for these
        #[arg(long)]
        engines: bool,
        /// The secret key to sign the engines with; by default the one that `sdtrtctl store keygen` made
        #[arg(long, value_name = "FILE", requires = "engines")]
        key: Option<PathBuf>,
    },
    /// Install, use, remove and purge the Debian package on a fresh Debian. Needs root,
    /// debootstrap and systemd-nspawn; takes minutes
    CheckPackage {
        /// Unoptimised
        #[arg(long)]
        dev: bool,
        /// The release, such as bookworm or trixie
        #[arg(long, default_value = "bookworm")]
        suite: String,
        /// A copy of this fresh root instead, such as Ubuntu's, with what `dist/check.rs` lists
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
        /// Debian mirror; by default debootstrap's own
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
    },
    /// Start a whole front end with our part: compare its pictures with and without, reload and stop it. What it needs
    /// itself, such as HF_HOME, comes from the environment
    CheckFrontend(Box<frontend::Frontend>),
    /// Run every check that a change must pass: format, ruff, mypy, clippy, rustdoc, tests
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
        Command::Bench { names, dev, kills } => bench::run(&names, Profile::new(!dev), kills),
        Command::Dist { dev, rpm, engines, key } => {
            let key =
                engines.then(|| key.unwrap_or_else(|| config::key_beside(&config::config_file())));
            dist::run(Profile::new(!dev), rpm, key.as_deref()).map(drop)
        }
        Command::CheckPackage { dev, suite, root, mirror } => {
            let from = match &root {
                Some(root) => dist::check::From::Root(root),
                None => dist::check::From::Suite(&suite, mirror.as_deref()),
            };
            dist::check::run(Profile::new(!dev), &from)
        }
        Command::CheckFrontend(frontend) => frontend::run(&frontend),
        Command::Ci => checks::all(),
    }
}
