use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use tracing::warn;

use super::Index;

/// Until what could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// Writes the index on a thread of its own, which ends with this value.
#[derive(Debug)]
pub struct Publisher {
    sender: Sender<Vec<u8>>,
    last: Option<Index>,
}

impl Publisher {
    /// Writes to `path`, whose folder must be there.
    pub fn new(path: PathBuf) -> Self {
        let (sender, texts) = mpsc::channel();
        thread::spawn(move || run(&path, &texts));
        Self { sender, last: None }
    }

    /// Whether there was anything to write yet.
    pub fn has_published(&self) -> bool {
        self.last.is_some()
    }

    /// Has the index written if it is another than the last one.
    pub fn publish(&mut self, index: Index) {
        if self.last.as_ref() == Some(&index) {
            return;
        }
        // Numbers and texts do not fail.
        let text = serde_json::to_vec_pretty(&index).unwrap_or_default();
        // The thread lives as long as this.
        let _ = self.sender.send(text);
        self.last = Some(index);
    }
}

fn run(path: &Path, texts: &Receiver<Vec<u8>>) {
    let mut unwritten: Option<Vec<u8>> = None;
    loop {
        let wait = if unwritten.is_some() { AGAIN } else { Duration::MAX };
        match texts.recv_timeout(wait) {
            Ok(text) => unwritten = Some(text),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        unwritten = unwritten.take().filter(|text| match write(path, text) {
            Ok(()) => false,
            Err(error) => {
                warn!("the web UI does not learn of new engines: {error:#}");
                true
            }
        });
    }
}

/// Writes aside, syncs and renames.
fn write(path: &Path, text: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    let write = || -> Result<()> {
        let folder = path.parent().context("it lies in no folder")?;
        let mut aside = tempfile::Builder::new()
            .prefix(".index-")
            // Readable like the engines: A1111 may run as another user.
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(folder)?;
        aside.write_all(text)?;
        aside.as_file().sync_all()?;
        aside.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
