//! Checks the style and types of the Python code with ruff and mypy, configured in `pyproject.toml`.

use std::{path::Path, process::Command};

use anyhow::Result;

use crate::{folders, pip, process};

const TOOLS: [&str; 2] = ["ruff==0.17.6", "mypy==2.4.1"];

/// Skips what can't be checked here: not every machine can reach the package index.
pub(super) fn run() -> Result<()> {
    let tools = match pip::installed(&folders::target()?.join("python"), &TOOLS) {
        Ok(tools) => tools,
        Err(error) => {
            eprintln!("Python is NOT checked: cannot install ruff and mypy: {error:#}");
            return Ok(());
        }
    };
    process::run(python(&tools).args(["ruff", "check", "--quiet", "--no-cache"]))?;
    process::run(python(&tools).args(["mypy", "--cache-dir"]).arg(tools.join(".mypy_cache")))
}

/// Runs a module from this folder in the repository.
fn python(tools: &Path) -> Command {
    let mut command = Command::new("python3");
    command.arg("-m").env("PYTHONPATH", tools);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    command
}
