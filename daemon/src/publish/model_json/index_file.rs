//! An index on disk, and the recorded owners of its engines.

use std::{
    collections::BTreeSet,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use checkpoint::Id;
use engine::read_regular;
use protocol::ExtensionIndex;
use serde::{Deserialize, Serialize};

use super::{FileOwners, ModelJson, Named, adopt, around::Surroundings, changes, parse, reconcile};

/// What the index was before it was last written here, or before it lost an engine.
const BACKUP: &str = "model.json.before-sdtrt";

/// More than the record of one index takes.
const MEMORY_BYTES: u64 = 64 << 20;

/// One web UI's index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ModelJsonFile {
    path: PathBuf,
    /// The web UI's folders of checkpoints.
    roots: Vec<PathBuf>,
}

/// The engines' owners, stored in the data folder.
#[derive(Default, Serialize, Deserialize)]
struct OwnersFile {
    index: PathBuf,
    owners: FileOwners,
}

impl ModelJsonFile {
    /// Those of the web UIs whose checkpoints are in these models folders. A folder of checkpoints outside
    /// of any web UI may be given to all with `--ckpt-dir`.
    pub(super) fn of(found: &[Surroundings]) -> Vec<Self> {
        let webuis: BTreeSet<&PathBuf> =
            found.iter().filter_map(|(_, webui)| webui.as_ref()).collect();
        let shared =
            || found.iter().filter(|(_, webui)| webui.is_none()).map(|(dir, _)| dir.clone());
        webuis
            .into_iter()
            .map(|models| Self {
                path: models.join("Unet-trt/model.json"),
                roots: std::iter::once(models.join("Stable-diffusion")).chain(shared()).collect(),
            })
            .collect()
    }

    /// Reads the index, determines the owners of its engines, and returns what should change; changes it if
    /// `write` is set.
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
        let wanted = reconcile(&index, &named, &owners, |file| !is_gone(&folder.join(file)));
        report.engines = index.values().flatten().map(|(_, entries)| entries.len()).sum();
        report.changes = changes(&index, &wanted);
        if report.kept && wanted != index {
            self.write((&text, &index), &wanted, folder)?;
        }
        Ok(())
    }

    /// Returns the recorded owners, and those of engines seen for the first time.
    fn owners(&self, index: &ModelJson, named: &[Named], memory: &Path) -> Result<FileOwners> {
        let name = blake3::hash(self.path.as_os_str().as_encoded_bytes()).to_hex();
        let path = memory.join(format!("{}.json", &name[..16]));
        let known: OwnersFile = match read_regular(&path, MEMORY_BYTES) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => OwnersFile::default(),
            Err(error) => return Err(error).context(format!("cannot read {}", path.display())),
        };
        let mut owners = known.owners.clone();
        adopt(index, named, &mut owners);
        if owners != known.owners {
            fs::create_dir_all(memory)?;
            let now = OwnersFile { index: self.path.clone(), owners: owners.clone() };
            replace(&path, &serde_json::to_vec_pretty(&now)?, memory)?;
        }
        Ok(owners)
    }

    fn write(
        &self,
        (before, index): (&[u8], &ModelJson),
        wanted: &ModelJson,
        folder: &Path,
    ) -> Result<()> {
        let backup = folder.join(BACKUP);
        let kept = fs::read(&backup).ok().and_then(|text| parse(&text).ok());
        // One that lists what the index has lost since is the only one that does.
        if kept.is_none_or(|kept| files(&kept).is_subset(&files(index))) {
            replace(&backup, before, folder)?;
        }
        ensure!(fs::read(&self.path)? == before, "it is being written by another program");
        replace(&self.path, &serde_json::to_vec_pretty(wanted)?, folder)?;
        tracing::info!("{} lists the engines under their checkpoints' names", self.path.display());
        Ok(())
    }
}

/// Whether an engine's file is certainly not there any more. A link to it that leads nowhere may wait for a disk, and
/// so may a folder that is not there, or empty.
fn is_gone(path: &Path) -> bool {
    let is_missing = fs::symlink_metadata(path).is_err_and(|error| {
        matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    });
    let others = || path.parent().and_then(|folder| fs::read_dir(folder).ok());
    is_missing && others().is_some_and(|mut others| others.next().is_some())
}

/// The files of all engines that are listed.
fn files(index: &ModelJson) -> BTreeSet<&str> {
    let entries = index.values().flatten().flat_map(|(_, entries)| entries);
    entries.map(|entry| entry.filepath.as_str()).collect()
}

/// Writes a temporary file, syncs it and renames it.
fn replace(path: &Path, content: &[u8], folder: &Path) -> Result<()> {
    let readable = fs::metadata(path).map(|metadata| metadata.permissions()).ok();
    let mut aside = tempfile::Builder::new().prefix(".sdtrt-").tempfile_in(folder)?;
    if let Some(readable) = readable {
        aside.as_file().set_permissions(readable)?;
    }
    aside.write_all(content)?;
    aside.as_file().sync_all()?;
    aside
        .persist(path)
        .map_err(|error| error.error)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, os::unix::fs::symlink};

    use serde_json::json;

    use super::*;

    /// An index that lists these files, each under its name.
    fn text(files: &[&str]) -> String {
        let config = json!({
            "profile": {}, "static_shapes": false, "fp32": false, "inpaint": false, "refit": true, "lora": false,
            "vram": 0, "unet_hidden_dim": 4,
        });
        let entry = |file| (file, json!([{"filepath": file, "config": config}]));
        let models: BTreeMap<_, _> = files.iter().copied().map(entry).collect();
        json!({ "cc89": models }).to_string()
    }

    #[test]
    fn what_may_wait_for_a_disk_stays_and_what_was_lost_stays_in_the_backup() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("Unet-trt");
        for sub in ["full", "bare"] {
            fs::create_dir_all(folder.join(sub)).unwrap();
        }
        fs::write(folder.join("full/other.trt"), "x").unwrap();
        fs::write(folder.join("there.trt"), "x").unwrap();
        symlink("/mnt/away/a.trt", folder.join("link.trt")).unwrap();
        symlink("/mnt/away", folder.join("linked")).unwrap();
        let away = ["bare/a.trt", "gone/a.trt", "link.trt", "linked/a.trt", "there.trt"];
        let all = [&away[..], &["full/gone.trt", "gone.trt"]].concat();
        let index = ModelJsonFile { path: folder.join("model.json"), roots: Vec::new() };
        let keep = || {
            let report = index.keep(&[], &dir.path().join("memory"), true);
            assert_eq!(report.problem, None);
        };
        let listed = |name: &str| {
            let index = parse(&fs::read(folder.join(name)).unwrap()).unwrap();
            files(&index).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        fs::write(&index.path, text(&all)).unwrap();
        keep();
        assert_eq!(listed("model.json"), away);
        let before = listed(BACKUP);
        assert_eq!(before.len(), all.len());
        // The next loss does not take the first with it.
        fs::remove_file(folder.join("there.trt")).unwrap();
        keep();
        assert_eq!(listed("model.json"), away[..4]);
        assert_eq!(listed(BACKUP), before);
        // Where nothing is lost the backup is the last one.
        let more = [&all[..], &["new.trt"]].concat();
        fs::write(&index.path, text(&more)).unwrap();
        keep();
        assert_eq!(listed(BACKUP).len(), more.len());
    }
}
