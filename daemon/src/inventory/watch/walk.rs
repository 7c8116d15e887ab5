use std::{
    collections::HashMap,
    fs::{self, DirEntry, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use checkpoint::FileSystem;
use config::Ignored;
use rustix::io::Errno;
use tracing::debug;

use crate::inventory::{FileId, Notifier, Scan, Stamp};

/// Walks through the models folder `dir`, links followed, and leaves out what is ignored.
///
/// A folder that can be reached in several ways is walked through once, by the way through the fewest folders, and
/// of those by the shortest: links that lead around, or several to one folder, would list its files over and over.
/// The other ways are [aliases](Scan::aliases).
///
/// Not with a library: those that follow links ask for each file by its whole path, which the kernel walks
/// anew each time.
pub(super) fn walk(
    dir: &Path,
    ignored: &Ignored,
    scan: &mut Scan,
    notifier: &mut Notifier,
    found: impl FnMut((PathBuf, Stamp)),
) {
    let outside = dir.parent().and_then(|parent| parent.metadata().ok());
    let around = outside.map(|outside| outside.dev());
    let mut walk = Walk { dir, ignored, scan, notifier, found, visited: HashMap::new() };
    match dir.metadata() {
        Ok(metadata) if metadata.is_dir() => {
            walk.from(Folder { path: dir.to_owned(), metadata, around });
        }
        Ok(_) => {}
        Err(error) => walk.note(dir, &error),
    }
}

struct Walk<'a, F> {
    dir: &'a Path,
    ignored: &'a Ignored,
    scan: &'a mut Scan,
    notifier: &'a mut Notifier,
    found: F,
    /// Where each folder was walked through.
    visited: HashMap<FileId, PathBuf>,
}

struct Folder {
    path: PathBuf,
    metadata: Metadata,
    /// The device of the folder around it.
    around: Option<u64>,
}

impl<F: FnMut((PathBuf, Stamp))> Walk<'_, F> {
    /// All folders that are equally deep come before those in them.
    fn from(&mut self, folder: Folder) {
        let mut level = vec![folder];
        while !level.is_empty() {
            level.sort_by(|a, b| length(&a.path).cmp(&length(&b.path)).then(a.path.cmp(&b.path)));
            level = level.into_iter().flat_map(|folder| self.visit(folder)).collect();
        }
    }

    /// Returns the folders in it.
    fn visit(&mut self, folder: Folder) -> Vec<Folder> {
        let Folder { path, metadata, around } = folder;
        let id @ (device, _) = (metadata.dev(), metadata.ino());
        if around != Some(device) {
            self.scan.mounts.insert(path.clone());
        }
        if around != Some(device) || self.visited.is_empty() {
            self.scan.is_silent |= FileSystem::of(&path, device).is_silent();
        }
        if let Some(known) = self.visited.get(&id) {
            self.scan.aliases.insert(path, known.clone());
            return Vec::new();
        }
        self.notifier.watch(&path, &metadata);
        let folders = self.list(&path, device);
        self.visited.insert(id, path);
        folders
    }

    /// Hands over the checkpoints in a folder, and returns the folders in it.
    fn list(&mut self, folder: &Path, device: u64) -> Vec<Folder> {
        let mut folders = Vec::new();
        // Asked for once for all the files that are on it.
        let mut file_system: Option<(u64, FileSystem)> = None;
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.note(folder, &error);
                return folders;
            }
        };
        let below = folder.strip_prefix(self.dir).unwrap_or(folder);
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.note(folder, &error);
                    break;
                }
            };
            match self.look(&entry, below) {
                Ok(Some(metadata)) if metadata.is_dir() => {
                    let around = Some(device);
                    folders.push(Folder { path: entry.path(), metadata, around });
                }
                Ok(Some(metadata)) => {
                    let path = entry.path();
                    let device = metadata.dev();
                    let (_, on) = *file_system
                        .take_if(|(known, _)| *known == device)
                        .get_or_insert_with(|| (device, FileSystem::of(&path, device)));
                    file_system = Some((device, on));
                    // A link's target may lie where nothing tells of changes.
                    self.scan.is_silent |= on.is_silent();
                    let stamp = Stamp::on(on, &path, &metadata);
                    (self.found)((path, stamp));
                }
                Ok(None) => {}
                Err(error) => self.note(&entry.path(), &error),
            }
        }
        folders
    }

    /// A folder or a checkpoint in the folder `below` the models folder; `None` for anything else.
    fn look(&self, entry: &DirEntry, below: &Path) -> io::Result<Option<Metadata>> {
        let kind = entry.file_type()?;
        let name = entry.file_name();
        let is_checkpoint = checkpoint::is_checkpoint_name(name.as_ref());
        if kind.is_file() && !is_checkpoint {
            return Ok(None);
        }
        let is_link = kind.is_symlink();
        let is_hidden = |is_folder| self.ignored.hides(&below.join(&name), is_folder);
        // What is ignored is not looked at: it may be a snapshot on a disk that hangs.
        if is_hidden(kind.is_dir()) && (!is_link || is_hidden(true)) {
            return Ok(None);
        }
        let metadata = if is_link { entry.path().metadata()? } else { entry.metadata()? };
        let is_wanted = metadata.is_dir() || is_checkpoint && is_checkpoint_file(&metadata);
        Ok((is_wanted && !(is_link && is_hidden(metadata.is_dir()))).then_some(metadata))
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

/// Browsers put an empty file where their download will be.
fn is_checkpoint_file(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.len() > 0
}

fn length(path: &Path) -> usize {
    path.as_os_str().len()
}
