use std::{
    fs::{self, DirEntry, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::io::Errno;
use tracing::debug;

use crate::inventory::{FileId, Notifier, Scan, Stamp, watch::file_system};

/// Walks through the models folder `dir`, links followed.
///
/// Not with a library: those that follow links ask for each file by its whole path, which the kernel walks
/// anew each time.
pub(super) fn walk(
    dir: &Path,
    scan: &mut Scan,
    notifier: &mut Notifier,
    found: impl FnMut((PathBuf, Stamp)),
) {
    let outside = dir.parent().and_then(|parent| parent.metadata().ok());
    let outside = outside.map(|outside| outside.dev());
    let mut walk = Walk { dir, scan, notifier, found, outside, around: Vec::new() };
    match dir.metadata() {
        Ok(metadata) if metadata.is_dir() => walk.visit(dir, &metadata),
        Ok(_) => {}
        Err(error) => walk.note(dir, &error),
    }
}

struct Walk<'a, F> {
    dir: &'a Path,
    scan: &'a mut Scan,
    notifier: &'a mut Notifier,
    found: F,
    /// The device around the models folder.
    outside: Option<u64>,
    /// The folders around the one that is visited, from the models folder on.
    around: Vec<FileId>,
}

impl<F: FnMut((PathBuf, Stamp))> Walk<'_, F> {
    fn visit(&mut self, folder: &Path, metadata: &Metadata) {
        let id @ (device, _) = (metadata.dev(), metadata.ino());
        // Reached by a link to a folder around it.
        if self.around.contains(&id) {
            return;
        }
        self.notifier.watch(folder, metadata);
        let around = self.around.last().map(|(device, _)| *device).or(self.outside);
        if around != Some(device) {
            self.scan.mounts.insert(folder.to_owned());
        }
        if around != Some(device) || self.around.is_empty() {
            self.scan.is_silent |= file_system::changes_silently(folder);
        }
        self.around.push(id);
        // Listed to its end first: only so many folders can be open at once.
        for (path, metadata) in self.list(folder) {
            self.visit(&path, &metadata);
        }
        self.around.pop();
    }

    /// Hands over the checkpoints in a folder, and returns the folders in it.
    fn list(&mut self, folder: &Path) -> Vec<(PathBuf, Metadata)> {
        let mut folders = Vec::new();
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.note(folder, &error);
                return folders;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.note(folder, &error);
                    break;
                }
            };
            match look(&entry) {
                Ok(Some(metadata)) if metadata.is_dir() => folders.push((entry.path(), metadata)),
                Ok(Some(metadata)) => {
                    let path = entry.path();
                    let stamp = Stamp::at(&path, &metadata);
                    (self.found)((path, stamp));
                }
                Ok(None) => {}
                Err(error) => self.note(&entry.path(), &error),
            }
        }
        folders
    }

    fn note(&mut self, path: &Path, error: &io::Error) {
        let path = path.display();
        // A link to nowhere or to itself, or what went between the listing and the look.
        if matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::LOOP)) {
            debug!("{path}: {error}");
            return;
        }
        let problem = format!("{path} can't be listed ({error}); give sdtrtd the right to read it");
        self.scan.problems.insert(self.dir.to_owned(), problem);
        self.scan.incomplete = true;
    }
}

/// A folder or a checkpoint; `None` for anything else.
fn look(entry: &DirEntry) -> io::Result<Option<Metadata>> {
    let kind = entry.file_type()?;
    let is_checkpoint = checkpoint::is_checkpoint_name(entry.file_name().as_ref());
    if kind.is_file() && !is_checkpoint {
        return Ok(None);
    }
    let metadata = if kind.is_symlink() { entry.path().metadata()? } else { entry.metadata()? };
    let is_wanted = metadata.is_dir() || (metadata.is_file() && is_checkpoint);
    Ok(is_wanted.then_some(metadata))
}
