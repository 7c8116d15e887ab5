use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use checkpoint::Id;
use tempfile::NamedTempFile;
use tracing::{info, warn};

use crate::{
    Job, Manifest, Usage, Validation,
    manifest::{FORMAT, FORMER_FORMAT},
};

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
    /// If the folders can't be created or read.
    pub fn open(data_dir: &Path) -> Result<Self> {
        let mut library = Self {
            engines: data_dir.join("engines"),
            scratch: data_dir.join("scratch"),
            manifests: BTreeMap::new(),
            usages: BTreeMap::new(),
        };
        if library.scratch.exists() {
            fs::remove_dir_all(&library.scratch)
                .with_context(|| format!("cannot clear {}", library.scratch.display()))?;
        }
        for dir in [&library.engines, &library.scratch] {
            fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
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
        Self { engines, scratch, manifests, usages }
    }

    fn load(&mut self) -> Result<()> {
        let listing = fs::read_dir(&self.engines)
            .with_context(|| format!("cannot list {}", self.engines.display()))?;
        let mut parts = Vec::new();
        for entry in listing {
            let path = entry?.path();
            match path.extension().and_then(OsStr::to_str) {
                Some("json") => match self.load_manifest(&path) {
                    Ok(manifest) => {
                        self.manifests.insert(manifest.key, manifest);
                    }
                    Err(error) => warn!("ignoring {}: {error:#}", path.display()),
                },
                Some("engine" | "constants" | "usage") => parts.push(path),
                _ => {}
            }
        }
        for part in parts {
            // It may belong to another release's manifest in an unknown format.
            if !part.with_extension("json").exists() {
                info!("removing {}: it belongs to no engine", part.display());
                fs::remove_file(&part)?;
            }
        }
        self.usages = self.manifests.values().map(|m| (m.key, self.read_usage(m))).collect();
        Ok(())
    }

    fn load_manifest(&self, path: &Path) -> Result<Manifest> {
        let manifest: Manifest = serde_json::from_slice(&fs::read(path)?)?;
        match manifest.format {
            FORMAT => anyhow::ensure!(
                manifest.spec.key() == manifest.key,
                "its key {} does not match its specification",
                manifest.key
            ),
            FORMER_FORMAT => {}
            other => anyhow::bail!("its format is {other}, expected {FORMAT}"),
        }
        let plan = self.plan(&manifest.key);
        let bytes = fs::metadata(&plan)
            .with_context(|| format!("its plan {} is missing", plan.display()))?
            .len();
        anyhow::ensure!(
            bytes == manifest.bytes,
            "its plan has {bytes} bytes, expected {}",
            manifest.bytes
        );
        anyhow::ensure!(
            self.manifest_path(&manifest.key) == path,
            "it is the manifest of another engine, {}",
            manifest.key
        );
        Ok(manifest)
    }

    /// An unreadable file counts as absent: it is no reason to lose the engine.
    fn read_usage(&self, manifest: &Manifest) -> Usage {
        let path = self.usage_path(&manifest.key);
        let read = Usage::read(&path).unwrap_or_else(|error| {
            warn!("ignoring {}, so a pin in it is lost: {error}", path.display());
            None
        });
        read.unwrap_or(Usage::since(manifest.built_at))
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

    /// Stores an engine's usage.
    ///
    /// # Errors
    /// If it can't be written; then it is lost when the daemon ends.
    pub fn set_usage(&mut self, key: &Id, usage: Usage) -> Result<()> {
        let path = self.usage_path(key);
        let Some(known) = self.usages.get_mut(key).filter(|known| **known != usage) else {
            return Ok(());
        };
        *known = usage;
        usage
            .write(&path, &self.scratch)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Creates an empty folder for one job, on the engines' disk; dropping it deletes it.
    ///
    /// # Errors
    /// If it can't be created.
    pub fn scratch(&self) -> io::Result<tempfile::TempDir> {
        tempfile::tempdir_in(&self.scratch)
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
        // Write the manifest before moving the plan: a full disk must not leave a plan without one.
        let aside = self.aside(&manifest, &job.plan())?;
        let plan = self.plan(&manifest.key);
        fs::rename(job.plan(), &plan)
            .with_context(|| format!("cannot publish {}", plan.display()))?;
        self.sync()?;
        self.put(&manifest.key, aside)?;
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
        let mut aside =
            tempfile::Builder::new().permissions(readable).tempfile_in(&self.scratch)?;
        aside.write_all(&serde_json::to_vec_pretty(manifest)?)?;
        aside.as_file().sync_all()?;
        Ok(aside)
    }

    fn put(&self, key: &Id, manifest: NamedTempFile) -> Result<()> {
        let path = self.manifest_path(key);
        manifest.persist(&path).with_context(|| format!("cannot publish {}", path.display()))?;
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
        Ok(())
    }

    /// Syncs the folder: only then are renames in it on disk.
    fn sync(&self) -> Result<()> {
        fs::File::open(&self.engines)
            .and_then(|dir| dir.sync_all())
            .with_context(|| format!("cannot sync {}", self.engines.display()))
    }
}

impl Manifest {
    /// Reads the plan, and returns how it differs from this manifest, if it does.
    ///
    /// # Errors
    /// If it can't be read; then it may still be intact.
    pub fn check(&self, plan: &Path) -> io::Result<Option<String>> {
        let file = match fs::File::open(plan) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Some("the plan is missing".to_owned()));
            }
            other => other?,
        };
        let bytes = file.metadata()?.len();
        if bytes != self.bytes {
            return Ok(Some(format!("the plan has {bytes} bytes, expected {}", self.bytes)));
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(file)?;
        let found = Id::from(hasher.finalize());
        Ok((found != self.blake3)
            .then(|| format!("the plan's BLAKE3 is {found}, expected {}", self.blake3)))
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
