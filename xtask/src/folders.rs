//! The folders that tasks use.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::process;

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The workspace's target folder, which environment and configuration can move.
pub(crate) fn target() -> Result<PathBuf> {
    let metadata =
        process::output(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let target =
        metadata["target_directory"].as_str().context("cargo reported no target folder")?;
    Ok(target.into())
}

/// Downloads, kept once per user: `$XDG_CACHE_HOME/sdtrt`, by default in `~/.cache`.
pub(crate) fn cache() -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(env::home_dir()?.join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set")?
        .join("sdtrt");
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    Ok(cache)
}

/// Creates a temporary folder for gigabytes: below the target folder, because the system's is often in
/// memory.
pub(crate) fn work(prefix: &str) -> Result<TempDir> {
    let parent = target()?.join("tmp");
    make(&parent)?;
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in(&parent)
        .with_context(|| format!("cannot write to {}", parent.display()))
}

/// Creates a folder and its parents.
pub(crate) fn make(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create the folder {}", dir.display()))
}
