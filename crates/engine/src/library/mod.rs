mod load;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use checkpoint::Id;
use tempfile::NamedTempFile;
use tracing::{info, warn};

use crate::{Job, Manifest, Usage, Validation};

/// The published engines of a data folder.
///
/// `engines/KEY.engine` is a plan and `engines/KEY.json` its manifest, which is written last: a plan without
/// one does not count, so only complete engines survive a crash. `KEY.usage` exists once an engine was
/// pinned, orphaned or used again, and `KEY.constants` beside some engines of earlier releases.
#[derive(Debug)]
pub struct Library {
    engines: PathBuf,
    scratch: PathBuf,
    manifests: BTreeMap<Id, Manifest>,
    usages: BTreeMap<Id, Usage>,
    /// Engines whose usage could not be written yet.
    unwritten: BTreeSet<Id>,
    /// Manifests that are not understood or not true, and why.
    refused: BTreeMap<PathBuf, String>,
}

/// Why an engine is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The user asked for it.
    Asked,
    /// Its plan does not match its manifest.
    Damaged,
    /// There is a newer engine for the same UNet.
    Superseded,
    /// No file has had its UNet for a long time.
    Orphaned,
    /// The engines exceed the quota.
    OverQuota,
}

impl Library {
    /// Opens the library in `data_dir`, creates its folders, and removes what a crash left incomplete. The
    /// caller must hold the data folder's lock.
    ///
    /// # Errors
    /// If engines exist and can't be listed.
    pub fn open(data_dir: &Path) -> Result<Self> {
        let mut library = Self {
            engines: data_dir.join("engines"),
            scratch: data_dir.join("scratch"),
            manifests: BTreeMap::new(),
            usages: BTreeMap::new(),
            unwritten: BTreeSet::new(),
            refused: BTreeMap::new(),
        };
        // On a disk that is read-only for a while, the engines that are there still serve.
        if let Err(error) = clear(&library.scratch) {
            warn!("cannot clear {}: {error}", library.scratch.display());
        }
        for dir in [&library.engines, &library.scratch] {
            if let Err(error) = fs::create_dir_all(dir) {
                warn!("cannot create {}: {error}", dir.display());
            }
        }
        library.load()?;
        Ok(library)
    }

    /// One with these engines, of which nothing is on the disk.
    #[cfg(any(test, feature = "samples"))]
    pub fn in_memory(data_dir: &Path, manifests: impl IntoIterator<Item = Manifest>) -> Self {
        let manifests: BTreeMap<_, _> =
            manifests.into_iter().map(|manifest| (manifest.key, manifest)).collect();
        let usages = manifests.values().map(|m| (m.key, Usage::since(m.built_at))).collect();
        let [engines, scratch] = ["engines", "scratch"].map(|folder| data_dir.join(folder));
        let (unwritten, refused) = (BTreeSet::new(), BTreeMap::new());
        Self { engines, scratch, manifests, usages, unwritten, refused }
    }

    /// All manifests, by key.
    pub fn manifests(&self) -> &BTreeMap<Id, Manifest> {
        &self.manifests
    }

    /// The plan of an engine.
    pub fn plan(&self, key: &Id) -> PathBuf {
        self.engines.join(format!("{key}.engine"))
    }

    /// Where an earlier release kept the constants of its shared engines.
    fn constants(&self, key: &Id) -> PathBuf {
        self.engines.join(format!("{key}.constants"))
    }

    fn manifest_path(&self, key: &Id) -> PathBuf {
        self.engines.join(format!("{key}.json"))
    }

    fn usage_path(&self, key: &Id) -> PathBuf {
        self.engines.join(format!("{key}.usage"))
    }

    /// An engine's usage; `None` if there is no such engine.
    pub fn usage(&self, key: &Id) -> Option<&Usage> {
        self.usages.get(key)
    }

    /// Manifests that were left alone when the library was opened, and why.
    pub fn refused(&self) -> &BTreeMap<PathBuf, String> {
        &self.refused
    }

    /// Keeps how an engine is used, for this life of the daemon and those to come.
    ///
    /// # Errors
    /// When it can't be written; then it holds for this life, and [`Self::write_usages`] tries again.
    pub fn set_usage(&mut self, key: &Id, usage: Usage) -> Result<()> {
        let Some(known) = self.usages.get_mut(key).filter(|known| **known != usage) else {
            return Ok(());
        };
        *known = usage;
        self.unwritten.insert(*key);
        self.write_usage(key)
    }

    /// Writes how engines are used where that could not be written before.
    ///
    /// # Errors
    /// When one still can't be.
    pub fn write_usages(&mut self) -> Result<()> {
        let unwritten: Vec<Id> = self.unwritten.iter().copied().collect();
        unwritten.iter().try_for_each(|key| self.write_usage(key))
    }

    fn write_usage(&mut self, key: &Id) -> Result<()> {
        if let Some(usage) = self.usages.get(key) {
            let path = self.usage_path(key);
            let written = fs::create_dir_all(&self.scratch)
                .and_then(|()| usage.write(&path, &self.scratch))
                .with_context(|| format!("cannot write {}", path.display()));
            written.and_then(|()| self.sync())?;
        }
        self.unwritten.remove(key);
        Ok(())
    }

    /// Creates an empty folder for one job, on the engines' disk; dropping it deletes it.
    ///
    /// # Errors
    /// If it can't be created.
    pub fn scratch(&self) -> io::Result<tempfile::TempDir> {
        // Whoever cleans up may have taken it for leftovers.
        fs::create_dir_all(&self.scratch)?;
        tempfile::tempdir_in(&self.scratch).map_err(|error| {
            // Without the random name, so that the same problem reads the same.
            let said = error.to_string();
            let what = said.split(" at path ").next().unwrap_or(&said);
            io::Error::new(error.kind(), format!("{what}: {}", self.scratch.display()))
        })
    }

    /// The free bytes on the engines' disk.
    ///
    /// # Errors
    /// If the file system does not say.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.engines)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Publishes the finished, synced plan of `job` with its manifest.
    ///
    /// # Errors
    /// If a file can't be written or moved; then nothing is published.
    pub fn publish(&mut self, job: &Job, manifest: Manifest) -> Result<()> {
        self.publish_plan(&job.plan(), manifest)
    }

    /// The same with a synced plan that lies at `made`, on the engines' disk.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub fn publish_plan(&mut self, made: &Path, manifest: Manifest) -> Result<()> {
        // Write the manifest before moving the plan: a full disk must not leave a plan without one.
        let aside = self.aside(&manifest, made)?;
        let plan = self.plan(&manifest.key);
        fs::create_dir_all(&self.engines)?;
        fs::rename(made, &plan).with_context(|| format!("cannot publish {}", plan.display()))?;
        self.sync()?;
        self.put(&manifest.key, aside)?;
        self.refused.remove(&self.manifest_path(&manifest.key));
        self.usages.insert(manifest.key, Usage::since(manifest.built_at));
        self.manifests.insert(manifest.key, manifest);
        Ok(())
    }

    /// Stores a validation in its engine's manifest, replacing an earlier one on that GPU model and driver.
    /// Does nothing if the engine is gone.
    ///
    /// # Errors
    /// If the manifest can't be written; then it stays unchanged.
    pub fn add_validation(&mut self, key: &Id, validation: Validation) -> Result<()> {
        let Some(manifest) = self.manifests.get(key) else { return Ok(()) };
        let manifest = manifest.clone().validated(validation);
        self.put(key, self.aside(&manifest, &self.plan(key))?)?;
        self.manifests.insert(*key, manifest);
        Ok(())
    }

    /// Writes and syncs a manifest to a temporary file.
    fn aside(&self, manifest: &Manifest, plan: &Path) -> Result<NamedTempFile> {
        // With the plan's permissions: A1111 may run as another user.
        let readable = fs::metadata(plan)?.permissions();
        fs::create_dir_all(&self.scratch)?;
        let mut aside =
            tempfile::Builder::new().permissions(readable).tempfile_in(&self.scratch)?;
        aside.write_all(&serde_json::to_vec_pretty(manifest)?)?;
        aside.as_file().sync_all()?;
        Ok(aside)
    }

    fn put(&self, key: &Id, manifest: NamedTempFile) -> Result<()> {
        let path = self.manifest_path(key);
        manifest
            .persist(&path)
            .map_err(|error| error.error)
            .with_context(|| format!("cannot publish {}", path.display()))?;
        self.sync()
    }

    /// Removes an engine, its manifest first.
    ///
    /// # Errors
    /// If a file can't be removed.
    pub fn remove(&mut self, key: &Id, why: Removal) -> Result<()> {
        info!(%key, ?why, "removing engine");
        let others = [self.plan(key), self.constants(key), self.usage_path(key)];
        for path in [self.manifest_path(key)].into_iter().chain(others) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()));
                }
                _ => self.sync()?,
            }
        }
        self.manifests.remove(key);
        self.usages.remove(key);
        self.unwritten.remove(key);
        Ok(())
    }

    /// Syncs the folder: only then are renames in it on disk.
    fn sync(&self) -> Result<()> {
        fs::File::open(&self.engines)
            .and_then(|dir| dir.sync_all())
            .with_context(|| format!("cannot sync {}", self.engines.display()))
    }
}

/// Removes what lies there, a folder with all that is in it.
fn clear(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
