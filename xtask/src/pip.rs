//! Installs Python packages for the project's own use.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{folders, process};

/// Returns a folder below `parent` with these versions and what they need, for `PYTHONPATH`; installed once.
pub(crate) fn installed(parent: &Path, packages: &[&str]) -> Result<PathBuf> {
    let dir = parent.join(packages.join("-"));
    if !dir.is_dir() {
        folders::make(parent)?;
        let fresh = tempfile::tempdir_in(parent)?;
        let mut pip = Command::new("python3");
        // Python looks for `pip` in the current folder first.
        pip.current_dir(fresh.path());
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
        // Captures the output: a machine without a network is not always a failure.
        process::output(pip.args(packages).arg("--target").arg(fresh.path()))?;
        fs::rename(fresh.keep(), &dir).with_context(|| dir.display().to_string())?;
    }
    Ok(dir)
}
