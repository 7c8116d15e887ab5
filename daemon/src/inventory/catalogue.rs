mod doubt;
mod leaving;
mod naming;
mod reading;
mod settling;

use std::{
    collections::{BTreeSet, HashMap, HashSet, hash_map::Entry},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use checkpoint::Id;

use super::{FileId, Identity, Outcome, Stamp, Waits, unhashed::Unhashed};
use crate::inventory::Known;

/// Every checkpoint file, its locations, and what is known of its content.
#[derive(Debug)]
pub struct Catalogue {
    /// Boxed, as nearly half of a large table may be empty.
    files: HashMap<FileId, Box<File>>,
    locations: HashMap<Arc<Path>, Location>,
    /// Files that are settling, by the time of their last change or of the last futile check.
    settling: BTreeSet<(Instant, FileId)>,
    /// Those of them that a program has open for writing, or is downloading, perhaps forever.
    held_up: HashSet<FileId>,
    /// Files to read, roughly in the disk's order.
    unread: BTreeSet<FileId>,
    /// The number of files being read.
    reading: usize,
    /// Files of which only the header was read.
    unhashed: Unhashed,
    /// Checkpoints that may still have to be read for their names.
    unnamed: BTreeSet<FileId>,
    /// Files that may have changed without a sign, by the time since when.
    doubted: BTreeSet<(Instant, FileId)>,
    /// Files that are being compared.
    comparing: usize,
    /// Files of which only an excerpt was compared, by the time at which they are to be read as a whole.
    whole: BTreeSet<(Instant, FileId)>,
    /// Files that somebody reads or compares, and whether what that teaches is out of date already.
    at_work: HashMap<FileId, bool>,
    /// The same of files that are hashed.
    hashing: HashMap<FileId, bool>,
    settle: Duration,
}

/// A file to read, by one of its paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Where it lies.
    pub path: Arc<Path>,
    /// Its last known stamp.
    pub stamp: Stamp,
}

/// A file, whatever its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// As it was seen last.
    pub stamp: Stamp,
    /// What is known of its content.
    pub content: Content,
    /// Its paths, at least one.
    pub paths: Vec<Arc<Path>>,
    assurance: doubt::Assurance,
}

/// The file at a path.
#[derive(Debug)]
struct Location {
    file: FileId,
    /// The models folder that it belongs to.
    dir: Arc<Path>,
    /// The look under way has seen it.
    seen: bool,
}

/// How a file was seen: in which models folder, and whether in a look at the whole of it.
#[derive(Clone, Copy)]
struct Seen<'a> {
    dir: &'a Arc<Path>,
    whole: bool,
}

/// How much is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// It may still be changing.
    Settling {
        /// When it last changed.
        unchanged_since: Instant,
        /// When that was, or when it was last found that it can't be read yet.
        looked: Instant,
        /// What it waits for.
        waits: Option<Waits>,
    },
    /// It has settled and waits to be read.
    Unread,
    /// It is being read.
    Reading,
    /// It was read, now or before a restart.
    Read(Outcome),
}

impl Content {
    /// It has just changed.
    fn changed(now: Instant) -> Self {
        Self::Settling { unchanged_since: now, looked: now, waits: None }
    }
}

/// One content and all of its locations.
#[derive(Clone, Debug)]
pub struct Held<'a> {
    /// Its ids and architecture.
    pub identity: &'a Identity,
    /// Its locations, sorted.
    pub paths: Vec<&'a Path>,
    /// The latest modification time among them, in nanoseconds since 1970.
    pub newest_ns: i128,
}

impl Catalogue {
    /// An empty catalogue. A file settles after `settle` without changes.
    pub fn new(settle: Duration) -> Self {
        Self {
            files: HashMap::new(),
            locations: HashMap::new(),
            settling: BTreeSet::new(),
            held_up: HashSet::new(),
            unread: BTreeSet::new(),
            reading: 0,
            unhashed: Unhashed::default(),
            unnamed: BTreeSet::new(),
            doubted: BTreeSet::new(),
            comparing: 0,
            whole: BTreeSet::new(),
            at_work: HashMap::new(),
            hashing: HashMap::new(),
            settle,
        }
    }

    /// Changes how long a file must be unchanged to settle.
    pub fn set_settle(&mut self, settle: Duration) {
        self.settle = settle;
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.files.values().map(|file| &**file)
    }

    /// The file at `path`.
    pub fn at(&self, path: &Path) -> Option<&File> {
        self.files.get(&self.locations.get(path)?.file).map(|file| &**file)
    }

    /// Takes in what a look at the models folder `dir` found. `recall` tells what was once learned of a file.
    /// Returns those that may have been looked at later, and are to be looked at once more.
    pub fn seen(
        &mut self,
        dir: &Arc<Path>,
        files: Vec<(PathBuf, Stamp)>,
        now: Instant,
        recall: impl Fn(&Path, &Stamp) -> Option<Known>,
    ) -> Vec<PathBuf> {
        let mut stale = Vec::new();
        for (path, stamp) in files {
            let known = self.files.get(&stamp.file()).map(|file| file.stamp);
            let known = known.filter(|known| known.changed_ns > stamp.changed_ns);
            self.found(&path, known.unwrap_or(stamp), Seen { dir, whole: true }, now, &recall);
            stale.extend(known.map(|_| path));
        }
        stale
    }

    /// Takes in a look at one path in the models folder `dir`, made because something was done to it.
    pub fn looked(
        &mut self,
        dir: &Arc<Path>,
        path: &Path,
        found: Option<Stamp>,
        now: Instant,
        recall: impl Fn(&Path, &Stamp) -> Option<Known>,
    ) {
        let Some(stamp) = found else {
            return self.left(path);
        };
        // The event may be a change of its permissions.
        let known = self.files.get(&stamp.file()).map(|file| &file.content);
        if matches!(known, Some(Content::Read(Outcome::Unreadable(_)))) {
            self.know(stamp, Content::changed(now));
        }
        self.found(path, stamp, Seen { dir, whole: false }, now, &recall);
    }

    /// Takes in that this file lies at `path`.
    fn found(
        &mut self,
        path: &Path,
        stamp: Stamp,
        Seen { dir, whole }: Seen<'_>,
        now: Instant,
        recall: &impl Fn(&Path, &Stamp) -> Option<Known>,
    ) {
        let id = stamp.file();
        match self.files.get(&id).map(|file| file.stamp) {
            Some(known) if known == stamp => {}
            Some(known) if known.is_same_version(&stamp) => self.doubt(stamp, false, now),
            _ => match recall(path, &stamp) {
                Some(known) => self.know_again(stamp, known, now),
                None => self.know(stamp, Content::changed(now)),
            },
        }
        if let Some(location) = self.locations.get_mut(path).filter(|known| known.file == id) {
            (location.dir, location.seen) = (dir.clone(), location.seen || whole);
            return;
        }
        let path: Arc<Path> = path.into();
        if let Some(file) = self.files.get_mut(&id) {
            // Nearly every file has one.
            file.paths.reserve_exact(1);
            file.paths.push(path.clone());
        }
        let location = Location { file: id, dir: dir.clone(), seen: whole };
        if let Some(before) = self.locations.insert(path.clone(), location) {
            self.leave(&path, before.file);
        }
    }

    /// Records what is known of a file now.
    fn know(&mut self, stamp: Stamp, content: Content) {
        let id = stamp.file();
        self.strike(&id);
        if !matches!(content, Content::Unread | Content::Reading) {
            let under_way = [self.at_work.get_mut(&id), self.hashing.get_mut(&id)];
            under_way.into_iter().flatten().for_each(|is_tainted| *is_tainted = true);
        }
        match &content {
            Content::Settling { looked, waits, .. } => {
                self.settling.insert((*looked, id));
                if waits.is_some() {
                    self.held_up.insert(id);
                }
            }
            Content::Unread => {
                self.unread.insert(id);
            }
            Content::Reading => self.reading += 1,
            Content::Read(outcome) if outcome.is_provisional() => self.unhashed.insert(&stamp),
            Content::Read(Outcome::Identified(_)) => drop(self.unnamed.insert(id)),
            Content::Read(_) => {}
        }
        match self.files.entry(id) {
            Entry::Occupied(mut file) => {
                let file = file.get_mut();
                (file.stamp, file.content) = (stamp, content);
                file.assurance = doubt::Assurance::default();
            }
            Entry::Vacant(place) => {
                let assurance = doubt::Assurance::default();
                place.insert(Box::new(File { stamp, content, paths: Vec::new(), assurance }));
            }
        }
    }

    /// Discards what was known of a file.
    fn strike(&mut self, id: &FileId) {
        let Some(file) = self.files.get(id) else { return };
        let File { content, assurance, stamp, .. } = &**file;
        self.unnamed.remove(id);
        let (doubted, whole) = assurance.times();
        doubted.map(|since| self.doubted.remove(&(since, *id)));
        whole.map(|due| self.whole.remove(&(due, *id)));
        match content {
            Content::Settling { looked, .. } => {
                self.settling.remove(&(*looked, *id));
                self.held_up.remove(id);
            }
            Content::Unread => {
                self.unread.remove(id);
            }
            Content::Reading => self.reading -= 1,
            Content::Read(outcome) if outcome.is_provisional() => self.unhashed.remove(stamp),
            Content::Read(_) => {}
        }
    }

    /// Whether at least the header of every file was read.
    pub fn is_all_read(&self) -> bool {
        self.settling.is_empty() && self.unread.is_empty() && self.reading == 0
    }

    /// The same, except for files that a program has held up for longer than the settle time.
    pub fn is_read_but_for_open_files(&self) -> bool {
        self.settling.len() == self.held_up.len() && self.unread.is_empty() && self.reading == 0
    }

    /// Whether a file is being read or is to be read: that comes before hashing others.
    fn is_reading(&self) -> bool {
        !self.unread.is_empty() || self.reading > 0
    }

    /// Returns every content that is in a file, by weights id.
    pub fn held(&self) -> HashMap<Id, Held<'_>> {
        let mut held: HashMap<Id, Held<'_>> = HashMap::with_capacity(self.files.len());
        for file in self.files.values() {
            let Content::Read(Outcome::Identified(identity)) = &file.content else { continue };
            let entry = held.entry(identity.ids.weights).or_insert_with(|| Held {
                identity,
                paths: Vec::with_capacity(file.paths.len()),
                newest_ns: i128::MIN,
            });
            entry.paths.extend(file.paths.iter().map(|path| &**path));
            entry.newest_ns = entry.newest_ns.max(file.stamp.mtime_ns);
        }
        for held in held.values_mut() {
            held.paths.sort_unstable();
        }
        held
    }
}

mod hashing;
#[cfg(test)]
mod tests;
