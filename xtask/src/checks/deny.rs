//! Checks licences, sources and advisories of all dependencies with cargo-deny, whose advisories are
//! cargo-audit's.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{folders, process};

const VERSION: &str = "0.20.2";

/// Skips what can't be checked here: the advisories are on GitHub, which not every machine can reach.
pub(super) fn run() -> Result<()> {
    let program = match installed() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("dependencies are NOT checked: cannot install cargo-deny: {error:#}");
            return Ok(());
        }
    };
    process::run(deny(&program).args(["check", "bans", "licenses", "sources"]))?;
    let fetched = process::output(deny(&program).args(["fetch", "db"]));
    match fetched {
        Ok(_) => process::run(deny(&program).args(["--offline", "check", "advisories"])),
        Err(_) => {
            eprintln!("advisories are NOT checked: cannot reach their database on GitHub");
            Ok(())
        }
    }
}

fn deny(program: &PathBuf) -> Command {
    let mut command = Command::new(program);
    // cargo passes a subcommand its own name.
    command.args(["deny", "--locked", "--all-features"]);
    command
}

/// Returns its path in the cache; built once, unoptimised, since it runs only for seconds.
fn installed() -> Result<PathBuf> {
    let root = folders::cache()?.join(format!("cargo-deny-{VERSION}"));
    let program = root.join("bin/cargo-deny");
    if !program.exists() {
        let mut install = folders::cargo();
        install.args(["install", "cargo-deny", "--locked", "--debug", "--no-track", "--version"]);
        process::run(install.arg(VERSION).arg("--root").arg(&root))?;
    }
    Ok(program)
}
