//! Checks the style and types of the Python code with ruff and mypy, configured in `pyproject.toml`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{folders, process};

const TOOLS: [&str; 2] = ["ruff==0.17.6", "mypy==2.4.1"];

/// Skips what can't be checked here: not every machine can reach the package index.
pub(super) fn run() -> Result<()> {
    let tools = match installed() {
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

/// Returns the folder of these versions below the target folder; installed once.
fn installed() -> Result<PathBuf> {
    let python = folders::target()?.join("python");
    let tools = python.join(TOOLS.join("-"));
    if !tools.is_dir() {
        folders::make(&python)?;
        let fresh = tempfile::tempdir_in(&python)?;
        let mut pip = Command::new("python3");
        // Python looks for `pip` in the current folder first.
        pip.current_dir(fresh.path());
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
        // Captures the output: a machine without a network is not a failure.
        process::output(pip.args(TOOLS).arg("--target").arg(fresh.path()))?;
        std::fs::rename(fresh.keep(), &tools)?;
    }
    Ok(tools)
}
