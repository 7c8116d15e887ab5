use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, btree_map::Entry},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use checkpoint::Id;

use super::{Identity, Outcome};
use crate::watch::Stamp;

/// Small files are read so many at once, as handing each over would cost more than reading it.
const BATCH_FILES: usize = 64;

/// And no more bytes than this beside the first, so that all threads get some.
const BATCH_BYTES: u64 = 16 << 20;

/// Every checkpoint file by its path, and what is known of its content.
#[derive(Debug)]
pub struct Catalogue {
    locations: HashMap<Arc<Path>, Location>,
    /// The paths of each file, by device and inode.
    names: HashMap<(u64, u64), Vec<Arc<Path>>>,
    /// Files that settle, by the time since when they have not changed.
    settling: BTreeMap<Instant, HashSet<Arc<Path>>>,
    /// Files that wait to be read, in the order in which a disk has them, more or less.
    unread: BTreeSet<Stamp>,
    /// Paths of files that are being read.
    reading: usize,
    settle: Duration,
}

/// A path at which a checkpoint lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file that was seen there last.
    pub stamp: Stamp,
    /// What is known of it.
    pub content: Content,
}

/// How far the knowledge of a file goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// It may still be changing.
    Settling {
        /// When it was last seen to change.
        unchanged_since: Instant,
    },
    /// It has settled and waits to be read.
    Unread,
    /// It is being read.
    Reading,
    /// It was read, now or in an earlier life.
    Read(Outcome),
}

/// One content and everywhere it lies.
#[derive(Clone, Debug)]
pub struct Held<'a> {
    /// What it is.
    pub identity: &'a Identity,
    /// Its locations, sorted.
    pub paths: Vec<&'a Path>,
    /// The latest change among them, in nanoseconds since 1970.
    pub newest_ns: i128,
}

impl Catalogue {
    /// An empty one. A file counts as settled once unchanged for `settle`.
    pub fn new(settle: Duration) -> Self {
        Self {
            locations: HashMap::new(),
            names: HashMap::new(),
            settling: BTreeMap::new(),
            unread: BTreeSet::new(),
            reading: 0,
            settle,
        }
    }

    /// Has files count as settled once unchanged for `settle`.
    pub fn set_settle(&mut self, settle: Duration) {
        self.settle = settle;
    }

    /// All locations, by path.
    pub fn locations(&self) -> &HashMap<Arc<Path>, Location> {
        &self.locations
    }

    /// Takes in a full scan. `recall` tells what was once learned of a file.
    pub fn scanned(
        &mut self,
        files: BTreeMap<PathBuf, Stamp>,
        now: Instant,
        recall: impl Fn(&Stamp) -> Option<Outcome>,
    ) {
        let gone = self.locations.keys().filter(|path| !files.contains_key(&***path));
        for path in gone.cloned().collect::<Vec<_>>() {
            self.remove(&path);
        }
        for (path, stamp) in files {
            self.changed(&path, stamp, now, &recall);
        }
    }

    /// Takes in a look at one path, made because something was done to it.
    pub fn looked(
        &mut self,
        path: PathBuf,
        found: Option<Stamp>,
        now: Instant,
        recall: impl Fn(&Stamp) -> Option<Outcome>,
    ) {
        let Some(stamp) = found else {
            self.remove(&path);
            return;
        };
        // Its permissions may be what was done.
        if matches!(
            self.locations.get(&*path),
            Some(Location { content: Content::Read(Outcome::Unreadable(_)), .. })
        ) {
            self.remove(&path);
        }
        // Its other names: one file is written to under one of them.
        let others = self.names.get(&stamp.file()).cloned().unwrap_or_default();
        for name in others {
            self.changed(&name, stamp, now, &recall);
        }
        self.changed(&path, stamp, now, &recall);
    }

    fn changed(
        &mut self,
        path: &Path,
        stamp: Stamp,
        now: Instant,
        recall: &impl Fn(&Stamp) -> Option<Outcome>,
    ) {
        if self.locations.get(path).is_some_and(|known| known.stamp == stamp) {
            return;
        }
        self.remove(path);
        let path: Arc<Path> = path.into();
        self.names.entry(stamp.file()).or_default().push(path.clone());
        // Another name of a file that is known, or a name that a known file had before.
        let content =
            recall(&stamp).map_or(Content::Settling { unchanged_since: now }, Content::Read);
        self.enlist(&path, &stamp, &content);
        self.locations.insert(path, Location { stamp, content });
    }

    fn remove(&mut self, path: &Path) {
        let Some((path, Location { stamp, content })) = self.locations.remove_entry(path) else {
            return;
        };
        self.strike(&path, &stamp, &content);
        let file = stamp.file();
        if let Some(names) = self.names.get_mut(&file) {
            names.retain(|name| *name != path);
            if names.is_empty() {
                self.names.remove(&file);
            }
        }
    }

    /// Takes in what is known of the file at `path` now.
    fn know(&mut self, path: &Arc<Path>, content: Content) {
        let Some(location) = self.locations.get_mut(path) else { return };
        let stamp = location.stamp;
        let before = std::mem::replace(&mut location.content, content.clone());
        self.strike(path, &stamp, &before);
        self.enlist(path, &stamp, &content);
    }

    fn enlist(&mut self, path: &Arc<Path>, stamp: &Stamp, content: &Content) {
        match content {
            Content::Settling { unchanged_since } => {
                self.settling.entry(*unchanged_since).or_default().insert(path.clone());
            }
            Content::Unread => {
                self.unread.insert(*stamp);
            }
            Content::Reading => self.reading += 1,
            Content::Read(_) => {}
        }
    }

    fn strike(&mut self, path: &Arc<Path>, stamp: &Stamp, content: &Content) {
        match content {
            Content::Settling { unchanged_since } => {
                if let Entry::Occupied(mut settling) = self.settling.entry(*unchanged_since) {
                    settling.get_mut().remove(path);
                    if settling.get().is_empty() {
                        settling.remove();
                    }
                }
            }
            Content::Unread => {
                let is_other = |name: &Arc<Path>| {
                    name != path
                        && self.locations.get(name).is_some_and(|l| l.content == Content::Unread)
                };
                if !self.named(stamp).iter().any(is_other) {
                    self.unread.remove(stamp);
                }
            }
            Content::Reading => self.reading -= 1,
            Content::Read(_) => {}
        }
    }

    /// When the next file will have settled, if nothing happens to it.
    pub fn next_settled(&self) -> Option<Instant> {
        self.settling.keys().next().map(|since| *since + self.settle)
    }

    /// Files that have had their time to settle. Each is to be looked at once more and reported
    /// through [`Self::settled`] or [`Self::looked`].
    pub fn due(&self, now: Instant) -> Vec<PathBuf> {
        let settled = self.settling.iter().take_while(|(since, _)| **since + self.settle <= now);
        settled.flat_map(|(_, paths)| paths).map(|path| path.to_path_buf()).collect()
    }

    /// Takes in that the file at `path` is still `stamp` when its time is up. While somebody has
    /// it open for writing it is not settled.
    pub fn settled(&mut self, path: &Path, stamp: Stamp, being_written: bool, now: Instant) {
        let Some((path, location)) = self.locations.get_key_value(path) else { return };
        if !matches!(location.content, Content::Settling { .. }) || location.stamp != stamp {
            return;
        }
        let content = if being_written {
            Content::Settling { unchanged_since: now }
        } else {
            Content::Unread
        };
        self.know(&path.clone(), content);
    }

    /// The next files to read, with all their other names marked as being read too: a big one, or
    /// several small ones. None when there is nothing to read.
    pub fn start_reading(&mut self) -> Vec<(PathBuf, Stamp)> {
        let mut files = Vec::new();
        let mut bytes = 0;
        while files.len() < BATCH_FILES
            && let Some(stamp) = self.unread.first().copied()
        {
            bytes += stamp.size;
            if !files.is_empty() && bytes > BATCH_BYTES {
                break;
            }
            self.unread.remove(&stamp);
            let names = self.named(&stamp);
            for name in &names {
                self.know(name, Content::Reading);
            }
            files.extend(names.iter().min().map(|name| (name.to_path_buf(), stamp)));
        }
        files
    }

    /// Takes in what reading the file `stamp` taught; `None` when it changed meanwhile.
    pub fn read(&mut self, stamp: Stamp, outcome: Option<&Outcome>, now: Instant) {
        for name in self.named(&stamp) {
            let is_read = self.locations.get(&name).is_some_and(|l| l.content == Content::Reading);
            match outcome {
                Some(outcome) => self.know(&name, Content::Read(outcome.clone())),
                None if is_read => self.know(&name, Content::Settling { unchanged_since: now }),
                None => {}
            }
        }
    }

    /// Has the file at `path` read again.
    pub fn reread(&mut self, path: &Path) {
        let Some(stamp) = self.locations.get(path).map(|location| location.stamp) else { return };
        for name in self.named(&stamp) {
            let content = self.locations.get(&name).map(|location| &location.content);
            if matches!(content, Some(Content::Read(_))) {
                self.know(&name, Content::Unread);
            }
        }
    }

    /// All paths of one file.
    fn named(&self, stamp: &Stamp) -> Vec<Arc<Path>> {
        let names = self.names.get(&stamp.file()).into_iter().flatten();
        let is_same =
            |name: &&Arc<Path>| self.locations.get(*name).is_some_and(|l| l.stamp == *stamp);
        names.filter(is_same).cloned().collect()
    }

    /// Whether no file is left whose content may be any.
    pub fn is_all_read(&self) -> bool {
        self.settling.is_empty() && self.unread.is_empty() && self.reading == 0
    }

    /// Every content that lies somewhere, by weights id.
    pub fn held(&self) -> HashMap<Id, Held<'_>> {
        let mut held: HashMap<Id, Held<'_>> = HashMap::new();
        for (path, location) in &self.locations {
            let Content::Read(Outcome::Identified(identity)) = &location.content else { continue };
            let entry = held.entry(identity.ids.weights).or_insert_with(|| Held {
                identity,
                paths: Vec::new(),
                newest_ns: i128::MIN,
            });
            entry.paths.push(path);
            entry.newest_ns = entry.newest_ns.max(location.stamp.mtime_ns);
        }
        for held in held.values_mut() {
            held.paths.sort_unstable();
        }
        held
    }
}

#[cfg(test)]
mod tests;
