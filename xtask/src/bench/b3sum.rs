//! b3sum, the reference for hashing speed, in a pinned version.

use std::{path::PathBuf, process::Stdio};

use anyhow::Result;

use crate::{folders, process};

pub(super) const VERSION: &str = "1.8.7";

/// Returns the program's path; builds it if necessary.
pub(super) fn install() -> Result<PathBuf> {
    let root = folders::cache()?.join(format!("tools/b3sum-{VERSION}"));
    let program = root.join("bin/b3sum");
    if !program.is_file() {
        eprintln!("building b3sum {VERSION}");
        let mut install = folders::cargo();
        install.args(["install", "--quiet", "--locked", "b3sum", "--version", VERSION, "--root"]);
        process::run(install.arg(&root).stdout(Stdio::null()))?;
    }
    Ok(program)
}
