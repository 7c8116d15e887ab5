use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, DirEntry, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use checkpoint::FileSystem;
use rustix::io::Errno;
use tracing::debug;

use super::{
    Disk, LookOrder, Notifier, Scan, Ways,
    disk::mount_id,
    mount_table::MountTable,
    mounts::is_bare,
    way::{End, Way, is_nothing},
};
use crate::inventory::{FileId, Stamp};

/// Walks through the models folder of `order`, links followed, and leaves out what is ignored. Returns the places where
/// the disk is that was there before, or one that may be.
///
/// A folder that can be reached by several paths is walked through once, by the path with the fewest folders,
/// and of those the shortest: circular links, or several to one folder, would list its files repeatedly. The
/// other paths are [aliases](Scan::aliases).
///
/// Without a library: those that follow links pass the whole path for each file, which the kernel resolves
/// each time.
pub(super) fn walk(
    order: &LookOrder,
    ways: &Ways,
    table: &MountTable,
    scan: &mut Scan,
    notifier: &mut Notifier,
    found: impl FnMut((PathBuf, Stamp)),
) -> BTreeSet<PathBuf> {
    let dir = &*order.dir;
    let (visited, mounted, linked, known) = Default::default();
    let mut walk =
        Walk { order, ways, table, scan, notifier, found, visited, mounted, linked, known };
    match dir.metadata() {
        Ok(metadata) if metadata.is_dir() => {
            walk.from(Folder { path: dir.to_owned(), metadata, around: None });
        }
        Ok(_) => {}
        Err(error) => walk.note(dir, &error),
    }
    walk.mounted
}

struct Walk<'a, F> {
    order: &'a LookOrder,
    ways: &'a Ways,
    table: &'a MountTable,
    scan: &'a mut Scan,
    notifier: &'a mut Notifier,
    found: F,
    /// The path by which each folder was walked through.
    visited: HashMap<FileId, PathBuf>,
    mounted: BTreeSet<PathBuf>,
    /// The disks of the folders that links lead into.
    linked: HashMap<PathBuf, Option<Disk>>,
    /// The file system of each device, asked for once for all the files that are on it.
    known: HashMap<u64, FileSystem>,
}

struct Folder {
    path: PathBuf,
    metadata: Metadata,
    /// The device and the mount of the folder around it.
    around: Option<On>,
}

/// A device, and the mount by which it is reached.
type On = (u64, Option<u64>);

impl<F: FnMut((PathBuf, Stamp))> Walk<'_, F> {
    /// Walks level by level: equally deep folders come before their subfolders.
    fn from(&mut self, folder: Folder) {
        let mut level = vec![folder];
        while !level.is_empty() {
            level.sort_by(|a, b| length(&a.path).cmp(&length(&b.path)).then(a.path.cmp(&b.path)));
            level = level.into_iter().flat_map(|folder| self.visit(folder)).collect();
        }
    }

    /// Returns the folder's subfolders.
    fn visit(&mut self, folder: Folder) -> Vec<Folder> {
        let Folder { path, metadata, around } = folder;
        if self.order.nested.iter().any(|dir| **dir == *path) {
            return Vec::new();
        }
        self.order.pulse.beat();
        let id = (metadata.dev(), metadata.ino());
        let on = (metadata.dev(), mount_id(&path));
        let is_other = around != Some(on);
        if is_other {
            self.scan.is_silent |= FileSystem::of(&path, metadata.dev()).is_silent();
        }
        let begins = is_other || self.scan.links.contains_key(&path);
        if begins || self.order.disks.contains_key(&path) {
            self.note_disk(&path, &metadata, begins);
        }
        if let Some(known) = self.visited.get(&id) {
            self.scan.aliases.insert(path, known.clone());
            return Vec::new();
        }
        self.notifier.watch(&path, &metadata);
        let folders = self.list(&path, on);
        self.visited.insert(id, path);
        folders
    }

    /// Another disk `begins` here, or one did.
    fn note_disk(&mut self, folder: &Path, metadata: &Metadata, begins: bool) {
        // Without a name left it is what a bind mount keeps of a folder that was deleted.
        let disk = Disk::of(folder, self.table).filter(|_| metadata.nlink() > 0);
        let known = self.order.disks.get(folder);
        let is_other = known.is_some() && known != disk.as_ref();
        if !is_other || !is_bare(folder) {
            self.mounted.insert(folder.to_owned());
            let begun = disk.filter(|_| begins);
            self.scan.disks.extend(begun.map(|disk| (folder.to_owned(), disk)));
        }
    }

    /// Sends the checkpoints in a folder, and returns its subfolders.
    fn list(&mut self, folder: &Path, on: On) -> Vec<Folder> {
        let mut folders = Vec::new();
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.note(folder, &error);
                return folders;
            }
        };
        let dir = self.order.dir.clone();
        let below = folder.strip_prefix(&dir).unwrap_or(folder);
        for entry in entries {
            self.order.pulse.beat();
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.note(folder, &error);
                    break;
                }
            };
            match self.look(&entry, below) {
                Ok(Some(metadata)) if metadata.is_dir() => {
                    folders.push(Folder { path: entry.path(), metadata, around: Some(on) });
                }
                Ok(Some(metadata)) => {
                    let path = entry.path();
                    let device = metadata.dev();
                    let of = || FileSystem::of(&path, device);
                    let on = *self.known.entry(device).or_insert_with(of);
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

    /// Returns a folder or a checkpoint in the folder `below` the models folder; `None` for anything else.
    fn look(&mut self, entry: &DirEntry, below: &Path) -> io::Result<Option<Metadata>> {
        let kind = entry.file_type()?;
        let name = entry.file_name();
        let is_checkpoint = checkpoint::is_checkpoint_name(name.as_ref());
        if kind.is_file() && !is_checkpoint {
            return Ok(None);
        }
        let is_link = kind.is_symlink();
        let is_hidden = |is_folder| self.order.ignored.hides(&below.join(&name), is_folder);
        // Ignored things are not touched: one may be a snapshot on a disk that hangs.
        if is_hidden(kind.is_dir()) && (!is_link || is_hidden(true)) {
            return Ok(None);
        }
        let is_wanted = |metadata: &Metadata| {
            metadata.is_dir() || is_checkpoint && is_checkpoint_file(metadata)
        };
        if !is_link {
            return Ok(Some(entry.metadata()?).filter(is_wanted));
        }
        let path = entry.path();
        match path.metadata() {
            Ok(metadata) => {
                let is_shown =
                    |metadata: &Metadata| is_wanted(metadata) && !is_hidden(metadata.is_dir());
                let wanted = Some(metadata).filter(is_shown);
                if let Some(metadata) = &wanted {
                    self.follow(&path, metadata.is_dir());
                }
                Ok(wanted)
            }
            Err(error) => {
                self.follow(&path, false);
                if is_nothing(&error) { Ok(None) } else { Err(error) }
            }
        }
    }

    /// Has the way watched that a link leads. One that leads nowhere waits for its disk, if that is what is missing.
    fn follow(&mut self, link: &Path, is_folder: bool) {
        let way = Way::of(link);
        self.ways.watch(&self.order.dir, self.order.round, &way);
        self.scan.record_way(link, &way);
        let folder = match &way.end {
            // Its visit tells.
            End::At(_) if is_folder => None,
            End::At(real) => real.parent(),
            End::Missing { folder, .. } => Some(&**folder),
            End::Failed { .. } => None,
        };
        let Some(folder) = folder else { return };
        let table = self.table;
        let of = || Disk::of(folder, table);
        let disk = self.linked.entry(folder.to_owned()).or_insert_with(of).clone();
        if matches!(way.end, End::At(_)) {
            self.scan.disks.extend(disk.map(|disk| (link.to_owned(), disk)));
            return;
        }
        let known = self.order.disks.get(link);
        let is_away = match known {
            Some(known) => disk.as_ref() != Some(known),
            // Of what was never seen, only an empty folder tells that a disk may be meant to lie there.
            None => fs::read_dir(folder).is_ok_and(|mut listing| listing.next().is_none()),
        };
        if is_away {
            let why = "leads to a disk that is not mounted; its engines are kept until it is (if it is not to return, \
                       remove the link)";
            self.scan.away.insert(link.to_owned(), why.to_owned());
        }
        self.scan.disks.extend(known.map(|disk| (link.to_owned(), disk.clone())));
    }

    fn note(&mut self, path: &Path, error: &io::Error) {
        // A dangling or circular link, or something that vanished after the listing.
        if is_nothing(error) {
            debug!("{}: {error}", path.display());
            return;
        }
        let what_to_do = match Errno::from_io_error(error) {
            Some(Errno::ACCESS | Errno::PERM) => "give sdtrtd the right to read it",
            _ => "its engines are kept, and it is tried again before long",
        };
        let why = format!("can't be listed ({error}); {what_to_do}");
        self.scan.away.insert(path.to_owned(), why);
    }
}

/// Browsers put an empty file at a download's destination.
fn is_checkpoint_file(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.len() > 0
}

fn length(path: &Path) -> usize {
    path.as_os_str().len()
}
