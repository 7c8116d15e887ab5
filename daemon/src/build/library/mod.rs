use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use checkpoint::Id;
use tracing::{info, warn};

use super::{Manifest, manifest::FORMAT};

/// The published engines of a data folder.
///
/// `engines/KEY.engine` is a plan and `engines/KEY.json` its manifest, which is written last: a plan
/// without one does not exist, so a kill at any moment leaves whole engines only.
#[derive(Debug)]
pub struct Library {
    engines: PathBuf,
    scratch: PathBuf,
    manifests: BTreeMap<Id, Manifest>,
}

/// Why an engine goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The user said so.
    Asked,
    /// Its plan is not what the manifest says.
    Damaged,
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

    fn load(&mut self) -> Result<()> {
        let listing = fs::read_dir(&self.engines)
            .with_context(|| format!("cannot list {}", self.engines.display()))?;
        let mut plans = Vec::new();
        for entry in listing {
            let path = entry?.path();
            match path.extension().and_then(OsStr::to_str) {
                Some("json") => match self.load_manifest(&path) {
                    Ok(manifest) => {
                        self.manifests.insert(manifest.key, manifest);
                    }
                    Err(error) => warn!("{} is left alone: {error:#}", path.display()),
                },
                Some("engine") => plans.push(path),
                _ => {}
            }
        }
        for plan in plans {
            // A manifest of another format may belong to it, written by another release.
            if !plan.with_extension("json").exists() {
                info!("removing {}, which was never finished", plan.display());
                fs::remove_file(&plan)?;
            }
        }
        Ok(())
    }

    fn load_manifest(&self, path: &Path) -> Result<Manifest> {
        let manifest: Manifest = serde_json::from_slice(&fs::read(path)?)?;
        anyhow::ensure!(
            manifest.format == FORMAT,
            "its format {} is not {FORMAT}",
            manifest.format
        );
        let plan = self.plan(&manifest.key);
        let bytes = fs::metadata(&plan)
            .with_context(|| format!("its plan {} is not there", plan.display()))?
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

    /// All manifests, by key.
    pub fn manifests(&self) -> &BTreeMap<Id, Manifest> {
        &self.manifests
    }

    /// The plan of an engine.
    pub fn plan(&self, key: &Id) -> PathBuf {
        self.engines.join(format!("{key}.engine"))
    }

    fn manifest_path(&self, key: &Id) -> PathBuf {
        self.engines.join(format!("{key}.json"))
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

    /// Publishes the finished, synced plan at `built` under `manifest`.
    ///
    /// # Errors
    /// When a file can't be written or moved; then nothing is published.
    pub fn publish(&mut self, built: &Path, manifest: Manifest) -> Result<()> {
        let plan = self.plan(&manifest.key);
        fs::rename(built, &plan).with_context(|| format!("cannot publish {}", plan.display()))?;
        self.sync()?;
        // As readable as the plan is: A1111 may run as another user.
        let readable = fs::metadata(&plan)?.permissions();
        let mut aside =
            tempfile::Builder::new().permissions(readable).tempfile_in(&self.scratch)?;
        aside.write_all(&serde_json::to_vec_pretty(&manifest)?)?;
        aside.as_file().sync_all()?;
        let path = self.manifest_path(&manifest.key);
        aside.persist(&path).with_context(|| format!("cannot publish {}", path.display()))?;
        self.sync()?;
        self.manifests.insert(manifest.key, manifest);
        Ok(())
    }

    /// Removes an engine, the manifest first.
    ///
    /// # Errors
    /// When a file can't be removed.
    pub fn remove(&mut self, key: &Id, why: Removal) -> Result<()> {
        info!(%key, ?why, "removing engine");
        for path in [self.manifest_path(key), self.plan(key)] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()));
                }
                _ => self.sync()?,
            }
        }
        self.manifests.remove(key);
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
                return Ok(Some("the plan is not there".to_owned()));
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
mod tests {
    use checkpoint::{Architecture, Heads, Kind};
    use unet::Precision;

    use super::*;
    use crate::build::{Built, EngineSpec, FLAVOUR};

    fn manifest(name: &str, plan: &[u8]) -> Manifest {
        let spec = EngineSpec {
            unet_id: Id::from(blake3::hash(name.as_bytes())),
            architecture: Architecture {
                kind: Kind::Sd1,
                in_channels: 4,
                context_width: 768,
                y_width: None,
                heads: Heads::Count(8),
            },
            recipe: 1,
            flavour: FLAVOUR.to_owned(),
            version: "1.7.1.116".to_owned(),
            compute_capabilities: Vec::new(),
            precision: Precision::Fp16,
            profiles: Vec::new(),
        };
        let blake3 = Id::from(blake3::hash(plan));
        let built = Built { bytes: plan.len() as u64, blake3, peak_bytes: 0 };
        let weights = Id::from(blake3::hash(b"weights"));
        Manifest::new(spec, vec!["default".to_owned()], weights, built, 0, 0.0)
    }

    /// A library with one engine.
    fn published(data_dir: &Path) -> (Library, Manifest) {
        let mut library = Library::open(data_dir).unwrap();
        let scratch = library.scratch().unwrap();
        let plan = scratch.path().join("engine");
        fs::write(&plan, "plan").unwrap();
        let manifest = manifest("a", b"plan");
        library.publish(&plan, manifest.clone()).unwrap();
        (library, manifest)
    }

    fn keys(library: &Library) -> Vec<Id> {
        library.manifests().keys().copied().collect()
    }

    #[test]
    fn a_published_engine_is_there_in_the_next_life() {
        let dir = tempfile::tempdir().unwrap();
        let (library, manifest) = published(dir.path());
        assert_eq!(keys(&library), [manifest.key]);
        assert_eq!(manifest.check(&library.plan(&manifest.key)).unwrap(), None);
        drop(library);
        let library = Library::open(dir.path()).unwrap();
        assert_eq!(library.manifests()[&manifest.key], manifest);
    }

    #[test]
    fn what_a_kill_left_half_done_is_swept_away() {
        let dir = tempfile::tempdir().unwrap();
        let (library, kept) = published(dir.path());
        let half = manifest("half", b"half a plan");
        fs::write(library.plan(&half.key), "half a plan").unwrap();
        let scratch = library.scratch().unwrap().keep();
        fs::write(scratch.join("engine"), "unfinished").unwrap();
        let plan = library.plan(&half.key);
        drop(library);

        let library = Library::open(dir.path()).unwrap();
        assert_eq!(keys(&library), [kept.key]);
        assert!(!plan.exists() && !scratch.exists());
        assert!(library.plan(&kept.key).exists());
    }

    #[test]
    fn a_manifest_that_does_not_fit_its_plan_publishes_nothing() {
        type Harm = fn(&Library, &Manifest);
        let table: [(&str, Harm); 4] = [
            ("plan gone", |library, m| fs::remove_file(library.plan(&m.key)).unwrap()),
            ("plan cut", |library, m| fs::write(library.plan(&m.key), "pl").unwrap()),
            ("garbage", |library, m| fs::write(library.manifest_path(&m.key), "{").unwrap()),
            ("newer", |library, m| {
                let newer = Manifest { format: FORMAT + 1, ..m.clone() };
                let json = serde_json::to_vec(&newer).unwrap();
                fs::write(library.manifest_path(&m.key), json).unwrap();
            }),
        ];
        for (what, harm) in table {
            let dir = tempfile::tempdir().unwrap();
            let (library, manifest) = published(dir.path());
            harm(&library, &manifest);
            assert!(keys(&Library::open(dir.path()).unwrap()).is_empty(), "{what}");
            assert!(
                library.manifest_path(&manifest.key).exists(),
                "{what}: left for people to see"
            );
        }
    }

    #[test]
    fn checking_finds_what_changed_in_a_plan() {
        let dir = tempfile::tempdir().unwrap();
        let (mut library, manifest) = published(dir.path());
        let plan = library.plan(&manifest.key);
        for (content, said) in [("plaN", "BLAKE3"), ("pla", "3 bytes")] {
            fs::write(&plan, content).unwrap();
            let problem = manifest.check(&plan).unwrap().unwrap();
            assert!(problem.contains(said), "{problem}");
        }
        library.remove(&manifest.key, Removal::Damaged).unwrap();
        assert!(manifest.check(&plan).unwrap().unwrap().contains("not there"));
        assert!(keys(&Library::open(dir.path()).unwrap()).is_empty());
    }

    #[test]
    fn only_what_decides_the_bytes_changes_the_key() {
        let spec = manifest("a", b"").spec;
        let changes: [fn(&mut EngineSpec); 5] = [
            |spec| spec.recipe += 1,
            |spec| spec.version.push('0'),
            |spec| spec.compute_capabilities.push("8.9".parse().unwrap()),
            |spec| spec.precision = Precision::Fp32,
            |spec| spec.unet_id = Id::from(blake3::hash(b"other")),
        ];
        let mut keys: Vec<Id> = changes
            .iter()
            .map(|change| {
                let mut changed = spec.clone();
                change(&mut changed);
                changed.key()
            })
            .collect();
        keys.push(spec.key());
        assert_eq!(spec.key(), spec.clone().key());
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), changes.len() + 1);
    }
}
