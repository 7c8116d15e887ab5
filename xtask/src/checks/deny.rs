//! Licences, sources and advisories of all libraries, by cargo-deny. Its advisories are those of
//! cargo-audit.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{folders, process};

const VERSION: &str = "0.20.2";

/// Checks what can be checked here: the advisories are on GitHub, which not every machine reaches.
pub(super) fn run() -> Result<()> {
    let program = match installed() {
        Ok(program) => program,
        Err(error) => {
            eprintln!(
                "libraries are NOT checked, because cargo-deny can't be installed: {error:#}"
            );
            return Ok(());
        }
    };
    process::run(deny(&program).args(["check", "bans", "licenses", "sources"]))?;
    let fetched = process::output(deny(&program).args(["fetch", "db"]));
    match fetched {
        Ok(_) => process::run(deny(&program).args(["--offline", "check", "advisories"])),
        Err(_) => {
            eprintln!("advisories are NOT checked: their database on GitHub can't be reached");
            Ok(())
        }
    }
}

fn deny(program: &PathBuf) -> Command {
    let mut command = Command::new(program);
    // As a subcommand of cargo it is given its own name.
    command.args(["deny", "--locked", "--all-features"]);
    command
}

/// In the cache, built once and without optimisation: it runs for seconds.
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
