use std::{
    fs::{self, Permissions},
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
};

use anyhow::{Context, Result, ensure};
use engine::read_regular;
use tracing::warn;

use super::Index;

/// The index on disk.
#[derive(Debug)]
pub struct IndexFile {
    path: PathBuf,
    last: Option<Index>,
    problem: Option<String>,
    /// The file when it was written.
    seen: Option<FileState>,
}

/// Identifies a file's state: any change to it changes this.
type FileState = (u64, u64, u64, (i64, i64));

impl IndexFile {
    /// An index at `path`, whose folder must exist.
    pub fn new(path: PathBuf) -> Self {
        Self { path, last: None, problem: None, seen: None }
    }

    /// Whether it was written since the daemon's start.
    pub fn is_written(&self) -> bool {
        self.last.is_some()
    }

    /// Whether the file is unchanged since it was written.
    pub fn is_in_place(&self) -> bool {
        self.seen.is_some() && self.look() == self.seen
    }

    /// Why it can't be written at present.
    pub fn problem(&self) -> Option<&String> {
        self.problem.as_ref()
    }

    fn look(&self) -> Option<FileState> {
        let found = fs::symlink_metadata(&self.path).ok()?;
        Some((found.dev(), found.ino(), found.size(), (found.ctime(), found.ctime_nsec())))
    }

    /// Writes the index if it differs from the last one or if the file has changed. A failure is reported once and
    /// tried again at the next call.
    pub fn publish(&mut self, index: Index) {
        if self.last.as_ref() == Some(&index) && self.is_in_place() {
            return;
        }
        let written = self.write(&index);
        let problem = written.as_ref().err().map(|error| format!("{error:#}"));
        if let Some(problem) = problem.as_ref().filter(|_| problem != self.problem) {
            warn!("the web UI does not learn which engines there are: {problem}");
        }
        self.problem = problem;
        self.seen = written.is_ok().then(|| self.look()).flatten();
        self.last = written.is_ok().then_some(index);
    }

    /// Writes a temporary file, syncs it and renames it.
    fn write(&self, index: &Index) -> Result<()> {
        let text = serde_json::to_vec_pretty(index)?;
        if read_regular(&self.path, text.len() as u64).is_ok_and(|found| found == text) {
            return Ok(());
        }
        ensure!(!self.path.is_dir(), "{} is a folder; remove it", self.path.display());
        let write = || -> Result<()> {
            let folder = self.path.parent().context("it lies in no folder")?;
            let mut aside = tempfile::Builder::new()
                .prefix(".index-")
                // As readable as the engines: A1111 may run as another user.
                .permissions(Permissions::from_mode(0o666))
                .tempfile_in(folder)?;
            aside.write_all(&text)?;
            aside.as_file().sync_all()?;
            aside.persist(&self.path).map_err(|error| error.error)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use config::Prefer;

    use super::*;

    #[test]
    fn whatever_lies_in_its_place_is_replaced_and_a_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.json");
        let mut file = IndexFile::new(path.clone());
        let index = || Index::new("/run/sdtrtd.sock".into(), Prefer::Fastest, [], []);
        file.publish(index());
        let written = fs::read(&path).unwrap();

        fs::write(&path, "{").unwrap();
        file.publish(index());
        assert_eq!(fs::read(&path).unwrap(), written);

        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        file.publish(index());
        assert_eq!(fs::read(&path).unwrap(), written);

        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        file.publish(index());
        assert_eq!(file.problem(), Some(&format!("{} is a folder; remove it", path.display())));

        fs::remove_dir(&path).unwrap();
        file.publish(index());
        assert_eq!((fs::read(&path).unwrap(), file.problem()), (written, None));
    }
}
