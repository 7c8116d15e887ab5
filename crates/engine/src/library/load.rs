//! What lies in a library when it is opened.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use tracing::{info, warn};

use super::Library;
use crate::{
    Manifest, Usage,
    manifest::{FORMAT, FORMER_FORMAT},
    read_regular,
};

/// More than a manifest takes: SDXL's binding has some hundreds of KB.
const MANIFEST_BYTES: u64 = 64 << 20;

impl Library {
    /// Takes in the engines that are there. What is none is left alone, and keeps no other from being used.
    pub(super) fn load(&mut self) -> Result<()> {
        let listing = match fs::read_dir(&self.engines) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.with_context(|| format!("cannot list {}", self.engines.display()))?,
        };
        let mut parts = Vec::new();
        for entry in listing {
            let path = entry?.path();
            match path.extension().and_then(OsStr::to_str) {
                Some("json") => match self.load_manifest(&path) {
                    Ok(manifest) => {
                        self.manifests.insert(manifest.key, manifest);
                    }
                    Err(error) => {
                        warn!("{} is left alone: {error:#}", path.display());
                        self.refused.insert(path, format!("{error:#}"));
                    }
                },
                Some("engine" | "constants" | "usage") => parts.push(path),
                _ => {}
            }
        }
        parts.iter().for_each(remove_without_manifest);
        self.usages = self.manifests.values().map(|m| (m.key, self.read_usage(m))).collect();
        Ok(())
    }

    fn load_manifest(&self, path: &Path) -> Result<Manifest> {
        let manifest: Manifest = serde_json::from_slice(&read_regular(path, MANIFEST_BYTES)?)?;
        match manifest.format {
            FORMAT => anyhow::ensure!(
                manifest.spec.key() == manifest.key,
                "its key {} is not that of what it says was built",
                manifest.key
            ),
            FORMER_FORMAT => {}
            other => anyhow::bail!("its format {other} is not {FORMAT}"),
        }
        let plan = self.plan(&manifest.key);
        let found = fs::symlink_metadata(&plan)
            .with_context(|| format!("its plan {} is missing", plan.display()))?;
        anyhow::ensure!(found.is_file(), "its plan {} is no regular file", plan.display());
        let bytes = found.len();
        anyhow::ensure!(
            bytes == manifest.bytes,
            "its plan has {bytes} bytes and not {}",
            manifest.bytes
        );
        anyhow::ensure!(
            self.manifest_path(&manifest.key) == path,
            "it is the manifest of {}",
            manifest.key
        );
        Ok(manifest)
    }

    /// What can't be read is as good as never used: it is no reason to lose the engine.
    fn read_usage(&self, manifest: &Manifest) -> Usage {
        let path = self.usage_path(&manifest.key);
        let read = Usage::read(&path).unwrap_or_else(|error| {
            warn!("{} is not understood, a pin in it is lost: {error}", path.display());
            None
        });
        read.unwrap_or(Usage::since(manifest.built_at))
    }
}

/// Removes what a kill left of an engine.
fn remove_without_manifest(part: &PathBuf) {
    // A manifest of another format may belong to it, written by another release.
    if fs::symlink_metadata(part.with_extension("json")).is_ok() {
        return;
    }
    let shown = part.display();
    let removed = match fs::symlink_metadata(part) {
        Ok(found) if found.is_file() => fs::remove_file(part),
        Ok(_) => return warn!("{shown} is left alone: it is no regular file"),
        Err(error) => Err(error),
    };
    match removed {
        Ok(()) => info!("removed {shown}, which belongs to no engine"),
        Err(error) => warn!("cannot remove {shown}, which belongs to no engine: {error}"),
    }
}
