use std::{
    fs::{self, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

use anyhow::{Context, Result};
use tracing::warn;

use super::Index;

/// The index on disk.
#[derive(Debug)]
pub struct IndexFile {
    path: PathBuf,
    last: Option<Index>,
    problem: Option<String>,
}

impl IndexFile {
    /// The one at `path`, whose folder must be there.
    pub fn new(path: PathBuf) -> Self {
        Self { path, last: None, problem: None }
    }

    /// Whether it was written in this life.
    pub fn is_written(&self) -> bool {
        self.last.is_some()
    }

    /// Writes the index if it is another than the last one. What can't be written is said once, and
    /// tried again at the next call.
    pub fn publish(&mut self, index: Index) {
        if self.last.as_ref() == Some(&index) {
            return;
        }
        let written = self.write(&index);
        let problem = written.as_ref().err().map(|error| format!("{error:#}"));
        if let Some(problem) = problem.as_ref().filter(|_| problem != self.problem) {
            warn!("the web UI does not learn which engines there are: {problem}");
        }
        self.problem = problem;
        self.last = written.is_ok().then_some(index);
    }

    /// Writes aside, syncs and renames.
    fn write(&self, index: &Index) -> Result<()> {
        let text = serde_json::to_vec_pretty(index)?;
        if fs::read(&self.path).is_ok_and(|found| found == text) {
            return Ok(());
        }
        let write = || -> Result<()> {
            let folder = self.path.parent().context("it lies in no folder")?;
            let mut aside = tempfile::Builder::new()
                .prefix(".index-")
                // Readable like the engines: A1111 may run as another user.
                .permissions(Permissions::from_mode(0o666))
                .tempfile_in(folder)?;
            aside.write_all(&text)?;
            aside.as_file().sync_all()?;
            aside.persist(&self.path)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))
    }
}
