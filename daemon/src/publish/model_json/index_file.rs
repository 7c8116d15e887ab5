//! An index on disk, and what is remembered of it.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use checkpoint::Id;
use engine::read_regular;
use protocol::ExtensionIndex;
use serde::{Deserialize, Serialize};

use super::{Index, Named, Owners, adopt, changes, parse, reconcile};

/// What the index was before it was last written here.
const BACKUP: &str = "model.json.before-sdtrt";

/// More than what is remembered of one takes.
const MEMORY_BYTES: u64 = 64 << 20;

/// One web UI's index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexFile {
    path: PathBuf,
    /// Folders in which the web UI looks for checkpoints.
    roots: Vec<PathBuf>,
}

/// Whose engines they are, kept in the data folder.
#[derive(Default, Serialize, Deserialize)]
struct Memory {
    index: PathBuf,
    owners: Owners,
}

impl IndexFile {
    /// Those of the web UIs whose checkpoints are in `models_dirs`. A folder of checkpoints outside
    /// of any web UI may be given to all with `--ckpt-dir`.
    pub(super) fn of(models_dirs: &[PathBuf]) -> Vec<Self> {
        let webui = |dir: &PathBuf| {
            dir.ancestors()
                .find(|dir| dir.join("Unet-trt/model.json").is_file())
                .map(Path::to_owned)
        };
        let mut webuis: Vec<PathBuf> = models_dirs.iter().filter_map(webui).collect();
        webuis.sort();
        webuis.dedup();
        let shared = || models_dirs.iter().filter(|dir| webui(dir).is_none()).cloned();
        webuis
            .iter()
            .map(|models| Self {
                path: models.join("Unet-trt/model.json"),
                roots: std::iter::once(models.join("Stable-diffusion")).chain(shared()).collect(),
            })
            .collect()
    }

    /// Reads the index, learns whose engines are listed there, and says what should change; changes
    /// it too if `write` is set.
    pub(super) fn keep(
        &self,
        checkpoints: &[(Id, PathBuf)],
        memory: &Path,
        write: bool,
    ) -> ExtensionIndex {
        let mut report = ExtensionIndex {
            path: self.path.to_string_lossy().into_owned(),
            kept: write,
            engines: 0,
            changes: Vec::new(),
            problem: None,
        };
        if let Err(error) = self.try_keep(checkpoints, memory, &mut report) {
            report.problem = Some(format!("{error:#}"));
        }
        report
    }

    fn try_keep(
        &self,
        checkpoints: &[(Id, PathBuf)],
        memory: &Path,
        report: &mut ExtensionIndex,
    ) -> Result<()> {
        let is_file = fs::metadata(&self.path).is_ok_and(|found| found.is_file());
        ensure!(is_file, "it is no regular file");
        let text = fs::read(&self.path).context("it can't be read")?;
        let index =
            parse(&text).context("it is not what the extension writes, and so is left alone")?;
        let named: Vec<Named> = checkpoints
            .iter()
            .filter_map(|(weights, path)| Named::new(*weights, path, &self.roots))
            .collect();
        let owners = self.owners(&index, &named, memory)?;
        let folder = self.path.parent().context("it lies in no folder")?;
        let wanted = reconcile(&index, &named, &owners, |file| folder.join(file).exists());
        report.engines = index.values().flatten().map(|(_, entries)| entries.len()).sum();
        report.changes = changes(&index, &wanted);
        if report.kept && wanted != index {
            self.write(&text, &wanted, folder)?;
        }
        Ok(())
    }

    /// What is remembered, and what is seen for the first time.
    fn owners(&self, index: &Index, named: &[Named], memory: &Path) -> Result<Owners> {
        let name = blake3::hash(self.path.as_os_str().as_encoded_bytes()).to_hex();
        let path = memory.join(format!("{}.json", &name[..16]));
        let known: Memory = match read_regular(&path, MEMORY_BYTES) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Memory::default(),
            Err(error) => return Err(error).context(format!("cannot read {}", path.display())),
        };
        let mut owners = known.owners.clone();
        adopt(index, named, &mut owners);
        if owners != known.owners {
            fs::create_dir_all(memory)?;
            let now = Memory { index: self.path.clone(), owners: owners.clone() };
            replace(&path, &serde_json::to_vec_pretty(&now)?, memory)?;
        }
        Ok(owners)
    }

    fn write(&self, before: &[u8], wanted: &Index, folder: &Path) -> Result<()> {
        replace(&folder.join(BACKUP), before, folder)?;
        ensure!(fs::read(&self.path)? == before, "it is being written by another program");
        replace(&self.path, &serde_json::to_vec_pretty(wanted)?, folder)?;
        tracing::info!("{} lists the engines under their checkpoints' names", self.path.display());
        Ok(())
    }
}

/// Writes aside, syncs and renames.
fn replace(path: &Path, content: &[u8], folder: &Path) -> Result<()> {
    let readable = fs::metadata(path).map(|metadata| metadata.permissions()).ok();
    let mut aside = tempfile::Builder::new().prefix(".sdtrt-").tempfile_in(folder)?;
    if let Some(readable) = readable {
        aside.as_file().set_permissions(readable)?;
    }
    aside.write_all(content)?;
    aside.as_file().sync_all()?;
    aside.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}
