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
/// `engines/KEY.engine` is a plan and `engines/KEY.json` its manifest, which is written last: a plan
/// without one does not exist, so a kill at any moment leaves whole engines only. `KEY.usage` is there once
/// an engine was pinned, orphaned or used again, and `KEY.constants` beside some of former releases.
#[derive(Debug)]
pub struct Library {
    engines: PathBuf,
    scratch: PathBuf,
    manifests: BTreeMap<Id, Manifest>,
    usages: BTreeMap<Id, Usage>,
}

/// Why an engine goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The user said so.
    Asked,
    /// Its plan is not what the manifest says.
    Damaged,
    /// A newer one of the same UNet is there.
    Superseded,
    /// No file has had its UNet for long.
    Orphaned,
    /// There are more engines than the quota allows.
    OverQuota,
}

impl Library {
    /// Opens the library of `data_dir`, makes its folders, and sweeps away what a kill left half
    /// done. The data folder must be locked by the caller.
    ///
    /// # Errors
    /// When the folders can't be made or read.
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
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
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
                    Err(error) => warn!("{} is left alone: {error:#}", path.display()),
                },
                Some("engine" | "constants" | "usage") => parts.push(path),
                _ => {}
            }
        }
        for part in parts {
            // A manifest of another format may belong to it, written by another release.
            if !part.with_extension("json").exists() {
                info!("removing {}, which belongs to no engine", part.display());
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
                "its key {} is not that of what it says was built",
                manifest.key
            ),
            FORMER_FORMAT => {}
            other => anyhow::bail!("its format {other} is not {FORMAT}"),
        }
        let plan = self.plan(&manifest.key);
        let bytes = fs::metadata(&plan)
            .with_context(|| format!("its plan {} is missing", plan.display()))?
            .len();
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

    /// All manifests, by key.
    pub fn manifests(&self) -> &BTreeMap<Id, Manifest> {
        &self.manifests
    }

    /// The plan of an engine.
    pub fn plan(&self, key: &Id) -> PathBuf {
        self.engines.join(format!("{key}.engine"))
    }

    /// A former release kept the constants of its shared engines there.
    fn constants(&self, key: &Id) -> PathBuf {
        self.engines.join(format!("{key}.constants"))
    }

    fn manifest_path(&self, key: &Id) -> PathBuf {
        self.engines.join(format!("{key}.json"))
    }

    fn usage_path(&self, key: &Id) -> PathBuf {
        self.engines.join(format!("{key}.usage"))
    }

    /// How an engine is used; `None` where there is no such engine.
    pub fn usage(&self, key: &Id) -> Option<&Usage> {
        self.usages.get(key)
    }

    /// Keeps how an engine is used, for this life of the daemon and those to come.
    ///
    /// # Errors
    /// When it can't be written; then it holds for this life alone.
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

    /// An empty folder for one job, on the engines' disk; it goes when dropped.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn scratch(&self) -> io::Result<tempfile::TempDir> {
        tempfile::tempdir_in(&self.scratch)
    }

    /// Bytes that are free for new engines.
    ///
    /// # Errors
    /// When the file system does not say.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.engines)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Publishes the finished, synced plan that `job` left under `manifest`.
    ///
    /// # Errors
    /// When a file can't be written or moved; then nothing is published.
    pub fn publish(&mut self, job: &Job, manifest: Manifest) -> Result<()> {
        // Before anything is moved: on a full disk, no plan is left without a manifest.
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

    /// Keeps what running an engine showed, in its manifest, in place of an earlier validation on that model
    /// of GPU with that driver. Of an engine that is gone nothing is kept.
    ///
    /// # Errors
    /// When the manifest can't be written; then it stays as it was.
    pub fn add_validation(&mut self, key: &Id, validation: Validation) -> Result<()> {
        let Some(manifest) = self.manifests.get(key) else { return Ok(()) };
        let manifest = manifest.clone().validated(validation);
        self.put(key, self.aside(&manifest, &self.plan(key))?)?;
        self.manifests.insert(*key, manifest);
        Ok(())
    }

    /// A manifest that is written and synced, but not in its place.
    fn aside(&self, manifest: &Manifest, plan: &Path) -> Result<NamedTempFile> {
        // As readable as the plan is: A1111 may run as another user.
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

    /// Removes an engine, the manifest first.
    ///
    /// # Errors
    /// When a file can't be removed.
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

    /// A rename is on the disk only once its folder is.
    fn sync(&self) -> Result<()> {
        fs::File::open(&self.engines)
            .and_then(|dir| dir.sync_all())
            .with_context(|| format!("cannot sync {}", self.engines.display()))
    }
}

impl Manifest {
    /// Reads the plan and says what of it is not as this manifest says.
    ///
    /// # Errors
    /// When it can't be read, which tells nothing about what it is.
    pub fn check(&self, plan: &Path) -> io::Result<Option<String>> {
        let file = match fs::File::open(plan) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Some("the plan is missing".to_owned()));
            }
            other => other?,
        };
        let bytes = file.metadata()?.len();
        if bytes != self.bytes {
            return Ok(Some(format!("the plan has {bytes} bytes and not {}", self.bytes)));
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(file)?;
        let found = Id::from(hasher.finalize());
        Ok((found != self.blake3)
            .then(|| format!("the plan's BLAKE3 is {found} and not {}", self.blake3)))
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
